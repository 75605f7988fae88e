"""The documentation is true: every key, outcome, command and dependency stands in it, and the example config is the defaults."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import typing
from pathlib import Path

import msgspec
import pytest
import yaml

from proxy.call import Rung
from proxy.config import Config, Key, Listen, Price, Upstream, parse
from proxy.errors import OUTCOMES
from proxy.notify import Channel
from proxy.record import Record

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "config.example.yaml").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMED = {"openai", "anthropic", "gemini", "mistral", "groq", "openrouter", "deepseek", "cohere", "bedrock", "azure", "ollama"}


def keys_of(kind: type[msgspec.Struct], tree: dict, path: str = "") -> list[str]:
    """The keys that `kind` has and `tree` does not show; of a mapping of structs, the first one shows all."""
    missing = []
    for field in msgspec.structs.fields(kind):
        here = f"{path}{field.name}"
        if field.name not in tree:
            missing.append(here)
            continue
        inner = (typing.get_args(field.type) or (field.type,))[-1] if typing.get_origin(field.type) in (dict, None) else None
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            below = tree[field.name] if inner is field.type else next(iter(tree[field.name].values()))
            missing += keys_of(inner, below, f"{here}.")
    return missing


def test_every_key_stands_in_the_example() -> None:
    assert keys_of(Config, yaml.safe_load(EXAMPLE)) == []


def test_the_fields_of_list_entries_are_named_in_the_example() -> None:
    for section in (Price, Key, Channel):
        for field in msgspec.structs.fields(section):
            assert f"`{field.name}`" in EXAMPLE, f"{section.__name__}.{field.name}"


def test_the_example_is_the_defaults_and_the_usual_upstreams() -> None:
    config = parse(EXAMPLE, environment={})
    assert msgspec.structs.replace(config, upstreams={}) == Config()
    assert set(config.upstreams) >= NAMED
    assert {upstream.key for upstream in config.upstreams.values()} == {"client"}
    assert config.upstreams["openai"] == Upstream(url="https://api.openai.com")


def test_every_key_of_the_example_has_a_comment() -> None:
    """The key itself, or the section of host and port, or the example of an upstream, has the line above it."""
    lines = EXAMPLE.splitlines()
    for name in [*keys_below(Config), *(f"    {field.name}" for field in msgspec.structs.fields(Upstream) if field.name not in ("url", "key"))]:
        where = next(index for index, line in enumerate(lines) if line.startswith(f"{name}:"))
        assert lines[where - 1].lstrip().startswith("# "), name


def keys_below(kind: type[msgspec.Struct]) -> list[str]:
    """The keys of the config and of its sections, indented as they stand in the file."""
    found = []
    for field in msgspec.structs.fields(kind):
        found.append(field.name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct) and field.type is not Listen:
            found += [f"  {inner.name}" for inner in msgspec.structs.fields(field.type)]
    return found


@pytest.mark.parametrize("name", sorted(OUTCOMES))
def test_every_outcome_has_a_heading(name: str) -> None:
    assert len(re.findall(rf"^### {name}$", README, re.MULTILINE)) == 1


def test_no_heading_names_an_outcome_that_is_none() -> None:
    named = re.findall(r"^### ((?:caller|policy|upstream|weighbridge)_\w+|ok)$", README, re.MULTILINE)
    assert set(named) == OUTCOMES


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "import sys; from proxy.cli import main; sys.exit(main())"]
    return subprocess.run([*program, *arguments], cwd=ROOT, env={"COLUMNS": "400"}, capture_output=True, text=True, timeout=60, check=False)


def test_every_command_is_in_the_readme() -> None:
    commands = re.search(r"\{([a-z,-]+)\}", run_program("--help").stdout)
    assert commands
    table = re.findall(r"^\| `weighbridge ([a-z]+)", README, re.MULTILINE)
    assert set(table) == set(commands[1].split(","))


def test_every_make_target_is_in_the_readme() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony
    for target in set(phony[1].split()) - {"lint"}:
        assert f"`make {target}`" in README, target


def name_of(requirement: str) -> str:
    return re.match(r"[a-z0-9-]+", requirement)[0]


def test_every_dependency_has_a_line_and_every_line_a_dependency() -> None:
    declared = PROJECT["dependencies"] + [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
    table = README.split("## Dependencies")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| ([a-z0-9-]+) \| \w", table, re.MULTILINE)) - {"package"} == {name_of(each) for each in declared}


def test_what_is_declared_is_what_is_pinned() -> None:
    wanted = (ROOT / "requirements" / "run.in").read_text(encoding="utf-8")
    assert [line for line in wanted.splitlines() if line and line[0] != "#"] == PROJECT["dependencies"]
    pinned = (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8")
    for each in PROJECT["dependencies"]:
        assert re.search(rf"^{name_of(each)}==\S+ (?:; .+ )?\\\n    --hash=sha256:", pinned, re.MULTILINE), each


IMPORTED_AS = {
    "genai-prices": "genai_prices", "jsonschema-rs": "jsonschema_rs", "opentelemetry-exporter-otlp": "opentelemetry.exporter.otlp",
    "opentelemetry-sdk": "opentelemetry.sdk", "prometheus-client": "prometheus_client", "pyyaml": "yaml",
}  # fmt: skip


@pytest.mark.parametrize("requirement", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["bedrock"])
def test_every_dependency_is_used(requirement: str) -> None:
    module = IMPORTED_AS.get(name_of(requirement), name_of(requirement))
    texts = (path.read_text(encoding="utf-8") for top in ("proxy", "evaluators") for path in (ROOT / top).rglob("*.py"))
    assert any(re.search(rf"^\s*(import|from) {module}\b", text, re.MULTILINE) for text in texts)


def section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_every_column_is_described_once() -> None:
    described = re.findall(r"^\| (`.*?`) \|", section(OPERATING, "What is recorded"), re.MULTILINE)
    names = [name for cell in described for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(names) == sorted(field.name for field in msgspec.structs.fields(Record))


def test_every_rung_is_described_in_its_order() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \|", section(OPERATING, "Who called"), re.MULTILINE)) == typing.get_args(Rung)
    assert tuple(re.findall(r"^\d\. `(\w+)`", README, re.MULTILINE)) == typing.get_args(Rung)


def test_every_benchmark_is_described() -> None:
    described = set(re.findall(r"^\| `([\w.]+)`", (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert described == {path.name for path in (ROOT / "benchmarks").iterdir() if path.suffix in (".py", ".sh")} - {"start.sh"}


@pytest.mark.parametrize("path", ["README.md", "docs/operating.md"])
def test_links_to_files_lead_somewhere(path: str) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / path).read_text(encoding="utf-8")):
        assert (ROOT / path).parent.joinpath(target).exists(), target


def test_the_changelog_opens_with_the_version() -> None:
    assert re.search(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1].rstrip(",") == PROJECT["version"]


def test_the_program_finds_no_fault_in_the_example_without_any_environment() -> None:
    done = run_program("check", "--config", "config.example.yaml")
    assert (done.returncode, done.stderr) == (0, "")
