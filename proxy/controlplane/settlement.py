"""Settling by hand: an operator's word on what a call cost corrects its record and the budgets that paid.

A correction holds the new figures, and for every cell that the call is charged in the difference to what it is charged there now, with all
earlier corrections counted. So the sum of the ledger stays the sum of the records. It is worked out from the database, which must have loaded every
correction that the journal holds by then: nobody else may write one meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from proxy.call import Usage
from proxy.controlplane.door import Change, NotDone, read_body
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.reports import BadQuestion, Query
from proxy.controlplane.schema import TOKENIZER
from proxy.controlplane.segments import list_names, parse_name
from proxy.pricing.book import Book
from proxy.pricing.providers import Providers
from proxy.record import Correction
from proxy.toll.cells import read_prefix

_MOST_USD = 10**6
_MOST_TOKENS = 10**12
_MOST_REMEMBERED = 10_000
_PATIENCE_S = 5.0
_CALL = (
    "SELECT upstream, dialect, operation, coalesce(model, model_asked) AS model, model_asked, service_tier, started_ns, outcome, input_tokens, "
    "output_tokens, cost_nano_usd, cost_source, charged FROM calls_now WHERE id = ? LIMIT 1"
)
_NO_PRICE = "no price is known for its model, so that its cost stays as it was; say it as well (usd)"
_LOADED = "SELECT name, position FROM segments"
Price = Callable[[Mapping[str, Any], Usage], tuple[int | None, str | None]]  # (a call's row, its tokens) → (nano-USD, price version)


class Word(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator says of a call: what it cost, its tokens, both, or that it cost nothing at all."""

    id: str
    by: str
    usd: str | float | int | None = None  # US dollars, exact to nine digits behind the point
    input_tokens: int | None = None
    output_tokens: int | None = None
    nothing: bool = False


class Settled(msgspec.Struct, frozen=True):
    """What has become of the call. `adjusted`: cell → what was added to what it was charged; empty where nothing changed."""

    id: str
    by: str
    cost_before_nano_usd: int | None
    cost_nano_usd: int | None
    input_tokens: int | None
    output_tokens: int | None
    adjusted: dict[str, int]
    note: str = ""


