"""Sheets: a usage is cut into disjoint parts and charged in integers, rounded once."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.call import Usage
from proxy.pricing.sheet import ATTO_PER_NANO, RATES, Rate, Sheet, convert_usd

NANO_A_TOKEN = ATTO_PER_NANO  # one nano-USD a token, so that costs read as weighted token counts


def nano(count: int, *tiers: tuple[int, int]) -> Rate:
    return Rate(count * NANO_A_TOKEN, tuple((over, rate * NANO_A_TOKEN) for over, rate in tiers))


FULL = Sheet(
    input=nano(100),
    output=nano(1000),
    cache_read=nano(10),
    cache_write=nano(125),
    cache_write_1h=nano(200),
    input_audio=nano(700),
    cache_read_audio=nano(7),
    input_image=nano(300),
    output_audio=nano(5000),
    output_image=nano(3000),
    reasoning=nano(900),
    web_search=nano(10_000_000),
    request=nano(3),
)


def test_every_part_is_charged_once_at_its_own_rate() -> None:
    usage = Usage(
        input_tokens=1000,
        cache_read_tokens=100,
        cache_read_audio_tokens=20,
        cache_write_tokens=90,
        cache_write_1h_tokens=30,
        input_audio_tokens=50,
        input_image_tokens=40,
        output_tokens=500,
        output_audio_tokens=60,
        output_image_tokens=70,
        reasoning_tokens=80,
        web_searches=2,
    )
    rest = 1000 - 20 - 80 - 30 - 60 - 30 - 40
    expected_input = rest * 100 + 80 * 10 + 20 * 7 + 60 * 125 + 30 * 200 + 30 * 700 + 40 * 300
    expected_output = (500 - 60 - 70 - 80) * 1000 + 60 * 5000 + 70 * 3000 + 80 * 900
    assert FULL.charge(usage) == expected_input + expected_output + 2 * 10_000_000 + 3


@pytest.mark.parametrize("name", ["cache_read", "cache_write", "cache_write_1h", "input_audio", "cache_read_audio", "input_image"])
def test_a_part_without_a_rate_stays_in_its_whole(name: str) -> None:
    usage = Usage(input_tokens=100, **{f"{name}_tokens": 40})
    assert Sheet(input=nano(2)).charge(usage) == 200


def test_an_hour_write_without_a_rate_is_a_plain_cache_write() -> None:
    sheet = Sheet(input=nano(2), cache_write=nano(5))
    assert sheet.charge(Usage(input_tokens=100, cache_write_tokens=40, cache_write_1h_tokens=30)) == 60 * 2 + 40 * 5


def test_a_tier_begins_above_its_threshold_and_holds_for_all_tokens() -> None:
    sheet = Sheet(input=nano(3, (200, 6), (500, 9)), output=nano(15, (200, 22)))
    assert sheet.charge(Usage(input_tokens=200, output_tokens=1)) == 200 * 3 + 15
    assert sheet.charge(Usage(input_tokens=201, output_tokens=1)) == 201 * 6 + 22
    assert sheet.charge(Usage(input_tokens=501, output_tokens=1)) == 501 * 9 + 22


def test_more_cached_than_input_charges_the_parts_as_reported_and_takes_their_tier() -> None:
    sheet = Sheet(input=nano(100), cache_read=nano(10, (200, 20)))
    assert sheet.charge(Usage(input_tokens=50, cache_read_tokens=150)) == 150 * 10
    assert sheet.charge(Usage(input_tokens=50, cache_read_tokens=250)) == 250 * 20


def test_the_last_part_counts_for_the_tier_too() -> None:
    sheet = Sheet(input=nano(1), input_image=nano(10, (200, 20)))
    assert sheet.charge(Usage(input_tokens=50, input_image_tokens=250)) == 250 * 20


def test_negative_counts_are_charged_nothing() -> None:
    assert FULL.charge(Usage(input_tokens=-5, output_tokens=-5, web_searches=-1)) == 3


def test_used_but_not_covered_is_unknown() -> None:
    assert Sheet(audio_hour=nano(1)).charge(Usage(input_tokens=10)) is None
    assert Sheet(input=nano(1)).charge(Usage(audio_seconds=3.0)) is None
    assert Sheet(input=nano(1)).charge(Usage(output_tokens=3)) is None


def test_a_sheet_without_rates_knows_no_price_at_all() -> None:
    assert Sheet().charge(Usage(input_tokens=10)) is None
    assert Sheet().charge(Usage()) is None


def test_an_explicit_zero_is_free_and_nothing_used_costs_nothing() -> None:
    assert Sheet(input=Rate(0), output=Rate(0)).charge(Usage(input_tokens=10)) == 0
    assert Sheet(input=nano(5)).charge(Usage()) == 0


def test_seconds_of_audio_are_charged_by_the_hour_and_at_least_the_least() -> None:
    sheet = Sheet(audio_hour=Rate(convert_usd(Decimal("0.36"))), least_audio_us=10_000_000)
    assert sheet.charge(Usage(audio_seconds=3600.0)) == 360_000_000
    assert sheet.charge(Usage(audio_seconds=12.345)) == 1_234_500
    assert sheet.charge(Usage(audio_seconds=0.5)) == 1_000_000


@pytest.mark.parametrize(("atto", "nano_usd"), [(0, 0), (499_999_999, 0), (500_000_000, 1), (1_499_999_999, 1), (1_500_000_000, 2)])
def test_rounds_half_up_once_at_the_end(atto: int, nano_usd: int) -> None:
    assert Sheet(output=Rate(atto)).charge(Usage(output_tokens=1)) == nano_usd


def test_halves_of_two_parts_are_added_before_rounding() -> None:
    half = Rate(ATTO_PER_NANO // 2)
    assert Sheet(input=half, output=half).charge(Usage(input_tokens=1, output_tokens=1)) == 1


def test_overlay_replaces_only_what_the_other_has() -> None:
    over = Sheet(input=nano(1), output=nano(2), least_audio_us=7).overlay(Sheet(output=nano(9)))
    assert over == Sheet(input=nano(1), output=nano(9), least_audio_us=7)


def test_convert_usd_is_exact_for_published_prices() -> None:
    assert convert_usd(Decimal("0.075"), 10**6) * 10**6 == 75 * 10**15
    assert convert_usd(Decimal("0.0833333333333333"), 10**6) == 83_333_333_333


counts = st.integers(0, 2_000_000)
token_fields = [field for field in Usage.__struct_fields__ if field.endswith("_tokens") or field == "web_searches"]
any_usage = st.builds(Usage, **dict.fromkeys(token_fields, counts), audio_seconds=st.floats())
flat_rate = st.builds(Rate, st.integers(0, 10**15))
rising_rate = st.builds(lambda base, step, over: Rate(base, ((over, base + step),)), st.integers(0, 10**15), st.integers(0, 10**15), counts)
any_sheet = st.builds(Sheet, **dict.fromkeys(RATES, st.none() | rising_rate))


@settings(deadline=None)
@given(any_sheet, any_usage)
def test_a_cost_is_a_whole_number_and_never_negative(sheet: Sheet, usage: Usage) -> None:
    cost = sheet.charge(usage)
    assert cost is None or (type(cost) is int and cost >= 0)


@settings(deadline=None)
@given(any_sheet, any_usage, st.sampled_from(["input_tokens", "output_tokens", "web_searches"]), counts)
def test_using_more_never_costs_less(sheet: Sheet, usage: Usage, field: str, more: int) -> None:
    larger = msgspec.structs.replace(usage, **{field: getattr(usage, field) + more})
    before, after = sheet.charge(usage), sheet.charge(larger)
    assert before is None or (after is not None and after >= before)


@settings(deadline=None)
@given(flat_rate, flat_rate, flat_rate, counts, counts, counts, counts, counts, counts)
def test_two_sound_usages_cost_as_much_as_their_sum(a: Rate, b: Rate, c: Rate, i: int, o: int, r: int, j: int, p: int, s: int) -> None:
    sheet = Sheet(input=a, output=b, cache_read=c)
    one, two = Usage(input_tokens=i + r, output_tokens=o, cache_read_tokens=r), Usage(input_tokens=j + s, output_tokens=p, cache_read_tokens=s)
    both = Usage(input_tokens=i + r + j + s, output_tokens=o + p, cache_read_tokens=r + s)
    assert abs(sheet.charge(one) + sheet.charge(two) - sheet.charge(both)) <= 1
