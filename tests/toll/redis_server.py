"""A real redis-server for tests: on a unix socket, without files, to be frozen, emptied, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from redis import Redis

from proxy.toll.talk import KEY

_READ_ALL = f"""
local found = {{ redis.call('HGETALL', '{KEY}:totals') }}
for _, key in ipairs(redis.call('KEYS', '{KEY}:plane:*')) do
    found[#found + 1] = redis.call('HGETALL', key)
end
return found
"""


class RedisServer:
    """One server process."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self.settings = settings
        self.path = folder / "redis.sock"
        self.url = f"unix://{self.path}"
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.path), "--dir", str(self.folder), "--save", "", *self.settings]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        assert any("ready to accept connections" in line.lower() for line in self.process.stdout), "redis-server did not start"

    def call(self, *words: str) -> Any:
        """One command, over a connection of its own."""
        with Redis(unix_socket_path=str(self.path), decode_responses=True, protocol=2) as client:
            return client.execute_command(*words)

    def flush(self) -> None:
        self.call("FLUSHALL")

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    # --- what it holds ------------------------------------------------------------------------------------------------

    def read_totals(self) -> dict[str, tuple[int, int]]:
        """cell → (spent, reserved) over all planes, without those that are nothing."""
        return _read(self.call("HGETALL", f"{KEY}:totals"))

    def read_planes(self) -> dict[str, dict[str, tuple[int, int]]]:
        """plane → cell → (spent, reserved), and what is left of a conversation that did not end."""
        return {key.rpartition(":plane:")[2]: _read(self.call("HGETALL", key)) for key in self.call("KEYS", f"{KEY}:plane:*")}

    def check_sums(self) -> dict[str, tuple[int, int]]:
        """The totals, each of which is the sum of what the planes have; all read at one moment."""
        sums: dict[str, tuple[int, int]] = {}
        totals, *planes = map(_read, self.call("EVAL", _READ_ALL, "0"))
        for cells in planes:
            for cell, (spent, reserved) in cells.items():
                known = sums.get(cell, (0, 0))
                sums[cell] = (known[0] + spent, known[1] + reserved)
        assert totals == {cell: amounts for cell, amounts in sums.items() if any(amounts)}
        return totals


def _read(fields: Any) -> dict[str, tuple[int, int]]:
    pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    cells = {field[2:] for field in pairs if field[:2] in ("s:", "r:")}
    found = {cell: (int(pairs.get(f"s:{cell}", 0)), int(pairs.get(f"r:{cell}", 0))) for cell in cells}
    return {cell: amounts for cell, amounts in found.items() if any(amounts)}
