"""The control plane's own ledger: the same figures as the journal's, whatever the file of orders says."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from proxy.config import Config
from proxy.controlplane.balances import Balances
from proxy.orders import Orders, TaskBudget, write_orders
from proxy.rules import Budget, Key
from tests.controlplane.conftest import START_NS, Segments, add, call, line, opened

CELL = "each.calls@?agent=agent-1"


def read(balances: Balances) -> dict[str, tuple[int | None, int, int]]:
    """Budget, unit and account → limit, spent and reserved."""
    return {f"{one.budget}.{one.unit} {'/'.join(one.scope.values())}".strip(): (one.limit, one.spent, one.reserved) for one in balances.read()}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(state_dir=str(tmp_path), budgets=[Budget("each", calls=10, each=["agent"])])


def test_they_follow_the_journal_line_by_line(config: Config) -> None:
    segments = Segments(config.journal_dir)
    balances = Balances(config, lambda: START_NS)
    assert read(balances) == {}
    first = segments.begin(1)
    add(first, opened(1, reserved={CELL: 1}) + opened(2, reserved={CELL: 1}))
    assert read(balances) == {"each.calls agent-1": (10, 0, 2)}
    add(first, call(1, charged={CELL: 1}))
    add(segments.begin(2, writer="c"), line("correction", {"id": "call-1", "at_ns": 1, "by": "jo", "adjusted": {CELL: -1}}))
    assert read(balances) == {"each.calls agent-1": (10, 0, 1)}
    segments.begin(3, pid=12)
    assert read(balances) == {"each.calls agent-1": (10, 1, 0)}, "call 2 has crashed, and is presumed spent"
    balances.configure(Config(state_dir=config.state_dir, budgets=[Budget("each", calls=99, each=["agent"])]))
    assert read(balances) == {"each.calls agent-1": (99, 1, 0)}


def test_tasks_and_keys_have_the_budgets_that_orders_give_them(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    balances = Balances(config, lambda: START_NS)
    keys = [Key(sha256="a" * 64, agent="x", id="k1", usd=1.5), Key(sha256="b" * 64, agent="x", id="k2", calls=3)]
    write_orders(config.orders, Orders(tasks={"t": TaskBudget(tokens=7)}, keys=keys, revoked=["b" * 64]))
    assert read(balances) == {"task.tokens t": (7, 0, 0), "key.usd k1": (1_500_000_000, 0, 0)}
    config.orders.write_text("broken")
    assert len(read(balances)) == 2 and "stay as they were" in caplog.text
    config.orders.unlink()
    assert read(balances) == {}


def test_the_thread_follows_until_it_is_told_to_stop_also_over_a_failure(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    balances, stopping = Balances(config, lambda: START_NS), threading.Event()
    monkeypatch.setattr("proxy.controlplane.balances._PAUSE_S", 0)
    tries = []

    def catch_up() -> None:
        tries.append(1)
        if len(tries) > 2:
            stopping.set()
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(balances._follower, "catch_up", catch_up)
    balances.run(stopping)
    assert len(tries) == 3
