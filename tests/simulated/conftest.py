"""One simulated provider with all dialects for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.demo.client import Client, running
from tests.simulated.provider import make_app


@pytest.fixture(scope="session")
def one_simulated() -> Iterator[Client]:
    with running(lambda: make_app(seed="tests")) as client:
        yield client


@pytest.fixture
def provider(one_simulated: Client) -> Client:
    one_simulated.reset()
    return one_simulated
