"""An operator's word on a call: its record and every budget that paid for it, with the sums the same afterwards."""

from __future__ import annotations

import os
from itertools import count

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config import Price
from proxy.controlplane.door import NotDone
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.reports import BadQuestion
from proxy.controlplane.settlement import Precedence, Settlement, Word, adjust, make_price, read_usd
from proxy.controlplane.store import Store
from proxy.pricing.book import Book
from proxy.pricing.providers import Providers
from proxy.record import Correction
from proxy.rules import Budget
from proxy.toll.follow import Follower
from proxy.toll.ledger import Ledger
from tests.controlplane.conftest import START_NS, Segments, add, call, load_all, opened

DAY, ALL, TOKENS, CALLS = "day.usd@2026-09-21?agent=agent-1", "all.usd@", "all.tokens@", "all.calls@"
CHARGED = {DAY: 1001, ALL: 1001, TOKENS: 111, CALLS: 1}


class Desk:
    """A journal, a database and a settlement between them."""

    def __init__(self, segments: Segments, store: Store) -> None:
        self.segments, self.store = segments, store
        segments.alive.add(os.getpid())
        self.reader = segments.reader()
        self.reader.restore(store)
        self.writer = JournalWriter(segments.folder, 300, count(START_NS + 10**10).__next__)
        self.precedence = Precedence()
        self.catch_ups = 0
        book = Book.load(None, [Price(model="m-1", input=1.0, output=2.0)])
        self.settlement = Settlement(
            store.query, self.catch_up, segments.folder, self.writer, self.precedence, make_price(book, Providers(book, {})),
            count(START_NS).__next__, count().__next__,
        )  # fmt: skip

    def catch_up(self) -> None:
        self.catch_ups += 1
        load_all(self.reader, self.store)

    def settle(self, **word: object) -> dict:
        body = msgspec.json.encode({"id": "call-1", "by": "jo"} | word)
        done = self.settlement.change.perform("", body)
        self.catch_up()
        return done

    def row(self, call_id: str = "call-1") -> dict:
        columns, rows = self.store.query("SELECT * FROM calls_now WHERE id = ?", [call_id])
        return dict(zip(columns, rows[0], strict=True))

    def ledger(self) -> dict[str, int]:
        """Cell → what is spent, by the whole journal."""
        ledger = Ledger([Budget("all", usd=1.0)])
        Follower(self.segments.folder, ledger).catch_up()
        return {cell: spent for cell, (spent, reserved) in ledger.checkpoint()["cells"].items() if spent}


@pytest.fixture
def desk(segments: Segments, store: Store) -> Desk:
    add(segments.begin(1), opened(1, reserved=CHARGED) + call(1, charged=CHARGED) + call(2, model="unpriced", charged={ALL: 7, CALLS: 1}))
    return Desk(segments, store)


def test_dollars_correct_the_record_and_every_budget_in_money(desk: Desk) -> None:
    desk.catch_up()
    done = desk.settle(usd="0.0000005")
    assert (done["cost_before_nano_usd"], done["cost_nano_usd"], done["adjusted"]) == (1001, 500, {DAY: -501, ALL: -501})
    row = desk.row()
    assert (row["cost_nano_usd"], row["cost_source"], row["corrected_by"], row["input_tokens"]) == (500, "settled", "jo", 101)
    assert row["charged"] == {DAY: 500, ALL: 500, TOKENS: 111, CALLS: 1}
    assert desk.ledger() == {DAY: 500, ALL: 507, TOKENS: 111, CALLS: 2}


def test_nothing_frees_money_and_tokens_and_the_call_still_counts(desk: Desk) -> None:
    desk.settle(nothing=True)
    row = desk.row()
    assert (row["cost_nano_usd"], row["input_tokens"], row["output_tokens"], row["usage_source"]) == (0, 0, 0, "settled")
    assert row["charged"] == {DAY: 0, ALL: 0, TOKENS: 0, CALLS: 1}
    assert desk.ledger() == {ALL: 7, CALLS: 2}


def test_tokens_are_priced_unless_dollars_are_said_as_well(desk: Desk) -> None:
    assert desk.settle(input_tokens=10, output_tokens=5)["adjusted"] == {DAY: 20_000 - 1001, ALL: 20_000 - 1001, TOKENS: 15 - 111}
    assert desk.settle(input_tokens=10, output_tokens=6, usd=0.001)["adjusted"] == {DAY: 980_000, ALL: 980_000, TOKENS: 1}
    unpriced = desk.settle(id="call-2", input_tokens=1, output_tokens=1)
    assert unpriced["cost_nano_usd"] == 1002 and "no price is known" in unpriced["note"]
    assert desk.row("call-2")["charged"] == {ALL: 7, CALLS: 1}


