"""The orders' file: replaced whole, for its owner only, and never taken for empty where it is broken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.orders import Order, Orders, OrdersUnreadable, TaskBudget, read_orders, write_orders
from proxy.rules import Key

ORDERS = Orders(
    config_generation=3,
    orders=[Order(verb="pause", dimension="agent", value="agent-7", reason="loops", by="me", at_ns=5)],
    keys=[Key(sha256="a" * 64, agent="x", usd=2.5)],
    revoked=["b" * 64],
    tasks={"t-1": TaskBudget(calls=10)},
)


def test_comes_back_as_it_was_and_belongs_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "orders.json"
    assert read_orders(path) == Orders()
    write_orders(path, Orders())
    write_orders(path, ORDERS)
    assert read_orders(path) == ORDERS
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["orders.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"orders": 5}'])
def test_a_broken_file_is_no_empty_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "orders.json"
    path.write_bytes(content)
    with pytest.raises(OrdersUnreadable, match="orders.json cannot be read .*; put its last good copy back, or remove it"):
        read_orders(path)


def test_half_a_file_never_takes_the_place_of_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "orders.json", os.write
    write_orders(path, ORDERS)
    monkeypatch.setattr(os, "write", lambda file, text: write(file, text[:-1]))
    with pytest.raises(OSError, match="No space left"):
        write_orders(path, Orders())
    assert read_orders(path) == ORDERS
