"""The stage, once for all tests of this folder, and one run of a case: straight to the provider, then through the proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

pytest.register_assert_rewrite("tests.clients.compare")

from tests.clients.compare import Run  # noqa: E402 - rewritten first, so that its assertions explain themselves
from tests.clients.driver import Client  # noqa: E402
from tests.clients.plain import CLIENTS, Plain  # noqa: E402
from tests.clients.stage import Stage  # noqa: E402


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    opened = Stage(tmp_path_factory.mktemp("clients") / "stage")
    yield opened
    opened.close()


@pytest.fixture(scope="session", params=CLIENTS)
def plain(request: pytest.FixtureRequest, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    """One SDK after the other: the tests of all files that ask for one of them come together, and its process is started once."""
    asking = Plain(request.param, stage, tmp_path_factory.mktemp("plain") / request.param)
    yield asking
    asking.close()


@pytest.fixture
def run_both(stage: Stage) -> Callable[[Client, str, str], Run]:
    """Run a client's case both ways, the provider beginning anew each time."""

    def run(client: Client, agent: str, case: str) -> Run:
        stage.begin()
        direct = client.ask(case, f"http://127.0.0.1:{stage.far.port}", proxied=False, on_hold=stage.hold, on_first=stage.release)
        _, seen_directly = stage.take()
        stage.begin()
        task = f"{agent}.{case}"
        root = f"http://127.0.0.1:{stage.near.port}/a/{agent}/t/{task}"
        proxied = client.ask(case, root, proxied=True, on_hold=stage.hold, on_first=stage.release)
        near, far = stage.take()
        return Run(direct, proxied, seen_directly, near, far, stage.records(len(far), task))

    return run
