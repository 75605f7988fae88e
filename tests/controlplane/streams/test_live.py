"""Through the running program: an agent whose answers change kind behind the name of its model, beside one whose answers stay."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from tests.test_supervise import Bridge, serve, wait_until

WARMUP = 50
SETTINGS = {"per_second": 10_000, "drift": {"warmup": WARMUP}}
CHANGED = 12


def ask(bridge: Bridge, agent: str, **other: object) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How long is the river?"}], **other}
    bridge.post(f"/a/{agent}/demo/v1/chat/completions", body)


def read_streams(bridge: Bridge) -> dict[str, dict]:
    return {row["agent"]: row for row in bridge.look("/api/drift")["rows"]}


def read_metrics(bridge: Bridge) -> list[str]:
    with urllib.request.urlopen(bridge.admin + "/metrics", timeout=20) as response:
        return response.read().decode().splitlines()


def warm_up(bridge: Bridge, *agents: str) -> None:
    for _ in range(WARMUP):
        for agent in agents:
            ask(bridge, agent)
    wait_until(lambda: {agent: row["missing"] for agent, row in read_streams(bridge).items()} == dict.fromkeys(agents, 0), 60)


def post(bridge: Bridge, path: str, body: dict) -> dict:
    headers = {"Authorization": "Bearer " + (bridge.folder / "state" / "admin-token").read_text().strip()}
    request = urllib.request.Request(bridge.admin + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def test_an_agent_whose_answers_change_raises_an_alarm_that_names_it_and_the_cause(tmp_path: Path) -> None:
    with serve(tmp_path, evaluators=SETTINGS) as bridge:
        bridge.wait_for_both_planes()
        warm_up(bridge, "sound", "turned")
    with serve(tmp_path, evaluators=SETTINGS) as bridge:  # what was learned outlives a restart
        bridge.wait_for_both_planes()
        bridge.wait_for_calls(2 * WARMUP)
        ask(bridge, "sound")  # one answer only: a machine that has turned slow since is a change as well
        for _ in range(CHANGED):
            ask(bridge, "turned", max_tokens=2)
        wait_until(lambda: read_streams(bridge)["turned"]["state"] == "alarmed", 60)
        streams = read_streams(bridge)
        assert (streams["turned"]["state"], streams["turned"]["severity"]) == ("alarmed", "certain")
        assert "not finished by itself 0 -> 1" in streams["turned"]["cause"]
        assert "finish_reason stop -> length" in streams["turned"]["cause"]
        assert (streams["sound"]["state"], streams["sound"]["cause"]) == ("watching", None)
        metrics = read_metrics(bridge)
        for agent, state, alarms in (("turned", 2, 1), ("sound", 1, 0)):
            assert f'weighbridge_agent_drift_state{{agent="{agent}",team=""}} {state}.0' in metrics
            assert f'weighbridge_agent_drift_alarms_total{{agent="{agent}",team="",severity="certain"}} {alarms}.0' in metrics
        (alarm,) = bridge.journal("alarm")
        assert alarm["agent"] == "turned" and ["finish_reason", "stop", "length"] in alarm["wire"]
        (settled,) = post(bridge, "/api/drift", {"verb": "accept", "agents": ["turned"], "reason": "shorter now"})["streams"]
        assert (settled["agent"], settled["state"], settled["baseline"]) == ("turned", "learning", 2)
        assert bridge.journal("order")[-1]["verb"] == "accept_drift"
