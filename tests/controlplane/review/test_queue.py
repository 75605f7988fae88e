"""The queue: what comes in, what leaves it, and what a restart leaves of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import msgspec
import pytest

from evaluators.verdict import Verdict
from proxy.controlplane.events import Weighed
from proxy.controlplane.review import queue as queues
from proxy.controlplane.review.queue import Queue
from proxy.controlplane.store import Loaded, Store
from proxy.reviewed import Held
from proxy.reviewing import Review
from tests.controlplane.conftest import Segments, call, load_all, make_record
from tests.controlplane.review.conftest import FAULTY, SOUND, Lobby, figures, tell


def test_what_was_failed_waits_and_a_share_of_the_rest(lobby: Lobby) -> None:
    queue = lobby.open()
    for id, verdicts in (("c1", SOUND), ("c2", SOUND), ("c3", FAULTY), ("c4", [Verdict("json", label="unchecked", severity="info")])):
        tell(queue, id, verdicts)
    assert lobby.steps() == [("c1", "queued", "sampled", "weighbridge"), ("c3", "queued", "flagged", "weighbridge")]
    assert queue.find("c3").kept.text == "text of c3" and queue.find("c2") is None


def test_a_late_verdict_flags_what_was_drawn_or_passed_over_once(lobby: Lobby) -> None:
    queue = lobby.open()
    guest = [Verdict("tone", label="rude", severity="warning")]
    for id in ("c1", "c2"):
        tell(queue, id, SOUND)
        tell(queue, id, [Verdict("tone")])
    for id in ("c1", "c2", "c1"):
        tell(queue, id, guest)
    assert [step[:3] for step in lobby.steps()] == [("c1", "queued", "sampled"), ("c1", "queued", "flagged"), ("c2", "queued", "flagged")]
    queue.decide(queue.find("c1"), "pass", "jo")
    tell(queue, "c1", guest)
    assert queue.find("c1") is None, "it was decided on"
    found = figures(queue)
    assert (found["weighbridge_review_queue_calls sampled"], found["weighbridge_review_queue_calls flagged"]) == (0, 1)


def test_settings_may_turn_either_off(lobby: Lobby) -> None:
    queue = lobby.open(flagged=False, share=0.0)
    tell(queue, "c1", FAULTY)
    tell(queue, "c2", SOUND)
    queue.configure(queues.Review(share=0.0), str)
    tell(queue, "c3", FAULTY)
    assert [step[:3] for step in lobby.steps()] == [("c3", "queued", "flagged")]


def test_a_full_queue_lets_the_oldest_ordinary_call_go_first(lobby: Lobby) -> None:
    queue = lobby.open(most=3)
    tell(queue, "f1", FAULTY, agent="a")
    tell(queue, "s1", SOUND, agent="b")
    tell(queue, "s2", SOUND, agent="c")
    tell(queue, "f2", FAULTY, agent="d")
    tell(queue, "f3", FAULTY, agent="e")
    tell(queue, "f4", FAULTY, agent="f")
    dropped = [step[0] for step in lobby.steps() if step[1] == "dropped"]
    assert dropped == ["s1", "s2", "f1"]
    found = figures(queue)
    assert found["weighbridge_reviews_total dropped"] == 3 and found["weighbridge_review_queue_calls flagged"] == 3


def test_decisions_are_counted_timed_and_leave_no_text(lobby: Lobby) -> None:
    queue = lobby.open()
    tell(queue, "c1", FAULTY, text="a secret", tools=[("send", '{"to": "secret"}')], request=b"tell the secret")
    kept = queue.read(queue.find("c1"))
    assert (kept.text, kept.tools, kept.prompt) == ("a [redacted]", [("send", '{"to": "[redacted]"}')], "tell the [redacted]")
    assert figures(queue)["weighbridge_review_oldest_seconds"] == 1
    assert queue.decide(queue.find("c1"), "fail", "jo", "wrong")
    assert lobby.steps()[-1] == ("c1", "fail", None, "jo")
    found = figures(queue)
    assert (found["weighbridge_reviews_total fail"], found["weighbridge_review_seconds_count"], found["weighbridge_review_oldest_seconds"]) == (
        1,
        1,
        0,
    )
    assert queue._kept == 0
    queue.decide(queues.Waiting("old", "sampled", "chosen", 0), "pass", "jo")
    assert figures(queue)["weighbridge_review_seconds_count"] == 1, "it never waited"


def test_texts_have_a_bound_and_the_oldest_go_first(lobby: Lobby, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_MOST_KEPT", 250)
    queue = lobby.open()
    for number in range(4):
        tell(queue, f"c{number}", FAULTY, text="x" * 100)
    assert [queue.find(f"c{number}").kept is not None for number in range(4)] == [False, False, True, True]
    assert queue.counts.unkept == 2
    tell(queue, "long", FAULTY, text="x" * 10**6)
    assert queue.find("long").kept is None and queue.read(queue.find("long")) is None, "not even alone"


def test_a_restart_takes_up_what_waited(lobby: Lobby, tmp_path, open_store: Callable[[], Store]) -> None:
    queue = lobby.open()
    for id, verdicts in (("c1", SOUND), ("c2", FAULTY), ("c3", FAULTY)):
        tell(queue, id, verdicts, agent=f"agent of {id}")
    queue.decide(queue.find("c2"), "pass", "jo")
    lobby.writer.close()
    store, reader = open_store(), Segments(tmp_path / "journal").reader()
    reader.restore(store)
    load_all(reader, store)
    again = lobby.open()
    tell(again, "c4", FAULTY)
    again.restore(store.query)
    assert [(one.id, one.kind, one.agent, one.kept) for one in map(again.find, ("c1", "c3"))] == [
        ("c1", "sampled", "agent of c1", None),
        ("c3", "flagged", "agent of c3", None),
    ]
    assert again.find("c2") is None and again.find("c4").kept is not None
    smaller = lobby.open(most=1)
    smaller.restore(store.query)
    assert smaller.find("c1") is None and smaller.find("c3") is not None


def make_held(id: str = "h1", **other: object) -> Held:
    return Held(**{"id": id, "gate": "press", "agent": "a", "at_ns": 10**18, "until_ns": 2 * 10**18, "text": f"text of {id}", **other})


def test_what_a_gate_holds_waits_once_however_often_it_is_told(lobby: Lobby) -> None:
    queue = lobby.open(most=1)
    for _ in range(3):
        queue.hold(make_held(request="a secret"))
    assert lobby.steps() == [("h1", "held", "gate press", "weighbridge")]
    shown = queue.read(queue.find("h1"))
    assert (shown.text, shown.prompt) == ("text of h1", "a [redacted]")
    queue.hold(make_held("h2"))
    assert figures(queue)["weighbridge_review_queue_calls held"] == 2, "nothing that is held leaves for want of room"
    tell(queue, "h1", FAULTY)
    assert queue.find("h1").kind == "held"


def test_a_held_call_that_ends_without_a_decision_leaves(lobby: Lobby) -> None:
    queue = lobby.open()
    for id in ("h1", "h2", "h3"):
        queue.hold(make_held(id))
    queue.decide(queue.find("h3"), "approved", "jo")
    outcomes = {"h1": "policy_review_timeout", "h2": "caller_gone", "h3": "ok"}
    records = [make_record(0, id=id, outcome=outcome) for id, outcome in outcomes.items()]
    queue.observe([msgspec.convert(msgspec.to_builtins(one), Weighed) for one in records])
    assert [step[:2] for step in lobby.steps()[3:]] == [("h3", "approved"), ("h1", "timed_out"), ("h2", "released")]
    found = figures(queue)
    assert [found[f"weighbridge_reviews_total {state}"] for state in ("approved", "timed_out", "released")] == [1, 1, 1]
    queue.hold(make_held("h3"))
    assert queue.find("h3") is None, "it was told once more while the decision was on its way"


def test_a_restart_keeps_what_is_held_and_gets_its_text_again(lobby: Lobby, tmp_path, open_store: Callable[[], Store]) -> None:
    queue = lobby.open()
    for id in ("h1", "h2"):
        queue.hold(make_held(id))
    lobby.writer.close()
    store, reader = open_store(), Segments(tmp_path / "journal").reader()
    reader.restore(store)
    load_all(reader, store)
    store.load(Loaded(rows={"calls": [call(0, id="h2", outcome="caller_gone")[8:-2]]}))
    again = lobby.open()
    again.restore(store.query)
    assert again.find("h1").kept is None
    again.hold(make_held("h1"))
    assert again.find("h1").kept.text == "text of h1"
    assert again.find("h2") is None and lobby.steps()[-1][:2] == ("h2", "released"), "its call ended meanwhile"
    ruled = Queue(Review(), lobby.writer, str, decided=["h1"])
    ruled.hold(make_held("h1"))
    assert ruled.find("h1") is None, "the orders hold a decision on it already"


def test_it_takes_in_what_is_held_until_told_to_stop(lobby: Lobby) -> None:
    waiting, stopping, reviews = queue.Queue(), threading.Event(), lobby.open()
    waiting.put(make_held())
    thread = threading.Thread(target=reviews.run, args=(waiting, stopping), daemon=True)
    thread.start()
    waiting.put(make_held("h2"))
    while reviews.find("h2") is None:
        assert thread.is_alive()
    stopping.set()
    thread.join(60)
    assert not thread.is_alive()