def test_a_presumed_call_is_settled_like_any_other(desk: Desk) -> None:
    add(desk.segments.begin(2, pid=12), opened(3, reserved={ALL: 900, CALLS: 1}, reserved_nano_usd=900))
    desk.segments.begin(3, pid=13)
    desk.catch_up()
    assert (desk.row("call-3")["cost_source"], desk.ledger()[ALL]) == ("presumed", 1908)
    assert desk.settle(id="call-3", usd="0.0000001")["adjusted"] == {ALL: -800}
    assert (desk.row("call-3")["cost_source"], desk.row("call-3")["cost_nano_usd"], desk.ledger()[ALL]) == ("settled", 100, 1108)


def test_earlier_corrections_count_also_those_not_loaded_yet(desk: Desk) -> None:
    desk.writer.write(Correction(id="call-1", at_ns=1, by="tokenizer", cost_nano_usd=600, adjusted={DAY: -401, ALL: -401}))
    assert desk.settle(usd="0.0000005")["adjusted"] == {DAY: -100, ALL: -100}
    assert desk.settle(usd="0.0000005")["adjusted"] == {}
    assert desk.precedence.is_settled("call-1") and not desk.precedence.is_settled("call-2")


def test_while_the_database_is_behind_nothing_is_changed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.catch_up()
    desk.writer.write(Correction(id="call-1", at_ns=1, by="tokenizer", adjusted={DAY: -401}))
    monkeypatch.setattr(desk.settlement, "_catch_up", lambda: None)
    with pytest.raises(NotDone, match="not loaded") as refused:
        desk.settlement.settle(Word(id="call-1", by="jo", nothing=True))
    assert (refused.value.status, desk.writer.written) == (503, 1)


def test_an_unknown_call_and_a_full_disk_change_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.catch_up()
    with pytest.raises(NotDone, match="no record") as refused:
        desk.settle(id="call-9", nothing=True)
    assert (refused.value.status, desk.writer.written) == (404, 0)
    monkeypatch.setattr(desk.writer, "write", lambda _: False)
    with pytest.raises(NotDone, match="nothing was changed"):
        desk.settle(nothing=True)
    assert not desk.precedence.is_settled("call-1")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ({}, "what the call cost"),
        ({"nothing": True, "usd": "1"}, "what the call cost"),
        ({"usd": "-1"}, "dollars are 0"),
        ({"usd": "NaN"}, "dollars are 0"),
        ({"usd": "1e400"}, "dollars are 0"),
        ({"usd": "0.0000000001"}, "nine digits"),
        ({"usd": True}, "not as expected"),
        ({"input_tokens": 1}, "both"),
        ({"input_tokens": -1, "output_tokens": 1}, "tokens are 0"),
        ({"nothing": True, "by": " "}, "who settles"),
        ({"nothing": True, "by": "tokenizer"}, "who settles"),
        ({"nothing": True, "dollars": 1}, "unknown field"),
    ],
)
def test_words_that_cannot_be_are_told(desk: Desk, word: dict, hint: str) -> None:
    with pytest.raises(BadQuestion, match=hint):
        desk.settle(**word)
    assert desk.writer.written == 0


def test_dollars_are_exact() -> None:
    assert [read_usd(text) for text in ("0", "0.0123", "1e-9", "999999.999999999")] == [0, 12_300_000, 1, 999_999_999_999_999]


@given(
    st.dictionaries(st.sampled_from([DAY, ALL, TOKENS, CALLS]), st.integers(-(10**15), 10**15)),
    st.none() | st.integers(0, 10**15),
    st.none() | st.integers(0, 10**9),
)
def test_after_an_adjustment_every_cell_has_the_figure_that_is_known(charged: dict[str, int], nano_usd: int | None, tokens: int | None) -> None:
    adjusted = adjust(charged, nano_usd, tokens)
    for cell, amount in charged.items():
        figure = nano_usd if ".usd@" in cell else tokens if ".tokens@" in cell else None
        assert amount + adjusted.get(cell, 0) == (amount if figure is None else figure)
    assert 0 not in adjusted.values()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["call-1", "call-2"]), st.integers(0, 5000), st.booleans()), min_size=1, max_size=6))
def test_the_sum_of_the_ledger_is_the_sum_of_the_records(desk: Desk, words: list[tuple[str, int, bool]]) -> None:
    """The database and journal live on over examples: a long history of words."""
    for call_id, nano, with_tokens in [("call-2", 7, False), *words]:
        tokens = {"input_tokens": nano, "output_tokens": 3} if with_tokens else {}
        desk.settle(id=call_id, usd=f"{nano}e-9", **tokens)
    rows = [desk.row("call-1"), desk.row("call-2")]
    for cell, spent in desk.ledger().items():
        assert spent == sum(row["charged"].get(cell, 0) for row in rows)
    assert desk.ledger().get(ALL, 0) == sum(row["cost_nano_usd"] for row in rows)
