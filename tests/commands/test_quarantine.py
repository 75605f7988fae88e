"""The words of `weighbridge quarantine`."""

from __future__ import annotations

import pytest

from proxy.commands import quarantine
from tests.commands.conftest import Office


def test_while_nothing_runs_it_says_so(office: Office, capsys: pytest.CaptureFixture) -> None:
    for words in (["quarantine", "--agent", "a", "--reason", "odd"], ["unquarantine", "q-1"]):
        assert office.run(*words) == 1
        assert "no weighbridge runs" in capsys.readouterr().err


def test_words_become_a_request(office: Office, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple] = []

    def change(_: object, method: str, address: str, body: dict, target: str) -> dict:
        asked.append((method, address, body, target))
        return {"name": "q-1", "lifted": target}

    monkeypatch.setattr(quarantine, "change", change)
    assert office.run("quarantine", "--model", "m", "--since", "24h", "--reason", "odd", "--by", "jo") == 0
    assert office.run("unquarantine", "q-1", "--by", "jo") == 0
    assert asked == [
        ("POST", "/api/quarantines", {"model": "m", "since": "24h", "reason": "odd", "by": "jo"}, ""),
        ("DELETE", "/api/quarantines/{id}", {"by": "jo"}, "q-1"),
    ]
    assert capsys.readouterr().out.splitlines() == ["q-1", "q-1: lifted"]
