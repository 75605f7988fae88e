"""A running `weighbridge serve` is told what to do: by SIGHUP, and by orders, which outlive its processes."""

from __future__ import annotations

import os
import signal
import urllib.request

from proxy.orders import read_orders
from tests.test_supervise import ASK, Bridge, serve, wait_until, write_config


def generation(bridge: Bridge) -> int:
    """How often the config was read again."""
    return read_orders(bridge.folder / "state" / "orders.json").config_generation


def test_a_hangup_reads_the_config_again_and_harms_no_process(tmp_path):
    with serve(tmp_path) as bridge:
        bridge.look("/healthz")
        planes = {module: bridge.child(module) for module in ("proxy.dataplane.plane", "proxy.controlplane.plane", "proxy.demo.provider")}
        write_config(tmp_path, budgets=[{"name": "all", "usd": 5}])
        bridge.process.send_signal(signal.SIGHUP)
        wait_until(lambda: generation(bridge) == 1)
        for module in ("proxy.dataplane.plane", "proxy.demo.provider"):  # a terminal that closes signals all of them
            os.kill(planes[module], signal.SIGHUP)
        write_config(tmp_path, budgets=[{"name": "all", "usd": -5}])
        bridge.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the config was not read again" in (tmp_path / "log").read_text())
        write_config(tmp_path)
        bridge.process.send_signal(signal.SIGHUP)
        wait_until(lambda: generation(bridge) == 2)
        assert bridge.post("/a/hello/demo/v1/chat/completions", ASK)["choices"]
        assert {module: bridge.child(module) for module in planes} == planes
    assert [event["reason"] for event in bridge.journal("order")] == ["budgets", "budgets"]


def test_a_hangup_while_the_control_plane_is_started_again_is_not_lost(tmp_path):
    with serve(tmp_path) as bridge:
        os.kill(bridge.child("proxy.controlplane.plane"), signal.SIGKILL)
        bridge.process.send_signal(signal.SIGHUP)
        wait_until(lambda: generation(bridge) == 1)
        before = bridge.child("proxy.controlplane.plane")
        bridge.process.send_signal(signal.SIGHUP)
        wait_until(lambda: generation(bridge) == 2)
        assert bridge.child("proxy.controlplane.plane") == before


def test_without_its_terminal_it_stops_in_order(tmp_path):
    master, terminal = os.openpty()
    with serve(tmp_path, stdin=terminal) as bridge:
        os.close(terminal)
        bridge.process.send_signal(signal.SIGHUP)
        wait_until(lambda: generation(bridge) == 1)
        os.close(master)
        bridge.process.send_signal(signal.SIGHUP)
        assert bridge.process.wait(20) == 0


def test_an_order_outlives_both_planes(tmp_path):
    with serve(tmp_path) as bridge:
        token = (tmp_path / "state" / "admin-token").read_text().strip()
        request = urllib.request.Request(bridge.admin + "/api/orders", b'{"verb": "pause", "agent": "a", "reason": "loops"}')
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.status == 200
        for module in ("proxy.dataplane.plane", "proxy.controlplane.plane"):
            os.kill(bridge.child(module), signal.SIGKILL)
        (order,) = bridge.look("/api/orders")["rows"]
        assert (order["order"], order["name"], order["reason"]) == ("pause", "a", "loops")
    with serve(tmp_path) as bridge:
        assert bridge.look("/api/orders")["rows"] == [order]
