"""Money over several attempts: what failed costs nothing, what was given up is paid, and the ledger is the sum of the records, also after a kill."""

import random
import time

import pytest

from proxy.routes import Fallback, Retry
from proxy.rules import Budget, RateLimit
from proxy.toll.follow import Follower
from proxy.toll.ledger import Ledger
from tests.dataplane.paying import COST, answer
from tests.dataplane.routing import BUSY, SOON, Upstreams, call
from tests.dataplane.test_attempt import EMPTY
from tests.dataplane.test_carrier import hang_up, hold

BUDGETS = [
    Budget("all", usd=1.0), Budget("tokens", tokens=100_000), Budget("calls", calls=1000),
    Budget("each", usd=1.0, each=["upstream", "model"], per="day"),
]  # fmt: skip
EMPTY_COST = 40 * 2000


def spent(ledger):
    return {cell.id: (cell.spent, cell.reserved) for cell in ledger.cells if cell.spent or cell.reserved}


def check(site, folder):
    """The live ledger is the sum of the records, nothing is left reserved, and the journal folds to the same."""
    sums: dict[str, int] = {}
    for record in site.events("call"):
        for cell, amount in record.get("charged", {}).items():
            sums[cell] = sums.get(cell, 0) + amount
    live = spent(site.plane._ledger)
    assert live == {cell: (amount, 0) for cell, amount in sums.items() if amount}
    folded = Ledger(BUDGETS)
    Follower(folder / "journal", folded).recover()
    assert spent(folded) == live
    return live


def test_what_failed_costs_nothing_and_the_call_counts_once(run, tmp_path):
    up = Upstreams((BUSY, b""), answer(40, 60))

    async def script(site):
        assert (await call(site))[0] == 200
        record = await site.record()
        assert record["cost_nano_usd"] == COST
        assert check(site, tmp_path)["calls.calls@"] == (1, 0)

    hold(run, tmp_path, {"up": up}, {"up": {"retry": SOON}}, script, budgets=BUDGETS)


def test_a_fallback_is_paid_under_its_own_name_and_price(run, tmp_path):
    up, other = Upstreams((BUSY, b"")), Upstreams(answer(40, 60, "cheap"))
    sections = {"up": {"retry": SOON, "fallbacks": [Fallback("other", {"m": "cheap"})]}}

    async def script(site):
        assert (await call(site))[0] == 200
        record = await site.record()
        assert (record["attempts"], record["cost_nano_usd"]) == (4, COST // 10)
        cells = check(site, tmp_path)
        assert [cell.partition("?")[2] for cell in cells if "?" in cell] == ["upstream=other&model=cheap"]
        assert {amount for cell, (amount, _) in cells.items() if "usd" in cell} == {COST // 10}

    hold(run, tmp_path, {"up": up, "other": other}, sections, script, budgets=BUDGETS)


def test_what_is_given_up_is_paid(run, tmp_path):
    up = Upstreams(EMPTY, answer(40, 60))

    async def script(site):
        assert (await call(site))[0] == 200
        await site.record(2)
        apart, record = site.events("call")
        assert (apart["cost_nano_usd"], record["cost_nano_usd"]) == (EMPTY_COST, COST)
        cells = check(site, tmp_path)
        assert cells["calls.calls@"] == (2, 0) and cells["all.usd@"] == (COST + EMPTY_COST, 0)

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(when=["empty"], backoff_s=0)}}, script, budgets=BUDGETS)


def test_a_budget_that_ends_between_two_attempts_ends_the_call(run, tmp_path):
    up = Upstreams(EMPTY, answer(40, 60))

    async def script(site):
        status, fields, _ = await call(site)
        assert (status, fields["x-weighbridge-error"]) == (402, "policy_budget_exhausted")
        await site.record(2)
        assert check(site, tmp_path)["one.calls@"] == (1, 0)

    budgets = [Budget("one", calls=1)]
    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(when=["empty"], backoff_s=0)}}, script, budgets=budgets)


@pytest.mark.parametrize("seed", range(6))
def test_any_mix_of_endings_adds_up(run, tmp_path, seed):
    draw = random.Random(seed)
    replies = [(BUSY, b""), (b"500 Oh", b""), (b"429 Slow", b""), (b"400 Bad", b""), EMPTY, EMPTY[:-5], answer(40, 60), answer(7, 3), hang_up]
    up = Upstreams(*draw.choices(replies, k=60))
    other = Upstreams(*[reply for reply in draw.choices(replies, k=60) if reply is not hang_up])
    words = ["overloaded", "server_error", "rate_limited", "empty", "truncated", "cut"]
    sections = {
        "up": {
            "retry": Retry(attempts=2, when=words, backoff_s=0, least=99, unknown_fate=seed % 2 == 0),
            "fallbacks": [Fallback("other", {"m": "cheap"}, words), Fallback("nowhere", {}, words)],
        }
    }

    async def script(site):
        for _ in range(25):
            await call(site)
        await site.record(25)
        check(site, tmp_path)
        calls = [one for one in site.events("call") if "attempt_of" not in one]
        assert len(calls) == 25 and {one["attempt_of"] for one in site.events("call") if "attempt_of" in one} <= {one["id"] for one in calls}
        assert site.plane.traffic.opened == site.plane._settler.settled
        assert [one.running for one in site.plane._gate.states(time.time_ns())] == [0]

    scripts = {"up": up, "other": other, "nowhere": None}
    hold(run, tmp_path, scripts, sections, script, budgets=BUDGETS, rate_limits=[RateLimit("most", concurrent=3)])


@pytest.mark.parametrize("moment", ["during the second attempt", "during the third"])
def test_after_a_kill_what_is_reserved_now_is_presumed_spent_and_nothing_else(run, tmp_path, moment):
    """What the journal says at that moment, read as after a crash."""
    found = []

    async def look(exchange):
        folded = Ledger(BUDGETS)
        Follower(tmp_path / "journal", folded).catch_up()
        found.append((spent(folded), spent(plane[0]._ledger)))
        await exchange.reply(answer(40, 60))

    plane = []
    if moment == "during the second attempt":
        scripts, retry = {"up": Upstreams(EMPTY, look), "other": Upstreams()}, Retry(when=["empty"], backoff_s=0)
    else:
        scripts, retry = {"up": Upstreams(EMPTY, (BUSY, b"")), "other": Upstreams(look)}, Retry(attempts=2, when=["empty"], backoff_s=0)

    async def script(site):
        plane.append(site.plane)
        assert (await call(site))[0] == 200
        await site.record(2)
        check(site, tmp_path)

    hold(run, tmp_path, scripts, {"up": {"retry": retry, "fallbacks": [Fallback("other", {"m": "cheap"})]}}, script, budgets=BUDGETS)
    folded, live = found[0]
    assert folded == live and folded["all.usd@"][0] == EMPTY_COST and folded["all.usd@"][1] > 0
