"""Shelves: the book's own order decides between an equal name and a pattern; time and context choose the sheet."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.pricing.match import Clause, Constraint
from proxy.pricing.sheet import Rate, Sheet
from proxy.pricing.shelf import FORMAT, ModelEntry, Shelf, Variant, current_version, is_current, read_version

CHEAP, DEAR, NIGHT = Sheet(input=Rate(1)), Sheet(input=Rate(9)), Sheet(input=Rate(0))


def entry(name: str, *, equals: tuple[str, ...] = (), patterns: tuple[Clause, ...] = ()) -> ModelEntry:
    return ModelEntry(id=name, prices=((None, CHEAP),), equals=equals, patterns=patterns)


def test_the_first_entry_that_matches_wins_be_it_by_name_or_pattern() -> None:
    early = entry("early", patterns=(Clause("starts_with", "gpt"),))
    named = entry("named", equals=("gpt-5", "other"))
    late = entry("late", patterns=(Clause("contains", "o"),))
    shelf = Shelf([early, named, late])
    assert shelf.find("gpt-5") is early
    assert shelf.find("other") is named
    assert shelf.find("foo") is late
    assert shelf.find("bar") is None


def test_the_last_price_that_holds_counts_and_else_the_first() -> None:
    dated = ModelEntry(id="m", prices=((Constraint(from_day=5), CHEAP), (Constraint(from_day=10), DEAR), (Constraint(minutes=(0, 60)), NIGHT)))
    assert not dated.timeless
    assert dated.select(3 * 1440 + 90, {}) is CHEAP
    assert dated.select(7 * 1440 + 90, {}) is CHEAP
    assert dated.select(12 * 1440 + 90, {}) is DEAR
    assert dated.select(12 * 1440 + 30, {}) is NIGHT


def test_a_variant_needs_all_of_its_context_and_the_first_of_two_wins() -> None:
    variants = (
        Variant({"service_tier": "flex"}, None, Sheet(input=Rate(2))),
        Variant({"processing": "batch"}, Constraint(from_day=10), Sheet(input=Rate(3), output=Rate(4))),
    )
    model = ModelEntry(id="m", prices=((None, Sheet(input=Rate(8), output=Rate(8))),), variants=variants)
    assert not model.timeless
    assert model.select(0, {"service_tier": "flex"}) == Sheet(input=Rate(2), output=Rate(8))
    assert model.select(0, {"processing": "batch"}) == Sheet(input=Rate(8), output=Rate(8))
    assert model.select(20 * 1440, {"processing": "batch"}) == Sheet(input=Rate(3), output=Rate(4))
    assert model.select(20 * 1440, {"processing": "batch", "service_tier": "flex"}) == Sheet(input=Rate(2), output=Rate(4))
    assert model.select(20 * 1440, {"service_tier": "priority"}) == Sheet(input=Rate(8), output=Rate(8))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": "x"}', b'{"format": 0, "version": "x"}'])
def test_a_file_that_is_no_book_has_no_version(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "prices.json"
    path.write_bytes(content)
    assert read_version(path) is None
    assert not is_current(path)


def test_a_book_of_another_version_is_not_current(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(f'{{"format": {FORMAT}, "version": "genai-prices 0.0.1"}}')
    assert read_version(path) == "genai-prices 0.0.1"
    assert not is_current(path)
    path.write_text(f'{{"format": {FORMAT}, "version": "{current_version()}"}}')
    assert is_current(path)
