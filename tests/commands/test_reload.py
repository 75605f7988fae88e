"""Reloading at the command line."""

from __future__ import annotations

import pytest

from proxy.orders import read_orders
from tests.commands.conftest import Office


def test_what_has_changed_is_told(office: Office, capsys: pytest.CaptureFixture) -> None:
    path = office.config.orders
    with office.open():
        office.write(budgets=[{"name": "all", "usd": 5}], limits={"idle_s": 5})
        assert office.run("reload", "--by", "jo") == 0
        assert capsys.readouterr().out == "changed: limits.idle_s, budgets\n"
        assert office.run("reload") == 0
        assert capsys.readouterr().out == "changed: nothing\n"
        assert office.orders.config_generation == 2
        office.write(budgets=[{"name": "all", "usd": -5}])
        assert office.run("reload") == 2
        assert "budgets[0].usd" in capsys.readouterr().err and read_orders(path).config_generation == 2
        office.write(budgets=[], journal={"retain_days": 3})
        assert office.run("reload") == 2
        assert "journal.retain_days: cannot change while Weighbridge runs" in capsys.readouterr().err
    assert [(one["verb"], one["by"]) for one in office.noted("order")][0] == ("reload", "jo")


def test_without_a_weighbridge_there_is_nothing_to_reload(office: Office, capsys: pytest.CaptureFixture) -> None:
    assert office.run("reload") == 1
    assert "one reads its config when it starts" in capsys.readouterr().err