class Precedence:
    """Who may write a correction now: one at a time, and nobody a better guess after an operator's word. Shared by threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._settled: OrderedDict[str, None] = OrderedDict()

    def note(self, call_id: str) -> None:
        """An operator has settled this call."""
        self._settled[call_id] = None
        if len(self._settled) > _MOST_REMEMBERED:
            self._settled.popitem(last=False)

    def is_settled(self, call_id: str) -> bool:
        """Whether an operator has settled it lately."""
        return call_id in self._settled


class Settlement:
    """Settles calls. `settle` waits for the database, so it is for a thread that may wait."""

    def __init__(
        self,
        query: Query,
        catch_up: Callable[[], None],
        folder: Path,
        writer: JournalWriter,
        precedence: Precedence,
        price: Price,
        clock_ns: Callable[[], int] = time.time_ns,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._query = query
        self._catch_up = catch_up
        self._folder = folder
        self._writer = writer
        self._precedence = precedence
        self._price = price
        self._clock_ns = clock_ns
        self._timer = timer

    def configure(self, price: Price) -> None:
        """Take other prices. May be called from any thread."""
        self._price = price

    @property
    def change(self) -> Change:
        """`POST /api/settle` with a `Word`."""
        return Change("POST", "/api/settle", lambda _, body: msgspec.structs.asdict(self.settle(read_body(body, Word))))

    def settle(self, word: Word) -> Settled:
        """Write the correction. Raises `BadQuestion`, `NotDone` (404 no such call, 503 later), and what the database raises."""
        nano_usd = check(word)
        with self._precedence.lock:
            self._await_corrections()
            call = self._find(word.id)
            given, made = (0, 0) if word.nothing else (word.input_tokens, word.output_tokens)
            version, note = None, ""
            if nano_usd is None and given is not None and made is not None:
                nano_usd, version = self._price(call, Usage(input_tokens=given, output_tokens=made))
                note = _NO_PRICE if nano_usd is None else ""
            adjusted = adjust(call["charged"] or {}, nano_usd, None if given is None or made is None else given + made)
            correction = Correction(
                id=word.id, at_ns=self._clock_ns(), by=word.by, input_tokens=given, output_tokens=made, cost_nano_usd=nano_usd,
                price_version=version, adjusted=adjusted,
            )  # fmt: skip
            if not self._writer.write(correction):
                raise NotDone(503, "journal_away", "the correction could not be written to the journal (see the log); nothing was changed, try again")
            self._precedence.note(word.id)
        before = call["cost_nano_usd"]
        return Settled(word.id, word.by, before, before if nano_usd is None else nano_usd, given, made, adjusted, note)

    def _find(self, call_id: str) -> dict[str, Any]:
        columns, rows = self._query(_CALL, [call_id])
        if not rows:
            message = (
                "there is no record of this call: it may still be running, or the id is not whole (it stands in the response header "
                "x-weighbridge-call and in `weighbridge calls --format csv`)"
            )
            raise NotDone(404, "call_unknown", message)
        return dict(zip(columns, rows[0], strict=True))

    def _await_corrections(self) -> None:
        """Wait until the database has every correction that is in the journal. Raises `NotDone`."""
        self._catch_up()  # the call may have ended just now
        wanted = {name: self._size(name) for name in list_names(self._folder) if (found := parse_name(name)) and found.writer == "c"}
        until = self._timer() + _PATIENCE_S
        while wanted:
            loaded = dict(self._query(_LOADED, [])[1])
            if all(loaded.get(name, 0) >= size for name, size in wanted.items()):
                return
            if self._timer() > until:
                message = "the database has not loaded all of the journal yet; nothing was changed, try again in a moment"
                raise NotDone(503, "database_behind", message)
            self._catch_up()

    def _size(self, name: str) -> int:
        try:
            return (self._folder / name).stat().st_size
        except OSError:  # pruned: it was loaded
            return 0


def adjust(charged: Mapping[str, int], nano_usd: int | None, tokens: int | None) -> dict[str, int]:
    """Cell → what is to be added so that the call is charged these figures. A figure that is not known changes nothing."""
    wanted = {"usd": nano_usd, "tokens": tokens}
    adjusted = {}
    for cell, amount in charged.items():
        figure = wanted.get(read_prefix(cell.partition("?")[0])[1])
        if figure is not None and figure != amount:
            adjusted[cell] = figure - amount
    return adjusted


def check(word: Word) -> int | None:
    """The nano-USD that a word says. Raises `BadQuestion` for one that says nothing, too much, or what cannot be."""
    told = [word.nothing, word.usd is not None, word.input_tokens is not None or word.output_tokens is not None]
    if not any(told) or (word.nothing and any(told[1:])):
        raise BadQuestion("say what the call cost: `usd`, `input_tokens` and `output_tokens`, both, or `nothing`")
    if not word.by.strip() or word.by == TOKENIZER or len(word.by) > 200:
        raise BadQuestion("say who settles the call (by)")
    if (word.input_tokens is None) != (word.output_tokens is None):
        raise BadQuestion("say both, input and output tokens")
    if not all(0 <= (tokens or 0) <= _MOST_TOKENS for tokens in (word.input_tokens, word.output_tokens)):
        raise BadQuestion(f"tokens are 0 to {_MOST_TOKENS}")
    if word.nothing:
        return 0
    return None if word.usd is None else read_usd(str(word.usd))


def read_usd(text: str) -> int:
    """US dollars in nano-USD. Raises `BadQuestion`."""
    try:
        nano = Decimal(text) * 10**9
        if 0 <= nano <= _MOST_USD * 10**9 and nano == nano.to_integral_value():
            return int(nano)
    except InvalidOperation:
        pass
    raise BadQuestion(f"dollars are 0 to {_MOST_USD} with at most nine digits behind the point, such as 0.0123") from None


def make_price(book: Book, providers: Providers) -> Price:
    """A function from a call's row and its tokens to (nano-USD or None where there is no price, price version)."""

    def price(call: Mapping[str, Any], usage: Usage) -> tuple[int | None, str | None]:
        priced = book.price(
            upstream=call["upstream"],
            provider=providers.find(call["upstream"], call["dialect"]),
            models=(call["model"], call["model_asked"]),
            usage=usage,
            service_tier=call["service_tier"],
            batch=call["operation"] == "batches",
            at_ns=call["started_ns"],
        )
        return priced.cost_nano_usd, priced.version or None

    return price
