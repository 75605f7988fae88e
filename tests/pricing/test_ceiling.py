"""No bill is above its ceiling."""

from __future__ import annotations

from functools import lru_cache

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.call import Usage
from proxy.config import Price
from proxy.pricing import ceiling as ceiling_module
from proxy.pricing.book import Book
from proxy.pricing.ceiling import Ceiling, Ceilings
from proxy.pricing.sheet import ATTO_PER_NANO, Rate, Sheet
from proxy.pricing.shelf import ModelEntry

NOW = 1_795_200_000 * 10**9
HOUR = 3600 * 10**9
TIERS = (None, "priority", "flex", "fast", "batch", "default", "made-up")


def find(ceilings: Ceilings, model: str | None, provider: str | None = "openai", **more) -> Ceiling | None:
    asked = {"upstream": "up", "service_tier": None, "dearest": False, "input_tokens": 1000, "at_ns": NOW} | more
    return ceilings.find(provider=provider, model=model, **asked)


@lru_cache(2)
def list_models(book: Book) -> list[tuple[str, str]]:
    return [(one.id, entry.id) for one in book._providers for entry in msgspec.json.decode(one.models, type=list[ModelEntry])]


def bill(ceiling: Ceiling, input_tokens: int, output_tokens: int) -> int:
    return -(-(ceiling.input * input_tokens + ceiling.output * output_tokens + ceiling.request) // ATTO_PER_NANO)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_text_call_of_any_model_costs_more_than_its_ceiling(book, data):
    provider, model = data.draw(st.sampled_from(list_models(book)))
    tier = data.draw(st.sampled_from(TIERS))
    dearest = data.draw(st.booleans())
    asked = data.draw(st.sampled_from(TIERS)) if dearest else tier
    at_ns = NOW + data.draw(st.integers(0, 48)) * HOUR // 2
    whole = data.draw(st.integers(0, 1_200_000))
    read = data.draw(st.integers(0, whole))
    write = data.draw(st.integers(0, whole - read))
    output = data.draw(st.integers(0, 200_000))
    usage = Usage(
        input_tokens=whole, output_tokens=output, cache_read_tokens=read, cache_write_tokens=write,
        cache_write_1h_tokens=data.draw(st.integers(0, write)), reasoning_tokens=data.draw(st.integers(0, output)),
    )  # fmt: skip
    cost = book.price(upstream="up", provider=provider, models=(model,), usage=usage, service_tier=tier, at_ns=at_ns).cost_nano_usd
    ceiling = find(Ceilings(book), model, provider, service_tier=asked, dearest=dearest, input_tokens=whole, at_ns=at_ns)
    if cost is not None:
        assert ceiling is not None and cost <= bill(ceiling, whole, output)


def test_every_model_with_a_price_has_a_ceiling(book):
    ceilings = Ceilings(book)
    for provider, model in list_models(book):
        sheets = book.sheets("up", provider, model, None, all_tiers=False, minute=NOW // (60 * 10**9))
        assert (find(ceilings, model, provider) is None) == all(sheet == Sheet() for sheet in sheets), (provider, model)


def test_an_unknown_price_has_none():
    ceilings = Ceilings(Book.load(None, []))
    assert find(ceilings, "m") is None and find(ceilings, None) is None and find(ceilings, "m", None, dearest=True) is None


def test_an_override_is_the_whole_truth():
    prices = [Price("m", 2, 10, cache_write=2.5, cache_write_1h=4, request=0.01), Price("free", 0, 0)]
    ceilings = Ceilings(Book.load(None, prices))
    assert find(ceilings, "m", dearest=True) == Ceiling(4 * 10**12, 4 * 10**12, 10 * 10**12, 10**16, 0, 0)
    assert find(ceilings, "free") == Ceiling(0, 0, 0, 0, 0, 0)


def test_the_asked_tier_counts_or_all_of_them(book):
    ceilings = Ceilings(book)
    usual, priority, dearest = (find(ceilings, "gpt-5", **more) for more in ({}, {"service_tier": "priority"}, {"dearest": True}))
    assert usual.output < priority.output <= dearest.output
    assert find(ceilings, "gpt-5", service_tier="flex").output < usual.output
    assert find(ceilings, "gpt-5", service_tier="flex", dearest=True) == dearest


def test_long_inputs_reach_their_tier_and_short_ones_do_not(book):
    ceilings = Ceilings(book)
    short, below, above = (find(ceilings, "gemini-2.5-pro", "google", input_tokens=tokens) for tokens in (0, 190_000, 200_001))
    assert short == below and above.input == 2 * short.input and above.output > short.output


def test_pictures_and_sound_have_their_own_rate(book):
    assert (sound := find(Ceilings(book), "gemini-2.5-flash", "google")).media > sound.input
    assert (pictures := find(Ceilings(book), "gemini-2.5-flash-image", "google")).output > 0
    assert pictures.output == 30 * 10**12


class CountingBook:
    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.asked: list[int] = []

    def sheets(self, upstream, provider, model, service_tier, *, all_tiers, minute):
        self.asked.append(minute)
        return [self.sheet]


def test_what_was_found_is_kept_for_its_minute():
    book = CountingBook(Sheet(input=Rate(1)))
    ceilings = Ceilings(book)
    for _ in range(3):
        assert find(ceilings, "m").input == 1
    book.sheet = Sheet(input=Rate(2))
    assert find(ceilings, "m").input == 1
    assert find(ceilings, "m", at_ns=NOW + 60 * 10**9).input == 2
    assert len(book.asked) == 2


@pytest.mark.parametrize(("tokens", "rate"), [(0, 1), (99, 5), (32768, 5), (32769, 5)])
def test_a_tier_that_is_cheaper_again_makes_no_ceiling_lower_than_what_it_covers(tokens, rate):
    book = CountingBook(Sheet(input=Rate(1, ((98, 5), (60_000, 3)))))
    assert find(Ceilings(book), "m", input_tokens=tokens).input == rate


def test_few_are_kept_and_no_long_names(monkeypatch):
    monkeypatch.setattr(ceiling_module, "_MOST_KEPT", 8)
    ceilings = Ceilings(CountingBook(Sheet(input=Rate(1))))
    for number in range(50):
        find(ceilings, f"m{number}")
        find(ceilings, f"{number}" * 600)
    assert len(ceilings._found) == 8 and all(len(key[2]) < 512 for key in ceilings._found)
