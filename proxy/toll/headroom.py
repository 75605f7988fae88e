"""The providers' own limits, learned from their answers: calls are held back before a provider would refuse them.

Known are, for each upstream, credential and model, the limits that the newest headers told, less every call let in since the request that
they answer was sent. What a provider counts as tokens of a call is learned from what they used and, of a bucket,
by comparing two answers with what was sent between them.
After a 429 nobody is sent until the wait it asks for is over; where a provider tells no limits, fewer calls run at once for a while.
"""

from __future__ import annotations

from collections import deque

import msgspec

from proxy.call import RateLimits
from proxy.rules import Headroom as Rule
from proxy.rules import Queue
from proxy.toll.allowance import Allowance
from proxy.toll.line import Line, Wait
from proxy.toll.ratio import Ratio
from proxy.toll.shelf import Shelf

_RANK = 1 << 62  # its lines come after those of all rate limits
_WAITING = 1000  # calls that may wait for one provider's limit
_MOST_KNOWN = 10_000  # upstream, credential and model together
_MARGIN_NS = 200_000_000  # calls let in within this of another may reach the provider before it
_CAUTION = 1.15  # the provider may count more tokens of a call than we think; its next answer tells
_REMEMBERED_NS = 120_000_000_000  # headers older than the answers of two minutes are of no use
_LONGEST_BLOCK_S = 3600.0
_LONGEST_BACKOFF_S = 16.0
_FORGIVEN_NS = 30_000_000_000  # after a backoff: the next one begins anew

Name = tuple[str, str | None, str | None]  # upstream, credential's hash, model


class Sending(msgspec.Struct):
    """A call that was let in. `tokens` is our estimate; both are 0 when it was not sent after all."""

    at_ns: int
    requests: int
    tokens: int
    is_counted: bool = True  # among the sendings since the newest headers


_NOTHING = Sending(0, 0, 0)


