"""Controls from verdicts to orders: whom they concern, what they say, that they yield, end, and count it all."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.controlplane.controls.steering import Steering
from proxy.controlplane.store import StoreAway
from proxy.controls import Control
from proxy.orders import Order
from proxy.record import AlarmEvent
from proxy.record import Sample as Sent
from tests.controlplane.test_desk import Room

S = 10**9
BAD = [Verdict("json", "invalid", 0.0, "error"), Verdict("refusal", "boilerplate", 0.5, "info")]
PAUSE = Control("stop", ["error"], "pause", {"agent": "r-*"}, at_least=3, of=5, for_s=100.0)
UPGRADE = Control("up", ["json/invalid"], "upgrade", at_least=3, of=5, for_s=50.0, tier="strong", each="task")


class Site(Room):
    """A desk with controls and a clock."""

    def __init__(self, folder: Path, *controls: Control) -> None:
        super().__init__(folder)
        self.now_s = 1000.0
        self.desk._clock_ns = lambda: int(self.now_s * S)
        self.dropped: list[str] = []
        self.calls = 0
        self.imposed: list[dict] = []
        self.steering = Steering(controls, self.desk, lambda job: job(), self.impose, self.dropped.append, lambda: self.now_s)

    def impose(self, _: str, body: bytes) -> None:
        self.imposed.append(json.loads(body))

    def judge(self, verdicts: list[Verdict], agent: str = "r-1", calls: int = 5, **names: str) -> None:
        for _ in range(calls):
            self.calls += 1
            self.steering.weigh(Sent(id=f"c{self.calls}", agent=agent, format="f", usage_source="reported", **names), verdicts)

    def counts(self) -> dict[tuple[str, str], float]:
        return {tuple(sample.labels.values()): sample.value for family in self.steering.collect() for sample in family.samples if sample.value}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, PAUSE, UPGRADE)


def test_an_agent_is_paused_for_a_time_and_let_go_by_itself(site: Site) -> None:
    site.judge(BAD, calls=4)
    assert site.orders.orders == []
    site.judge(BAD, calls=1)
    (order,) = site.orders.orders
    reason = "5 of the last 5 inspected calls were bad: json/invalid 5"
    assert order == Order(
        verb="pause", dimension="agent", value="r-1", reason=reason, by="control stop", at_ns=1000 * S, until_ns=1100 * S
    )  # fmt: skip
    site.now_s = 1099.0
    site.steering.look()
    assert site.orders.orders == [order]
    site.now_s = 1100.0
    site.steering.look()
    assert site.orders.orders == [] and site.counts() == {("stop", "pause"): 1, ("stop", "lifted"): 1}
    assert [line["order"]["verb"] for line in site.noted()] == ["pause", "resume"]


def test_whom_it_does_not_concern_and_what_is_not_bad_for_it(site: Site) -> None:
    site.judge(BAD, agent="s-1", calls=50)
    site.judge([Verdict("json"), Verdict("truncated", "length", 0.2, "warning"), BAD[1]], calls=50)
    assert site.orders.orders == [] and site.counts() == {}


@pytest.mark.parametrize(
    ("when", "verdict", "acts"),
    [
        ("warning", Verdict("x", "y", 0.0, "warning"), True), ("warning", Verdict("x", "y", 0.0, "error"), True),
        ("error", Verdict("x", "y", 0.0, "warning"), False), ("warning", Verdict("x", "y", 0.0, "info"), False),
        ("json", Verdict("json", "y", 0.0, "warning"), True), ("json", Verdict("json", "y", 0.0, "info"), False),
        ("json/error", Verdict("json", "y", 0.0, "error"), True), ("json/error", Verdict("json", "y", 0.0, "warning"), False),
        ("json/warning", Verdict("json", "y", 0.0, "error"), True), ("json/warning", Verdict("json", "y", 0.0, "info"), False),
        ("json/error", Verdict("empty", "y", 0.0, "error"), False),
        ("json/y", Verdict("json", "y", 0.0, "info"), True), ("json/y", Verdict("json", "z", 0.0, "error"), False),
    ],
)  # fmt: skip
def test_severities_evaluators_and_labels(tmp_path: Path, when: str, verdict: Verdict, acts: bool) -> None:
    site = Site(tmp_path, Control("c", [when], "raise_sampling", at_least=3, of=3))
    site.judge([Verdict("other"), verdict])
    assert [one.verb for one in site.orders.orders] == (["inspect"] if acts else [])


def test_a_tier_for_a_task_stands_beside_a_pause_of_its_agent(site: Site) -> None:
    site.judge(BAD, task="t-1")
    assert [(one.verb, one.dimension, one.value, one.tier) for one in site.orders.orders] == [
        ("pause", "agent", "r-1", None), ("tier", "task", "t-1", "strong"),
    ]  # fmt: skip


def test_it_yields_to_people_and_counts_from_nothing(site: Site) -> None:
    kill = site.desk.give(Order(verb="kill", dimension="agent", value="r-1", by="jo")).orders.orders
    site.judge(BAD, calls=9)
    assert site.orders.orders == kill and site.counts() == {("stop", "yielded"): 1}
    site.judge(BAD, calls=1)
    assert site.counts() == {("stop", "yielded"): 2}


def test_one_that_is_resumed_by_hand_leaves_the_control_quiet_until_its_end(site: Site) -> None:
    site.judge(BAD)
    site.desk.resume(Order(verb="resume", dimension="agent", value="r-1", by="jo"))
    site.now_s = 1099.0
    site.judge(BAD, calls=50)
    assert site.orders.orders == []
    site.now_s = 1101.0
    site.judge(BAD)
    assert site.orders.orders[0].until_ns == 1301 * S, "so soon again it holds twice as long"


def test_a_disk_that_takes_nothing_costs_the_order_and_is_counted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.path.write_text("{")
    site.judge(BAD)
    site.now_s += 10.0
    site.steering.look()
    assert site.counts() == {("stop", "failed"): 1}
    site.path.unlink()
    site.judge(BAD)
    assert site.counts() == {("stop", "failed"): 1, ("stop", "pause"): 1}


def test_a_changed_control_counts_anew_and_one_that_stayed_goes_on(site: Site) -> None:
    site.judge(BAD, calls=4, task="t-1")
    changed = Control("stop", ["error"], "pause", at_least=4, of=5)
    site.steering.configure([changed, UPGRADE, Control("retry", ["empty"], "retry")])
    site.judge(BAD, calls=1, task="t-1")
    assert [one.by for one in site.orders.orders] == ["control up"]
    site.judge(BAD, calls=4, task="t-1")
    assert [one.by for one in site.orders.orders] == ["control up", "control stop"]


def test_what_is_heard_is_weighed_in_its_own_thread_and_what_is_too_much_is_counted(site: Site) -> None:
    sent = Sent(id="c", agent="r-1", format="f", usage_source="reported")
    for _ in range(1001):
        site.steering.hear(sent, Sample(), BAD)
    assert site.dropped == ["controls_behind"]
    stopping = threading.Event()
    site.steering.weigh = lambda sent, found: stopping.set()  # type: ignore[method-assign]
    site.steering.run(stopping)
    site.steering.configure([])
    site.steering._take_config()
    site.steering.hear(sent, Sample(), BAD)
    assert site.dropped == ["controls_behind"], "without controls nothing is put by"


def test_a_quarantine_marks_the_calls_that_were_counted_and_those_of_a_time_to_come(tmp_path: Path) -> None:
    site = Site(tmp_path, Control("mark", ["json"], "quarantine", at_least=3, of=3, for_s=60.0))
    for _ in range(3):
        site.judge(BAD, calls=1)
        site.now_s += 10.0
    (body,) = site.imposed
    assert body == {
        "agent": "r-1", "since": "1970-01-01T00:16:40+00:00", "until": "1970-01-01T00:18:00+00:00", "by": "control mark",
        "reason": "3 of the last 3 inspected calls were bad: json/invalid 3",
    }  # fmt: skip
    assert site.counts() == {("mark", "quarantine"): 1} and site.orders.orders == []


def test_a_database_that_is_away_costs_the_quarantine_and_no_more(tmp_path: Path) -> None:
    site = Site(tmp_path, Control("mark", ["json"], "quarantine", at_least=3, of=3, for_s=60.0))

    def fail(_: str, body: bytes) -> None:
        raise StoreAway("it is being opened")

    site.steering._impose = fail
    site.judge(BAD, calls=3)
    site.steering._impose = site.impose
    site.judge(BAD, calls=3)
    assert site.counts() == {("mark", "failed"): 1, ("mark", "quarantine"): 1} and len(site.imposed) == 1


def test_an_alarm_of_drift_is_reason_enough_and_of_its_own_severity(tmp_path: Path) -> None:
    site = Site(tmp_path, Control("any", ["drift"], "pause", for_s=60.0), Control("sure", ["drift/certain"], "raise_sampling", for_s=60.0), PAUSE)
    alarm = AlarmEvent(
        at_ns=1, call="c1", agent="r-1", severity="likely", kind="output", answer=9, began=3, evidence=1.0, alpha=0.1, baseline=1, cause="shorter"
    )
    sent = Sent(id="c1", agent="r-1", format="f", usage_source="none")
    for _ in range(2):
        site.steering.hear_alarm(alarm, sent)
        site.steering.weigh(*site.steering._heard.get_nowait())
    assert [(one.verb, one.reason) for one in site.orders.orders] == [("pause", "drift: shorter")]
    assert site.counts() == {("any", "pause"): 1}, "while it holds another alarm does nothing"
