"""The provider's bill: what every call was reserved, charged and billed, and the laws that bind a ledger to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from proxy.rules import Budget
from proxy.toll.cells import read_cell_id
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Weight
from proxy.toll.windows import Windows, read_name

ACTUAL = ("nothing", "half", "same", "more")
Amounts = dict[str, int]
_HOUR_NS = 3600 * 10**9


def make_budgets(all_usd: int, agent_usd: int) -> list[Budget]:
    """Limits in nano-USD; the tokens of a call are a tenth of its nano-USD."""
    return [
        Budget("all", usd=all_usd / 1e9),
        Budget("agent", usd=agent_usd / 1e9, each=["agent"]),
        Budget("agent-day", tokens=agent_usd // 20, calls=9, per="day", timezone="Asia/Kolkata", each=["agent"]),
        Budget("rolling", usd=agent_usd / 2e9, per="2h", each=["model"]),
        Budget("bound", usd=all_usd / 1e9, per="6h", mode="strict"),
        Budget("seen", usd=1e-9, each=["agent", "model"], mode="observe"),
    ]


class Call:
    """One admitted call."""

    def __init__(self, id: str, subject: Subject, at_ns: int, estimate: int, reserved: Amounts) -> None:
        self.id = id
        self.subject = subject
        self.at_ns = at_ns
        self.estimate = estimate
        self.reserved = reserved
        self.charged: Amounts | None = None  # by its own line or by presumption; None: it runs
        self.corrected: Amounts = {}  # what it is charged after all corrections
        self.billed = Weight(0, 0, 0)

    @property
    def is_running(self) -> bool:
        return self.charged is None

    def end(self, charged: Amounts) -> None:
        self.charged, self.corrected = charged, charged

    def cost(self, kind: str) -> Weight:
        """What the provider may bill: never more than the bound, which is four times the estimate."""
        if kind == "nothing":
            return Weight(0, 0, 0)
        usd = {"half": self.estimate // 2, "same": self.estimate, "more": self.estimate * 3}[kind]
        return Weight(usd, usd // 10, 1)


def amount_in(cell: str, weight: Weight) -> int:
    """A weight in the unit of a cell."""
    return {"usd": weight.nano_usd or 0, "tokens": weight.tokens, "calls": weight.calls}[read_cell_id(cell).unit]


def expect_cells(calls: Iterable[Call], corrections: list[Amounts]) -> dict[str, tuple[int, int]]:
    """cell → (spent, reserved): the sum over all calls."""
    spent: Amounts = {}
    reserved: Amounts = {}
    for call in calls:
        for cell, amount in (call.reserved if call.is_running else call.charged or {}).items():
            kept = reserved if call.is_running else spent
            kept[cell] = kept.get(cell, 0) + amount
    for adjusted in corrections:
        for cell, amount in adjusted.items():
            spent[cell] = spent.get(cell, 0) + amount
    return {cell: (spent.get(cell, 0), reserved.get(cell, 0)) for cell in {**spent, **reserved}}


def check_cells(ledger: Ledger, expected: dict[str, tuple[int, int]], latest_ns: int) -> None:
    """I3: each cell holds exactly the sum of its calls. What was spent in windows long past may be forgotten."""
    found = {cell.id: (cell.spent, cell.reserved) for cell in ledger.cells}
    for cell in {**found, **expected}:
        kept_until_ns = read_name(read_cell_id(cell).window).kept_until_ns
        is_past = kept_until_ns is not None and kept_until_ns <= latest_ns
        have, want = found.get(cell, (0, 0)), expected.get(cell, (0, 0))
        assert have[1] == want[1], f"I3: {have[1]} is reserved in {cell}, not {want[1]}"
        assert is_past or have[0] == want[0], f"I3: {have[0]} is spent in {cell}, not {want[0]}"


def check_levels(ledger: Ledger) -> None:
    """I6: an account is the sum of the accounts below it."""
    for above, below in (("all", "agent"), ("agent", "seen")):
        sums: dict[str, list[int]] = {}
        for cell in ledger.cells:
            name = read_cell_id(cell.id)
            if name.budget in (above, below):
                agent = name.scope.get("agent", "") if above == "agent" else ""
                sums.setdefault(agent, [0, 0])
                sign = 1 if name.budget == above else -1
                sums[agent][0] += sign * cell.spent
                sums[agent][1] += sign * cell.reserved
        assert all(sum == [0, 0] for sum in sums.values()), f"I6: {above} is not the sum of {below}: off by {sums}"


def check_bills(calls: list[Call], highest: tuple[int, int], now_ns: int, clock_was_set_back: bool) -> None:
    """I1 and I2, by what the provider billed, in every account and window; what runs counts as reserved."""
    day = Windows("day", "Asia/Kolkata")
    all_usd, agent_usd = highest
    _check(calls, "all", "usd", all_usd, lambda call: ())
    _check(calls, "agent", "usd", agent_usd, lambda call: (call.subject.agent,))
    for unit, limit in (("tokens", agent_usd // 20), ("calls", 9)):
        _check(calls, "agent-day", unit, limit, lambda call: (call.subject.agent, day.at(call.at_ns).name))
    if not clock_was_set_back:
        two_hours = [call for call in calls if call.at_ns > now_ns - 2 * _HOUR_NS]
        six_hours = [call for call in calls if call.at_ns > now_ns - 6 * _HOUR_NS]
        _check(two_hours, "rolling", "usd", agent_usd // 2, lambda call: (call.subject.model,))
        _check(six_hours, "bound", "usd", all_usd, lambda call: (), strict=True)


def _check(calls: list[Call], budget: str, unit: str, limit: int, account: Callable[[Call], tuple], strict: bool = False) -> None:
    sums: dict[tuple, list[int]] = {}
    for call in calls:
        cell = next(cell for cell in call.reserved if cell.startswith(f"{budget}.{unit}@"))
        total = sums.setdefault(account(call), [0, 0])
        reserved, billed = call.reserved[cell], amount_in(cell, call.billed)
        total[0] += reserved if call.is_running else billed
        total[1] += 0 if call.is_running or strict else max(0, billed - reserved)
    for names, (billed, more) in sums.items():
        assert billed <= limit + more, f"{'I2' if strict else 'I1'}: {billed} was billed or is reserved of {limit} + {more} in {budget} {names}"
