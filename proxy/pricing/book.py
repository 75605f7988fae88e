"""The price book: finds what a model costs at a provider at a moment, and prices a call's usage with it.

It is compiled from genai-prices (`proxy.pricing.compile`) and read here from one JSON file; a provider's models are decoded when
the provider is first asked for. Three sources, in this order: an override of the config, the cost that the upstream itself
put on the call, the book. Where none of them knows, the cost is None: unknown is never zero.

Which price a name gets, where several could be meant:

- Bedrock: the region is part of the id. `us.`, `eu.` … are charged at regional rates, `global.` at global ones, and an id without
  either (`anthropic.claude-…`) at regional rates, as genai-prices does. An inference profile's ARN counts by its last part.
- Azure: the answered model's name is looked up in Azure's own list, then in OpenAI's, Anthropic's … (their standard rates).
- OpenRouter: names keep their vendor prefix and are looked up only in OpenRouter's own list; its own cost wins.
- Provider `litellm`: `vendor/model` is priced at that vendor, another name at the provider that its name points to.
- A provider that is known and does not list the model does not borrow another provider's price.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from proxy.call import Usage
from proxy.config import Price
from proxy.pricing.match import MINUTE_NS, NAME_CHARACTERS, spell, spell_date
from proxy.pricing.sheet import Rate, Sheet, convert_usd
from proxy.pricing.shelf import FORMAT, BookFile, ModelEntry, ProviderEntry, Shelf

_FOUND_MOST = 4096  # lookups kept; the oldest goes when one more comes
_TIER_PREFIX = re.compile(r"\A(on_demand_|service_tier_)")
Source = Literal["override", "book", "upstream", "unbilled", "reserved", "none"]


class BookError(Exception):
    """A price book that cannot be read. The message names the file and what to do."""


class Priced(msgspec.Struct, frozen=True):
    """A call's price: nano-USD or None, who says so, and which version of the prices was asked."""

    cost_nano_usd: int | None
    source: Source
    version: str


class _Found(msgspec.Struct, frozen=True):
    sheet: Sheet | None
    source: Source
    minute: int | None  # the minute since the epoch it holds for; None: any


