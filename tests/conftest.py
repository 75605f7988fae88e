"""What holds for every test: no network beyond this machine, no haste on a busy one, and no work for what all tests have."""

from __future__ import annotations

import gc
import ipaddress
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("nobody.pem"))  # whom to trust, for all that the tests start too

settings.register_profile("weighbridge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("weighbridge")


# Those that wait for processes, most of them for many seconds: begun first, beside others that compute, and not left for the end.
_LONG = (
    "test_toll.py", "test_toll_shared.py", "test_supervise.py", "test_benchmarks.py", "test_parts_down.py", "test_orders_stay.py", "test_stop.py",
    "test_end_to_end.py", "test_plane.py", "test_live.py", "test_observe.py", "test_cli.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _LONG.index(item.path.name) if item.path.name in _LONG else len(_LONG))


def pytest_collection_finish() -> None:
    """Thousands of tests and what they import stay to the end: no collection of garbage needs to look at them again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


def _stay_on_this_machine(event: str, arguments: tuple) -> None:
    """An audit hook: https://docs.python.org/3/library/audit_events.html; child processes and uvloop's own calls are not seen."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if name and name != "localhost" and not name.endswith((".invalid", ".test")) and not _is_loopback(name):
        raise RuntimeError(f"a test reached for the network: {event} {name}")


def _is_loopback(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_stay_on_this_machine)
