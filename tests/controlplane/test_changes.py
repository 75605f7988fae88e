"""The words in which orders, keys and tasks are given, and what is said of those that are wrong."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from proxy.controlplane.changes import list_keys, list_orders, make_changes
from proxy.controlplane.door import NotDone
from proxy.controlplane.reports import BadQuestion
from proxy.orders import Order, TaskBudget
from proxy.rules import Key
from tests.controlplane.test_desk import Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path, Key(sha256="c" * 64, team="x", id="fixed", expires="2020-01-01"))


def do(room: Room, method: str, address: str, body: object, target: str = "") -> dict:
    (change,) = [one for one in make_changes(room.desk) if (one.method, one.address) == (method, address)]
    return change.perform(target, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_kill_ends_what_runs_and_pause_does_where_it_is_asked(room: Room) -> None:
    answer = do(room, "POST", "/api/orders", {"verb": "kill", "agent": "a", "reason": "loops", "by": "jo"})
    assert (answer["verb"], answer["concerns"], answer["note"]) == ("kill", "agent a", "")
    for body in (
        {"verb": "pause"},
        {"verb": "pause", "tag:stage": "test", "running": True},
        {"verb": "kill", "session": "s", "running": False},
    ):
        answer = do(room, "POST", "/api/orders", body)
    assert [(one.verb, one.dimension, one.value, one.running, one.by) for one in answer["orders"]] == [
        ("kill", "agent", "a", True, "jo"),
        ("pause", None, None, False, "admin port"),
        ("pause", "tag:stage", "test", True, "admin port"),
        ("kill", "session", "s", False, "admin port"),
    ]
    assert room.orders.orders == answer["orders"]
    assert do(room, "POST", "/api/orders", {"verb": "resume"})["concerns"] == "everything"
    assert len(room.orders.orders) == 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "the body is not as expected"),
        (b"[]", "the body is not as expected"),
        (b"[" * 100_000, "the body is not as expected"),
        ({"verb": "kill", "agnet": "a"}, "unknown field"),
        ({"agent": "a"}, "missing required field"),
        ({"verb": "stop", "agent": "a"}, "Invalid enum value"),
        ({"verb": "pause", "agent": "a", "task": "t"}, "give two orders for two"),
        ({"verb": "pause", "agent": None}, "agent is text"),
        ({"verb": "pause", "agent": ""}, "agent is text of 1 to 256 printable letters"),
        ({"verb": "pause", "agent": "a\nb"}, "agent is text of 1 to 256 printable letters"),
        ({"verb": "pause", "agent": "a" * 257}, "agent is text of 1 to 256"),
        ({"verb": "pause", "tag:": "a"}, "unknown field"),
        ({"verb": "pause", "by": ""}, "by is text of 1 to 100"),
        ({"verb": "pause", "reason": "a" * 1001}, "reason is text of 1 to 1000"),
        ({"verb": "pause", "running": "yes"}, "Expected `bool"),
        ({"verb": "tier", "agent": "a"}, "`tier` names the rule"),
        ({"verb": "pause", "tier": "strong"}, "`tier` names the rule"),
        ({"verb": "pause", "for_s": 0}, "for_s is greater than 0"),
    ],
)
def test_a_wrong_order_stops_nothing(room: Room, body: object, expected: str) -> None:
    with pytest.raises(BadQuestion, match=expected):
        do(room, "POST", "/api/orders", body)
    assert not room.path.exists() and room.noted() == []


def test_a_key_is_answered_once_and_kept_by_its_digest(room: Room) -> None:
    asked = {"agent": "a", "team": "t", "tags": {"stage": "test"}, "expires": "2999-12-31", "usd": 2.5, "tokens": 9, "calls": 3, "per": "month"}
    asked["id"] = "k"
    answer = do(room, "POST", "/api/keys", {**asked, "by": "jo"})
    secret = answer.pop("key")
    assert answer == {**asked, "note": ""}
    assert room.orders.keys == [Key(sha256=hashlib.sha256(secret.encode()).hexdigest(), **asked)]
    unnamed = do(room, "POST", "/api/keys", {"agent": "a"})
    assert unnamed["id"] == hashlib.sha256(unnamed["key"].encode()).hexdigest()[:8] and unnamed["key"] != secret
    assert do(room, "DELETE", "/api/keys/{id}", {"reason": "leaked"}, "k") == {"revoked": "k", "note": ""}
    do(room, "DELETE", "/api/keys/{id}", b"", "fixed")
    listed = list_keys(room.desk)
    shown = [dict(zip(listed.columns, row, strict=True)) for row in listed.rows]
    assert [(one["id"], one["state"], one["source"]) for one in shown] == [(unnamed["id"], "valid", "issued"), ("fixed", "revoked", "config")]
    assert secret not in str(listed) and unnamed["key"] not in str(listed)


def test_keys_past_their_time_are_shown_so(room: Room) -> None:
    room.desk = type(room.desk)(room.path, room.writer, room.desk.configured, lambda: 2 * 10**18)
    assert list_keys(room.desk).rows[0][4] == "expired"
    with pytest.raises(BadQuestion, match="expires: is past"):
        do(room, "POST", "/api/keys", {"agent": "a", "expires": "2020-01-01"})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "^names nobody; set `agent`, `team` or both$"),
        ({"agent": "a", "usd": -1}, "^usd: expected 0 or more"),
        ({"agent": "a", "usd": -1, "per": "fortnight"}, "^usd: expected 0 or more.*; per: expected one of call, hour"),
        ({"agent": "a", "expires": "soon"}, "^expires: expected a date or time"),
        ({"agent": "a", "id": "a b"}, "an id is letters"),
        ({"agent": "a", "tags": {"": "x"}}, "a tag's name is text"),
        ({"agent": "a", "tags": {"x": 5}}, "Expected `str`"),
        ({"agent": "a", "sha256": "0" * 64}, "unknown field"),
        (b'{"agent": "a", "usd": 1e999}', "expected"),
    ],
)
def test_a_wrong_key_is_not_issued(room: Room, body: object, expected: str) -> None:
    with pytest.raises(BadQuestion, match=expected):
        do(room, "POST", "/api/keys", body)
    assert not room.path.exists()


def test_tasks_open_with_a_budget_and_close_with_an_outcome(room: Room) -> None:
    assert do(room, "POST", "/api/tasks", {"task": "t", "agent": "a", "usd": 0, "calls": 3}) == {
        "task": "t", "usd": 0.0, "tokens": None, "calls": 3, "note": "",
    }  # fmt: skip
    named = do(room, "POST", "/api/tasks", {"tokens": 5})["task"]
    assert named.startswith("task-") and room.orders.tasks == {"t": TaskBudget(usd=0, calls=3), named: TaskBudget(tokens=5)}
    assert do(room, "POST", "/api/tasks/{id}/close", {"outcome": "succeeded"}, "t") == {"task": "t", "outcome": "succeeded", "note": ""}
    assert list(room.orders.tasks) == [named]
    for method, address, body, target in (
        ("POST", "/api/tasks", {"usd": -1}, ""),
        ("POST", "/api/tasks", {"task": ""}, ""),
        ("POST", "/api/tasks", {"task": "t", "outcome": "succeeded"}, ""),
        ("POST", "/api/tasks/{id}/close", {}, "t"),
        ("POST", "/api/tasks/{id}/close", {"outcome": " "}, "t"),
    ):
        with pytest.raises(BadQuestion):
            do(room, method, address, body, target)
    assert len(room.noted()) == 3


def test_what_was_not_held_is_passed_on(room: Room) -> None:
    room.desk.give(Order(verb="pause", dimension="agent", value="b"))
    with pytest.raises(NotDone, match="no order holds for agent a; orders hold for agent b"):
        do(room, "POST", "/api/orders", {"verb": "resume", "agent": "a"})


def test_an_order_may_end_by_itself_and_concern_a_tier(room: Room) -> None:
    do(room, "POST", "/api/orders", {"verb": "tier", "agent": "a", "tier": "strong", "for_s": 1e-8})
    do(room, "POST", "/api/orders", {"verb": "inspect", "agent": "a"})
    assert [(one.verb, one.tier, one.running) for one in room.orders.orders] == [("tier", "strong", False), ("inspect", None, False)]
    first, second = room.orders.orders
    assert 10 < first.until_ns < 20 and second.until_ns == 0
    shown = list_orders(room.desk)
    assert [row[-2:] for row in shown.rows] == [[first.until_ns, "strong"], [None, None]] and shown.columns[-2:] == ["until_ns", "tier"]
