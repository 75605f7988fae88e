"""One conversation with Redis: commands to the arbiter's script in order, sent together once a turn, and their answers in the same order.

A conversation ends at the first error. Nothing is ever sent twice: what was not answered may have been done or not, and the next
conversation begins by saying everything anew (`proxy.toll.arbiter`). The script itself stands in `amounts.lua` and `arbiter.lua`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

try:
    from redis.asyncio import ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ImportError:  # the extra is not installed
    ConnectionPool = None

    class RedisError(Exception):  # type: ignore[no-redef]
        """Stands for the errors of a package that is missing."""


KEY = "{weighbridge}"
SCRIPT = "\n".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("amounts.lua", "arbiter.lua"))
OPEN_S = 1.0  # for a connection and its first answers
_decode = msgspec.json.decode

Answer = list[Any]  # [word, microseconds since the epoch, …]
Heard = Callable[[Answer | None], None]  # told the answer; None: the conversation ended before there was one


class Broken(Exception):
    """The conversation cannot go on: `lost` (data, or the Redis that held it), `fenced` (someone else speaks under this name), `silent`, or
    `disconnected`."""


ENDINGS = (Broken, RedisError, OSError, TimeoutError, EOFError, msgspec.DecodeError)


def line_of(cell: str, spent: int, reserved: int, kept: str) -> str:
    """What the script reads of one cell; `kept` is the second from which it may be forgotten, or `-`."""
    return f"{cell} {spent} {reserved} {kept}\n"


class Talk:
    """One conversation. Belongs to one event loop; raises one of `ENDINGS` when it cannot go on."""

    def __init__(self, connection: Any, plane: str) -> None:
        self.run_id = ""
        self.evicts = False  # whether this Redis throws data away when it is full
        self.token = ""
        self.heard_s = 0.0  # when the last answer came, by the monotonic clock
        self._connection = connection
        self._plane = plane
        self._script = ""
        self._moves: dict[str, list[Any]] = {}  # cell → [spent, reserved, kept]
        self._outbox: deque[tuple[tuple[str, ...], Heard | None]] = deque()
        self._pending: deque[tuple[Heard | None, float]] = deque()
        self._wake = asyncio.Event()

    # --- beginning and end ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, and learn which Redis this is. Takes `OPEN_S` at most."""
        connection = self._connection
        async with asyncio.timeout(OPEN_S):
            await connection.connect()
            self._script = (await self._call("SCRIPT", "LOAD", SCRIPT)).decode()
            facts = dict(line.partition(":")[::2] for line in (await self._call("INFO")).decode().splitlines())
            self.run_id = facts.get("run_id", "")
            self.evicts = facts.get("maxmemory_policy", "noeviction") != "noeviction" and facts.get("maxmemory", "0") != "0"

    async def recall(self) -> Answer:
        """What was known of this plane before it began to speak: [cell, spent, reserved] of each cell."""
        async with asyncio.timeout(OPEN_S):
            return _decode(await self._call("EVALSHA", self._script, "1", KEY, "recall", self._plane, self.token))

    async def begin(self, era: str, closed_s: float) -> Answer:
        """Begin to speak as this plane: the answer with the token. Whoever spoke under its name before is fenced off."""
        async with asyncio.timeout(OPEN_S):
            text = await self._call("EVALSHA", self._script, "1", KEY, "begin", self._plane, "", era, self.run_id, str(int(closed_s * 1e6)))
        answer = _decode(text)
        self.token = answer[2]
        return answer

    async def close(self) -> None:
        """End it; whoever waits for an answer is told that there is none."""
        while self._pending:
            heard, _ = self._pending.popleft()
            if heard is not None:
                heard(None)
        while self._outbox:
            _, heard = self._outbox.popleft()
            if heard is not None:
                heard(None)
        with contextlib.suppress(RedisError, OSError):
            await self._connection.disconnect(nowait=True)

    async def _call(self, *words: str) -> bytes:
        await self._connection.send_packed_command(self._connection.pack_command(*words), check_health=False)
        return await self._connection.read_response()

    # --- speaking ---------------------------------------------------------------------------------------------------

    @property
    def silent_s(self) -> float:
        """How long the oldest command has been waiting for its answer."""
        return time.monotonic() - self._pending[0][1] if self._pending else 0.0

    def say(self, heard: Heard | None, *words: str) -> None:
        """Send a command at the end of this turn."""
        self._outbox.append((words, heard))
        self._wake.set()

    def move(self, cell: str, spent: int, reserved: int, kept: str) -> None:
        """Add to a cell at the end of this turn, before the turn's commands; what is said of one cell in one turn is sent as one."""
        known = self._moves.get(cell)
        if known is None:
            self._moves[cell] = [spent, reserved, kept]
            self._wake.set()
        else:
            known[0] += spent
            known[1] += reserved

    async def write(self) -> None:
        """Send what is said, turn by turn, until the conversation breaks."""
        pack = self._connection.pack_command
        while True:
            await self._wake.wait()
            self._wake.clear()
            packed: list[bytes] = []
            now = time.monotonic()
            if moves := self._take_moves():
                self._outbox.appendleft((("move", moves), None))
            while self._outbox:
                (verb, *words), heard = self._outbox.popleft()
                packed += pack("EVALSHA", self._script, "1", KEY, verb, self._plane, self.token, *words)
                self._pending.append((heard, now))
            await self._send(packed)

    async def _send(self, packed: list[bytes]) -> None:
        """Send over this conversation's connection. The client would open another in its place, and say the middle of a talk there."""
        if not self._connection.is_connected:
            raise Broken("disconnected")
        try:
            await self._connection.send_packed_command(packed, check_health=False)
        except RuntimeError as error:  # so uvloop says that a transport has been closed, before its reader knows
            raise Broken("disconnected") from error

    def _take_moves(self) -> str:
        moves, self._moves = self._moves, {}
        return "".join(line_of(cell, *move) for cell, move in moves.items() if move[0] or move[1])

    async def read(self) -> None:
        """Pass on the answers until the conversation breaks."""
        read = self._connection.read_response
        while True:
            answer = _decode(await read())
            if answer[0] in ("lost", "fenced"):
                raise Broken(answer[0])
            heard, _ = self._pending.popleft()
            self.heard_s = time.monotonic()
            if heard is not None:
                heard(answer)


class RedisMissing(Exception):
    """The extra `redis` is not installed; the message says how to."""


class Telephone:
    """Begins conversations with the Redis of one URL. Raises `RedisMissing`, and ValueError for a URL that is none."""

    def __init__(self, url: str, plane: str) -> None:
        if ConnectionPool is None:
            raise RedisMissing("ledger.redis needs the extra `redis`: pip install --require-hashes -r requirements/redis.txt")
        self._plane = plane
        self._pool = ConnectionPool.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0), health_check_interval=0)

    def call(self) -> Talk:
        """A conversation that has not begun."""
        return Talk(self._pool.make_connection(), self._plane)
