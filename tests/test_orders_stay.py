"""A running `weighbridge serve` is told what to do: by SIGHUP, and by orders, which outlive its processes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import urllib.error
import urllib.request

import pytest

from proxy.orders import read_orders
from tests.test_supervise import ASK, Bridge, serve, wait_until, write_config


def change(bridge: Bridge, address: str, body: dict) -> dict:
    """Give an order over the admin port; its answer."""
    token = (bridge.folder / "state" / "admin-token").read_text().strip()
    request = urllib.request.Request(bridge.admin + address, json.dumps(body).encode(), {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def call(bridge: Bridge, agent: str) -> str:
    """`ok`, or the name of the refusal."""
    try:
        return "ok" if bridge.post(f"/a/{agent}/demo/v1/chat/completions", ASK)["choices"] else ""
    except urllib.error.HTTPError as error:
        error.close()
        return error.headers["x-weighbridge-error"]


def streams_of(bridge: Bridge, agent: str) -> list[str]:
    """How an agent's recorded streams ended."""
    return [one["outcome"] for one in bridge.look(f"/api/calls?last=10000&agent={agent}")["rows"] if one["stream"]]


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
        change(bridge, "/api/orders", {"verb": "pause", "agent": "a", "reason": "loops"})
        for module in ("proxy.dataplane.plane", "proxy.controlplane.plane"):
            os.kill(bridge.child(module), signal.SIGKILL)
        (order,) = bridge.look("/api/orders")["rows"]
        assert (order["order"], order["name"], order["reason"]) == ("pause", "a", "loops")
    with serve(tmp_path) as bridge:
        assert bridge.look("/api/orders")["rows"] == [order]


def test_a_kill_refuses_new_calls_and_breaks_off_those_that_run(tmp_path):
    with serve(tmp_path) as bridge:
        host = bridge.base.removeprefix("http://")
        running = {agent: http.client.HTTPConnection(host, timeout=30) for agent in ("a", "b")}
        answers = {}
        for (agent, connection), tokens in zip(running.items(), (500, 8), strict=True):  # the one to be broken off does not end by itself meanwhile
            headers = {"Content-Type": "application/json", "x-demo-chunk-delay-ms": "300"}
            connection.request("POST", f"/a/{agent}/demo/v1/chat/completions", json.dumps({**ASK, "stream": True, "max_tokens": tokens}), headers)
            answers[agent] = connection.getresponse()
        change(bridge, "/api/orders", {"verb": "kill", "agent": "a", "reason": "loops"})
        wait_until(lambda: call(bridge, "a") == "policy_killed")
        with pytest.raises(http.client.IncompleteRead):
            answers["a"].read()
        assert answers["b"].read().endswith(b"data: [DONE]\n\n") and call(bridge, "b") == "ok"
        change(bridge, "/api/orders", {"verb": "resume", "agent": "a"})
        wait_until(lambda: call(bridge, "a") == "ok")
        wait_until(lambda: streams_of(bridge, "a") and streams_of(bridge, "b"))
        outcomes = streams_of(bridge, "a")
        for connection in running.values():
            connection.close()
    assert outcomes == ["policy_killed"]


def test_a_reload_changes_what_may_be_spent_and_not_what_was(tmp_path):
    with serve(tmp_path, budgets=[{"name": "all", "calls": 100}]) as bridge:
        assert call(bridge, "a") == call(bridge, "b") == "ok"
        write_config(tmp_path, budgets=[{"name": "all", "calls": 2}])
        assert change(bridge, "/api/reload", {})["changed"] == ["budgets"]
        wait_until(lambda: call(bridge, "a") == "policy_budget_exhausted")
        write_config(tmp_path, budgets=[{"name": "all", "calls": 1000}])
        change(bridge, "/api/reload", {})
        wait_until(lambda: call(bridge, "a") == "ok")
        (account,) = bridge.look("/api/budgets")["rows"]
    assert account["spent_amount"] >= 3 and account["limit_amount"] == 1000
