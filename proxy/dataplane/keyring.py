"""The provider keys of one upstream: which one the next call is sent with.

Of several, the one with the fewest running calls for what it has left by the provider's own count. One that was rate limited rests for as
long as the provider said, one that was refused (401, 403) for a while. A single key is never put to rest: its answers go to the callers.
"""

from __future__ import annotations

from proxy.call import RateLimits
from proxy.dataplane.breaker import Breaker
from proxy.routes import Breaker as Settings

_RATE_LIMITED_S = 5.0  # where the provider does not say how long
_LONGEST_S = 600.0
_REFUSED_S = 300.0
_LEAST_LEFT = 0.01


class ProviderKey:
    """One key; `name` is that of its environment variable. Where callers bring their own, the place of them all (`secret` None)."""

    __slots__ = ("breaker", "is_refused", "left", "left_until_s", "name", "parked_until_s", "picked", "running", "secret")

    def __init__(self, name: str | None, secret: str | None, settings: Settings) -> None:
        self.name = name
        self.secret = secret
        self.breaker = Breaker(settings)
        self.running = 0
        self.left = 1.0  # the smallest share of a limit that is left, by the newest answer …
        self.left_until_s = 0.0  # … until that limit is whole again
        self.parked_until_s = 0.0
        self.is_refused = False  # parked because it does not open anything
        self.picked = 0

    def wait_s(self, now_s: float) -> float:
        """How long it is until a call may be sent with it; 0: now."""
        return max(self.parked_until_s - now_s, self.breaker.wait_s(now_s), 0.0)

    def load(self, now_s: float) -> float:
        """Running calls, one more included, for what is left."""
        left = self.left if now_s < self.left_until_s else 1.0
        return (self.running + 1) / max(left, _LEAST_LEFT)

    def learn(self, limits: RateLimits, now_s: float) -> None:
        """What the head of an answer says of this key."""
        shares = [
            (remaining / limit, reset or 0.0)
            for remaining, limit, reset in (
                (limits.remaining_requests, limits.limit_requests, limits.reset_requests_s),
                (limits.remaining_tokens, limits.limit_tokens, limits.reset_tokens_s),
            )
            if remaining is not None and limit
        ]
        if shares:
            self.left, reset_s = min(shares)
            self.left_until_s = now_s + max(1.0, min(reset_s, _LONGEST_S))


class Keyring:
    """All keys of an upstream. Times are seconds of one clock."""

    def __init__(self, keys: list[ProviderKey]) -> None:
        self.keys = keys
        self.is_pool = len(keys) > 1
        self._picks = 0

    def pick(self, now_s: float, beside: ProviderKey | None = None) -> ProviderKey | None:
        """The key to send with; None where none may be sent with now. Of equals, the one that was picked longest ago.

        Beside a call that runs with one of several keys it is another one.
        """
        if not self.is_pool:
            only = self.keys[0]
            return None if only.breaker.wait_s(now_s) else only
        free = [key for key in self.keys if key is not beside and not key.wait_s(now_s)]
        if not free and beside is None and all(key.is_refused and not key.breaker.wait_s(now_s) for key in self.keys):
            free = self.keys  # that no key opens anything is for the provider to say
        if not free:
            return None
        found = min(free, key=lambda key: (key.load(now_s), key.picked))
        self._picks += 1
        found.picked = self._picks
        return found

    def is_free(self, now_s: float) -> bool:
        """Whether a call may be sent now."""
        return any(not key.wait_s(now_s) for key in self.keys)

    def wait_s(self, now_s: float) -> float:
        """How long it is until a call may be sent."""
        return min(key.wait_s(now_s) for key in self.keys)

    def is_limited(self, now_s: float) -> bool:
        """Whether it is the provider's rate limits alone that hold every key back."""
        return all(now_s < key.parked_until_s and not key.is_refused for key in self.keys)

    def learn(self, key: ProviderKey, status: int, limits: RateLimits, now_s: float) -> None:
        """The head of an answer to a call that was sent with `key`."""
        if not self.is_pool:
            return
        key.learn(limits, now_s)
        if status == 429:
            key.is_refused = False
            wait_s = limits.retry_after_s if limits.retry_after_s is not None else _RATE_LIMITED_S
            key.parked_until_s = now_s + min(wait_s, _LONGEST_S)
        elif status in (401, 403):
            key.is_refused = True
            key.parked_until_s = now_s + _REFUSED_S
        elif status < 400:
            key.is_refused = False
            key.parked_until_s = 0.0
