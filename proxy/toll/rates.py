"""The operator's rate limits: requests and tokens a minute, and calls at once, all or nothing over every limit a call concerns.

Rates are kept by the generic cell rate algorithm: one moment per rate, at which all that was taken will have been made up for. A call
may go when its cost ends within the burst; one that costs about the burst or more, when no more than its cost or the burst is owed, for
else the time between a call that may go and the next one that comes would be lost. A call takes its estimate, scaled by how much of
such estimates came true lately, and is corrected to its actual figures when it ends: what it took too little is owed.
"""

from __future__ import annotations

from itertools import count

import msgspec

from proxy.rules import RateLimit
from proxy.toll.line import Line, Wait
from proxy.toll.ratio import Ratio
from proxy.toll.shelf import Shelf
from proxy.toll.subject import Subject, make_picker

_MINUTE_NS = 60_000_000_000
_UNKNOWN_NS = 1_000_000_000  # how long a call runs, before one has ended
REQUESTS, INPUT, OUTPUT = 0, 1, 2
_UNITS = ("requests", "input_tokens", "output_tokens")
_ONE_REQUEST = (1, 0, 0)
_ranks = count()


class Limit:
    """A rate limit, ready to be asked. A change of its figures leaves what was counted as it is."""

    def __init__(self, rule: RateLimit) -> None:
        self.rank = next(_ranks)
        self.accounts: Shelf[tuple[str, ...], Account] = Shelf()
        self.pick = make_picker(rule.each, rule.match)
        self.change(rule)

    def change(self, rule: RateLimit) -> None:
        """Take on new figures; `each` and `match` are as they were."""
        self.rule = rule
        rates = (rule.requests_per_minute, rule.input_tokens_per_minute, rule.output_tokens_per_minute)
        self.rates: tuple[tuple[int, float], ...] = tuple((unit, _MINUTE_NS / rate) for unit, rate in enumerate(rates) if rate is not None)
        self.has_tokens = any(unit != REQUESTS for unit, _ in self.rates)
        self.concurrent = rule.concurrent
        self.burst_ns = int(rule.burst_s * 1e9)

    def open(self, names: tuple[str, ...]) -> Account:
        """The account of these names, made if need be."""
        account = self.accounts.get(names)
        if account is None:
            account = Account(self, names)
            self.accounts.put(names, account)
        return account


