"""Reaching the admin port of the right Weighbridge, and saying so where it is another one, or none."""

from __future__ import annotations

import pytest

from proxy.commands.admin import CannotAnswer, NothingRuns, change, fetch
from proxy.token import make_token
from tests.commands.conftest import Office
from tests.test_cli import answer_with


def test_another_weighbridge_is_not_changed(office: Office, capsys: pytest.CaptureFixture) -> None:
    with office.open():
        running = office.config.orders
        office.write(state_dir=office.settings["state_dir"] + "-other")
        assert office.run("pause", "a", "--reason", "x") == 1
        error = capsys.readouterr().err
        assert "admin-token cannot be read (No such file or directory)" in error and "--config" in error
        office.config.admin_token.parent.mkdir()
        make_token(office.config.admin_token)
        assert office.run("pause", "a", "--reason", "x") == 1
        assert "another weighbridge runs there" in capsys.readouterr().err
    assert not running.exists() and not office.config.orders.exists()


def test_where_nothing_listens_nothing_runs(office: Office) -> None:
    with pytest.raises(NothingRuns):
        fetch(office.config, "GET", "/api/orders")


@pytest.mark.parametrize(("status", "body"), [(200, b"[]"), (200, b"{"), (502, b"<html>"), (401, b"{}")])
def test_what_is_no_admin_port_is_said_so(office: Office, status: int, body: bytes) -> None:
    with answer_with(status, body, []) as port:
        office.write(admin={"port": port})
        with pytest.raises(CannotAnswer, match="is not Weighbridge's admin port"):
            change(office.config, "POST", "/api/orders", {})
