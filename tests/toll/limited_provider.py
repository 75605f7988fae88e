"""A provider with limits of its own, and agents that want more of it than it gives; in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from proxy.call import RateLimits
from proxy.errors import Refusal
from proxy.rules import Headroom
from proxy.toll.gate import Gate
from proxy.toll.subject import Subject
from tests.toll.virtual import S, clock


class Bucket:
    """Its limits come back all the time; the reset is when they will be whole."""

    def __init__(self, requests: int, tokens: int) -> None:
        self.limits = (float(requests), float(tokens))
        self.left = list(self.limits)
        self.at_ns = clock()
        self.begun_ns = clock()
        self.accepted = self.refused = self.used = 0

    def ask(self, tokens: int) -> tuple[bool, RateLimits]:
        """A request has arrived: whether it is answered, and the headers."""
        self.come_back()
        fits = self.left[0] >= 1 and self.left[1] >= tokens
        if fits:
            self.left = [self.left[0] - 1, self.left[1] - tokens]
            self.accepted, self.used = self.accepted + 1, self.used + tokens
        else:
            self.refused += 1
        resets_s = self.resets_s()
        wait_s = None if fits else self.wait_s(tokens)
        return fits, RateLimits(
            int(self.limits[0]), int(self.left[0]), resets_s[0], int(self.limits[1]), int(self.left[1]), resets_s[1], retry_after_s=wait_s
        )

    def come_back(self) -> None:
        now_ns = clock()
        self.left = [min(limit, left + limit * (now_ns - self.at_ns) / 60 / S) for limit, left in zip(self.limits, self.left, strict=True)]
        self.at_ns = now_ns

    def resets_s(self) -> list[float]:
        return [(limit - left) * 60 / limit for limit, left in zip(self.limits, self.left, strict=True)]

    def wait_s(self, tokens: int) -> float:
        return max(0.0, (1 - self.left[0]) * 60 / self.limits[0], (tokens - self.left[1]) * 60 / self.limits[1])

    @property
    def utilisation(self) -> float:
        """The larger part of what it could have given that it has given."""
        minutes = (clock() - self.begun_ns) / 60 / S + 1  # it was full at the beginning
        return max(self.accepted / self.limits[0], self.used / self.limits[1]) / minutes


class Window(Bucket):
    """Everything comes back at the end of each minute."""

    def come_back(self) -> None:
        minutes = (clock() - self.at_ns) // (60 * S)
        if minutes:
            self.left, self.at_ns = list(self.limits), self.at_ns + minutes * 60 * S

    def resets_s(self) -> list[float]:
        return [(self.at_ns + 60 * S - clock()) / S] * 2

    def wait_s(self, tokens: int) -> float:
        return self.resets_s()[0]

    @property
    def utilisation(self) -> float:
        minutes = (clock() - self.begun_ns) / 60 / S
        return max(self.accepted / self.limits[0], self.used / self.limits[1]) / minutes


class Crowd:
    """Agents that call a provider through a gate. `estimate` and `actual` are tokens a call, `ran_s` how long it runs."""

    def __init__(self, provider: Bucket, estimate: int, actual: int, ran_s: float, tells: bool = True) -> None:
        self.gate = Gate([], Headroom(share=True), clock)
        self.provider = provider
        self.entered: Counter[str] = Counter()
        self.refused: list[Refusal] = []
        self._estimate, self._actual, self._ran_s, self._tells = estimate, actual, ran_s, tells
        self._chance = random.Random(1)

    async def call(self, id: str, agent: str) -> None:
        subject = Subject(agent=agent, upstream="p", model="m")
        ask = (id, subject, "k", self._estimate, 0)
        found = self.gate.try_enter(*ask, clock())
        if found is not None:
            try:
                await self.gate.wait(*ask, found)
            except Refusal as refusal:
                self.refused.append(refusal)
                return
        self.entered[agent] += 1
        sent_ns = clock()
        await asyncio.sleep(self._chance.uniform(0.01, 0.05))
        used = int(self._actual * self._chance.uniform(0.5, 1.5))
        fits, limits = self.provider.ask(used)
        if not self._tells:
            limits = RateLimits(retry_after_s=limits.retry_after_s)
        await asyncio.sleep(self._ran_s * self._chance.uniform(0.5, 1.5) if fits else 0.02)
        self.gate.leave(id, used if fits else 0, 0, clock())
        self.gate.learn("p", "k", "m", limits, 200 if fits else 429, sent_ns, clock())

    async def offer(self, a_second: dict[str, float], seconds: float) -> None:
        """Each agent calls so often for so long; then all calls end."""
        await asyncio.gather(*(self._offer(agent, rate, seconds) for agent, rate in a_second.items()))

    async def _offer(self, agent: str, rate: float, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        ends_s, tasks, number = loop.time() + seconds, [], 0
        while loop.time() < ends_s:
            number += 1
            tasks.append(asyncio.create_task(self.call(f"{agent}-{number}", agent)))
            await asyncio.sleep(self._chance.expovariate(rate))
        await asyncio.gather(*tasks)
