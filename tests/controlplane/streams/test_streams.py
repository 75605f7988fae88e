"""The streams: from answers to alarms, over restarts, within their bounds."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from evaluators.drift.baseline import BLOCK_ANSWERS
from evaluators.verdict import Verdict
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.streams import streams as module
from proxy.controlplane.streams.allowance import SHARE, Allowance
from proxy.controlplane.streams.streams import Streams
from proxy.inspecting import Drift
from tests.controlplane.streams.conftest import HEARD_NS, SMALL, WARMUP, alarm_of, say, send, send_cut

Make = Callable[..., Streams]


def read_journal(tmp_path: Path, kind: str) -> list[dict]:
    lines = [json.loads(line) for path in sorted((tmp_path / "journal").iterdir()) for line in path.read_bytes().splitlines()]
    return [line[kind] for line in lines if kind in line]


def test_an_alarm_is_raised_once_told_and_noted(make: Make, tmp_path: Path) -> None:
    streams = make()
    heard = []
    streams.hearers.append(lambda event, sent: heard.append((event, sent.id)))
    assert alarm_of(streams) <= 10
    streams.watch(*send_cut(200))
    ((event, call),) = heard
    (noted,) = read_journal(tmp_path, "alarm")
    assert noted["call"] == call == event.call
    assert (noted["agent"], noted["team"], noted["task"], noted["model"], noted["severity"]) == ("a", "t", "report", "m", "certain")
    assert noted["alpha"] == pytest.approx(SMALL.alpha)
    assert noted["answer"] >= noted["began"] > WARMUP
    assert "not finished by itself" in {move[0] for move in noted["moves"]}
    assert ["model_answered", "m-1", "m-2"] in noted["wire"] and ["finish_reason", "stop", "length"] in noted["wire"]
    assert noted["before"] == ["c0", "c1", "c2"] and noted["after"][-1] == call
    assert "m-1 -> m-2" in noted["cause"]
    assert "mill" not in json.dumps(noted)


def test_a_healthy_stream_stays_silent_beside_it(make: Make) -> None:
    streams = make()
    for number in range(WARMUP + 40):
        streams.watch(*send(number, agent="sound"))
        streams.watch(*(send if number < WARMUP else send_cut)(1000 + number))
    assert {told.agent: told.state for told in streams.describe()} == {"a": "alarmed", "sound": "watching"}
    assert streams.describe()[0].agent == "a"  # what is wrong stands first


def test_too_little_traffic_says_so(make: Make) -> None:
    streams = make()
    streams.watch(*send(1))
    (told,) = streams.describe()
    assert (told.state, told.answers, told.missing, told.alarm) == ("learning", 1, WARMUP - 1, None)


@pytest.mark.parametrize("at", [1, WARMUP - 1, WARMUP + 5, WARMUP + 7])
def test_a_restart_in_the_middle_changes_nothing(make: Make, at: int) -> None:
    def play(streams: Streams, numbers: range) -> None:
        for number in numbers:
            streams.watch(*(send if number < WARMUP + 5 else send_cut)(number))

    whole, first = make(folder="whole"), make()
    play(whole, range(WARMUP + 20))
    play(first, range(at))
    first.save()
    second = make()
    second.restore()
    play(second, range(at, WARMUP + 20))
    assert second.describe() == whole.describe()
    assert second.describe()[0].state == "alarmed"


def test_a_process_that_dies_goes_on_from_what_was_saved_last(make: Make) -> None:
    first = make()
    for number in range(20):
        first.watch(*send(number))
        if number == 9:
            first.save()
    again = make()
    again.restore()
    assert again.describe()[0].answers == 10


def test_an_alarm_outlives_whatever_dies_next(make: Make, tmp_path: Path) -> None:
    first = make()
    alarm_of(first)
    again = make()
    again.restore()
    assert again.describe() == first.describe()
    again.watch(*send_cut(300))
    assert len(read_journal(tmp_path, "alarm")) == 1


def test_it_is_looked_after_and_saved_until_told_to_stop(make: Make, tmp_path: Path) -> None:
    streams, stopping, heard = make(Drift(warmup=WARMUP, save_s=1e-3)), threading.Event(), threading.Event()
    streams.hearers.append(lambda *_: heard.set())
    for number in range(WARMUP + BLOCK_ANSWERS - 1):
        streams.watch(*(send(number) if number < WARMUP else send(number, say(number, words=900))))
    thread = threading.Thread(target=streams.run, args=(stopping,), daemon=True)
    thread.start()
    while not list((tmp_path / "drift").glob("*.stream")):
        stopping.wait(0.001)
    assert not heard.is_set()
    streams._clock_ns = lambda: HEARD_NS + 10**12
    assert heard.wait(60)
    stopping.set()
    thread.join(60)
    assert not thread.is_alive()


def test_answers_that_nobody_follows_are_judged_in_the_end(make: Make, tmp_path: Path) -> None:
    """What they raise is told and noted as any other alarm, on the call that was heard last."""
    streams, heard = make(), []
    streams.hearers.append(lambda event, sent: heard.append((event, sent)))
    for number in range(WARMUP + BLOCK_ANSWERS - 1):
        streams.watch(*(send(number) if number < WARMUP else send(number, say(number, words=900), trace_id=f"{number:032x}")))
    for after_ns, state in ((10 * 10**9, "watching"), (10 * 10**9 + 1, "alarmed")):
        streams._clock_ns = lambda after_ns=after_ns: HEARD_NS + after_ns
        streams.judge_waiting()
        assert streams.describe()[0].state == state
        assert bool(heard) == (state == "alarmed")
    ((event, sent),) = heard
    assert sent.id == event.call == f"c{number}" and sent.trace_id == f"{number:032x}" and sent.agent == "a"
    assert [noted["call"] for noted in read_journal(tmp_path, "alarm")] == [event.call]
    streams.judge_waiting()
    assert len(heard) == 1


def test_a_stream_that_cannot_be_judged_holds_up_no_other(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    streams, heard = make(), []
    streams.hearers.append(lambda event, _: heard.append(event.agent))
    for number in range(WARMUP + BLOCK_ANSWERS - 1):
        for agent in ("spoiled", "a"):
            streams.watch(*send(number, say(number, words=60 if number < WARMUP else 900), agent=agent))
    spoiled = next(stream for stream in streams._streams.values() if stream.agent == "spoiled")
    monkeypatch.setattr(spoiled, "judge", lambda: 1 / 0)
    streams._clock_ns = lambda: HEARD_NS + 10**11
    streams.judge_waiting()
    assert heard == ["a"] and streams.failures["judge"] == 1


def test_nothing_is_judged_any_more_where_drift_was_switched_off(make: Make) -> None:
    streams = make()
    for number in range(WARMUP + BLOCK_ANSWERS - 1):
        streams.watch(*send(number, say(number, words=60 if number < WARMUP else 900)))
    streams.configure(msgspec.structs.replace(SMALL, enabled=False))
    streams._clock_ns = lambda: HEARD_NS + 10**11
    streams.judge_waiting()
    assert streams.describe()[0].state == "watching"


def test_only_what_has_changed_is_saved_and_only_while_there_is_time(make: Make, tmp_path: Path) -> None:
    streams = make()
    for agent in "abc":
        streams.watch(*send(1, agent=agent))
    streams.save(1.5, clock=iter(range(9)).__next__)
    assert len(list((tmp_path / "drift").iterdir())) == 1
    streams.save()
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "drift").iterdir()}
    assert len(files) == 3
    streams.save()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "drift").iterdir()} == files


def test_what_cannot_be_saved_is_counted_and_tried_again(make: Make, tmp_path: Path) -> None:
    (tmp_path / "drift").write_text("no folder")
    streams = make()
    streams.watch(*send(1))
    streams.save()
    assert streams.failures["save"] == 1
    (tmp_path / "drift").unlink()
    streams.save()
    again = make()
    again.restore()
    assert again.describe() == streams.describe()


@pytest.mark.parametrize(
    "spoil",
    [lambda data: data[:-200], lambda data: b"", lambda data: data.replace(b"\n", b"\n\0", 1), lambda data: b"{}\n" + data],
)
def test_a_spoiled_state_is_learned_anew(make: Make, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    first = make()
    first.watch(*send(1))
    first.watch(*send(1, agent="b"))
    first.save()
    path = next((tmp_path / "drift").iterdir())
    path.write_bytes(spoil(path.read_bytes()))
    again = make()
    again.restore()
    assert len(again.describe()) == 1
    assert len(list((tmp_path / "drift").iterdir())) == 1


def test_there_are_no_more_streams_than_told(make: Make, tmp_path: Path) -> None:
    streams = make(Drift(warmup=WARMUP, most_streams=2))
    for agent in ("a", "b", "a", "c"):
        streams.watch(*send(1, agent=agent))
        streams.save()
    assert {told.agent for told in streams.describe()} == {"a", "c"}
    assert streams.forgotten == 1
    assert len(list((tmp_path / "drift").iterdir())) == 2
    fewer = make(Drift(warmup=WARMUP, most_streams=1))
    fewer.restore()
    assert len(fewer.describe()) == len(list((tmp_path / "drift").iterdir())) == 1


def test_other_settings_hold_from_now_on(make: Make) -> None:
    streams = make()
    for number in range(WARMUP):
        streams.watch(*send(number))
    streams.configure(Drift(warmup=70, alpha=0.5))
    (told,) = streams.describe()
    assert told.state == "watching"  # the baseline stays
    streams.watch(*send_cut(100))
    assert streams.describe()[0].state == "alarmed"  # half of all answers may raise a false alarm now
    streams.settle("accept", ["a"], {}, every=False)
    assert streams.describe()[0].missing == 70
    streams.configure(Drift(warmup=70, by=["agent"]))
    assert streams.describe() == [] and streams.forgotten == 1
    streams.configure(Drift(enabled=False))
    streams.watch(*send(1))
    assert streams.describe() == []


def test_nothing_is_restored_where_drift_is_off(make: Make) -> None:
    first = make()
    first.watch(*send(1))
    first.save()
    off = make(Drift(enabled=False))
    off.restore()
    assert off.describe() == []


def test_streams_told_apart_by_something_else_are_learned_anew(make: Make) -> None:
    first = make()
    first.watch(*send(1))
    first.save()
    other = make(Drift(warmup=WARMUP, by=["agent", "upstream"]))
    other.restore()
    assert other.describe() == []


def test_accepting_learns_anew_and_dismissing_keeps_what_was_normal(make: Make) -> None:
    streams = make()
    alarm_of(streams)
    (told,) = streams.settle("dismiss", ["a", "b"], {"model": "m"}, every=False)
    assert (told.state, told.baseline, told.alarm.said) == ("watching", 1, "dismissed")
    assert streams.settle("accept", ["a"], {}, every=False) == []
    (told,) = streams.settle("accept", ["a"], {"task": "report"}, every=True)
    assert (told.state, told.answers, told.baseline, told.alarm.said) == ("learning", 0, 2, "dismissed")
    assert streams.settle("accept", ["a"], {"task": "other"}, every=True) == []
    again = make()
    again.restore()
    assert again.describe() == streams.describe()


def test_the_evaluators_of_others_are_no_further_answer(make: Make) -> None:
    streams = make()
    sent, sample, verdicts = send(1)
    streams.watch(sent, sample, verdicts)
    streams.watch(sent, sample, [Verdict("mine")])
    streams.watch(sent, sample, [])
    assert streams.describe()[0].answers == 2


def test_answers_beyond_the_allowance_go_unseen_and_are_counted(tmp_path: Path, journal: JournalWriter) -> None:
    now, worked = [0.0], iter(step * SHARE / 2 for step in range(99))
    streams = Streams(SMALL, tmp_path / "drift", journal, allowance=Allowance(lambda: now[0], worked.__next__))
    for number in range(4):
        streams.watch(*send(number))
    assert (streams.describe()[0].answers, streams.skipped) == (2, 2)
    now[0] = 1.0
    streams.watch(*send(9))
    assert streams.describe()[0].answers == 3


def test_a_defect_in_reading_is_counted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make()
    first.watch(*send(1))
    first.save()
    monkeypatch.setattr(module, "read_stream", lambda *_: 1 / 0)
    again = make()
    again.restore()
    assert again.failures["load"] == 1 and again.describe() == []
