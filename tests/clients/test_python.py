"""The providers' Python SDKs and the frameworks on them: straight and through the proxy, everything is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.clients.compare import Run, check
from tests.clients.driver import CASES, ROOT, Crew, list_cases, require

# in which environment each client is installed
CLIENTS = {
    "openai_sdk": "clients",
    "anthropic_sdk": "clients",
    "google_genai_sdk": "clients",
    "mistral_sdk": "clients",
    "cohere_sdk": "clients",
    "ollama_sdk": "clients",
    "boto3_sdk": "clients",
    "langchain_models": "frameworks",
    "llama_index_openai": "frameworks",
    "pydantic_ai_agents": "clients",
    "openai_agents_sdk": "clients",
    "instructor_openai": "frameworks",
    "litellm_sdk": "frameworks",
    "pydantic_ai_google": "frameworks",
}
PYTHONS = {name: ROOT / ".cache" / environment / "bin" / "python" for name, environment in CLIENTS.items()}


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    commands = {name: [str(PYTHONS[name]), "-W", "ignore", str(CASES / f"{name}.py")] for name in CLIENTS}
    opened = Crew(commands, tmp_path_factory.mktemp("python"))
    yield opened
    opened.close()


@pytest.mark.parametrize(("name", "case"), [(name, case) for name in CLIENTS for case in list_cases(f"{name}.py")])
def test_all_is_the_same_through_the_proxy(name: str, case: str, crew: Crew, run_both: Callable[..., Run]) -> None:
    require(PYTHONS[name].exists(), f"the environment {CLIENTS[name]!r} is not installed; `make test` installs it")
    check(run_both(crew.get(name), name, case), name, case)


def test_a_framework_that_sends_two_user_agents_is_among_them(crew: Crew, run_both: Callable[..., Run]) -> None:
    name = "pydantic_ai_google"
    require(PYTHONS[name].exists(), f"the environment {CLIENTS[name]!r} is not installed; `make test` installs it")
    (exchange,) = run_both(crew.get(name), name, "generate").far
    assert [field.lower() for field, _ in exchange.headers].count(b"user-agent") == 2


def test_each_script_of_cases_is_run() -> None:
    assert {path.stem for path in CASES.glob("*.py")} - {"outcome"} == set(CLIENTS)
