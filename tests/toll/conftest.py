"""Redis servers: one that all tests of the toll share, and one that a test may break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.toll import arbiter
from tests.toll.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(Path(tmp_path_factory.mktemp("redis")))
    yield server
    server.kill()

@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """A server of the test's own, on which planes notice within moments what happens to it."""
    for name, seconds in (("CLOSED_S", 0.2), ("BEAT_S", 0.02), ("DEAD_S", 0.3), ("_RETRY_S", 0.02)):
        monkeypatch.setattr(arbiter, name, seconds)
    server = RedisServer(tmp_path)
    yield server
    if server.process.poll() is None:
        server.thaw()
        server.kill()
