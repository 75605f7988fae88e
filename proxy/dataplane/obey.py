"""Orders, as the data plane obeys them: the file that the control plane replaces, and whom its orders concern."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

from proxy.errors import Refusal
from proxy.orders import Order, Orders, OrdersUnreadable, read_orders
from proxy.toll.subject import Subject

log = logging.getLogger("weighbridge.orders")
_NAMES = {"pause": "policy_paused", "kill": "policy_killed"}


class OrdersFile:
    """The orders that hold now. A file that cannot be read changes nothing: the last good one holds on."""

    def __init__(self, path: Path) -> None:
        self.orders = Orders()
        self.unreadable = 0
        self._path = path
        self._mark: tuple[int, int, int] | None = None
        self.refresh()

    def refresh(self) -> bool:
        """Look whether there are new orders; cheap where there are none."""
        try:
            stat = self._path.stat()
            mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except FileNotFoundError:
            return False
        if mark == self._mark:
            return False
        self._mark = mark
        try:
            self.orders = read_orders(self._path)
        except OrdersUnreadable as error:
            self.unreadable += 1
            log.error("%s; the orders before it hold on", error)
            return False
        return True

    def check(self, subject: Subject) -> None:
        """Raises `Refusal` policy_paused or policy_killed where an order concerns the call."""
        if not self.orders.orders:
            return
        order = next((one for one in self.orders.orders if _concerns(one, subject)), None)
        if order is not None:
            raise _refuse(order)

    def find_end(self, subject: Subject) -> Refusal | None:
        """The refusal that a running call is to be ended with, if an order says so."""
        return next((_refuse(one) for one in self.orders.orders if one.running and _concerns(one, subject)), None)


def _concerns(order: Order, subject: Subject) -> bool:
    return order.dimension is None or subject.name_in(order.dimension) == order.value


def _refuse(order: Order) -> Refusal:
    whom = "Everything" if order.dimension is None else f"The {order.dimension} {order.value}"
    done = "is paused" if order.verb == "pause" else "was ended"
    since = datetime.fromtimestamp(order.at_ns / 1e9, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    reason = f": {order.reason}" if order.reason else ""
    text = f"{whom} {done} by {order.by or 'an operator'} at {since}{reason}. Ask them, or run `weighbridge resume`."
    return Refusal(_NAMES[order.verb], text, {"reason": order.reason, "by": order.by, "since": since})
