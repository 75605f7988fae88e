"""The loader's thread: it recovers from a failing store, sets a broken one aside, and ends with everything loaded."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path

import duckdb
import msgspec
import pytest

from proxy.config import Config, Journal, Retain
from proxy.controlplane.journal_reader import JournalReader
from proxy.controlplane.loader import Loader
from proxy.controlplane.store import Store
from tests.controlplane.conftest import Segments, add, call, ids


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(state_dir=str(tmp_path))


def make(config: Config, observed: list, waits: int = 10, content: deque | None = None, follower: Follower | None = None) -> Loader:
    """A loader that never sleeps and stops after so many pauses."""
    loader = Loader(config, [observed.extend], content or deque(), follower)
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        if len(pauses) >= waits:
            loader.stopping.set()
        return loader.stopping.is_set()

    loader.stopping.wait = wait  # type: ignore[method-assign]
    loader._wake.wait = wait  # type: ignore[method-assign]
    return loader


def rows(config: Config) -> list[str]:
    store = Store(config.database, read_only=True)
    found = ids(store)
    store.close()
    return found


def test_it_loads_all_and_ends(config: Config, segments: Segments) -> None:
    add(segments.begin(1), b"".join(call(number) for number in range(30)))
    observed: list = []
    make(config, observed, waits=2).run()
    assert len(rows(config)) == len(observed) == 30


def test_a_step_that_met_the_end_of_the_journal_is_followed_by_a_pause(config: Config, segments: Segments) -> None:
    add(segments.begin(1), b"".join(call(number) for number in range(1500)))
    loader = make(config, [], waits=1)
    step, steps = loader.reader.step, []
    loader.reader.step = lambda store, observe: steps.append(step(store, observe)) or steps[-1]  # type: ignore[method-assign]
    loader.run()
    assert steps[0] >= 1500
    assert len(steps) == 2  # the second is the last one, after the pause in which it was stopped


def test_a_backlog_is_loaded_without_a_pause(config: Config, segments: Segments) -> None:
    add(segments.begin(1), b"".join(call(number) for number in range(30)))
    loader = make(config, [], waits=1)
    loader.reader = JournalReader(config.journal_dir, batch_rows=10)
    step, steps = loader.reader.step, []
    loader.reader.step = lambda store, observe: steps.append(loader.stopping.is_set()) or step(store, observe)  # type: ignore[method-assign]
    loader.run()
    assert steps[:3] == [False] * 3
    assert len(rows(config)) == 30


def test_what_comes_before_the_end_is_loaded(config: Config, segments: Segments) -> None:
    add(segments.begin(1), call(1))
    loader = make(config, [])
    loader.stopping.set()
    thread = threading.Thread(target=Loader.run, args=(loader,), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_a_store_that_fails_once_is_opened_again_and_nothing_is_doubled(config: Config, segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    add(segments.begin(1), call(1) + call(2))
    failures, real = [OSError(28, "No space left on device"), duckdb.IOException("No space left"), duckdb.FatalException("invalidated")], Store.load

    def load(store: Store, loaded: object) -> list[int]:
        if failures:
            raise failures.pop()
        return real(store, loaded)

    monkeypatch.setattr(Store, "load", load)
    observed: list = []
    loader = make(config, observed)
    loader.run()
    assert (rows(config), len(observed), loader.failures, loader.keeper.rebuilds) == (["call-1", "call-2"], 2, 3, 0)


def test_a_store_that_goes_on_failing_is_made_again_and_nothing_is_counted_twice(
    config: Config, segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = segments.begin(1)
    segments.alive.add(11)
    add(path, call(1))
    observed: list = []
    loader = make(config, observed, waits=12)
    loader.reader = segments.reader()
    real, opened_first = Store.load, []

    def load(store: Store, loaded: object) -> list[int]:
        opened_first.append(store)
        if store is opened_first[0] and len(opened_first) == 1:
            done = real(store, loaded)
            add(path, call(2))
            return done
        if loader.keeper.rebuilds == 0:
            raise duckdb.FatalException("a block is damaged")
        return real(store, loaded)

    monkeypatch.setattr(Store, "load", load)
    loader.run()
    assert (rows(config), loader.keeper.rebuilds) == (["call-1", "call-2"], 1)
    assert [one.id for one in observed] == ["call-1", "call-2"]
    assert [one.name for one in config.database.parent.iterdir() if ".broken-" in one.name]


def test_content_is_kept_and_old_segments_go(tmp_path: Path, segments: Segments) -> None:
    config = Config(state_dir=str(tmp_path), journal=Journal(retain_bytes=1))
    add(segments.begin(1), call(1))
    newest = segments.begin(2)
    loader = make(config, [], waits=2)
    loader.reader = segments.reader()
    row = ("call-1", time.time_ns(), "prompt", "output", "[]")
    loader._content.append(row)
    loader.run()
    store = Store(config.database, read_only=True)
    assert store.query("SELECT * FROM content")[1] == [row]
    store.close()
    assert list(segments.folder.iterdir()) == [newest], "which the ledger begins with after a restart"


def test_a_report_sees_the_call_just_made(config: Config, segments: Segments) -> None:
    segment = segments.begin(1, pid=os.getpid())  # a living writer, whose segment grows
    loader = Loader(config, [], deque())
    thread = threading.Thread(target=loader.run, daemon=True)
    thread.start()
    for number in range(5):
        add(segment, call(number))
        loader.catch_up(20)
        assert len(ids(loader.keeper.store)) == number + 1
    loader.stop()
    thread.join(20)
    assert not thread.is_alive()


class Follower:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.content: list = []

    def take_calls(self, bodies: list[bytes]) -> None:
        self.calls += bodies

    def take_content(self, rows: list) -> None:
        self.content += rows


def test_a_follower_is_told_of_every_call_as_the_journal_has_it_and_of_content(config: Config, segments: Segments) -> None:
    add(segments.begin(1), b"".join(call(number) for number in range(3)) + b"garbage\n")
    content, follower = deque([("call-1", 1, "asked", "answered", "[]")]), Follower()
    make(config, [], 2, content, follower).run()
    assert [msgspec.json.decode(body)["id"] for body in follower.calls] == ["call-0", "call-1", "call-2"]
    assert follower.content == [("call-1", 1, "asked", "answered", "[]")]
    again = Follower()
    make(config, [], 2, follower=again).run()  # after a restart nobody is told twice
    assert not again.calls


def test_old_verdicts_and_content_leave_the_database_once_an_hour(tmp_path: Path) -> None:
    loader, store, day_ns = Loader(Config(state_dir=str(tmp_path)), [], deque()), Store(tmp_path / "w.duckdb"), 86_400_000_000_000

    def forget(at_s: float, **retain: float) -> int:
        loader.configure(Config(retain=Retain(**retain)))
        loader._pruned = at_s
        loader.forget(store, 100 * day_ns)
        return store.query("SELECT (SELECT count(*) FROM verdicts) * 10 + (SELECT count(*) FROM content)")[1][0][0]

    store.keep_verdicts([(f"c{day}", day * day_ns, "any", "pass", "none", 1.0, "") for day in (9, 11, 99)])
    store.keep_content([(f"c{day}", day * day_ns, "asked", "said", "[]") for day in (9, 11, 99)])
    assert forget(0.0, verdicts_days=0.0, content_days=0.0) == 33
    assert forget(3599.0) == 33
    assert forget(3600.0) == 22
    assert forget(7200.0, verdicts_days=2.0, content_days=0.0) == 12
    store.close()
