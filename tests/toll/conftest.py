"""A redis-server that all tests of the toll share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.toll.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(Path(tmp_path_factory.mktemp("redis")))
    yield server
    server.kill()
