"""What can be changed, in the words of the admin port and of the command line: bodies become orders, keys and tasks.

    POST   /api/orders            {verb: pause | resume | kill | tier | inspect, agent | task | team | …: name (none: everything), running, tier,
                                   for_s, reason, by}
    POST   /api/keys              {agent, team, tags, expires, usd, tokens, calls, per, id, by}; the answer has the key, this once
    DELETE /api/keys/<id>         {reason, by}
    POST   /api/tasks             {task, agent, usd, tokens, calls, by}; without `task` one is named
    POST   /api/tasks/<id>/close  {outcome, by}
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import msgspec

from proxy.controlplane import desk as desks
from proxy.controlplane.desk import Desk, Done
from proxy.controlplane.door import Change, read_body
from proxy.controlplane.reports import BadQuestion, Report
from proxy.document import Faults
from proxy.orders import Order, TaskBudget
from proxy.rules import DIMENSIONS, Key, check_amounts, check_keys, is_dimension, read_moment

ANYONE = "admin port"
_MOST_LETTERS = {"reason": 1000, "by": 100, "id": 63, "outcome": 64, "note": 2000}
_MOST_S = 366 * 86400.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


class _Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    by: str = ANYONE

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, str):
                check_text(name, value)


class GivenOrder(_Body, kw_only=True):
    verb: Literal["pause", "resume", "kill", "tier", "inspect"]
    running: bool | None = None  # default: kill ends running calls as well, pause does not
    reason: str = ""
    tier: str | None = None  # tier: the rule of `tiers` that is to hold
    for_s: float | None = None  # default: until it is resumed


class GivenKey(_Body, kw_only=True):
    agent: str | None = None
    team: str | None = None
    id: str | None = None
    tags: dict[str, str] = {}
    expires: str | None = None
    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None
    per: str = "lifetime"


class Revocation(_Body, kw_only=True):
    reason: str = ""


class GivenTask(_Body, kw_only=True):
    task: str | None = None
    agent: str | None = None
    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None


class TaskEnd(_Body, kw_only=True):
    outcome: str


def make_changes(desk: Desk) -> list[Change]:
    """All that can be done at the desk."""

    def bind(perform: Callable[[Desk, str, bytes], dict[str, Any]]) -> Callable[[str, bytes], dict[str, Any]]:
        return lambda target, body: perform(desk, target, body)

    return [
        Change("POST", "/api/orders", bind(give_order)),
        Change("POST", "/api/keys", bind(issue_key)),
        Change("DELETE", "/api/keys/{id}", bind(revoke_key)),
        Change("POST", "/api/tasks", bind(open_task)),
        Change("POST", "/api/tasks/{id}/close", bind(close_task)),
    ]


def check_text(name: str, text: str) -> None:
    """Raises `BadQuestion` for a name or a word that is empty, too long, or would spoil a line."""
    most = _MOST_LETTERS.get(name, 256)
    if len(text) > most or not text.isprintable() or (not text.strip() and name != "reason"):
        raise BadQuestion(f"{name} is text of 1 to {most} printable letters")


def give_order(desk: Desk, _: str, body: bytes) -> dict[str, Any]:
    """Pause, kill or resume whom the body names."""
    words = read_words(body)
    scopes = {word: value for word, value in words.items() if is_dimension(word)}
    given = read_body(msgspec.json.encode({word: value for word, value in words.items() if word not in scopes}), GivenOrder)
    if len(scopes) > 1:
        raise BadQuestion(f"an order concerns one of {', '.join(DIMENSIONS)} and tag:NAME, or everything; give two orders for two")
    dimension, value = next(iter(scopes.items()), (None, None))
    if dimension is not None:
        if not isinstance(value, str):
            raise BadQuestion(f"{dimension} is text")
        check_text(dimension, value)
    running = given.verb == "kill" if given.running is None else given.running
    if (given.verb == "tier") != (given.tier is not None):
        raise BadQuestion("`tier` names the rule of `tiers` that is to hold, and stands with the verb tier only")
    if given.for_s is not None and not 0 < given.for_s <= _MOST_S:
        raise BadQuestion(f"for_s is greater than 0, and at most {_MOST_S:g}")
    until_ns = 0 if given.for_s is None else desk.now_ns + int(given.for_s * 1e9)
    order = Order(
        verb=given.verb, dimension=dimension, value=value, running=running, reason=given.reason, by=given.by, tier=given.tier, until_ns=until_ns
    )
    done = desk.resume(order) if given.verb == "resume" else desk.give(order)
    return _answer(done, {"verb": given.verb, "concerns": desks.write_scope(order), "orders": done.orders.orders})


def read_words(body: bytes) -> dict[str, Any]:
    """A body whose keys are not all known beforehand. Raises `BadQuestion`."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadQuestion(f"the body is not as expected: {error}") from None


