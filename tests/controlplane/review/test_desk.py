"""Looking at a call and deciding on it, in the words of the admin port."""

from __future__ import annotations

import json

import pytest

from evaluators.verdict import Verdict
from proxy.controlplane import desk as desks
from proxy.controlplane.door import NotDone
from proxy.controlplane.events import Weighed
from proxy.controlplane.inspection.inspector import Inspector
from proxy.controlplane.reports import BadQuestion
from proxy.controlplane.review.desk import ReviewDesk
from proxy.controlplane.review.queue import Queue
from proxy.controlplane.store import Loaded, Store
from proxy.inspecting import Evaluators
from proxy.record import Sample as Sent
from proxy.reviewed import Held, ReviewEvent
from tests.controlplane.conftest import call
from tests.controlplane.review.conftest import FAULTY, Lobby, tell


@pytest.fixture
def filled(store: Store) -> Store:
    """Two recorded calls, one of them with its content kept."""
    store.load(Loaded(rows={"calls": [call(number)[8:-2] for number in range(2)]}))
    store.keep_content([("call-1", 1, "asked", "answered", '[["f", "{}"]]')])
    store.keep_verdicts([("call-1", 1, "any", "loop", "error", 0.0, ""), ("call-1", 1, "repetition", "loop", "error", 0.0, "the end repeats itself")])
    return store


def judge(sent: Sent) -> list[Verdict]:
    inspector = Inspector(Evaluators())
    return inspector.judge(inspector.prepare(sent))


def decide(desk: ReviewDesk, target: str, **body: object) -> dict:
    return desk.decide(target, json.dumps(body).encode())


def test_a_call_is_shown_from_memory_from_the_database_or_without_its_text(lobby: Lobby, filled: Store) -> None:
    queue = lobby.open()
    desk = ReviewDesk(queue, lobby.desk, filled.query, judge)
    tell(queue, "new", FAULTY, text="a secret", tools=[("send", '{"to": "secret"}')], request=b"tell the secret")
    shown = desk.show("new", b"")
    assert (shown["text"], shown["kept"], shown["recorded"], shown["kind"]) == ("a [redacted]", "memory", False, "flagged")
    assert (shown["tools"], shown["prompt"]) == ([["send", '{"to": "[redacted]"}']], "tell the [redacted]"), "no secret in any part of it"
    shown = desk.show("call-1", b"")
    assert (shown["text"], shown["tools"], shown["prompt"], shown["kept"]) == ("answered", [["f", "{}"]], "asked", "database")
    assert [verdict["evaluator"] for verdict in shown["verdicts"]] == ["repetition"]
    assert (shown["agent"], shown["outcome"]) == ("agent-1", "ok")
    assert desk.show("call-0", b"")["kept"] == "no"
    with pytest.raises(NotDone, match="no record of this call"):
        desk.show("call-9", b"")


def test_any_recorded_call_can_be_marked_and_both_reviewers_stay_in_the_history(lobby: Lobby, filled: Store) -> None:
    desk = ReviewDesk(lobby.open(), lobby.desk, filled.query, judge)
    assert decide(desk, "call-0", decision="pass", by="jo")["state"] == "pass"
    answer = decide(desk, "call-0", decision="fail", by="mo", note="the total is wrong")
    assert (answer["state"], answer["agent"], answer["note"]) == ("fail", "agent-0", "")
    assert lobby.steps() == [("call-0", "pass", None, "jo"), ("call-0", "fail", None, "mo")]
    events = [ReviewEvent(id="call-0", at_ns=at, by=by, state=state) for at, by, state in ((1, "jo", "pass"), (2, "mo", "fail"))]
    filled.load(
        Loaded(rows={"reviews": [json.dumps({name: getattr(one, name) for name in ("id", "at_ns", "by", "state")}).encode() for one in events]})
    )
    assert [(event["by"], event["state"]) for event in desk.show("call-0", b"")["history"]] == [("jo", "pass"), ("mo", "fail")]


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        ("call-0", {"decision": "maybe"}, "Invalid enum value"),
        ("call-0", {}, "missing required field"),
        ("call-0", {"decision": "pass", "who": "jo"}, "unknown field"),
        ("call-0", {"decision": "pass", "by": ""}, "by is text"),
        ("call-0", {"decision": "pass", "note": "a\x1bb"}, "note is text of 1 to 2000"),
        ("call-9", {"decision": "pass"}, "no record of this call"),
        ("call-0", {"decision": "approve"}, "no answer is held under this id"),
    ],
)
def test_what_is_wrong_changes_nothing(lobby: Lobby, filled: Store, target: str, body: dict, expected: str) -> None:
    with pytest.raises((BadQuestion, NotDone), match=expected):
        decide(ReviewDesk(lobby.open(), lobby.desk, filled.query, judge), target, **body)
    assert lobby.steps() == []


