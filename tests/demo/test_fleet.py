"""The fleet works for as long as it is told, says what it did, and says what to do if there is no proxy."""

from __future__ import annotations

import socket

import pytest

from proxy.demo import agents, fleet
from proxy.demo.line import Line, NoWay
from tests.demo.client import Client


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "_PAUSE_S", (0.0, 0.0))


def pretend(monkeypatch: pytest.MonkeyPatch, work: object) -> None:
    for name in list(agents.AGENTS):
        monkeypatch.setitem(agents.AGENTS, name, work)


async def easy(line: Line, task: str) -> str:
    line.calls, line.tokens = 2, 10
    return "done"


def test_so_many_tasks_and_no_more(provider: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pretend(monkeypatch, easy)
    assert fleet.run(provider.url, 60, 7) == 0
    said = capsys.readouterr().out
    assert said.count(" done\n") == 7 and "7 tasks, 14 calls (0 failed), 70 tokens" in said and "weighbridge report --by agent,model" in said
    assert {line.split()[2] for line in said.splitlines() if line.endswith(" done")} == set(agents.AGENTS)


def test_no_time_no_tasks(provider: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.run(provider.url, 0) == 0
    assert "0 tasks" in capsys.readouterr().out


def test_without_a_proxy_it_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert fleet.run(f"http://127.0.0.1:{port}") == 1
    said = capsys.readouterr()
    assert "weighbridge serve" in said.err and "Traceback" not in said.err and said.out == ""


def test_a_refusal_ends_the_whole_fleet_with_its_reason(
    provider: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refused(line: Line, task: str) -> str:
        raise NoWay("Weighbridge refused the call (caller_unknown_upstream)")

    pretend(monkeypatch, refused)
    assert fleet.run(provider.url, 5) == 1
    assert "caller_unknown_upstream" in capsys.readouterr().err


def test_a_place_that_is_no_proxy_is_told_from_one(provider: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """The provider itself knows no path `/a/…`."""
    assert fleet.run(provider.url, 5, 5) == 1
    assert "was refused with 404" in capsys.readouterr().err


def test_every_agent_has_a_prefix_for_its_tasks() -> None:
    assert set(fleet._PREFIXES) == set(agents.AGENTS)
