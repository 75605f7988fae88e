"""`weighbridge demo`: a small fleet of agents works against the demo upstream of a running proxy, so that there is something to see."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

import aiohttp

from proxy.demo.agents import AGENTS
from proxy.demo.line import Line, NoWay
from proxy.demo.prose import generator

_PAUSE_S = (0.3, 1.5)  # between two tasks of an agent
_CALL_S = 60.0
_PREFIXES = {"invoice-reader": "inv", "release-notes": "rel", "support-triage": "tick", "nightly-audit": "aud", "web-scout": "scout"}


class Fleet:
    """One run of the fleet: what is left to do, and what has been done."""

    def __init__(self, base_url: str, seconds: float, most_tasks: int | None) -> None:
        self.base_url = base_url.rstrip("/")
        self.started = time.monotonic()
        self.tasks = self.calls = self.failed = self.tokens = 0
        self._until = self.started + seconds
        self._left = most_tasks
        self._batch = f"{int(time.time()) % 1_000_000:06d}"  # so that the tasks of two runs are told apart

    def take_task(self) -> bool:
        """Whether there is time, and a task, left."""
        if time.monotonic() >= self._until or self._left == 0:
            return False
        self._left = None if self._left is None else self._left - 1
        return True

    async def work(self, session: aiohttp.ClientSession, agent: str) -> None:
        """One agent's working day: task after task, with pauses."""
        number = 0
        while self.take_task():
            number += 1
            task = f"{_PREFIXES[agent]}-{self._batch}-{number}"
            line = Line(session, self.base_url, agent, task)
            ended = await AGENTS[agent](line, task)
            self.tasks, self.calls, self.failed, self.tokens = (
                self.tasks + 1,
                self.calls + line.calls,
                self.failed + line.failed,
                self.tokens + line.tokens,
            )
            failed = f", {line.failed} failed" if line.failed else ""
            spent = f"{line.calls} call{'s' if line.calls > 1 else ''}{failed}"
            print(f"{time.monotonic() - self.started:6.1f} s  {agent:<15} {task:<20} {spent:<20} {line.tokens:>6} tokens  {ended}", flush=True)
            pause = generator("pause", task).uniform(*_PAUSE_S)
            await asyncio.sleep(max(0.0, min(pause, self._until - time.monotonic())))

    async def work_all(self) -> None:
        """All agents at once. Raises `NoWay`."""
        timeout = aiohttp.ClientTimeout(total=_CALL_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await self._knock(session)
            try:
                async with asyncio.TaskGroup() as group:
                    for agent in AGENTS:
                        _ = group.create_task(self.work(session, agent), name=agent)
            except* NoWay as refusals:
                raise NoWay(str(refusals.exceptions[0])) from None

    async def _knock(self, session: aiohttp.ClientSession) -> None:
        """See whether anything answers there."""
        try:
            async with session.get(f"{self.base_url}/healthz"):
                pass
        except aiohttp.ClientError:
            hint = "Start it in another terminal with `make run` (or `weighbridge serve`), then run this again."
            raise NoWay(f"no Weighbridge answers at {self.base_url}. {hint}") from None

    def report(self) -> None:
        """What was done, and where to look at it."""
        took = time.monotonic() - self.started
        print(f"\n{self.tasks} tasks, {self.calls} calls ({self.failed} failed), {self.tokens} tokens in {took:.0f} s. Where to look:")
        print("  weighbridge report --by agent,model\n  weighbridge calls --last 20\n  weighbridge agents", flush=True)


def run(base_url: str = "http://127.0.0.1:8787", seconds: float = 20.0, most_tasks: int | None = None) -> int:
    """Let the fleet work for so long, or for so many tasks, whichever ends first. The process's exit status: 1 if there is no proxy."""
    fleet = Fleet(base_url, seconds, most_tasks)
    try:
        asyncio.run(fleet.work_all())
    except NoWay as refusal:
        print(f"weighbridge demo: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    fleet.report()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="A small fleet of agents that works against a running proxy's demo upstream.")
    parser.add_argument("--base-url", default="http://127.0.0.1:8787")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--tasks", type=int, help="end after so many tasks")
    options = parser.parse_args()
    return run(options.base_url, options.seconds, options.tasks)


if __name__ == "__main__":
    sys.exit(main())
