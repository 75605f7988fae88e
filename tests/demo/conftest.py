"""One demo provider for all tests of this folder; each test finds it freshly reset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxy.demo.provider import make_app
from tests.demo.client import Client, running


@pytest.fixture(scope="session")
def one_provider() -> Iterator[Client]:
    with running(lambda: make_app(seed="tests")) as client:
        yield client


@pytest.fixture
def provider(one_provider: Client) -> Client:
    one_provider.reset()
    return one_provider