class Account:
    """What was counted of one limit for one set of names."""

    __slots__ = ("due_ns", "limit", "line", "mean_ns", "names", "ratios", "running")

    def __init__(self, limit: Limit, names: tuple[str, ...]) -> None:
        self.limit = limit
        self.names = names
        self.due_ns = [0, 0, 0]  # by unit: when all that was taken will have been made up for
        self.ratios = (Ratio(), Ratio(), Ratio())
        self.running = 0
        self.mean_ns = 0.0  # how long its calls ran, lately
        self.line: Line | None = None

    def is_busy(self, now_ns: int) -> bool:
        return bool(self.running or max(self.due_ns) > now_ns or (self.line is not None and self.line.count))

    def weigh(self, input_tokens: int, output_tokens: int) -> tuple[int, int, int]:
        """What a call takes of each unit."""
        if not self.limit.has_tokens:
            return _ONE_REQUEST
        taken_in, taken_out = int(input_tokens * self.ratios[INPUT].value), int(output_tokens * self.ratios[OUTPUT].value)
        return (1, taken_in or min(input_tokens, 1), taken_out or min(output_tokens, 1))

    def find_wait(self, taken: tuple[int, int, int], now_ns: int, passed: int) -> Wait | None:
        """What holds a call of this weight back; None: nothing."""
        limit, line = self.limit, self.line
        held, ready_ns = -1, now_ns
        for unit, interval_ns in limit.rates:
            due_ns = self.due_ns[unit]
            if due_ns > ready_ns and taken[unit]:
                cost_ns, burst_ns = taken[unit] * interval_ns, limit.burst_ns
                spare_ns = burst_ns if cost_ns >= burst_ns else max(burst_ns - cost_ns, cost_ns)
                if due_ns - spare_ns > ready_ns:
                    held, ready_ns = unit, due_ns - int(spare_ns)
        if limit.concurrent is not None and self.running >= limit.concurrent:
            return self._wait_for_end(now_ns, ready_ns if held >= 0 else now_ns)
        if held < 0:
            if line is None or not line.count or line.rank <= passed:
                return None
            held = limit.rates[0][0] if limit.rates else -1
            if held < 0:
                return self._wait_for_end(now_ns, now_ns)
        after_s = (ready_ns - now_ns) / 1e9
        earliest_s = 0.0 if self.running and held != REQUESTS else after_s  # running calls may give tokens back
        return self._make_wait("policy_rate_limited", _UNITS[held], _MINUTE_NS / dict(limit.rates)[held], after_s, earliest_s)

    def _wait_for_end(self, now_ns: int, ready_ns: int) -> Wait:
        limit, waiting = self.limit, self.line.count if self.line is not None else 0
        assert limit.concurrent is not None
        after_ns = (self.mean_ns or _UNKNOWN_NS) * (waiting + 1) / limit.concurrent
        return self._make_wait("policy_too_many_running", "calls", limit.concurrent, max(after_ns, ready_ns - now_ns) / 1e9, 0.0)

    def _make_wait(self, refusal: str, unit: str, bound: float, after_s: float, earliest_s: float) -> Wait:
        rule = self.limit.rule
        if self.line is None:
            self.line = Line(rule.queue, self.limit.rank)
        self.line.queue = rule.queue
        scope = dict(zip(rule.each, self.names, strict=True))
        return Wait(refusal, rule.name, unit, bound, scope, after_s, earliest_s, self.line)

    def take(self, taken: tuple[int, int, int], now_ns: int) -> None:
        self.running += 1
        due_ns = self.due_ns
        for unit, interval_ns in self.limit.rates:
            due_ns[unit] = (due_ns[unit] if due_ns[unit] > now_ns else now_ns) + int(taken[unit] * interval_ns)

    def come_true(self, unit: int, taken: int, estimated: int, actual: int | None) -> None:
        """A call that was estimated at so many tokens used so many; None: not known."""
        if actual is not None:
            self.correct(unit, actual - taken)
            if actual and estimated:
                self.ratios[unit].learn(estimated, actual)

    def correct(self, unit: int, difference: int) -> None:
        """What was taken changes by this much."""
        for known, interval_ns in self.limit.rates:
            if known == unit:
                self.due_ns[unit] += int(difference * interval_ns)
                return


