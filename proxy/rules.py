"""The operator's rules: who may call, what may be spent, how fast; and the checks that no single field can do.

    budgets      what may be spent: per account, window and unit, in a mode
    rate_limits  how much a minute, and how many at once
    headroom     the providers' own limits, learned from their headers and shared out
    reservation  how much is reserved for a call before it is known what it costs
    ledger       where spending is counted when several data planes share budgets

An account is what one budget counts for one value of its `each`: `each: [agent]` makes one for every agent, no `each` makes one for
all calls that `match`. The dimensions are those of `DIMENSIONS` and `tag:NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from proxy.document import Faults, check_name

Mode = Literal["observe", "warn", "downgrade", "enforce", "strict"]
DIMENSIONS = ("team", "agent", "task", "session", "model", "upstream", "key")
PERIODS = ("call", "hour", "day", "week", "month", "lifetime")
_ROLLING = re.compile(r"([1-9][0-9]{0,4})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_ROLLING_S = 366 * 86400
_MOST = {"usd": 1e9, "tokens": 10**15, "calls": 10**12, "unbounded_usd": 1e9}


class _Section(msgspec.Struct, frozen=True):
    pass


class Budget(_Section):
    """What the calls of an account may spend in a window: US dollars, tokens (input and output together), calls, or several of them."""

    name: str
    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None
    per: str = "lifetime"  # one of PERIODS, or rolling: 30m, 24h, 7d
    timezone: str = "UTC"  # of hour, day, week and month
    each: list[str] = []  # dimensions that have an account of their own for every value; none: one account for all
    match: dict[str, str] = {}  # dimension → name or pattern (`research-*`): only such calls
    mode: Mode = "enforce"
    downgrade: dict[str, str] = {}  # mode downgrade: model asked → cheaper model of the same dialect
    unpriced: Literal["refuse", "allow"] = "refuse"  # calls of models without a price, where `usd` is set
    unbounded_usd: float | None = None  # mode strict: reserved for a call whose cost has no bound; without it such a call is refused


class Queue(_Section):
    """Calls over a rate limit may wait for a moment instead of being refused; agents take turns."""

    length: int = 0  # calls that may wait at once; 0: none waits
    wait_s: float = 10.0


class RateLimit(_Section):
    """How much the calls of an account may do a minute, and how many of them may run at once."""

    name: str
    requests_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None
    concurrent: int | None = None
    burst_s: float = 1.0  # so many seconds' worth of the rate may come at once (at least one call may)
    each: list[str] = []
    match: dict[str, str] = {}
    queue: Queue = Queue()


class Headroom(_Section):
    """The providers' own limits, learned from their rate-limit headers, shared out among the agents before they are hit."""

    share: bool = False
    wait_s: float = 20.0  # how long a call may be held back for them before it is refused


class Reserving(_Section):
    """How much is reserved for a call that runs under a budget."""

    output_tokens: int = 16384  # where the caller set no maximum and nothing was learned of its agent and model
    input_margin: float = 1.1  # over the estimate of the prompt's tokens
    least_output_tokens: int = 64  # an answer shorter than this is of no use: refuse the call rather than cap it so low


class Ledger(_Section):
    """Where spending is counted. Without `redis` one data plane counts for itself."""

    redis: str | None = None  # redis://host:6379/0 or env:NAME with such a URL: budgets shared by several data planes
    plane: str | None = None  # this data plane's name among them; default: made once and kept in the state folder
    timeout_s: float = 0.05  # how long Redis may be silent while a decision waits for it
    away: Literal["refuse", "share"] = "refuse"  # while Redis does not answer: refuse, or go on with a share of what was left
    share: float = 0.0  # of what was left when Redis last answered; over all data planes at most 1


class Key(_Section):
    """A virtual key: it names who calls, and what that caller may spend. Only its SHA-256 is kept."""

    sha256: str
    agent: str | None = None
    team: str | None = None
    id: str | None = None  # default: the first 8 digits of the sha256
    tags: dict[str, str] = {}
    expires: str | None = None  # 2026-12-31 or 2026-12-31T12:00:00Z
    usd: float | None = None  # the key's own budget, enforced
    tokens: int | None = None
    calls: int | None = None
    per: str = "lifetime"

    @property
    def name(self) -> str:
        return self.id or self.sha256[:8]


def read_period(per: str) -> float | None:
    """Seconds of a rolling window (`24h`); None for one of `PERIODS`. Raises ValueError for what is neither."""
    if per in PERIODS:
        return None
    found = _ROLLING.match(per)
    if not found or int(found[1]) * _SECONDS[found[2]] > _MOST_ROLLING_S:
        raise ValueError(per)
    return float(int(found[1]) * _SECONDS[found[2]])


