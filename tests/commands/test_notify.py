"""A test notice at the command line."""

from __future__ import annotations

import pytest

from tests.commands.conftest import Office
from tests.controlplane.notices.channels.conftest import run_receiver


def test_it_says_what_came_of_each_channel(office: Office, capsys: pytest.CaptureFixture) -> None:
    with run_receiver() as receiver, run_receiver() as refusing:
        office.write(notify={"channels": [{"name": "ops", "kind": "webhook", "url": receiver.url}]})
        with office.open():
            assert office.run("notify", "--test", "--by", "jo") == 0
        assert capsys.readouterr().out == "ops (webhook): sent: its receiver took it\n"
        refusing.status = 404
        office.settings["notify"]["channels"].append({"name": "no", "kind": "webhook", "url": refusing.url})
        office.write()
        with office.open():
            assert office.run("notify", "--test") == 1
        assert capsys.readouterr().out.splitlines()[1] == "no (webhook): NOT sent: it answered with status 404"
    assert b"jo asked for it" in receiver.got[0][1]


def test_without_channels_there_is_nobody_to_tell(office: Office, capsys: pytest.CaptureFixture) -> None:
    with office.open():
        assert office.run("notify", "--test") == 1
    assert "add one under notify.channels" in capsys.readouterr().err


def test_without_a_weighbridge_nothing_is_sent(office: Office, capsys: pytest.CaptureFixture) -> None:
    assert office.run("notify", "--test") == 1
    assert "it is what sends notices" in capsys.readouterr().err


def test_what_is_to_be_sent_must_be_said(office: Office) -> None:
    with pytest.raises(SystemExit):
        office.run("notify")
