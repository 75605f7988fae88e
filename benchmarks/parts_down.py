"""What ordinary clients notice of a part that is down: `parts_down.py [SECONDS]`, 8 for each round unless told.

Each part in turn: a round with everything up, then one with that part down, beside the same clients, with content captured. Prints how many
calls failed and their latency (median, p99) in both. Fails where a call fails, or p99 grows by more than 5 ms.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from rig import CONTROL, DATA, Bridge, open_bridge
from rig.ordinary import Ordinary, answer, percentiles_ms

MOST_P99_MS = 5.0


@contextlib.contextmanager
def freeze_control(bridge: Bridge) -> Iterator[None]:
    """It stands still, its sockets stay and fill."""
    plane = bridge.find(CONTROL)
    os.kill(plane, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(plane, signal.SIGCONT)


@contextlib.contextmanager
def kill_control(bridge: Bridge) -> Iterator[None]:
    """It is killed each second, and started again."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(1):
            with contextlib.suppress(ProcessLookupError):
                os.kill(bridge.find(CONTROL), signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        yield
    finally:
        over.set()
        killing.join()


@contextlib.contextmanager
def refuse_journal(bridge: Bridge) -> Iterator[None]:
    """No line is taken any more, as on a full disk; the lines wait in memory."""
    plane = bridge.find(DATA)
    limits = resource.prlimit(plane, resource.RLIMIT_FSIZE)
    resource.prlimit(plane, resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(plane, resource.RLIMIT_FSIZE, limits)


@contextlib.contextmanager
def remove_socket(bridge: Bridge) -> Iterator[None]:
    """Texts reach nobody."""
    path = bridge.state / "samples.sock"
    while not path.exists():  # the control plane is still starting
        time.sleep(0.01)
    path.rename(path.with_suffix(".gone"))
    try:
        yield
    finally:
        path.with_suffix(".gone").rename(path)


PARTS: dict[str, Callable[[Bridge], contextlib.AbstractContextManager[None]]] = {
    "control plane frozen": freeze_control,
    "journal not writable": refuse_journal,
    "sample socket gone": remove_socket,
    "control plane killed each second": kill_control,
}


def main() -> int:
    round_s = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    fine = True
    with open_bridge(answer, {"capture": {"content": True}}) as bridge:
        clients = Ordinary(bridge.port)

        def measure() -> tuple[list[float], int]:
            clients.start(round_s)
            return clients.finish()

        measure()  # the first round warms both up
        print(f"{'part':34}{'calls':>8}{'failed':>8}   median, p99 in ms: up, down")
        for name, take_down in PARTS.items():
            up, _ = measure()
            with take_down(bridge):
                down, failed = measure()
            before, after = percentiles_ms(up), percentiles_ms(down)
            print(f"{name:34}{len(down):8}{failed:8}   {before[0]:.2f}, {before[1]:.2f}   {after[0]:.2f}, {after[1]:.2f}", flush=True)
            fine = fine and not failed and after[1] <= before[1] + MOST_P99_MS
        clients.close()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