def read_moment(text: str) -> int:
    """Nanoseconds since the epoch of `2026-12-31` (its end, UTC) or `2026-12-31T12:00:00Z`. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if len(text) == 10:
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999999)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo("UTC"))
    return int(moment.timestamp() * 1_000_000) * 1000


def check_rules(
    budgets: list[Budget], rate_limits: list[RateLimit], headroom: Headroom, reserving: Reserving, ledger: Ledger, faults: Faults
) -> None:
    """Add what is wrong with the rules to `faults`. A value that was at fault may be None."""
    for section, rules in (("budgets", budgets), ("rate_limits", rate_limits)):
        seen: set[str] = set()
        for index, rule in enumerate(rules):
            path = f"{section}[{index}]"
            check_name(rule.name, seen, f"{path}.name", faults)
            if rule.name in ("key", "task"):
                faults.add(f"{path}.name", "this name is kept for the budgets of keys and tasks themselves; choose another")
            _check_dimensions(path, rule, faults)
    for index, budget in enumerate(budgets):
        _check_budget(f"budgets[{index}]", budget, faults)
    for index, limit in enumerate(rate_limits):
        _check_rate_limit(f"rate_limits[{index}]", limit, faults)
    if headroom.wait_s < 0:
        faults.add("headroom.wait_s", "expected 0 or more seconds")
    if reserving.output_tokens < 1:
        faults.add("reservation.output_tokens", "must be greater than 0")
    if not 1 <= reserving.input_margin <= 10:
        faults.add("reservation.input_margin", "expected 1 to 10, such as 1.1")
    if reserving.least_output_tokens < 1:
        faults.add("reservation.least_output_tokens", "must be greater than 0")
    if not 0.001 <= ledger.timeout_s <= 10:
        faults.add("ledger.timeout_s", "expected 0.001 to 10 seconds")
    if not 0 <= ledger.share <= 1:
        faults.add("ledger.share", "expected 0 to 1; over all data planes at most 1")


def _check_dimensions(path: str, rule: Budget | RateLimit, faults: Faults) -> None:
    for index, dimension in enumerate(rule.each or ()):
        if not is_dimension(dimension or ""):
            faults.add(f"{path}.each[{index}]", f"expected one of {', '.join(DIMENSIONS)} or tag:NAME")
    for dimension in rule.match or ():
        if not is_dimension(dimension):
            faults.add(f"{path}.match.{dimension}", f"expected one of {', '.join(DIMENSIONS)} or tag:NAME")


def _check_any(path: str, rule: Budget | RateLimit, fields: tuple[str, ...], faults: Faults) -> None:
    if all(getattr(rule, field) is None and not faults.is_spoiled(f"{path}.{field}") for field in fields):
        faults.add(path, f"limits nothing; set at least one of {', '.join(f'`{field}`' for field in fields)}")


def is_dimension(word: str) -> bool:
    """Whether budgets and limits can be kept by it."""
    return word in DIMENSIONS or (word.startswith("tag:") and len(word) > 4)


def _check_budget(path: str, budget: Budget, faults: Faults) -> None:
    _check_any(path, budget, ("usd", "tokens", "calls"), faults)
    check_amounts(path, {field: getattr(budget, field) for field in _MOST}, faults)
    check_per(f"{path}.per", budget.per, faults)
    try:
        ZoneInfo(budget.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        faults.add(f"{path}.timezone", "is no time zone; expected a name such as Europe/Berlin")
    if (budget.mode == "downgrade") != bool(budget.downgrade):
        faults.add(f"{path}.downgrade", "goes with `mode: downgrade`: which model is asked → which cheaper one of the same dialect is to answer")
    if budget.unbounded_usd is not None and budget.mode != "strict":
        faults.add(f"{path}.unbounded_usd", "goes with `mode: strict`; the other modes let such calls run on their estimate")


def check_amounts(path: str, amounts: Mapping[str, float | None], faults: Faults) -> None:
    """Add a fault for each amount (`usd`, `tokens`, `calls`, `unbounded_usd`) that no budget can have. None is no amount."""
    for field, number in amounts.items():
        if number is not None and not 0 <= number < _MOST[field]:
            faults.add(f"{path}.{field}" if path else field, f"expected 0 or more, and less than {_MOST[field]:.0f}")


def check_per(path: str, per: str | None, faults: Faults) -> None:
    """Add a fault where `per` is no window."""
    try:
        read_period(per or "")
    except ValueError:
        faults.add(path, f"expected one of {', '.join(PERIODS)}, or a rolling time such as 30m, 24h or 7d (at most 366d)")


def _check_rate_limit(path: str, limit: RateLimit, faults: Faults) -> None:
    fields = ("requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute", "concurrent")
    _check_any(path, limit, fields, faults)
    for field in fields:
        number = getattr(limit, field)
        if number is not None and not 0 < number < 1e12:
            faults.add(f"{path}.{field}", "must be greater than 0; to let nothing through, use `weighbridge pause`")
    if not 0 <= limit.burst_s <= 3600:
        faults.add(f"{path}.burst_s", "expected 0 to 3600 seconds")
    if not 0 <= limit.queue.length <= 100_000:
        faults.add(f"{path}.queue.length", "expected 0 to 100000 calls")
    if not 0 < limit.queue.wait_s <= 3600:
        faults.add(f"{path}.queue.wait_s", "expected more than 0 and at most 3600 seconds")


def check_keys(keys: list[Key], faults: Faults) -> None:
    """Add what is wrong with the keys of a config to `faults`."""
    seen: set[str] = set()
    for index, key in enumerate(keys):
        path = f"identity.keys[{index}]"
        if not re.fullmatch(r"[0-9a-f]{64}", key.sha256 or ""):
            faults.add(f"{path}.sha256", "expected 64 lower-case hexadecimal digits (printf %s KEY | sha256sum)")
        elif key.sha256 in seen:
            faults.add(f"{path}.sha256", "stands here twice; keep one")
        seen.add(key.sha256)
        if key.agent is None and key.team is None:
            faults.add(path, "names nobody; set `agent`, `team` or both")
        check_amounts(path, {field: getattr(key, field) for field in ("usd", "tokens", "calls")}, faults)
        check_per(f"{path}.per", key.per, faults)
        try:
            read_moment(key.expires or "2026-01-01")
        except ValueError:
            faults.add(f"{path}.expires", "expected a date or time such as 2026-12-31 or 2026-12-31T12:00:00Z")
