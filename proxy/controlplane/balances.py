"""How every account stands: a ledger of the control plane's own, which follows the journal as the data plane writes it.

It decides nothing. It is folded from the same lines as the data plane's ledger after a restart, so that both say the same, and only when
somebody asks: what was pruned until then, the newest checkpoint holds. Where several data planes share their budgets, what is shown is the
sum over all of them, which Redis knows; while it is away, what this data plane has.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from proxy.config import Config
from proxy.orders import OrdersUnreadable, read_orders
from proxy.toll.balances import list_balances
from proxy.toll.follow import Follower
from proxy.toll.ledger import Ledger
from proxy.toll.terms import Balance
from proxy.toll.whole import Whole, WholeAway

log = logging.getLogger("weighbridge.balances")


class Balances:
    """May be asked by any thread."""

    def __init__(self, config: Config, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._config = config
        self._ledger = Ledger(config.budgets)
        self._follower = Follower(config.journal_dir, self._ledger)
        url = config.redis_url()
        self._whole = None if url is None else Whole(url)
        self._seen: tuple[int, int] | None = None  # of the orders file: when it was written, and its number

    def configure(self, config: Config) -> None:
        """Take other limits; what was spent and reserved stays."""
        with self._lock:
            self._config = config
            self._ledger.configure(config.budgets)
            self._seen = None

    def read(self) -> list[Balance]:
        """How all accounts stand now."""
        with self._lock:
            self._follower.catch_up()
            self._read_orders()
            now_ns = self._clock_ns()
            own = self._ledger.balances(now_ns)
            try:
                return own if self._whole is None else list_balances(self._ledger.rules, self._whole.read(now_ns), now_ns)
            except WholeAway as error:
                log.warning("Redis does not tell what is spent over all data planes (%s); shown is what this one has", error)
                return own

    def _read_orders(self) -> None:
        """The budgets of keys and tasks, where they have changed."""
        try:
            state = self._config.orders.stat()
            seen = (state.st_mtime_ns, state.st_ino)
        except OSError:
            seen = (0, 0)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            orders = read_orders(self._config.orders)
        except OrdersUnreadable as error:
            log.error("%s; the budgets of keys and tasks stay as they were", error)
            return
        revoked = set(orders.revoked)
        self._ledger.set_keys([key for key in (*self._config.identity.keys, *orders.keys) if key.sha256 not in revoked])
        self._ledger.set_tasks(orders.tasks)
