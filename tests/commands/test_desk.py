"""Changing what the desk keeps while no Weighbridge runs, and while one runs that must not be confused with another."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest

from proxy.commands.desk import find_user
from proxy.supervise import prepare_state
from tests.commands.conftest import Office


def test_without_a_state_folder_nothing_is_made(office: Office, capsys: pytest.CaptureFixture) -> None:
    assert office.run("pause", "a", "--reason", "x") == 1
    error = capsys.readouterr().err
    assert "there is no state folder" in error and "--config" in error and not Path(office.config.state_dir).exists()


def test_what_was_done_without_a_weighbridge_is_said_so(office: Office, capsys: pytest.CaptureFixture) -> None:
    Path(office.config.state_dir).mkdir()
    assert office.run("pause", "a", "--reason", "x") == 0
    assert capsys.readouterr().err == "weighbridge: no weighbridge runs; this holds when one starts\n"
    os.close(prepare_state(office.config))
    assert office.run("orders") == 0
    assert "read from the file: no weighbridge runs" in capsys.readouterr().out


def test_the_folder_of_a_running_weighbridge_is_left_alone(office: Office, capsys: pytest.CaptureFixture) -> None:
    lock = prepare_state(office.config)
    try:
        assert office.run("pause", "a", "--reason", "x") == 1
    finally:
        os.close(lock)
    assert "another weighbridge is running" in capsys.readouterr().err and not office.config.orders.exists()


def test_a_broken_file_is_told_and_left(desk_office: Office, capsys: pytest.CaptureFixture) -> None:
    desk_office.config.orders.write_text("{")
    for arguments in (["pause", "a", "--reason", "x"], ["orders"], ["keys", "list"]):
        assert desk_office.run(*arguments) == 1
        assert "put its last good copy back" in capsys.readouterr().err
    assert desk_office.config.orders.read_text() == "{"


def test_the_user_of_the_system_gives_the_order(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "jo")
    assert find_user() == "jo"
    monkeypatch.setattr(getpass, "getuser", lambda: {}["nobody"])
    assert find_user() == str(os.getuid())
    monkeypatch.undo()
    Path(office.config.state_dir).mkdir()
    assert office.run("pause", "a", "--reason", "x") == 0
    assert office.orders.orders[0].by == find_user()
