"""The Node SDKs: straight and through the proxy, everything is the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.clients.compare import Run, check
from tests.clients.driver import CASES, ROOT, Crew, list_cases, require

CLIENTS = ("openai", "anthropic", "vercel_ai")
NODE = ROOT / ".cache" / "node"


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    require(shutil.which("node") is not None, "Node is not installed (https://nodejs.org, version 20 or newer)")
    require((NODE / ".installed").exists(), "the Node packages are not installed; `make test` installs them")
    link = NODE / "cases"  # Node looks for packages above a script's own path
    if not link.is_symlink():
        link.symlink_to(CASES)
    preserve = ["--preserve-symlinks", "--preserve-symlinks-main", "--no-warnings"]
    opened = Crew({name: ["node", *preserve, str(link / f"{name}.mjs")] for name in CLIENTS}, tmp_path_factory.mktemp("node"))
    yield opened
    opened.close()


@pytest.mark.parametrize(("name", "case"), [(name, case) for name in CLIENTS for case in list_cases(f"{name}.mjs")])
def test_all_is_the_same_through_the_proxy(name: str, case: str, crew: Crew, run_both: Callable[..., Run]) -> None:
    check(run_both(crew.get(name), f"node-{name}", case), f"node-{name}", case)


def test_each_script_of_cases_is_run() -> None:
    assert {path.stem for path in CASES.glob("*.mjs")} - {"outcome"} == set(CLIENTS)