class Known:
    """What is known of the limits of one upstream, credential and model."""

    __slots__ = (
        "_sendings", "_sent_requests", "_sent_tokens", "_strikes", "_told_ns", "_told_tokens", "at_once", "blocked_ns", "line", "name", "ratio",
        "requests", "running", "tokens",
    )  # fmt: skip

    def __init__(self, name: Name, line: Line) -> None:
        self.name = name
        self.line = line
        self.requests = Allowance()
        self.tokens = Allowance()
        self.ratio = Ratio()  # the provider's count of tokens to our estimate
        self._sendings: deque[Sending] = deque()  # since the newest headers, by time …
        self._sent_requests = self._sent_tokens = 0  # … and their sums
        self.running = 0
        self.blocked_ns = 0  # nobody is sent until then
        self.at_once: float | None = None  # calls that may run at once; None: any number
        self._told_ns = 0  # when the request was sent that the newest headers answer
        self._told_tokens: int | None = None
        self._strikes = 0  # backoffs, one soon after another

    def is_busy(self, now_ns: int) -> bool:
        full = all(one.is_full(now_ns) for one in (self.requests, self.tokens) if one.is_known)
        return bool(self.running or self.line.count or self.blocked_ns > now_ns or not full)

    def find_wait(self, tokens: int, now_ns: int, passed: int) -> Wait | None:
        """What holds a call back; None: nothing."""
        ready_ns, unit, bound = max(now_ns, self.blocked_ns), "requests", None
        for word, allowance, amount in (("requests", self.requests, 1.0), ("tokens", self.tokens, tokens * self.ratio.value * _CAUTION)):
            if allowance.limit > 0:
                allowance.advance(now_ns)
                fits_ns = allowance.find_ready(amount, now_ns)
                if fits_ns > ready_ns:
                    ready_ns, unit, bound = fits_ns, word, allowance.limit
        is_crowded = self.at_once is not None and self.running >= max(1.0, self.at_once)
        if ready_ns == now_ns and not is_crowded and (not self.line.count or self.line.rank <= passed):
            return None
        after_s = (ready_ns - now_ns) / 1e9
        earliest_s = max(0.0, (self.blocked_ns - now_ns) / 1e9)  # the next answer may tell more
        scope = {"upstream": self.name[0]} | ({"model": self.name[2]} if self.name[2] else {})
        return Wait("policy_upstream_limited", self.name[0], unit, bound, scope, max(after_s, 1.0) if is_crowded else after_s, earliest_s, self.line)

    def take(self, tokens: int, now_ns: int) -> Sending:
        for allowance, amount in ((self.requests, 1.0), (self.tokens, tokens * self.ratio.value * _CAUTION)):
            if allowance.limit > 0:
                allowance.spend(amount, now_ns)
        self.running += 1
        sending = Sending(now_ns, 1, tokens)
        self._sendings.append(sending)
        self._sent_requests += 1
        self._sent_tokens += tokens
        self._forget(now_ns - _REMEMBERED_NS)
        return sending

    def _forget(self, until_ns: int) -> int:
        """Drop the sendings until then; their tokens."""
        tokens, sendings = 0, self._sendings
        while sendings and sendings[0].at_ns <= until_ns:
            sending = sendings.popleft()
            sending.is_counted = False
            self._sent_requests -= sending.requests
            tokens += sending.tokens
        self._sent_tokens -= tokens
        return tokens

    def end(self, sending: Sending, tokens: int | None) -> None:
        self.running -= 1
        if self.at_once is not None:  # a tenth more in the time that a call takes
            self.at_once = self.at_once + 0.1 if self.at_once < 2 * self.running + 8 else None
        if tokens and sending.tokens and not self.tokens.is_bucket:
            self.ratio.learn(sending.tokens, tokens)

    def withdraw(self, sending: Sending) -> None:
        """It was not sent."""
        self.running -= 1
        self.requests.give_back(sending.requests)
        self.tokens.give_back(sending.tokens * self.ratio.value * _CAUTION)
        if sending.is_counted:
            self._sent_requests -= sending.requests
            self._sent_tokens -= sending.tokens
        sending.requests = sending.tokens = 0

    def learn(self, limits: RateLimits, status: int | None, sent_ns: int, came_ns: int, now_ns: int) -> None:
        """Take in the head of an answer, come at `came_ns`, to a request that was sent at `sent_ns`."""
        tells = limits.remaining_requests is not None or limits.remaining_tokens is not None
        if tells and sent_ns >= self._told_ns:
            self._refresh(limits, sent_ns, came_ns, now_ns)
        if status == 429:
            self._block(limits, tells, came_ns, now_ns)

    def _refresh(self, limits: RateLimits, sent_ns: int, came_ns: int, now_ns: int) -> None:
        tokens = self._forget(sent_ns - _MARGIN_NS)  # that these headers know of, and the ones before did not
        itself, near_requests, near_tokens = _NOTHING, 0, 0
        for sending in self._sendings:
            if sending.at_ns > sent_ns + _MARGIN_NS:
                break
            near_requests += sending.requests
            near_tokens += sending.tokens
            if sending.at_ns <= sent_ns:
                itself = sending
        most_requests, most_tokens = self._sent_requests - itself.requests, self._sent_tokens - itself.tokens
        least_requests, least_tokens = self._sent_requests - near_requests, self._sent_tokens - near_tokens
        told_ns, self._told_ns = self._told_ns, sent_ns
        if limits.remaining_requests is not None:
            told = (limits.remaining_requests, limits.limit_requests, limits.reset_requests_s)
            self.requests.refresh(told, least_requests, most_requests, sent_ns, came_ns, now_ns)
        if limits.remaining_tokens is not None:
            told = (limits.remaining_tokens, limits.limit_tokens, limits.reset_tokens_s)
            before, self._told_tokens = self._told_tokens, limits.remaining_tokens
            if before is not None and tokens:
                used = self.tokens.compare(before, limits.remaining_tokens, sent_ns - told_ns)
                if used is not None:
                    self.ratio.learn(tokens, used)
            ratio = self.ratio.value
            self.tokens.refresh(told, least_tokens * ratio, most_tokens * ratio * _CAUTION, sent_ns, came_ns, now_ns)

    def _block(self, limits: RateLimits, tells: bool, came_ns: int, now_ns: int) -> None:
        """A 429: nobody goes for as long as it says; or, where it says nothing at all, for longer with each one."""
        is_first = now_ns >= self.blocked_ns
        wait_s = limits.retry_after_s
        if wait_s is None and not tells:
            if is_first:
                self._strikes = self._strikes + 1 if now_ns < self.blocked_ns + _FORGIVEN_NS else 0
            wait_s = min(2.0**self._strikes, _LONGEST_BACKOFF_S)
        if wait_s is not None:
            self.blocked_ns = max(self.blocked_ns, came_ns + int(min(wait_s, _LONGEST_BLOCK_S) * 1e9))
        if is_first and not tells and self.running > 1:
            self.at_once = max(1.0, self.running * 0.7)