class Entry(msgspec.Struct):
    """A call that is in, and what it took of each account."""

    started_ns: int
    input_tokens: int
    output_tokens: int
    claims: list[tuple[Account, tuple[int, int, int]]]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How one account of a limit stands in one unit; `limit` is a minute, or at once for `calls`."""

    name: str
    scope: dict[str, str]
    unit: str
    limit: float
    left: float  # what could be taken now; below 0: owed
    running: int
    waiting: int


class Rates:
    """All rate limits. Not for several threads."""

    def __init__(self, limits: list[RateLimit]) -> None:
        self._limits: list[Limit] = []
        self._entries: dict[str, Entry] = {}
        self.configure(limits)

    @property
    def is_empty(self) -> bool:
        """Whether there is no limit and no call to come to an end."""
        return not self._limits and not self._entries

    def configure(self, limits: list[RateLimit]) -> None:
        """Take on other limits. Those of the same name, `each` and `match` keep what they counted."""
        known = {_identify(limit.rule): limit for limit in self._limits}
        found = []
        for rule in limits:
            limit = known.get(_identify(rule))
            if limit is None:
                limit = Limit(rule)
            else:
                limit.change(rule)
            found.append(limit)
        self._limits = found

    def take(self, id: str, subject: Subject, input_tokens: int, output_tokens: int, now_ns: int, passed: int = -1) -> Wait | None:
        """Let a call in, or say what would hold it longest: then nothing was taken. Lines of a rank up to `passed` are passed by."""
        claims, longest = [], None
        for limit in self._limits:
            names = limit.pick(subject)
            if names is None:
                continue
            account = limit.open(names)
            taken = account.weigh(input_tokens, output_tokens)
            wait = account.find_wait(taken, now_ns, passed)
            if wait is not None and (longest is None or wait.after_s > longest.after_s):
                longest = wait
            claims.append((account, taken))
        if longest is not None:
            return longest
        if claims:
            for account, taken in claims:
                account.take(taken, now_ns)
            self._entries[id] = Entry(now_ns, input_tokens, output_tokens, claims)
        return None

    def settle(self, id: str, input_tokens: int | None, output_tokens: int | None, now_ns: int) -> list[Line]:
        """A call has ended: correct what it took to its actual tokens (None: not known, it took its estimate). Idempotent.

        Returns the lines in which somebody may now be let in.
        """
        entry = self._entries.pop(id, None)
        if entry is None:
            return []
        for account, taken in entry.claims:
            account.running -= 1
            account.mean_ns += (now_ns - entry.started_ns - account.mean_ns) / 16 if account.mean_ns else now_ns - entry.started_ns
            if account.limit.has_tokens:
                account.come_true(INPUT, taken[INPUT], entry.input_tokens, input_tokens)
                account.come_true(OUTPUT, taken[OUTPUT], entry.output_tokens, output_tokens)
        return _find_lines(entry)

    def withdraw(self, id: str) -> list[Line]:
        """A call that was let in is not sent after all: as if it had not come. Idempotent. Returns lines as `settle` does."""
        entry = self._entries.pop(id, None)
        if entry is None:
            return []
        for account, taken in entry.claims:
            account.running -= 1
            for unit, amount in enumerate(taken):
                account.correct(unit, -amount)
        return _find_lines(entry)

    def states(self, now_ns: int) -> list[Standing]:
        """How all accounts stand that were used lately."""
        return [standing for limit in self._limits for account in limit.accounts.values() for standing in _describe(account, now_ns)]

    def count_running(self) -> dict[str, int]:
        """Running calls by the names of the limits that count them."""
        running = {limit.rule.name: 0 for limit in self._limits}
        for entry in self._entries.values():
            for account, _ in entry.claims:
                name = account.limit.rule.name
                running[name] = running.get(name, 0) + 1
        return running

    def sweep(self, now_ns: int) -> None:
        """Forget some of the accounts that are idle."""
        for limit in self._limits:
            limit.accounts.sweep(now_ns)


def _identify(rule: RateLimit) -> tuple:
    return (rule.name, tuple(rule.each), tuple(sorted(rule.match.items())))


def _find_lines(entry: Entry) -> list[Line]:
    return [account.line for account, _ in entry.claims if account.line is not None and account.line.count]


def _describe(account: Account, now_ns: int) -> list[Standing]:
    limit, found = account.limit, []
    scope = dict(zip(limit.rule.each, account.names, strict=True))
    waiting = account.line.count if account.line is not None else 0
    owed_ns = [max(due_ns - now_ns, 0) for due_ns in account.due_ns]
    rows = [(_UNITS[unit], _MINUTE_NS / each, (max(limit.burst_ns, each) - owed_ns[unit]) / each) for unit, each in limit.rates]
    if limit.concurrent is not None:
        rows.append(("calls", limit.concurrent, limit.concurrent - account.running))
    for unit, bound, left in rows:
        found.append(Standing(name=limit.rule.name, scope=scope, unit=unit, limit=bound, left=left, running=account.running, waiting=waiting))
    return found
