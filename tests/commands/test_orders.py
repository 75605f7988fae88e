"""Pausing, killing and resuming at the command line."""

from __future__ import annotations

import pytest

from proxy.commands.orders import describe
from tests.commands.conftest import Office


def test_who_is_paused_is_named_with_what_it_means_and_may_be_resumed(desk_office: Office, capsys: pytest.CaptureFixture) -> None:
    office = desk_office
    assert office.run("pause", "agent-7", "--reason", "loops", "--by", "jo") == 0
    assert office.run("kill", "--task", "t/1", "--reason", "too dear", "--by", "mo") == 0
    assert office.run("pause", "--all", "--running", "--reason", "fire", "--by", "jo") == 0
    assert office.run("pause", "--tag", "stage=test", "--reason", "x", "--by", "jo") == 0
    assert [(one.verb, one.dimension, one.value, one.running, one.reason, one.by) for one in office.orders.orders] == [
        ("pause", "agent", "agent-7", False, "loops", "jo"),
        ("kill", "task", "t/1", True, "too dear", "mo"),
        ("pause", None, None, True, "fire", "jo"),
        ("pause", "tag:stage", "test", False, "x", "jo"),
    ]
    out = capsys.readouterr().out.splitlines()
    assert out[:3] == [
        "agent agent-7: new calls are refused, those that run go on",
        "task t/1: new calls are refused, and those that run are broken off",
        "1 other order holds: weighbridge orders",
    ]
    assert out[3] == "everything: new calls are refused, and those that run are broken off" and out[4].startswith("2 other orders hold")
    assert office.run("orders", "--format", "csv") == 0
    assert [line.split(",")[:5] for line in capsys.readouterr().out.splitlines()[1:]][1] == ["kill", "task", "t/1", "true", "too dear"]
    assert office.run("resume", "--all", "--by", "jo") == 0 and office.run("resume", "agent-7", "--by", "jo") == 0
    assert capsys.readouterr().out.splitlines()[0] == "everything: calls are let through again"
    assert [one.dimension for one in office.orders.orders] == ["task", "tag:stage"]
    assert [(one["verb"], one["by"]) for one in office.noted("order")] == [
        ("pause", "jo"), ("kill", "mo"), ("pause", "jo"), ("pause", "jo"), ("resume", "jo"), ("resume", "jo"),
    ]  # fmt: skip


def test_who_is_not_held_up_is_said_so(desk_office: Office, capsys: pytest.CaptureFixture) -> None:
    assert desk_office.run("resume", "agent-7") == 1
    assert "no order holds for agent agent-7; none holds at all" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["pause", "--reason", "x"],
        ["pause", "agent-7", "--all", "--reason", "x"],
        ["kill", "agent-7", "--task", "t", "--reason", "x"],
        ["kill", "--tag", "stage", "--reason", "x"],
        ["kill", "", "--reason", "x"],
        ["kill", "a", "--reason", "x", "--by", ""],
    ],
)
def test_a_wrong_order_is_status_2_and_stops_nothing(desk_office: Office, capsys: pytest.CaptureFixture, arguments: list[str]) -> None:
    assert desk_office.run(*arguments) == 2
    assert capsys.readouterr().err.startswith("weighbridge: ") and not desk_office.config.orders.exists()


def test_an_order_has_a_reason(office: Office) -> None:
    with pytest.raises(SystemExit, match="2"):
        office.run("kill", "agent-7")


def test_what_an_order_brings_about() -> None:
    assert describe("pause", "agent a", False) == "agent a: new calls are refused, those that run go on"
    assert describe("kill", "agent a", True) == "agent a: new calls are refused, and those that run are broken off"
    assert describe("resume", "agent a", False) == "agent a: calls are let through again"