def issue_key(desk: Desk, _: str, body: bytes) -> dict[str, Any]:
    """Issue a key; the answer is the only place where it ever stands."""
    given = read_body(body, GivenKey)
    if given.id is not None and not _ID.match(given.id):
        raise BadQuestion("an id is letters, digits, `.`, `-` and `_`, and starts with a letter or digit")
    secret = desks.make_secret()
    fields = {name: value for name, value in msgspec.structs.asdict(given).items() if name != "by"}
    key = Key(sha256=desks.digest(secret), **fields)
    faults = Faults()
    check_keys([key], faults)
    for name, value in key.tags.items():
        check_text("a tag's name", name)
        check_text("a tag's value", value)
    if not faults and key.expires is not None and read_moment(key.expires) <= desk.now_ns:
        faults.add("expires", "is past")
    _refuse(faults)
    done = desk.issue(key, given.by)
    said = {name: value for name, value in fields.items() if name != "id" and value not in (None, {})}
    return _answer(done, {"key": secret, "id": key.name, **said})


def revoke_key(desk: Desk, target: str, body: bytes) -> dict[str, Any]:
    """Refuse a key from now on."""
    given = read_body(body, Revocation)
    return _answer(desk.revoke(target, given.reason, given.by), {"revoked": target})


def open_task(desk: Desk, _: str, body: bytes) -> dict[str, Any]:
    """Make a task known and give it a budget."""
    given = read_body(body, GivenTask)
    faults = Faults()
    amounts = {"usd": given.usd, "tokens": given.tokens, "calls": given.calls}
    check_amounts("", amounts, faults)
    _refuse(faults)
    task = given.task or f"task-{secrets.token_hex(8)}"
    done = desk.open_task(task, given.agent, TaskBudget(**amounts), given.by)
    return _answer(done, desks.describe_task(task, done.orders))


def close_task(desk: Desk, target: str, body: bytes) -> dict[str, Any]:
    """Note how a task ended."""
    check_text("task", target)
    given = read_body(body, TaskEnd)
    return _answer(desk.close_task(target, given.outcome, given.by), {"task": target, "outcome": given.outcome})


def _answer(done: Done, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, "note": done.note}


def _refuse(faults: Faults) -> None:
    if faults:
        found = [(fault.path.removeprefix("identity.keys[0]").lstrip("."), fault.message) for fault in faults.in_file_order()]
        raise BadQuestion("; ".join(f"{path}: {message}" if path else message for path, message in found))


def list_orders(desk: Desk) -> Report:
    """The orders that hold."""
    rows = [
        [one.verb, one.dimension or "everything", one.value, one.running, one.reason, one.by, one.at_ns, one.until_ns or None, one.tier]
        for one in desk.read().orders
    ]
    return Report("orders", ["order", "concerns", "name", "running", "reason", "by", "at_ns", "until_ns", "tier"], rows, "")


def list_keys(desk: Desk) -> Report:
    """The keys that are known, never the keys themselves."""
    orders = desk.read()
    columns = ["id", "agent", "team", "tags", "state", "expires", "limit_usd", "limit_tokens", "limit_calls", "per", "source"]
    rows = [*_list("issued", orders.keys, orders.revoked, desk.now_ns), *_list("config", desk.configured, orders.revoked, desk.now_ns)]
    return Report("keys", columns, rows, "")


def _list(source: str, keys: Iterable[Key], revoked: list[str], now_ns: int) -> list[list[Any]]:
    rows = []
    for key in keys:
        is_past = key.expires is not None and read_moment(key.expires) <= now_ns
        state = "revoked" if key.sha256 in revoked else "expired" if is_past else "valid"
        rows.append([key.name, key.agent, key.team, key.tags, state, key.expires, key.usd, key.tokens, key.calls, key.per, source])
    return rows
