"""The agents of the command line, one headless question each: straight to the provider, through the proxy as they are, and named by the path."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.compare import assert_passed_untouched
from tests.clients.driver import ROOT, make_environment, require
from tests.clients.stage import Stage
from tests.clients.tap import Exchange

BIN = ROOT / ".cache" / "node" / "node_modules"
ASK = "Tell me in a few sentences how rivers find the sea."
PATIENCE_S = 90
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

At = Callable[[str], str]  # upstream → base URL
Call = Callable[[At, Path], tuple[list[str], dict[str, str]]]  # (…, home) → (command, environment)


def claude_code(at: At, home: Path) -> tuple[list[str], dict[str, str]]:
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    command = [str(BIN / ".bin/claude"), "-p", ASK, "--model", "claude-sonnet-4-5"]
    return command, {"ANTHROPIC_BASE_URL": at("anthropic"), "ANTHROPIC_API_KEY": "sk-ant-test-1", **quiet}


def codex(at: At, home: Path) -> tuple[list[str], dict[str, str]]:
    command = ["exec", "--skip-git-repo-check", "-c", f'openai_base_url="{at("openai")}/v1"', "-m", "gpt-5", ASK]
    return ["node", str(BIN / "@openai/codex/bin/codex.js"), *command], {"CODEX_API_KEY": "sk-test-1"}


def gemini_cli(at: At, home: Path) -> tuple[list[str], dict[str, str]]:
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
    (home / ".gemini").mkdir(exist_ok=True)
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    command = [str(BIN / ".bin/gemini"), "-p", ASK, "-m", "gemini-2.5-flash", "--skip-trust"]
    return command, {"GOOGLE_GEMINI_BASE_URL": at("gemini"), "GEMINI_API_KEY": "AIza-test-1", "GEMINI_CLI_NO_RELAUNCH": "true"}


def opencode(at: At, home: Path) -> tuple[list[str], dict[str, str]]:
    model = "anthropic/claude-sonnet-4-5"
    provider = {"anthropic": {"options": {"baseURL": at("anthropic") + "/v1", "apiKey": "sk-ant-test-1"}}}
    settings = {"autoupdate": False, "share": "disabled", "model": model, "small_model": model, "provider": provider}
    (home / "opencode.json").write_text(json.dumps(settings))
    return [str(BIN / "opencode-linux-x64/bin/opencode"), "run", ASK], {}


# the agent's own mark, where the record's session comes from one of its headers
PROGRAMS: dict[str, tuple[Call, bytes | None]] = {
    "claude-code": (claude_code, b"x-claude-code-session-id"),
    "codex": (codex, b"session-id"),
    "gemini-cli": (gemini_cli, None),
    "opencode": (opencode, b"x-session-affinity"),
}


def run(program: Call, base: str, home: Path, *, named: bool = True) -> str:
    """The text that it prints. `named`: the upstream's name stands in the path, as the proxy wants it."""
    environment = make_environment(home)
    command, settings = program(lambda upstream: f"{base}/{upstream}" if named else base, home)
    environment |= settings
    done = subprocess.run(command, env=environment, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return _COLOUR.sub("", done.stdout).strip()


def outline(exchanges: list[Exchange]) -> list[tuple[bytes, bytes]]:
    return sorted((one.method, one.target.partition(b"?")[0]) for one in exchanges)


@pytest.fixture(scope="module")
def installed() -> None:
    require(shutil.which("node") is not None, "Node is not installed (https://nodejs.org, version 20 or newer)")
    require((BIN.parent / ".installed").exists(), "the command-line agents are not installed; `make test` installs them")


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_answer_arrives_the_same_and_is_recorded(name: str, stage: Stage, tmp_path: Path, installed: None) -> None:
    program, mark = PROGRAMS[name]
    require(name != "opencode" or (BIN / "opencode-linux-x64").exists(), "opencode's program for this system is not in the lock")
    stage.begin()
    text = run(program, f"http://127.0.0.1:{stage.far.port}", tmp_path / "home", named=False)
    _, seen_directly = stage.take()
    assert len(text) > 40

    stage.begin()
    through = f"http://127.0.0.1:{stage.near.port}"
    assert run(program, through, tmp_path / "home") == text
    near, far = stage.take()
    records = stage.records(len(far))
    assert outline(far) == outline(seen_directly)
    assert_passed_untouched(near, far, prefix=rb"^/[^/]+")
    assert {(record["agent"], record["rung"], record["outcome"]) for record in records} == {(name, "native", "ok")}
    assert all(record["usage_source"] == "reported" and record["input_tokens"] > 0 for record in records)
    if mark is not None:
        sessions = {value.decode() for one in far for field, value in one.headers if field.lower() == mark}
        assert {record["session"] for record in records} == sessions and len(sessions) == 1

    stage.begin()
    assert run(program, f"{through}/a/reviewer/t/{name}", tmp_path / "home") == text
    near, far = stage.take()
    assert_passed_untouched(near, far)
    records = stage.records(len(far), task=name)
    assert {(record["agent"], record["rung"], record["outcome"]) for record in records} == {("reviewer", "path", "ok")}


def test_codex_speaks_over_a_websocket(stage: Stage, tmp_path: Path, installed: None) -> None:
    stage.begin()
    run(codex, f"http://127.0.0.1:{stage.near.port}", tmp_path / "codex")
    _, far = stage.take()
    assert [one.status for one in far] == [101]
    assert {(record["transport"], record["model"]) for record in stage.records(2)} == {("websocket", "gpt-5-2025-08-07")}
