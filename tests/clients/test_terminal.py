"""What SDKs and command-line agents make of a budget, a limit and an order, with their own defaults: one attempt where waiting does not help."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.driver import make_environment, require
from tests.clients.plain import Plain
from tests.clients.stage import Stage
from tests.clients.test_cli import ASK, BIN, claude_code, codex, gemini_cli


def test_a_terminal_refusal_is_one_attempt_and_says_why(plain: Plain, stage: Stage) -> None:
    for number, (task, outcome, words) in enumerate(
        [("broke", "policy_budget_exhausted", "The budget nothing is used up"), ("paused", "policy_paused", "it loops")]
    ):
        stage.begin()
        told = plain.ask(task)
        assert told["error"] == plain.errors[number] and words in told["message"], told
        assert [record["outcome"] for record in stage.records(1)] == [outcome]


def test_a_limit_names_a_time_after_which_it_lets_the_call_through(plain: Plain, stage: Stage) -> None:
    stage.begin()
    assert "text" in plain.ask(f"slow-{plain.name}")
    told = plain.ask(f"slow-{plain.name}")
    outcomes = [record["outcome"] for record in stage.records(2)]
    if plain.errors[2] is None:
        assert "text" in told and outcomes[0] == outcomes[-1] == "ok", (told, outcomes)
    elif "error" in told:  # it does not come again by itself, or by a time of its own (boto3), and started too soon
        assert told["error"] == plain.errors[2] and "The limit slow" in told["message"]
        assert outcomes == ["ok"] + ["policy_rate_limited"] * (3 if plain.name == "bedrock" else 1)


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
