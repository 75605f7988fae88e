"""The orders desk: the only writer of the orders file. It takes orders, issues and revokes keys, opens and closes tasks, counts reloads.

Each change is read from the file, changed and put back whole, on disk before anybody obeys it. Who did what, when and why goes into the journal
before that, so that no order holds of which the history knows nothing; but a journal that cannot be written holds up no order: then the
answer says so, and the file itself still has the actor and the reason.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from proxy.controlplane.door import NotDone
from proxy.controlplane.journal_writer import JournalWriter
from proxy.orders import Order, Orders, OrdersUnreadable, Ruling, TaskBudget, read_orders, write_orders
from proxy.record import OrderEvent, TaskEvent
from proxy.reviewed import ReviewEvent
from proxy.reviewing import LONGEST_WAIT_S
from proxy.rules import Key

MOST_ORDERS = 1000
MOST_KEYS = 10_000
MOST_TASKS = 10_000
MOST_RULINGS = 1000
NOT_IN_HISTORY = "this holds, but the journal could not be written, so that the history lacks it; see the log"


class Done(msgspec.Struct, frozen=True):
    """What holds after a change, and what must be said about it."""

    orders: Orders
    note: str = ""


class Desk:
    """Belongs to one thread. Every method raises `NotDone` where nothing was changed."""

    def __init__(self, path: Path, journal: JournalWriter, configured: list[Key], clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._journal = journal
        self._configured = configured
        self._clock_ns = clock_ns

    @property
    def configured(self) -> list[Key]:
        """The keys that stand in the config."""
        return self._configured

    @property
    def now_ns(self) -> int:
        return self._clock_ns()

    def configure(self, keys: list[Key]) -> None:
        """Take the keys of another config."""
        self._configured = keys

    def read(self) -> Orders:
        """All that holds now."""
        try:
            return read_orders(self._path)
        except OrdersUnreadable as error:
            raise NotDone(503, "orders_unreadable", str(error)) from None

    def give(self, order: Order, *, yields: bool = False) -> Done:
        """Let an order hold; it takes the place of another one of its kind with the same scope, or `yields` to it."""
        order = msgspec.structs.replace(order, at_ns=self._clock_ns())
        orders = self.read()
        others = [one for one in orders.orders if (one.kind, *_scope(one)) != (order.kind, *_scope(order))]
        if yields and len(others) < len(orders.orders):
            raise NotDone(409, "held", f"another order holds for {write_scope(order)}")
        _refuse_more(len(others), MOST_ORDERS, "orders hold; resume what need not be held up any more")
        return self._publish(orders, msgspec.structs.replace(orders, orders=[*others, order]), _tell(order, order.verb, order.at_ns))

    def resume(self, order: Order) -> Done:
        """Lift every order with this very scope."""
        orders = self.read()
        others = [one for one in orders.orders if _scope(one) != _scope(order)]
        if len(others) == len(orders.orders):
            held = ", ".join(write_scope(one) for one in others[:20])
            rest = f"orders hold for {held}" if held else "none holds at all"
            raise NotDone(404, "not_held", f"no order holds for {write_scope(order)}; {rest}")
        return self._publish(orders, msgspec.structs.replace(orders, orders=others), _tell(order, "resume", self._clock_ns()))

    def end_past(self) -> list[Order]:
        """Lift the orders whose time is up: those."""
        ended = [one for one in self.read().orders if 0 < one.until_ns <= self._clock_ns()]
        for order in ended:
            orders = self.read()
            others = [one for one in orders.orders if one != order]
            event = msgspec.structs.replace(_tell(order, "resume", self._clock_ns()), reason="its time is up")
            self._publish(orders, msgspec.structs.replace(orders, orders=others), event)
        return ended

    def issue(self, key: Key, by: str) -> Done:
        """Let a key be known."""
        orders = self.read()
        _refuse_more(len(orders.keys), MOST_KEYS, "keys are issued; revoke those that nobody uses")
        if any(key.name == one.name and one.sha256 not in orders.revoked for one in (*orders.keys, *self._configured)):
            raise NotDone(409, "name_taken", f"there is a key {key.name} already; revoke it first, or choose another id")
        event = OrderEvent(at_ns=self._clock_ns(), by=by, verb="issue_key", dimension="key", value=key.name)
        return self._publish(orders, msgspec.structs.replace(orders, keys=[*orders.keys, key]), event)

    def revoke(self, name: str, reason: str, by: str) -> Done:
        """Refuse a key from now on, whether it was issued or stands in the config."""
        orders = self.read()
        found = [key.sha256 for key in (*orders.keys, *self._configured) if key.name == name and key.sha256 not in orders.revoked]
        if not found:
            raise NotDone(404, "unknown_key", "there is no key of this id, or it is revoked already; `weighbridge keys list` shows them")
        kept = {key.sha256 for key in self._configured}
        revoked = [*orders.revoked, *found]
        for sha256 in [one for one in revoked if one not in kept][:-MOST_KEYS]:  # a key that is forgotten is refused as an unknown one
            revoked.remove(sha256)
        keys = [key for key in orders.keys if key.sha256 not in found]
        event = OrderEvent(at_ns=self._clock_ns(), by=by, verb="revoke_key", dimension="key", value=name, reason=reason or None)
        done = self._publish(orders, msgspec.structs.replace(orders, keys=keys, revoked=revoked), event)
        if kept & set(found):
            standing = "it still stands in the config, and is refused nevertheless; remove it there as well"
            return msgspec.structs.replace(done, note="; ".join(part for part in (done.note, standing) if part))
        return done

    def open_task(self, task: str, agent: str | None, budget: TaskBudget, by: str) -> Done:
        """Make a task known, and give it a budget; of one that has a budget, change what is named."""
        orders = self.read()
        given = {name: value for name, value in msgspec.structs.asdict(budget).items() if value is not None}
        event = TaskEvent(task=task, at_ns=self._clock_ns(), by=by, agent=agent, **given)
        if not given:
            return self._publish(orders, orders, event)
        if task not in orders.tasks:
            _refuse_more(len(orders.tasks), MOST_TASKS, "tasks with a budget are open; close those that are done")
        merged = msgspec.structs.replace(orders.tasks.get(task, TaskBudget()), **given)
        return self._publish(orders, msgspec.structs.replace(orders, tasks={**orders.tasks, task: merged}), event)

    def close_task(self, task: str, outcome: str, by: str) -> Done:
        """Note how a task ended; its budget ends with it."""
        orders = self.read()
        tasks = {name: budget for name, budget in orders.tasks.items() if name != task}
        event = TaskEvent(task=task, at_ns=self._clock_ns(), by=by, outcome=outcome)
        return self._publish(orders, msgspec.structs.replace(orders, tasks=tasks), event)

    def rule(self, event: ReviewEvent) -> Done:
        """Let the data plane know what a reviewer decided on an answer that it holds. What is older than any can be held is forgotten."""
        orders = self.read()
        since_ns = event.at_ns - int(LONGEST_WAIT_S * 1e9)
        others = {call: ruling for call, ruling in orders.reviews.items() if ruling.at_ns > since_ns and call != event.id}
        reviews = dict([*others.items()][1 - MOST_RULINGS :]) | {event.id: Ruling(state=event.state, at_ns=event.at_ns, note=event.note or "")}
        return self._publish(orders, msgspec.structs.replace(orders, reviews=reviews), event)

    def list_ruled(self) -> list[str]:
        """The calls whose held answers were decided on lately; none where the orders cannot be read, for then everything is paused."""
        try:
            return [*read_orders(self._path).reviews]
        except OrdersUnreadable:
            return []

    def count_reload(self, changed: list[str], by: str) -> Done:
        """Let the data plane read its config again."""
        orders = self.read()
        event = OrderEvent(at_ns=self._clock_ns(), by=by, verb="reload", reason=", ".join(changed) or None)
        return self._publish(orders, msgspec.structs.replace(orders, config_generation=orders.config_generation + 1), event)

    def _publish(self, before: Orders, orders: Orders, event: OrderEvent | ReviewEvent | TaskEvent) -> Done:
        is_noted = self._journal.write(event)
        if orders != before:
            try:
                write_orders(self._path, orders)
            except OSError as error:
                raise NotDone(503, "orders_unwritable", f"{self._path} cannot be written ({error.strerror}); nothing was changed") from None
        return Done(orders, "" if is_noted else NOT_IN_HISTORY)


def make_secret() -> str:
    """A new virtual key: 32 random bytes."""
    return f"wbk_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def write_scope(order: Order) -> str:
    """Whom an order concerns, in words."""
    return "everything" if order.dimension is None else f"{order.dimension} {order.value}"


def _scope(order: Order) -> tuple[str | None, str | None]:
    return order.dimension, order.value


def _tell(order: Order, verb: str, at_ns: int) -> OrderEvent:
    return OrderEvent(
        at_ns=at_ns, by=order.by, verb=verb, dimension=order.dimension, value=order.value, running=order.running, reason=order.reason or None,
        until_ns=order.until_ns or None, tier=order.tier,
    )  # fmt: skip


def _refuse_more(number: int, most: int, advice: str) -> None:
    if number >= most:
        raise NotDone(409, "too_many", f"{most} {advice}")


def describe_task(task: str, orders: Orders) -> dict[str, Any]:
    """A task and what it may spend."""
    return {"task": task, **msgspec.structs.asdict(orders.tasks.get(task, TaskBudget()))}
