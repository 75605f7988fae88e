"""Prices of one's own: overrides of the price book, and their checks."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from proxy.document import Faults


class Price(msgspec.Struct, frozen=True):
    """An override of the price book: US dollars per million tokens, for models whose name matches exactly."""

    model: str
    input: float
    output: float
    upstream: str | None = None  # only for this upstream; default: all
    cache_read: float | None = None  # default: the input price
    cache_write: float | None = None  # default: the input price
    cache_write_1h: float | None = None  # default: the cache_write price
    request: float = 0.0  # US dollars a call


def check_prices(prices: list[Price], upstreams: Collection[str], faults: Faults) -> None:
    """Add what is wrong with the prices. A value that was at fault may be None."""
    for index, price in enumerate(prices):
        if price.upstream is not None and price.upstream not in upstreams and price.upstream != "demo":
            faults.add(f"prices[{index}].upstream", f"names no configured upstream; known: {', '.join(upstreams) or 'none'}")
        for field, number in msgspec.structs.asdict(price).items():
            if isinstance(number, float) and not 0 <= number < 1e6:
                faults.add(f"prices[{index}].{field}", "expected 0 or more, and less than 1000000")
