"""The inspector: from samples of the data plane to verdicts kept and counted."""

from __future__ import annotations

import json
import queue
import threading
from pathlib import Path

import pytest

from evaluators import catalog
from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.controlplane.inspection.apart import Apart, NoVerdict
from proxy.controlplane.inspection.inspector import Inspector
from proxy.inspecting import Evaluators, Expectation, Manner, OwnEvaluator
from proxy.record import Sample as Sent

ENGLISH = "The mill is on the other side of the river and it was built by the monks, who had it for many years."


def send(text: str = ENGLISH, request: dict | None = None, **other: object) -> Sent:
    body = json.dumps(request or {}).encode()
    return Sent(**{"id": "c1", "agent": "a", "format": "openai.chat", "usage_source": "reported", "text": text, "request": body, **other})


def found(inspector: Inspector, sent: Sent) -> dict[str, str]:
    return {verdict.name: verdict.label for verdict in inspector.inspect(sent) if verdict.severity != "none"}


def test_a_sound_answer_leaves_one_row() -> None:
    inspector = Inspector(Evaluators())
    assert found(inspector, send()) == {}
    ((call, _, evaluator, label, severity, score, explanation),) = inspector.rows
    assert (call, evaluator, label, severity, score, explanation) == ("c1", "any", "pass", "none", 1.0, "")


def test_what_was_asked_is_held_against_the_answer() -> None:
    inspector = Inspector(Evaluators())
    asked = {"response_format": {"type": "json_object"}, "tools": [{"type": "function", "function": {"name": "f"}}]}
    assert found(inspector, send(request=asked)) == {"json": "invalid"}
    assert found(inspector, send(text="{}", request={})) == {"empty": "empty_json"}
    assert found(inspector, send(text="", tools=[("g", "{}")], request=asked)) == {"tools": "not_offered"}
    assert [row[2:5] for row in inspector.rows][:2] == [("any", "invalid", "error"), ("json", "invalid", "error")]


def test_of_a_request_that_was_cut_its_outline_is_held_against_the_answer() -> None:
    inspector = Inspector(Evaluators())
    outline = json.dumps({"response_format": {"type": "json_object"}}).encode()
    sent = Sent(id="c1", agent="a", format="f", usage_source="reported", text="no", request=b'{"messages": [', outline=outline, left_out=["tools"])
    assert found(inspector, sent) == {"json": "invalid"} and inspector.prepare(sent).offered is None
    assert inspector.tally.missed == {"tools": 1}


def test_what_the_user_wrote_goes_with_the_answer() -> None:
    asked = {"messages": [{"role": "user", "content": "How long is the river?"}]}
    assert Inspector(Evaluators()).prepare(send(request=asked)).prompt == "How long is the river?"


def test_reasoning_without_an_answer_is_told_from_nothing() -> None:
    inspector = Inspector(Evaluators())
    assert found(inspector, send(text="")) == {"empty": "empty"}
    assert found(inspector, send(text="", output_bytes=400)) == {"empty": "only_reasoning"}
    assert found(inspector, send(text="", reasoning_tokens=100)) == {"empty": "only_reasoning"}


def test_an_answer_that_fills_what_is_kept_is_no_whole_one() -> None:
    inspector = Inspector(Evaluators())
    assert inspector.prepare(send(text="x" * 65536)).is_cut
    assert inspector.prepare(send(tools=[("f", "x" * 65536)])).is_cut
    assert not inspector.prepare(send()).is_cut


def test_expectations_concern_their_agents_and_tasks(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "array"}')
    expect = [Expectation(agent="fr-*", language="fr"), Expectation(task="list", schema=str(schema)), Expectation(agent="j", json=True)]
    inspector = Inspector(Evaluators(expect=expect))
    assert found(inspector, send(agent="fr-1")) == {"language": "other_language"}
    assert found(inspector, send(agent="j")) == {"json": "invalid"}
    assert found(inspector, send(text='{"a": 1}', task="list")) == {"json": "schema"}
    assert found(inspector, send(agent="x", task="y")) == {}
    schema.unlink()
    inspector.configure(Evaluators(expect=expect))
    assert found(inspector, send(text="[", task="list"))["json"] == "cut"


def test_an_evaluator_may_judge_a_share() -> None:
    draws = iter([0.4, 0.6])
    inspector = Inspector(Evaluators(shares={"empty": 0.5}), draw=lambda: next(draws))
    assert [found(inspector, send(text="")) for _ in range(2)] == [{"empty": "empty"}, {}]


def test_a_defect_costs_a_verdict_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(sample: Sample) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(catalog.BUILT_IN, "empty", break_down)
    inspector = Inspector(Evaluators())
    inspector.listeners += [lambda *_: 1 / 0, lambda sent, sample, verdicts: told.append((sent.id, sample.text, len(verdicts) > 3))]
    told: list[object] = []
    assert found(inspector, send(text="<|im_end|>")) == {"leaks": "control_token"}
    assert inspector.tally.failures == {("empty", "raised"): 1, ("<lambda>", "listener"): 1}
    assert told == [("c1", "<|im_end|>", True)]


