"""The shelves of the price book: the structs of its file, and the search for a model among one provider's."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from pathlib import Path

import msgspec

from proxy.pricing.match import Clause, Constraint
from proxy.pricing.sheet import Sheet

FORMAT = 1


class Variant(msgspec.Struct, frozen=True, array_like=True):
    """Rates that replace the standard ones where the call's context has all of `when`."""

    when: dict[str, str]
    constraint: Constraint | None
    sheet: Sheet


class ModelEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model: matched by an equal name or by a pattern; of `prices` the last that holds counts, else the first."""

    id: str
    prices: tuple[tuple[Constraint | None, Sheet], ...]
    equals: tuple[str, ...] = ()
    patterns: tuple[Clause, ...] = ()
    variants: tuple[Variant, ...] = ()

    @property
    def timeless(self) -> bool:
        """Whether its prices are the same at any time."""
        return all(constraint is None for constraint, _ in self.prices) and all(one.constraint is None for one in self.variants)

    def select(self, minute: int, context: dict[str, str]) -> Sheet:
        """The sheet that holds in this minute since the epoch; of two variants with the same rate the first wins."""
        sheet = self.prices[0][1]
        for constraint, prices in reversed(self.prices):
            if constraint is None or constraint.holds(minute):
                sheet = prices
                break
        if context:
            for variant in reversed(self.variants):
                active = variant.constraint is None or variant.constraint.holds(minute)
                if active and all(context.get(key) == value for key, value in variant.when.items()):
                    sheet = sheet.overlay(variant.sheet)
        return sheet


class ProviderEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One provider. `models` is the JSON text of a list of `ModelEntry`."""

    id: str
    address: str  # a regular expression that its URLs match from their start
    models: msgspec.Raw
    model_match: Clause | None = None
    provider_match: Clause | None = None
    fallbacks: tuple[str, ...] = ()


class BookFile(msgspec.Struct, frozen=True):
    """The whole file."""

    format: int
    version: str
    providers: tuple[ProviderEntry, ...]


class _Head(msgspec.Struct, frozen=True):
    format: int
    version: str


class Shelf:
    """The models of one provider, ready to be searched by name."""

    def __init__(self, models: list[ModelEntry]) -> None:
        self._models = models
        self._equals: dict[str, int] = {}
        self._patterns: list[tuple[int, Clause]] = []
        for index, model in enumerate(models):
            for name in model.equals:
                self._equals.setdefault(name, index)
            self._patterns.extend((index, clause) for clause in model.patterns)

    def find(self, name: str) -> ModelEntry | None:
        """The first model, in the book's order, that the lower-cased name matches."""
        first = self._equals.get(name, len(self._models))
        for index, clause in self._patterns:
            if index >= first:
                break
            if clause.matches(name):
                return self._models[index]
        return self._models[first] if first < len(self._models) else None


def read_version(path: Path) -> str | None:
    """The version of the price book in a file; None where there is none of this format."""
    try:
        head = msgspec.json.decode(path.read_bytes(), type=_Head)
    except (OSError, msgspec.MsgspecError):
        return None
    return head.version if head.format == FORMAT else None


def is_current(path: Path) -> bool:
    """Whether the file is a price book of the genai-prices that is installed, so that it need not be compiled again."""
    return read_version(path) == current_version()


def current_version() -> str:
    """The version that a book compiled now would have."""
    return f"genai-prices {installed_version('genai-prices')}"