def test_a_decision_that_the_journal_does_not_take_is_told(lobby: Lobby, filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lobby.writer, "write", lambda event: False)
    assert "the history lacks it" in decide(ReviewDesk(lobby.open(), lobby.desk, filled.query, judge), "call-0", decision="pass")["note"]


def hold(queue: Queue, id: str = "h1") -> None:
    queue.hold(Held(id=id, gate="press", agent="a", at_ns=10**18, until_ns=2 * 10**18, text="held"))


def test_what_is_held_is_approved_or_rejected_in_the_orders_and_in_the_history(lobby: Lobby, filled: Store) -> None:
    queue = lobby.open()
    desk = ReviewDesk(queue, lobby.desk, filled.query, judge)
    for id in ("h1", "h2", "h3"):
        hold(queue, id)
    assert decide(desk, "h1", decision="approve", by="jo")["state"] == "approved"
    assert decide(desk, "h2", decision="reject", by="jo", note="too harsh")["note"] == ""
    rulings = lobby.desk.read().reviews
    assert {call: (one.state, one.note) for call, one in rulings.items()} == {"h1": ("approved", ""), "h2": ("rejected", "too harsh")}
    assert lobby.steps()[3:] == [("h1", "approved", None, "jo"), ("h2", "rejected", None, "jo")]
    assert lobby.desk.list_ruled() == ["h1", "h2"]
    for target, decision, expected in (("h1", "reject", "no answer is held"), ("h3", "pass", "approve or reject it")):
        with pytest.raises(NotDone, match=expected):
            decide(desk, target, decision=decision)


def test_a_reviewer_is_told_what_the_evaluators_say_of_what_is_held(lobby: Lobby, filled: Store) -> None:
    queue = lobby.open()
    desk = ReviewDesk(queue, lobby.desk, filled.query, judge)
    request = json.dumps({"response_format": {"type": "json_object"}})
    queue.hold(Held(id="h1", gate="press", agent="a", at_ns=10**18, until_ns=2 * 10**18, text="no JSON", request=request))
    (verdict,) = desk.show("h1", b"")["verdicts"]
    assert (verdict["evaluator"], verdict["label"], verdict["severity"]) == ("json", "invalid", "error")
    queue.find("h1").kept = None
    assert desk.show("h1", b"")["verdicts"] == []


def test_a_decision_that_comes_in_the_moment_of_the_end_is_none(lobby: Lobby, filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = lobby.open()
    hold(queue)
    one = queue.find("h1")
    queue.observe([Weighed(**dict.fromkeys(("agent", "rung", "upstream", "dialect", "operation"), "x"), id="h1", started_ns=1, outcome="ok")])
    monkeypatch.setattr(queue, "find", lambda id: one)
    with pytest.raises(NotDone, match="no answer is held"):
        decide(ReviewDesk(queue, lobby.desk, filled.query, judge), "h1", decision="approve")
    assert lobby.steps()[-1][1] == "released" and lobby.desk.list_ruled() == []


def test_a_decision_that_cannot_be_published_leaves_the_answer_held(lobby: Lobby, filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, orders: object) -> None:
        raise OSError(28, "No space left on device")

    queue = lobby.open()
    hold(queue)
    monkeypatch.setattr(desks, "write_orders", refuse)
    with pytest.raises(NotDone, match="nothing was changed"):
        decide(ReviewDesk(queue, lobby.desk, filled.query, judge), "h1", decision="approve")
    assert queue.find("h1") is not None


def test_decisions_are_forgotten_when_none_can_wait_for_them_any_more(lobby: Lobby, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        lobby.desk.rule(ReviewEvent(id=f"h{number}", at_ns=number * 10**9, by="jo", state="approved"))
    lobby.desk.rule(ReviewEvent(id="late", at_ns=3601 * 10**9, by="jo", state="approved"))
    assert lobby.desk.list_ruled() == ["h2", "late"], "an hour is the longest wait of a gate"
    monkeypatch.setattr(desks, "MOST_RULINGS", 2)
    lobby.desk.rule(ReviewEvent(id="last", at_ns=3602 * 10**9, by="jo", state="approved"))
    assert lobby.desk.list_ruled() == ["late", "last"]