def test_evaluators_of_others_are_asked_beside_ours() -> None:
    own = OwnEvaluator("mine", "tests.controlplane.inspection.guests:judge", timeout_s=60.0)
    inspector = Inspector(Evaluators(own=[own]))
    stopping = threading.Event()
    heard = threading.Event()
    inspector.listeners.append(lambda sent, sample, verdicts: heard.set() if verdicts[0].name == "mine" else None)
    thread = threading.Thread(target=inspector.run_guests, args=(stopping,), daemon=True)
    thread.start()
    inspector.inspect(send(text="LOUD"))
    assert heard.wait(300)
    stopping.set()
    thread.join(60)
    assert not thread.is_alive()
    assert [row[2:4] for row in inspector.rows] == [("any", "pass"), ("mine", "shout")]


def test_what_others_cannot_keep_up_with_is_dropped_and_counted() -> None:
    inspector = Inspector(Evaluators(own=[OwnEvaluator("mine", "a:b")]))
    for _ in range(103):
        inspector.inspect(send())
    assert inspector.tally.dropped == {"own_behind": 3}
    assert inspector.tally.calls == 103


def test_it_works_until_told_to_stop() -> None:
    inspector, stopping, samples = Inspector(Evaluators()), threading.Event(), queue.Queue()
    inspector.listeners.append(lambda *_: stopping.set())
    samples.put([send(), send(id="c2")])
    inspector.run(samples, stopping)
    assert inspector.tally.calls == 2


class Worked:
    """Each judgement takes as long as it is told to."""

    def __init__(self, each_s: float) -> None:
        self.each_s, self.now, self._asked = each_s, 0.0, False

    def __call__(self) -> float:
        self.now += self.each_s if self._asked else 0.0
        self._asked = not self._asked
        return self.now


def test_an_agent_has_evaluators_of_its_own_choice() -> None:
    agents = [Manner(agent="s", share=0.0), Manner(agent="s", evaluators=["empty"], share=1.0, severity={"empty": "info"})]
    inspector = Inspector(Evaluators(agents=agents))
    told: list[str] = []
    inspector.listeners.append(inspector.thin("drift", lambda sent, sample, verdicts: told.append(sent.agent)))
    assert [(one.name, one.severity) for one in inspector.inspect(send(text="", agent="s"))] == [("empty", "info")]
    assert len(inspector.inspect(send(text="<|im_end|>", agent="t"))) > 3
    assert told == ["t"]


def test_one_that_is_too_slow_for_an_agent_costs_its_verdict_and_then_rests() -> None:
    inspector = Inspector(Evaluators(agents=[Manner(agent="s", evaluators=["empty"], timeout_s=0.1)]), clock=lambda: 0.0, worked=Worked(0.2))
    assert [found(inspector, send(text="", agent="s")) for _ in range(4)] == [{}] * 4
    assert inspector.tally.failures == {("empty", "timeout"): 3, ("empty", "resting"): 1}
    assert found(inspector, send(text="", agent="t")) == {"empty": "empty"}


def test_one_that_has_used_up_its_cpu_is_skipped_and_counted() -> None:
    manner = Manner(agent="s", evaluators=["empty"], cpu_s_per_minute=0.5)
    inspector = Inspector(Evaluators(agents=[manner]), clock=lambda: 0.0, worked=Worked(0.3))
    assert [found(inspector, send(text="", agent="s")) for _ in range(4)] == [{"empty": "empty"}] * 2 + [{}] * 2
    assert inspector.tally.skipped == {("empty", "cpu_cap"): 2} and inspector.tally.failures == {}


def test_evaluators_of_others_keep_to_the_bounds_of_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, float | None]] = []

    def judge(guest: Apart, sample: Sample, timeout_s: float | None) -> Verdict:
        asked.append((sample.agent, timeout_s))
        if sample.text == "hang":
            raise NoVerdict("timeout")
        return Verdict("mine", "shout", 0.0, "warning")

    monkeypatch.setattr(Apart, "judge", judge)
    agents = [Manner(agent="s", evaluators=["mine"], timeout_s=0.5, severity={"mine": "error"}), Manner(agent="u", evaluators=["mine"], share=0.0)]
    inspector = Inspector(Evaluators(own=[OwnEvaluator("mine", "a:b")], agents=agents), clock=lambda: 0.0)
    for agent in ("s", "t", "u"):
        sent = send(agent=agent)
        inspector.ask_guests(sent, inspector.prepare(sent))
    assert asked == [("s", 0.5), ("t", None)] and [row[4] for row in inspector.rows] == ["error", "warning"]
    slow = send(text="hang", agent="s")
    for _ in range(4):
        inspector.ask_guests(slow, inspector.prepare(slow))
    assert inspector.tally.failures == {("mine", "timeout"): 3, ("mine", "resting"): 1}
