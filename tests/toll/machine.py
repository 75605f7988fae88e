"""Drives the real ledger, journal and follower by random steps, against a model of the provider's bill: the laws of money.

The model knows of every call what was reserved for it by the lines that are on file, what the provider billed, and what the ledger is to
charge for it; the laws are checked after every step:

    I1  billed <= limit + what each call cost more than was reserved for it, in every account and window, also with all that is still reserved
    I2  the same without that addition where the bound is reserved (mode strict)
    I3  every call is charged once: each cell holds exactly the sum of its calls
    I4  with nothing running nothing is reserved
    I5  reading the journal makes the same state
    I6  an account is the sum of the accounts below it

A crash may come at any byte of what a turn of the event loop was about to write.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.dataplane.journal import JournalWriter
from proxy.record import Correction, Extended
from proxy.toll.follow import Follower
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Grant, Weight
from tests.toll.bill import ACTUAL, Amounts, Call, amount_in, check_bills, check_cells, check_levels, expect_cells, make_budgets
from tests.toll.lines import add, encode_line, make_opened, make_record

START_NS = 1_795_251_600 * 10**9  # 2026-11-21T09:00:00Z
HOUR_NS = 3600 * 10**9
LIMITS = ((1000, 600), (0, 600), (2000, 400), (1000, 1500))  # nano-USD: of all, of each agent


class LedgerMachine(RuleBasedStateMachine):
    """The steps. `ledger_class` and the others are what mutants replace."""

    ledger_class: type[Ledger] = Ledger
    journal_class: type[JournalWriter] = JournalWriter
    follower_class: type[Follower] = Follower

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.now_ns = self.latest_ns = START_NS
        self.clock_was_set_back = False
        self.numbers = itertools.count(1)
        self.limits = self.highest = LIMITS[0]
        self.calls: dict[str, Call] = {}
        self.uncounted: list[Amounts] = []  # corrections that the ledger has not read yet
        self.counted: list[Amounts] = []
        self.corrections: Path | None = None  # the control plane's segment
        self.watch_anew()
        self.start()

    def teardown(self) -> None:
        os.close(self.journal._file)
        shutil.rmtree(self.folder)

    # --- the process --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A process begins: recovery, then a journal whose first segment opens with the checkpoint."""
        self.ledger = self.ledger_class(make_budgets(*self.limits))
        self.follower = self.follower_class(self.folder, self.ledger)
        self.follower.recover()
        self.journal = self.journal_class(self.folder, 1500, self.follower.checkpoint)
        for call in self.running:
            call.end(call.reserved)
        self.count_all()

    def count_all(self) -> None:
        self.counted += self.uncounted
        self.uncounted = []

    def watch_anew(self) -> None:
        """Another one who reads the journal."""
        self.watched = self.ledger_class([])
        self.watcher = self.follower_class(self.folder, self.watched)

    @property
    def running(self) -> list[Call]:
        return [call for call in self.calls.values() if call.is_running]

    @property
    def ended(self) -> list[Call]:
        return [call for call in self.calls.values() if not call.is_running]

    # --- calls --------------------------------------------------------------------------------------------------------

    def admit(self, agent: int, model: int, estimate: int) -> Call | None:
        """Reserve; what was reserved is noted for the journal, and not written yet."""
        id, subject = f"c{next(self.numbers)}", Subject(f"a{agent}", "up", f"m{model}")
        granted = self.ledger.reserve(id, subject, Weight(estimate, estimate // 10), Weight(estimate * 4, estimate), self.now_ns)
        if not isinstance(granted, Grant):
            return None
        self.journal.opened(make_opened(id, granted.reserved))
        return Call(id, subject, self.now_ns, estimate, granted.reserved)

    def settle(self, call: Call, billed: Weight, known: bool) -> None:
        call.billed = billed
        charged = self.ledger.settle(call.id, billed if known else None)
        assert charged == {cell: amount_in(cell, billed) if known else amount for cell, amount in call.reserved.items()}, "I3"
        self.journal.settled(make_record(call.id, charged))
        call.end(charged)

    @rule(agent=st.integers(0, 1), model=st.integers(0, 1), estimate=st.integers(0, 250))
    def reserve(self, agent: int, model: int, estimate: int) -> None:
        call = self.admit(agent, model, estimate)
        self.journal.flush()
        if call is not None:
            self.calls[call.id] = call

    @precondition(lambda self: self.running)
    @rule(index=st.integers(0, 9), more=st.integers(1, 100))
    def extend(self, index: int, more: int) -> None:
        call = self.running[index % len(self.running)]
        reserved = self.ledger.extend(call.id, Weight(more, more // 10, 0), self.now_ns)
        if reserved is None:
            assert self.ledger.reserved_of(call.id) == call.reserved, "refused, and yet something was reserved"
            return
        self.journal.extended(Extended(id=call.id, reserved=reserved))
        self.journal.flush()
        assert all(reserved[cell] >= amount for cell, amount in call.reserved.items())
        call.reserved = reserved

    @precondition(lambda self: self.running)
    @rule(index=st.integers(0, 9), kind=st.sampled_from(ACTUAL), known=st.booleans(), twice=st.booleans())
    def finish(self, index: int, kind: str, known: bool, twice: bool) -> None:
        call = self.running[index % len(self.running)]
        self.settle(call, call.cost(kind), known)
        if twice:
            assert self.ledger.settle(call.id, call.billed) == {}, "I3"
        self.journal.flush()

    @precondition(lambda self: self.ended)
    @rule(index=st.integers(0, 9))
    def settle_again(self, index: int) -> None:
        call = self.ended[index % len(self.ended)]
        assert self.ledger.settle(call.id, call.billed) == {}, "I3"

    @precondition(lambda self: self.ended)
    @rule(index=st.integers(0, 9), another_segment=st.booleans(), torn=st.booleans())
    def correct(self, index: int, another_segment: bool, torn: bool) -> None:
        """The control plane learns what a call was billed; it may have been killed in the middle of a line before."""
        call = self.ended[index % len(self.ended)]
        adjusted = {cell: amount_in(cell, call.billed) - amount for cell, amount in call.corrected.items()}
        call.corrected = {cell: amount_in(cell, call.billed) for cell in call.corrected}
        if self.corrections is not None and torn:
            add(self.corrections, b'{"correction":{"id":"c')
        if self.corrections is None or another_segment or torn:
            self.corrections = self.folder / f"{next(self.numbers):020d}-c7.ndjson"
        add(self.corrections, encode_line("correction", Correction(id=call.id, at_ns=1, by="operator", adjusted=adjusted)))
        self.uncounted.append(adjusted)

    @rule()
    def count_corrections(self) -> None:
        self.follower.catch_up_corrections()
        self.count_all()

    # --- time, limits, restarts ---------------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from((1, 7, 30, 121, 1440, -60)))
    def pass_time(self, minutes: int) -> None:
        now_ns = self.now_ns + minutes * 60 * 10**9
        if now_ns >= self.latest_ns - HOUR_NS:
            self.clock_was_set_back |= minutes < 0
            self.now_ns = now_ns
            self.latest_ns = max(self.latest_ns, now_ns)

    @rule(limits=st.sampled_from(LIMITS))
    def change_limits(self, limits: tuple[int, int]) -> None:
        self.limits = limits
        self.highest = (max(self.highest[0], limits[0]), max(self.highest[1], limits[1]))
        self.ledger.configure(make_budgets(*limits))

    @rule(kinds=st.lists(st.sampled_from(ACTUAL), min_size=1, max_size=4), written=st.floats(0, 1), opening=st.booleans(), ending=st.booleans())
    def crash(self, kinds: list[str], written: float, opening: bool, ending: bool) -> None:
        """The process dies in a turn in which a call was let through and another one ended: what it wrote of that ends anywhere."""
        last = self.running[-1] if ending and self.running else None
        for call, kind in zip(self.running, itertools.cycle(kinds), strict=False):
            call.billed = call.cost(kind)
        born = self.admit(0, 0, 50) if opening else None
        if last is not None:
            self.settle(last, last.billed, True)
        text = b"".join(self.journal._pending)
        text = text[: round(written * len(text))]
        os.write(self.journal._file, text)
        os.close(self.journal._file)
        whole = b"".join(line for line in text.splitlines(keepends=True) if line.endswith(b"\n"))
        if born is not None and b'{"opened":' in whole:  # on file, so it may have been sent
            self.calls[born.id] = born
            born.billed = born.cost(kinds[0])
        if last is not None and b'{"call":' not in whole:
            last.charged = None
        self.start()

    @rule(kinds=st.lists(st.sampled_from(ACTUAL), min_size=1, max_size=4))
    def restart(self, kinds: list[str]) -> None:
        """The process ends in order: every call has ended before."""
        for call, kind in zip(self.running, itertools.cycle(kinds), strict=False):
            self.settle(call, call.cost(kind), True)
        self.journal.close()
        self.start()

    @rule()
    def prune(self) -> None:
        """Old segments go: all before the newest checkpoint, and corrections that it has wholly counted."""
        names = sorted(path.name for path in self.folder.iterdir())
        newest = max(name for name in names if "-d" in name)
        last = next(line for line in (self.folder / newest).read_bytes().splitlines() if b'"whole":true' in line)
        read = json.loads(last)["checkpoint"]["read"]
        for name in names:
            if name < newest and ("-d" in name or read.get(name) == (self.folder / name).stat().st_size):
                (self.folder / name).unlink()
        self.corrections = None

    # --- the laws -----------------------------------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        check_bills(list(self.calls.values()), self.highest, self.now_ns, self.clock_was_set_back)
        check_cells(self.ledger, expect_cells(self.calls.values(), self.counted), self.latest_ns)
        check_levels(self.ledger)
        if not self.running:
            assert not any(cell.reserved for cell in self.ledger.cells) and not self.ledger.open_ids, "I4"

    @rule(anew=st.booleans())
    def read_the_journal(self, anew: bool) -> None:
        """I5, for one who reads from the beginning and one who always watches."""
        if anew:
            self.watch_anew()
        self.watcher.catch_up()
        self.watcher.catch_up()
        check_cells(self.watched, expect_cells(self.calls.values(), self.counted + self.uncounted), self.latest_ns)
        assert sorted(self.watched.open_ids) == sorted(call.id for call in self.running), "I5"
