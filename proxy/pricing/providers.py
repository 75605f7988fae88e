"""Which provider's prices an upstream is charged at, and the book to look in: one answer for both planes."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from proxy.config import Config, Upstream
from proxy.pricing.book import Book, BookError

log = logging.getLogger("weighbridge.pricing")
_DEMO = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}  # the demo speaks three dialects


def load_book(config: Config) -> Book:
    """The price book; only the config's overrides where it cannot be read, so that calls go on with an unknown cost."""
    try:
        return Book.load(config.price_book, config.prices)
    except BookError as error:
        log.error("%s; until then calls without a price override have an unknown cost", error)
        return Book.load(None, config.prices)


class Providers:
    """The provider ids of a config's upstreams: as the config says, else by the upstream's address or name."""

    def __init__(self, book: Book, upstreams: Mapping[str, Upstream]) -> None:
        self._ids = {name: one.prices or book.provider_of(name, one.url) for name, one in upstreams.items()}

    def find(self, upstream: str, dialect: str) -> str | None:
        """The provider id for the price book; None where nobody knows it."""
        return _DEMO.get(dialect) if upstream == "demo" else self._ids.get(upstream)