class Book:
    """All prices a process knows: the compiled book and the overrides of the config."""

    def __init__(self, providers: tuple[ProviderEntry, ...], version: str, prices: list[Price]) -> None:
        self._providers = providers
        self._overrides = {(price.upstream, price.model): convert_override(price) for price in reversed(prices)}
        self._shelves: dict[str, Shelf] = {}
        self._found: dict[tuple, _Found] = {}
        marks = hashlib.sha256(msgspec.json.encode(prices)).hexdigest()[:8]
        self.version = f"{version}+overrides.{marks}" if prices else version

    @classmethod
    def load(cls, path: Path | str | None, prices: list[Price]) -> Book:
        """The book of a file that `proxy.pricing.compile` wrote; with None, only the overrides. Raises `BookError`."""
        if path is None:
            return cls((), "no price book", prices)
        try:
            file = msgspec.json.decode(Path(path).read_bytes(), type=BookFile)
        except (OSError, msgspec.MsgspecError) as error:
            raise BookError(f"{path}: no readable price book ({error}); write it with `python -m proxy.pricing.compile {path}`") from None
        if file.format != FORMAT:
            raise BookError(f"{path}: a price book of format {file.format}, {FORMAT} is needed; write it anew")
        return cls(file.providers, file.version, prices)

    def price(
        self,
        *,
        upstream: str,
        provider: str | None,
        models: tuple[str | None, ...],
        usage: Usage,
        service_tier: str | None,
        batch: bool = False,
        at_ns: int,
    ) -> Priced:
        """What a call costs. `models`: its names, the answered one first; `at_ns`: when it was made, since the epoch."""
        found = self._look_up(upstream, provider, models, service_tier, batch, at_ns // MINUTE_NS)
        if found.source != "override" and usage.cost_nano_usd is not None and usage.cost_nano_usd >= 0:
            return Priced(usage.cost_nano_usd, "upstream", self.version)
        cost = found.sheet.charge(usage) if found.sheet is not None else None
        return Priced(cost, found.source if cost is not None else "none", self.version)

    def sheets(
        self, upstream: str, provider: str | None, model: str | None, service_tier: str | None, *, all_tiers: bool, minute: int
    ) -> list[Sheet]:
        """The sheets that may hold for a call of a model in a minute since the epoch, none where its price is unknown.

        `all_tiers`: over all service tiers, and not that of `service_tier` alone.
        """
        if all_tiers and (listed := self.find_model(provider, model) if model else None):
            found = self._search(upstream, provider, (model,), None, False, minute)
            if found.source == "book" and found.sheet is not None:
                entry, own = listed
                return [found.sheet, *(found.sheet.overlay(one.sheet) for one in entry.variants if own)]
        found = self._look_up(upstream, provider, (model,), service_tier, False, minute)
        return [] if found.sheet is None else [found.sheet]

    def provider_of(self, upstream_name: str, host: str) -> str | None:
        """The provider behind an upstream: by its host or URL, which is the stronger sign, else by its name."""
        address = host if "://" in host else f"https://{host}"
        address = re.sub(r"\Ahttp://", "https://", address)
        for provider in self._providers:
            if re.match(provider.address, address):
                return provider.id
        entry = self._find_provider(upstream_name)
        return entry.id if entry else None

    def find_model(self, provider: str | None, model: str) -> tuple[ModelEntry, bool] | None:
        """(what the book has for a model's name at a provider, whether it is the provider's own entry and no fallback's)."""
        for spelling in spell(model):
            entry, name = self._place(provider, spelling)
            if entry is None:
                return None
            for written in dict.fromkeys((name, spell_date(name))):
                for shelf_id in (entry.id, *entry.fallbacks):
                    if found := self._shelf(shelf_id).find(written):
                        return found, shelf_id == entry.id
        return None

    def _look_up(self, upstream: str, provider: str | None, models: tuple[str | None, ...], tier: str | None, batch: bool, minute: int) -> _Found:
        key = (upstream, provider, models, tier, batch)
        found = self._found.get(key)
        if found is not None and (found.minute is None or found.minute == minute):
            return found
        found = self._search(upstream, provider, models, tier, batch, minute)
        if any(part and len(part) > NAME_CHARACTERS for part in (*models, tier)):
            return found  # no real name, and a caller must not fill our memory with such
        if key not in self._found and len(self._found) >= _FOUND_MOST:
            del self._found[next(iter(self._found))]
        self._found[key] = found
        return found

    def _search(self, upstream: str, provider: str | None, models: tuple[str | None, ...], tier: str | None, batch: bool, minute: int) -> _Found:
        names = [model for model in models if model]
        for scope in (upstream, None):
            for name in names:
                if sheet := self._overrides.get((scope, name)):
                    return _Found(sheet, "override", None)
        for name in names:
            if listed := self.find_model(provider, name):
                entry, own = listed
                sheet = entry.select(minute, describe_context(tier, batch) if own else {})
                return _Found(sheet, "book", None if entry.timeless else minute)
        return _Found(None, "none", None)

    def _place(self, provider: str | None, name: str) -> tuple[ProviderEntry | None, str]:
        """(the provider to look in, the name to look for there)."""
        if provider is None:
            return None, name
        if provider.lower() != "litellm":
            return self._find_provider(provider), name
        vendor, slash, rest = name.partition("/")
        if slash and vendor and (entry := self._find_provider(vendor)):
            return entry, rest
        return next((one for one in self._providers if one.model_match and one.model_match.matches(name)), None), name

    def _find_provider(self, provider_id: str) -> ProviderEntry | None:
        name = provider_id.lower().strip()
        for provider in self._providers:
            if provider.id == name:
                return provider
        return next((one for one in self._providers if one.provider_match and one.provider_match.matches(name)), None)

    def _shelf(self, provider_id: str) -> Shelf:
        shelf = self._shelves.get(provider_id)
        if shelf is None:
            raw = next((one.models for one in self._providers if one.id == provider_id), msgspec.Raw(b"[]"))
            shelf = self._shelves[provider_id] = Shelf(msgspec.json.decode(raw, type=list[ModelEntry]))
        return shelf


def convert_override(price: Price) -> Sheet:
    """An override of the config as a sheet: US dollars per million tokens become integer rates."""

    def rate(usd: float, pieces: int = 10**6) -> Rate:
        return Rate(convert_usd(Decimal(repr(usd)), pieces))

    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    write_1h = write if price.cache_write_1h is None else price.cache_write_1h
    return Sheet(
        input=rate(price.input),
        output=rate(price.output),
        cache_read=rate(read),
        cache_write=rate(write),
        cache_write_1h=rate(write_1h),
        request=rate(price.request, 1) if price.request else None,
    )


def describe_context(service_tier: str | None, batch: bool) -> dict[str, str]:
    """The price context of genai-prices for a tier as the provider spelled it (`priority`, `FLEX`, `ON_DEMAND_PRIORITY`, `fast`)."""
    tier = _TIER_PREFIX.sub("", service_tier.lower()) if service_tier else ""
    context = {"service_tier": tier, "speed": tier} if tier else {}
    if batch or tier == "batch":
        context["processing"] = "batch"
    return context