class Headroom:
    """All that is known of providers' limits. Not for several threads."""

    def __init__(self, rule: Rule) -> None:
        self._known: Shelf[Name, Known] = Shelf()
        self._entries: dict[str, tuple[Known, Sending]] = {}
        self.configure(rule)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known that could hold a call back."""
        return not self._entries and (not self._is_on or not len(self._known))

    def configure(self, rule: Rule) -> None:
        """Take on other settings; what was learned stays, unless nothing is to be shared any more."""
        self._is_on = rule.share
        self._queue = Queue(length=_WAITING if rule.wait_s > 0 else 0, wait_s=rule.wait_s)
        if not rule.share:
            self._known = Shelf()
        for known in self._known.values():
            known.line.queue = self._queue

    def take(self, id: str, name: Name, tokens: int, now_ns: int, passed: int = -1) -> Wait | None:
        """Let a call in, or say what holds it: then nothing was taken. Lines of a rank up to `passed` are passed by."""
        known = self._known.get(name) if self._is_on else None
        if known is None:
            return None
        wait = known.find_wait(tokens, now_ns, passed)
        if wait is None:
            self._entries[id] = (known, known.take(tokens, now_ns))
        return wait

    def settle(self, id: str, tokens: int | None) -> list[Line]:
        """A call has ended, having used so many tokens (None: not known). Idempotent.

        Returns the lines in which somebody may now be let in.
        """
        known, sending = self._entries.pop(id, (None, None))
        if known is None or sending is None:
            return []
        known.end(sending, tokens)
        return [known.line] if known.line.count else []

    def withdraw(self, id: str) -> list[Line]:
        """A call that was let in is not sent after all. Idempotent. Returns lines as `settle` does."""
        known, sending = self._entries.pop(id, (None, None))
        if known is None or sending is None:
            return []
        known.withdraw(sending)
        return [known.line] if known.line.count else []

    def learn(self, name: Name, limits: RateLimits, status: int | None, sent_ns: int, came_ns: int, now_ns: int) -> list[Line]:
        """Take in the head of an answer. Returns lines as `settle` does."""
        if not self._is_on:
            return []
        known = self._known.get(name)
        if known is None:
            tells = status == 429 or limits.remaining_requests is not None or limits.remaining_tokens is not None
            if not tells or len(self._known) >= _MOST_KNOWN:
                return []
            known = Known(name, Line(self._queue, _RANK))
            self._known.put(name, known)
        known.learn(limits, status, sent_ns, came_ns, now_ns)
        return [known.line] if known.line.count else []

    def count_running(self) -> dict[str, int]:
        """Running calls by upstream, of those whose provider has told its limits."""
        running: dict[str, int] = {}
        for known, _ in self._entries.values():
            running[known.name[0]] = running.get(known.name[0], 0) + 1
        return running

    def sweep(self, now_ns: int) -> None:
        """Forget some of what has not been used for a while and is as if new."""
        self._known.sweep(now_ns)
