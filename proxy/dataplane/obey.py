"""Orders, as the data plane obeys them: the file that the control plane replaces, and whom its orders concern.

A file that cannot be read changes nothing: the last good one holds on. Where there never was a good one, as after a restart, everything
is paused until there is, for nobody can tell what was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from proxy.errors import Refusal
from proxy.orders import HOLDS, VERBS, Order, Orders, OrdersUnreadable, read_orders
from proxy.rules import is_dimension
from proxy.toll.subject import Subject

log = logging.getLogger("weighbridge.orders")
_NAMES = {"pause": "policy_paused", "kill": "policy_killed"}
_Mark = tuple[int, int, int]
_Index = dict[str | None, dict[str | None, Order]]  # dimension → name → order; None → None → the order for everything
_NOWHERE: _Mark = (0, 0, 0)


class OrdersFile:
    """The orders that hold now, and how often the file could not be read."""

    def __init__(self, path: Path, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.orders = Orders()
        self.unreadable = 0
        self._path = path
        self._clock_ns = clock_ns
        self._mark: _Mark = _NOWHERE
        self._fault: str | None = None  # what is wrong with the file
        self._holding: _Index = {}
        self._ending: _Index = {}
        self._tiers: _Index = {}
        self._inspecting: _Index = {}
        self._next_end_ns = 0  # of those that hold; 0: none ends by itself
        self.refresh()
        if self._fault is not None:
            reason = "the orders that held could not be read"
            self._take(Orders(orders=[Order(verb="pause", reason=reason, by="weighbridge", at_ns=time.time_ns())]))

    def refresh(self) -> bool:
        """Whether there are new orders, which hold from now on; cheap where there are none. A file that is gone holds none."""
        try:
            mark = _look(self._path)
            if mark == self._mark and self._fault is None:
                return self._end_past()
            orders = _read(self._path)
        except (OSError, OrdersUnreadable) as error:
            if str(error) != self._fault:  # told once, and not at every look
                self.unreadable += 1
                log.error("%s; the orders before it hold on", error)
            self._fault = str(error)
            return False
        self._mark = mark
        self._fault = None
        self._take(orders)
        return True

    def _end_past(self) -> bool:
        """Whether an order has ended by itself, which waits for no one."""
        if not 0 < self._next_end_ns <= self._clock_ns():
            return False
        self._take(self.orders)
        return True

    @property
    def holds_some(self) -> bool:
        """Whether anybody is paused or killed."""
        return bool(self._holding)

    def check(self, subject: Subject) -> None:
        """Raises `Refusal` policy_paused or policy_killed where an order concerns the call."""
        if self._holding and (order := _find(self._holding, subject)) is not None:
            raise _refuse(order)

    def find_end(self, subject: Subject) -> Refusal | None:
        """The refusal that a running call is to be ended with, if an order says so."""
        order = _find(self._ending, subject)
        return None if order is None else _refuse(order)

    def find_tier(self, subject: Subject) -> str | None:
        """The rule of `tiers` that an order wants for a call."""
        order = _find(self._tiers, subject)
        return None if order is None else order.tier

    @property
    def inspects_some(self) -> bool:
        """Whether anybody's calls are all to be inspected."""
        return bool(self._inspecting)

    def inspects(self, subject: Subject) -> bool:
        """Whether this call is to be, whatever the share."""
        return _find(self._inspecting, subject) is not None

    def _take(self, orders: Orders) -> None:
        self.orders = orders
        now_ns = self._clock_ns()
        current = [order for order in orders.orders if not order.until_ns or order.until_ns > now_ns]
        self._next_end_ns = min((order.until_ns for order in current if order.until_ns), default=0)
        self._holding = _arrange([order for order in current if order.verb in HOLDS])
        self._ending = _arrange([order for order in current if order.running])
        self._tiers = _arrange([order for order in current if order.verb == "tier"])
        self._inspecting = _arrange([order for order in current if order.verb == "inspect"])


def _look(path: Path) -> _Mark:
    """What tells one version of the file from the next. Raises OSError, but not where there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return _NOWHERE
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _read(path: Path) -> Orders:
    """What the file says. Raises `OrdersUnreadable`, also where it says what no version of ours has written."""
    orders = read_orders(path)
    for order in orders.orders:
        if order.verb not in VERBS or not (order.dimension is None or is_dimension(order.dimension)):
            raise OrdersUnreadable(f"{path} holds an order that is not understood ({order.verb} {order.dimension})")
    return orders


def _arrange(orders: list[Order]) -> _Index:
    """The orders by whom they concern. Of two for the same, `kill` says more than `pause`."""
    index: _Index = {}
    for order in sorted(orders, key=lambda one: one.verb != "kill"):
        index.setdefault(order.dimension, {}).setdefault(None if order.dimension is None else order.value, order)
    return index


def _find(index: _Index, subject: Subject) -> Order | None:
    found: Order | None = None
    for dimension, orders in index.items():
        name = None if dimension is None else subject.name_in(dimension)
        if name is None and dimension is not None:
            continue
        order = orders.get(name)
        if order is not None and (found is None or order.verb == "kill"):
            found = order
    return found


def _refuse(order: Order) -> Refusal:
    whom = "Everything" if order.dimension is None else f"The {order.dimension} {order.value}"
    done = "was ended" if order.verb == "kill" else "is paused"
    since = datetime.fromtimestamp(order.at_ns / 1e9, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    reason = f": {order.reason}" if order.reason else ""
    text = f"{whom} {done} by {order.by or 'an operator'} at {since}{reason}. Ask them, or run `weighbridge resume`."
    return Refusal(_NAMES[order.verb], text, {"reason": order.reason, "by": order.by, "since": since})
