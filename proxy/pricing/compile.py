"""Turns the data of genai-prices into the price book, one compact JSON file; run as a short process of its own.

    python -m proxy.pricing.compile OUT.json

genai-prices (MIT) costs about a second and 100 MB to import: that is paid here, once for each of its versions, and not in the
data plane. A book that is already of this version is left alone (`shelf.is_current` tells without the import); a new one
replaces the old one atomically.

What the book leaves out: prices of things a usage does not tell apart (video, pages, characters, file searches, citations) and
variants that hang on something a call does not say (a route, a kind of search). A model priced only by such things has an empty
sheet, and so has one that genai-prices lists without any price: both are *unknown*. Free are only the models named `…:free` and
those in `_FREE`, which genai-prices documents as free.
"""

from __future__ import annotations

import datetime
import os
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
from genai_prices import data, types

from proxy.pricing.match import Clause, Constraint
from proxy.pricing.sheet import Rate, Sheet, convert_usd
from proxy.pricing.shelf import FORMAT, BookFile, ModelEntry, ProviderEntry, Variant, current_version, is_current

_PER_MILLION = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "input_image_mtok": "input_image",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
    "output_reasoning_mtok": "reasoning",
}
_PER_THOUSAND = {"web_searches_kcount": "web_search", "requests_kcount": "request"}
_PER_HOUR = {"audio_hours": "audio_hour", "input_audio_hours": "audio_hour"}
_UNITS = {
    **{key: (name, 10**6) for key, name in _PER_MILLION.items()},
    **{key: (name, 10**3) for key, name in _PER_THOUSAND.items()},
    **{key: (name, 1) for key, name in _PER_HOUR.items()},
}
_CONTEXT = frozenset({"service_tier", "processing", "speed"})
_FREE = frozenset(
    {
        ("openai", "moderation"),
        ("github-copilot", "gpt-3.5-turbo"),
        ("github-copilot", "gpt-4.1"),
        ("github-copilot", "gpt-4o"),
        ("github-copilot", "gpt-4o-mini"),
        ("google", "gemma-4-26b-a4b-it"),
        ("google", "gemma-4-31b-it"),
    }
)
# Groq charges transcriptions as ten seconds at least (genai_prices/types.py, ModelInfo.calc_price).
_LEAST_AUDIO_US = {("groq", "whisper-large-v3"): 10_000_000, ("groq", "whisper-large-v3-turbo"): 10_000_000}
_EPOCH = datetime.date(1970, 1, 1)


def convert_clause(clause: object) -> Clause:
    """A clause of genai-prices as ours, its text lower-cased as genai-prices compares it."""
    match clause:
        case types.ClauseOr(or_=parts):
            return Clause("or", parts=tuple(convert_clause(part) for part in parts))
        case types.ClauseAnd(and_=parts):
            return Clause("and", parts=tuple(convert_clause(part) for part in parts))
        case types.ClauseRegex(regex=pattern):
            return Clause("regex", pattern)
        case types.ClauseEquals(equals=text):
            return Clause("equals", text.lower())
        case types.ClauseStartsWith(starts_with=text):
            return Clause("starts_with", text.lower())
        case types.ClauseEndsWith(ends_with=text):
            return Clause("ends_with", text.lower())
        case types.ClauseContains(contains=text):
            return Clause("contains", text.lower())
    raise TypeError(f"a clause that this compiler does not know: {type(clause).__name__}")


def convert_constraint(constraint: object) -> Constraint | None:
    """A constraint of genai-prices as ours; its times of day must be whole minutes."""
    match constraint:
        case None:
            return None
        case types.StartDateConstraint(start_date=day):
            return Constraint(from_day=(day - _EPOCH).days)
        case types.TimeOfDateConstraint(start_time=start, end_time=end):
            return Constraint(minutes=(_count_minutes(start), _count_minutes(end)))
    raise TypeError(f"a constraint that this compiler does not know: {type(constraint).__name__}")


def _count_minutes(moment: datetime.time) -> int:
    if moment.second or moment.microsecond:
        raise ValueError(f"a price that changes within a minute: {moment}")
    offset = moment.utcoffset() or datetime.timedelta()
    return (moment.hour * 60 + moment.minute - int(offset.total_seconds() // 60)) % (24 * 60)


def convert_prices(prices: types.ModelPrice, least_audio_us: int = 0) -> Sheet:
    """The rates of a price of genai-prices, as far as a usage can tell what they are for."""
    rates: dict[str, Rate] = {}
    for key, price in vars(prices).items():
        if price is None or key not in _UNITS:
            continue
        name, pieces = _UNITS[key]
        if isinstance(price, Decimal):
            rates[name] = Rate(convert_usd(price, pieces))
        else:
            tiers = tuple((tier.start, convert_usd(tier.price, pieces)) for tier in price.tiers)
            rates[name] = Rate(convert_usd(price.base, pieces), tiers)
    return Sheet(**rates, least_audio_us=least_audio_us)


def convert_model(provider_id: str, model: types.ModelInfo) -> ModelEntry:
    """One model: how it is recognised, its prices over time, and what changes with tier, batch and speed."""
    clause = convert_clause(model.match)
    alternatives = clause.parts if clause.operator == "or" else (clause,)
    patterns = tuple(part for part in alternatives if part.operator != "equals")
    least = _LEAST_AUDIO_US.get((provider_id, model.id), 0)
    listed = [types.ConditionalPrice(prices=model.prices)] if isinstance(model.prices, types.ModelPrice) else model.prices
    prices = tuple((convert_constraint(one.constraint), convert_prices(one.prices, least)) for one in listed)
    free = model.id.endswith(":free") or (provider_id, model.id) in _FREE
    if free and all(sheet == Sheet() for _, sheet in prices):
        prices = ((None, Sheet(input=Rate(0), output=Rate(0), request=Rate(0))),)
    variants = tuple(
        Variant(dict(variant.when), convert_constraint(variant.constraint), sheet)
        for variant in model.price_variants or ()
        if variant.when.keys() <= _CONTEXT and (sheet := convert_prices(variant.prices)) != Sheet()
    )
    return ModelEntry(
        id=model.id,
        equals=tuple(part.text for part in alternatives if part.operator == "equals"),
        patterns=patterns,
        prices=prices,
        variants=variants,
    )


def convert_provider(provider: types.Provider) -> ProviderEntry:
    """One provider with its models as a JSON text of its own, so that it is decoded only where it is used."""
    models = [convert_model(provider.id, model) for model in provider.models]
    return ProviderEntry(
        id=provider.id,
        address=provider.api_pattern,
        model_match=convert_clause(provider.model_match) if provider.model_match else None,
        provider_match=convert_clause(provider.provider_match) if provider.provider_match else None,
        fallbacks=tuple(provider.fallback_model_providers or ()),
        models=msgspec.Raw(msgspec.json.encode(models)),
    )


def compile_book(out: Path) -> bool:
    """Writes the price book to `out`; False where it was already of this version. Raises OSError."""
    if is_current(out):
        return False
    book = BookFile(format=FORMAT, version=current_version(), providers=tuple(convert_provider(provider) for provider in data.providers))
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_name(f"{out.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(msgspec.json.encode(book))
        fresh.replace(out)
    finally:
        fresh.unlink(missing_ok=True)
    return True


def main(arguments: list[str]) -> int:
    """The command line: one argument, the file to write. 0: the book is there; 2: wrong use."""
    if len(arguments) != 1:
        print("usage: python -m proxy.pricing.compile OUT.json", file=sys.stderr)
        return 2
    compile_book(Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
