"""What SDKs and command-line agents make of a budget, a limit and an order, with their own defaults: one attempt where waiting does not help."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.driver import ROOT, make_environment, require
from tests.clients.stage import Stage
from tests.clients.test_cli import ASK, BIN, claude_code, codex, gemini_cli

PYTHON = ROOT / ".cache" / "clients" / "bin" / "python"
NODE = ROOT / ".cache" / "node"
FOLDER = Path(__file__).parent / "refused"
# client: its exceptions for 402, 403 and 429, and whether it comes again by itself after the time that a 429 names
CLIENTS = {
    "openai": ("APIStatusError", "PermissionDeniedError", None),
    "openai_responses": ("APIStatusError", "PermissionDeniedError", None),
    "anthropic": ("PaymentRequiredError", "PermissionDeniedError", None),
    "gemini": ("ClientError", "ClientError", "ClientError"),
    "mistral": ("SDKError", "SDKError", "SDKError"),
    "cohere": ("ApiError", "ForbiddenError", None),
    "bedrock": ("ServiceQuotaExceededException", "AccessDeniedException", "ThrottlingException"),
    "ollama": ("ResponseError", "ResponseError", "ResponseError"),
    "node-openai": ("APIError", "PermissionDeniedError", None),
    "node-anthropic": ("PaymentRequiredError", "PermissionDeniedError", None),
}


def ask(client: str, stage: Stage, task: str, home: Path) -> dict:
    """What became of one question."""
    root = f"http://127.0.0.1:{stage.near.port}/a/{client}/t/{task}"
    if client.startswith("node-"):
        require(shutil.which("node") is not None, "Node is not installed (https://nodejs.org, version 20 or newer)")
        link = NODE / "refused"  # Node looks for packages above a script's own path
        if not link.is_symlink():
            link.symlink_to(FOLDER)
        command = ["node", "--preserve-symlinks", "--preserve-symlinks-main", "--no-warnings", str(link / "ask_once.mjs"), client[5:], root]
    else:
        require(PYTHON.exists(), "the real clients are not installed; `make test` installs them")
        command = [str(PYTHON), "-W", "ignore", str(FOLDER / "ask_once.py"), client, root]
    done = subprocess.run(command, env=make_environment(home), cwd=home, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("client", CLIENTS)
def test_a_terminal_refusal_is_one_attempt_and_says_why(client: str, stage: Stage, tmp_path: Path) -> None:
    for number, (task, outcome, words) in enumerate(
        [("broke", "policy_budget_exhausted", "The budget nothing is used up"), ("paused", "policy_paused", "it loops")]
    ):
        stage.begin()
        told = ask(client, stage, task, tmp_path)
        assert told["error"] == CLIENTS[client][number] and words in told["message"], told
        assert [record["outcome"] for record in stage.records(1)] == [outcome]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_limit_names_a_time_after_which_it_lets_the_call_through(client: str, stage: Stage, tmp_path: Path) -> None:
    stage.begin()
    assert "text" in ask(client, stage, f"slow-{client}", tmp_path)
    told = ask(client, stage, f"slow-{client}", tmp_path)
    outcomes = [record["outcome"] for record in stage.records(2)]
    if CLIENTS[client][2] is None:
        assert "text" in told and outcomes[0] == outcomes[-1] == "ok", (told, outcomes)
    elif "error" in told:  # it does not come again by itself, or by a time of its own (boto3), and started too soon
        assert told["error"] == CLIENTS[client][2] and "The limit slow" in told["message"]
        assert outcomes == ["ok"] + ["policy_rate_limited"] * (3 if client == "bedrock" else 1)


ATTEMPTS = {"claude-code": 1, "codex": 2, "gemini-cli": 1}  # Codex tries a WebSocket first, then HTTP
PROGRAMS = {"claude-code": claude_code, "codex": codex, "gemini-cli": gemini_cli}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_command_line_agent_stops_and_shows_why(name: str, stage: Stage, tmp_path: Path) -> None:
    is_there = shutil.which("node") is not None and (BIN.parent / ".installed").exists()
    require(is_there, "the command-line agents are not installed; `make test` installs them")
    stage.begin()
    environment = make_environment(tmp_path)
    command, settings = PROGRAMS[name](lambda upstream: f"http://127.0.0.1:{stage.near.port}/a/{name}/t/broke/{upstream}", tmp_path)
    done = subprocess.run(command, env=environment | settings, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
    shown = done.stdout + done.stderr
    records = stage.records(1)
    assert ASK not in done.stdout
    assert "The budget nothing is used up" in shown, shown
    assert {record["outcome"] for record in records} == {"policy_budget_exhausted"}
    assert len(records) == ATTEMPTS[name], [(record["path"], record.get("transport"), record["status"]) for record in records]
