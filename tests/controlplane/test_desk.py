"""The orders desk: what it publishes, what it notes, and what it does when a disk fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.controlplane import desk as desks
from proxy.controlplane.desk import NOT_IN_HISTORY, Desk
from proxy.controlplane.door import NotDone
from proxy.controlplane.journal_writer import JournalWriter
from proxy.orders import Order, Orders, TaskBudget, read_orders, write_orders
from proxy.rules import Key

PAUSE = Order(verb="pause", dimension="agent", value="a", reason="loops", by="jo")
ALL = Order(verb="kill", running=True, by="jo")


class Room:
    """A desk in a folder, with its journal."""

    def __init__(self, folder: Path, *configured: Key) -> None:
        self.path = folder / "orders.json"
        self.journal = folder / "journal"
        self.journal.mkdir()
        ticks = iter(range(1, 1000))
        self.writer = JournalWriter(self.journal, 10**6)
        self.desk = Desk(self.path, self.writer, list(configured), lambda: next(ticks))

    @property
    def orders(self) -> Orders:
        return read_orders(self.path)

    def noted(self) -> list[dict]:
        """The journal's lines, without the segments' own."""
        lines = [json.loads(line) for path in sorted(self.journal.iterdir()) for line in path.read_bytes().splitlines()]
        return [line for line in lines if not line.keys() & {"segment", "closed"}]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_the_last_order_of_a_scope_holds_until_it_is_resumed(room: Room) -> None:
    room.desk.give(PAUSE)
    room.desk.give(ALL)
    done = room.desk.give(Order(verb="kill", dimension="agent", value="a", by="mo"))
    assert [(one.verb, one.value, one.by, one.at_ns) for one in room.orders.orders] == [("kill", None, "jo", 2), ("kill", "a", "mo", 3)]
    assert done.orders == room.orders and done.note == ""
    room.desk.resume(Order(verb="resume", by="jo"))
    assert [one.value for one in room.orders.orders] == ["a"], "what was ordered for one is not lifted with everything"
    room.desk.resume(Order(verb="resume", dimension="agent", value="a", by="jo"))
    assert room.orders == Orders()
    assert room.noted()[:2] == [
        {"order": {"at_ns": 1, "by": "jo", "verb": "pause", "dimension": "agent", "value": "a", "reason": "loops"}},
        {"order": {"at_ns": 2, "by": "jo", "verb": "kill", "running": True}},
    ]
    assert [line["order"]["verb"] for line in room.noted()] == ["pause", "kill", "kill", "resume", "resume"]


def test_what_is_not_held_up_cannot_be_resumed(room: Room) -> None:
    with pytest.raises(NotDone, match="no order holds for agent b; none holds at all"):
        room.desk.resume(Order(verb="resume", dimension="agent", value="b"))
    room.desk.give(PAUSE)
    with pytest.raises(NotDone, match="no order holds for everything; orders hold for agent a"):
        room.desk.resume(Order(verb="resume"))
    assert len(room.noted()) == 1


def test_a_key_is_kept_by_its_digest_and_revoked_for_good(room: Room) -> None:
    secret = desks.make_secret()
    room.desk.issue(Key(sha256=desks.digest(secret), agent="a", id="k"), "jo")
    with pytest.raises(NotDone, match="there is a key k already"):
        room.desk.issue(Key(sha256="0" * 64, agent="b", id="k"), "jo")
    assert secret.startswith("wbk_") and len(secret) >= 4 + 43 and secret not in room.path.read_text() + str(room.noted())
    room.desk.revoke("k", "leaked", "mo")
    assert room.orders == Orders(revoked=[desks.digest(secret)])
    assert room.noted() == [
        {"order": {"at_ns": 1, "by": "jo", "verb": "issue_key", "dimension": "key", "value": "k"}},
        {"order": {"at_ns": 2, "by": "mo", "verb": "revoke_key", "dimension": "key", "value": "k", "reason": "leaked"}},
    ]
    with pytest.raises(NotDone, match="no key of this id"):
        room.desk.revoke("k", "", "mo")
    room.desk.issue(Key(sha256="1" * 64, agent="a", id="k"), "jo")
    assert [key.sha256 for key in room.orders.keys] == ["1" * 64]


def test_a_key_of_the_config_can_be_revoked_and_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MOST_KEYS", 3)
    room = Room(tmp_path, Key(sha256="c" * 64, agent="a", id="fixed"))
    assert "still stands in the config" in room.desk.revoke("fixed", "", "jo").note
    for number in range(6):
        room.desk.issue(Key(sha256=f"{number}" * 64, agent="a"), "jo")
        room.desk.revoke(f"{number}" * 8, "", "jo")
    assert [one[0] for one in room.orders.revoked] == ["c", "3", "4", "5"]
    room.desk.configure([])
    with pytest.raises(NotDone, match="no key of this id"):
        room.desk.revoke("fixed", "", "jo")


def test_a_task_has_a_budget_until_it_is_closed(room: Room) -> None:
    room.desk.open_task("t", "a", TaskBudget(usd=1.5, calls=10), "jo")
    done = room.desk.open_task("t", None, TaskBudget(calls=20), "jo")
    assert room.orders.tasks == {"t": TaskBudget(usd=1.5, calls=20)} and desks.describe_task("t", done.orders)["calls"] == 20
    room.desk.open_task("free", None, TaskBudget(), "jo")
    assert list(room.orders.tasks) == ["t"]
    room.desk.close_task("t", "succeeded", "mo")
    room.desk.close_task("never opened", "failed", "mo")
    assert room.orders == Orders()
    assert [{**line["task"], "at_ns": 0} for line in room.noted()] == [
        {"task": "t", "at_ns": 0, "by": "jo", "agent": "a", "usd": 1.5, "calls": 10},
        {"task": "t", "at_ns": 0, "by": "jo", "calls": 20},
        {"task": "free", "at_ns": 0, "by": "jo"},
        {"task": "t", "at_ns": 0, "by": "mo", "outcome": "succeeded"},
        {"task": "never opened", "at_ns": 0, "by": "mo", "outcome": "failed"},
    ]


def test_there_is_an_end_to_everything(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MOST_ORDERS", "MOST_KEYS", "MOST_TASKS"):
        monkeypatch.setattr(desks, limit, 1)
    room.desk.give(PAUSE)
    room.desk.issue(Key(sha256="a" * 64, agent="a"), "jo")
    room.desk.open_task("t", None, TaskBudget(calls=1), "jo")
    room.desk.give(PAUSE)
    room.desk.open_task("t", None, TaskBudget(calls=2), "jo")
    before = room.orders
    for attempt in (
        lambda: room.desk.give(ALL),
        lambda: room.desk.issue(Key(sha256="b" * 64, agent="a"), "jo"),
        lambda: room.desk.open_task("u", None, TaskBudget(calls=1), "jo"),
    ):
        with pytest.raises(NotDone, match="^1 ") as raised:
            attempt()
        assert raised.value.status == 409 and room.orders == before


def test_a_broken_file_changes_nothing(room: Room) -> None:
    room.path.write_text("{")
    with pytest.raises(NotDone, match="put its last good copy back") as raised:
        room.desk.give(PAUSE)
    assert (raised.value.status, room.path.read_text(), room.noted()) == (503, "{", [])
    write_orders(room.path, Orders())
    assert room.desk.give(PAUSE).orders == room.orders


def test_an_order_holds_though_the_journal_is_full(room: Room) -> None:
    room.journal.rmdir()
    assert room.desk.give(PAUSE).note == NOT_IN_HISTORY
    assert [one.reason for one in room.orders.orders] == ["loops"] and room.writer.lost == 1


def test_what_cannot_be_published_is_not_done(room: Room, tmp_path: Path) -> None:
    (tmp_path / "orders.draft").mkdir()
    with pytest.raises(NotDone, match="cannot be written") as raised:
        room.desk.give(PAUSE)
    assert raised.value.status == 503 and room.orders == Orders()


def test_reloads_are_counted(room: Room) -> None:
    assert room.desk.count_reload(["budgets", "auth"], "jo").orders.config_generation == 1
    assert room.desk.count_reload([], "jo").orders.config_generation == room.orders.config_generation == 2
    assert [line["order"].get("reason") for line in room.noted()] == ["budgets, auth", None]


def test_orders_of_two_kinds_hold_beside_each_other_and_one_may_yield(room: Room) -> None:
    tier = Order(verb="tier", dimension="agent", value="a", tier="strong", by="control c", until_ns=50)
    room.desk.give(PAUSE)
    room.desk.give(tier, yields=True)
    assert [one.verb for one in room.orders.orders] == ["pause", "tier"]
    for order in (Order(verb="kill", dimension="agent", value="a"), tier):
        with pytest.raises(NotDone, match="another order holds for agent a"):
            room.desk.give(order, yields=True)
    assert [one.verb for one in room.orders.orders] == ["pause", "tier"] and len(room.noted()) == 2
    assert room.noted()[1]["order"] | {"at_ns": 2} == {
        "at_ns": 2, "by": "control c", "verb": "tier", "dimension": "agent", "value": "a", "until_ns": 50, "tier": "strong",
    }  # fmt: skip
    room.desk.resume(Order(verb="resume", dimension="agent", value="a"))
    assert room.orders == Orders()


def test_those_whose_time_is_up_are_lifted(room: Room) -> None:
    ends = [Order(verb="pause", dimension="agent", value=name, by="jo", until_ns=until_ns) for name, until_ns in (("a", 8), ("b", 99), ("c", 0))]
    for order in ends:
        room.desk.give(order)
    assert [one.value for one in room.desk.end_past()] == []
    while not (ended := room.desk.end_past()):
        continue
    assert [one.value for one in ended] == ["a"] and [one.value for one in room.orders.orders] == ["b", "c"]
    last = room.noted()[-1]["order"]
    assert (last["verb"], last["value"], last["by"], last["reason"]) == ("resume", "a", "jo", "its time is up")
