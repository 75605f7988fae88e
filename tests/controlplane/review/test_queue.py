"""The queue: what comes in, what leaves it, and what a restart leaves of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evaluators.verdict import Verdict
from proxy.controlplane.review import queue as queues
from proxy.controlplane.store import Store
from tests.controlplane.conftest import Segments, load_all
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
    kept = queue.find("c1").kept
    assert (kept.text, kept.tools, kept.prompt) == ("a [redacted]", [("send", '{"to": "[redacted]"}')], "tell the [redacted]")
    assert figures(queue)["weighbridge_review_oldest_seconds"] == 1
    assert queue.decide(queue.find("c1"), "fail", "jo", "wrong")
    assert lobby.steps()[-1] == ("c1", "fail", None, "jo")
    found = figures(queue)
    assert (found["weighbridge_reviews_total fail"], found["weighbridge_review_seconds_count"], found["weighbridge_review_oldest_seconds"]) == (1, 1, 0)
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
    assert queue.find("long").kept is None, "not even alone"


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
