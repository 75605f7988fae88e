"""What the SDKs make of an error of our own: their usual exception with our words in it, and another attempt only where it may help."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.driver import CASES, ROOT, Crew, require
from tests.clients.stage import Stage

PYTHON = ROOT / ".cache" / "clients" / "bin" / "python"
# client: (its plainest case, its exception for a provider that cannot be reached, and for a path that leads nowhere)
CLIENTS = {
    "openai_sdk": ("chat", "openai.InternalServerError", "openai.NotFoundError"),
    "anthropic_sdk": ("message", "anthropic.InternalServerError", "anthropic.NotFoundError"),
    "google_genai_sdk": ("generate", "google.genai.errors.ServerError", "google.genai.errors.ClientError"),
    "mistral_sdk": ("chat", "mistralai.client.errors.sdkerror.SDKError", "mistralai.client.errors.sdkerror.SDKError"),
    "cohere_sdk": ("chat", "cohere.core.api_error.ApiError", "cohere.errors.not_found_error.NotFoundError"),
    "ollama_sdk": ("chat", "ollama._types.ResponseError", "ollama._types.ResponseError"),
    "boto3_sdk": ("converse", "botocore.errorfactory.ServiceUnavailableException", "botocore.errorfactory.ResourceNotFoundException"),
}
RETRIES = {"openai_sdk", "anthropic_sdk", "boto3_sdk"}  # those with a case `retries`, of two attempts


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    require(PYTHON.exists(), "the real clients are not installed; `make test` installs them")
    opened = Crew({name: [str(PYTHON), "-W", "ignore", str(CASES / f"{name}.py")] for name in CLIENTS}, tmp_path_factory.mktemp("refusals"))
    yield opened
    opened.close()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_refusal_is_the_exception_that_a_client_expects(name: str, crew: Crew, stage: Stage) -> None:
    case, unreachable, nowhere = CLIENTS[name]
    root = f"http://127.0.0.1:{stage.near.port}/a/{name}/t/refused"
    stage.begin()
    told = crew.get(name).ask(case, root, proxied=True, before="dead-")
    assert told["error"] == unreachable and "No connection to the provider" in told["message"]
    assert {record["outcome"] for record in stage.records(1)} == {"upstream_unreachable"}
    stage.begin()
    told = crew.get(name).ask(case, root, proxied=True, before="no-such-")
    assert told["error"] == nowhere and "no configured upstream" in told["message"]
    assert {record["outcome"] for record in stage.records(1)} == {"caller_unknown_upstream"}


@pytest.mark.parametrize("name", sorted(RETRIES))
def test_a_client_tries_again_only_where_that_may_help(name: str, crew: Crew, stage: Stage) -> None:
    root = f"http://127.0.0.1:{stage.near.port}/a/{name}/t/refused"
    attempts = {}
    for before in ("dead-", "no-such-"):
        stage.begin()
        assert crew.get(name).ask("retries", root, proxied=True, before=before)["error"]
        attempts[before] = len(stage.take()[0])
    assert attempts == {"dead-": 2, "no-such-": 1}
