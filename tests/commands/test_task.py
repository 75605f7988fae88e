"""Opening and closing tasks at the command line."""

from __future__ import annotations

import pytest

from proxy.orders import TaskBudget
from tests.commands.conftest import Office


def test_a_task_is_opened_changed_and_closed(desk_office: Office, capsys: pytest.CaptureFixture) -> None:
    office = desk_office
    assert office.run("task", "open", "tickets/42", "--agent", "a", "--usd", "0.5", "--by", "jo") == 0
    assert office.run("task", "open", "tickets/42", "--calls", "7", "--by", "jo") == 0
    assert office.run("task", "open", "--tokens", "100", "--by", "jo") == 0
    first, second, made = capsys.readouterr().out.split()
    assert first == second == "tickets/42" and office.orders.tasks == {first: TaskBudget(usd=0.5, calls=7), made: TaskBudget(tokens=100)}
    assert office.run("task", "close", "tickets/42", "--outcome", "succeeded", "--by", "mo") == 0
    assert capsys.readouterr().out == "task tickets/42: succeeded\n" and list(office.orders.tasks) == [made]
    assert [(one["task"], one.get("usd"), one.get("outcome"), one["by"]) for one in office.noted("task")] == [
        ("tickets/42", 0.5, None, "jo"), ("tickets/42", None, None, "jo"), (made, None, None, "jo"), ("tickets/42", None, "succeeded", "mo"),
    ]  # fmt: skip


def test_a_wrong_budget_opens_nothing(desk_office: Office, capsys: pytest.CaptureFixture) -> None:
    assert desk_office.run("task", "open", "t", "--usd", "-1") == 2
    assert "usd: expected 0 or more" in capsys.readouterr().err and not desk_office.config.orders.exists()
    with pytest.raises(SystemExit, match="2"):
        desk_office.run("task", "close", "t")
