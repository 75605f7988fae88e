"""How the accounts stand over all data planes, for whoever only looks: read from Redis in one piece."""

from __future__ import annotations

from proxy.toll.cells import Cells
from proxy.toll.talk import KEY, RedisMissing

try:
    from redis import Redis
    from redis.exceptions import RedisError
except ImportError:  # the extra is not installed
    Redis = None

    class RedisError(Exception):  # type: ignore[no-redef]
        """Stands for the errors of a package that is missing."""


_WAIT_S = 1.0


class WholeAway(Exception):
    """Redis does not tell; the message says why."""


class Whole:
    """The totals of one Redis. Belongs to one thread. Raises `RedisMissing`, and ValueError for a URL that is none."""

    def __init__(self, url: str) -> None:
        if Redis is None:
            raise RedisMissing("ledger.redis needs the extra `redis`: pip install --require-hashes -r requirements/redis.txt")
        self._client = Redis.from_url(url, protocol=2, decode_responses=True, socket_timeout=_WAIT_S, socket_connect_timeout=_WAIT_S)

    def read(self, now_ns: int) -> Cells:
        """All cells, with their sums over all data planes. Raises `WholeAway`."""
        try:
            totals = self._client.hgetall(f"{KEY}:totals")
        except (RedisError, OSError) as error:
            raise WholeAway(str(error)) from None
        cells = Cells()
        for field, amount in totals.items():
            kind, id = field[:2], field[2:]
            if kind in ("s:", "r:"):
                cells.find(id).add(*((int(amount), 0) if kind == "s:" else (0, int(amount))))
        for family in cells.families.values():
            family.advance(now_ns)
        return cells

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()
