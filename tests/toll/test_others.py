"""What is known of other planes: sums by account, and what is forgotten."""

from __future__ import annotations

import pytest

from proxy.rules import Budget
from proxy.toll.ledger import Ledger
from proxy.toll.others import Others, name_account
from proxy.toll.subject import Subject
from proxy.toll.terms import Weight

NOW_NS = 1_795_251_600 * 10**9  # 2026-11-21T09:00:00Z
MINUTE_NS = 60 * 10**9


def test_the_newest_word_of_each_plane_counts() -> None:
    others = Others()
    others.hear("a", "all.usd@", 10, 5)
    others.hear("b", "all.usd@", 1, 1)
    others.hear("a", "all.usd@", 12, 0)
    (slot, _), *_ = Ledger([Budget("all", usd=1.0)]).claim(Subject("x", "up"), Weight(1), None, NOW_NS)
    assert others.sum_of(slot, NOW_NS) == (13, 1) and name_account(slot) == "all.usd@"
    assert dict(others.list_planes()) == {"a": {"all.usd@": (12, 0)}, "b": {"all.usd@": (1, 1)}}
    others.hear("b", "all.usd@", 0, 0)
    assert dict(others.list_planes())["b"] == {}
    with pytest.raises(ValueError, match="no cell"):
        others.hear("a", "nonsense", 1, 1)


def test_of_a_rolling_window_the_buckets_that_count() -> None:
    others = Others()
    claims = Ledger([Budget("r", usd=1.0, per="1h", each=["agent"])]).claim(Subject("x", "up"), Weight(1), None, NOW_NS)
    slot = claims[0][0]
    assert others.sum_of(slot, NOW_NS) == (0, 0) and name_account(slot) == "r.usd@1h?agent=x"
    bucket = NOW_NS // MINUTE_NS
    for age, amount in ((0, 1), (59, 10), (62, 100)):
        others.hear("a", f"r.usd@1h:{bucket - age}?agent=x", amount, 0)
    others.hear("a", f"r.usd@1h:{bucket}?agent=y", 1000, 0)
    assert others.sum_of(slot, NOW_NS) == (11, 0)
    assert others.sum_of(slot, NOW_NS + 10 * MINUTE_NS) == (1, 0)


def test_windows_long_past_are_forgotten() -> None:
    others = Others()
    for day in ("2026-11-01", "2026-11-02"):
        others.hear("a", f"all.usd@{day}", 10, 0 if day.endswith("1") else 5)
    others.sweep(NOW_NS)
    assert dict(others.list_planes()) == {"a": {"all.usd@2026-11-02": (10, 5)}}
