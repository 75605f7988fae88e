"""Through the running program: a reviewer works the queue, and decisions and what is held outlive a restart of either plane."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.error
from pathlib import Path

import pytest

from proxy.cli import main
from tests.test_supervise import Bridge, serve, wait_until

GATES = {"gates": [{"name": "press", "match": {"agent": "press-*"}}]}


class Asking(threading.Thread):
    """An agent that waits for its answer; `status` is that of the refusal, 200 of an answer, and 0 where the connection ended."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(daemon=True)
        self.status, self.name_of_error = -1, ""
        self._bridge = bridge
        self.start()

    def run(self) -> None:
        try:
            self._bridge.post("/a/press-1/demo/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": "Write."}]})
            self.status = 200
        except urllib.error.HTTPError as error:
            error.close()
            self.name_of_error, self.status = error.headers["x-weighbridge-error"], error.code
        except OSError:
            self.status = 0


def review(bridge: Bridge, *words: str) -> int:
    """A command, with a config that names the admin port."""
    config = bridge.folder / "command.yaml"
    config.write_text(json.dumps({"admin": {"port": int(bridge.admin.rpartition(":")[2])}, "state_dir": str(bridge.folder / "state")}))
    return main(["review", *words, "--config", str(config)])


def held(bridge: Bridge) -> list[str]:
    return [row["id"] for row in bridge.look("/api/reviews?state=held")["rows"]]


def states(bridge: Bridge) -> dict[str, str]:
    return {row["id"]: row["state"] for row in bridge.look("/api/reviews")["rows"]}


def bury(bridge: Bridge, module: str) -> None:
    """Kill a plane, and wait until another one serves in its place."""
    before = bridge.child(module)
    os.kill(before, signal.SIGKILL)
    bridge.child(module, past=[before])
    wait_for_planes(bridge)


def wait_for_planes(bridge: Bridge) -> None:
    """Until each plane has heard of the other: a sample that is sent before is lost."""

    def answers() -> bool:
        try:
            return bridge.look("/readyz")["status"] == "ready"
        except (OSError, urllib.error.HTTPError):
            return False

    wait_until(answers)


def test_decisions_hold_and_outlive_both_planes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with serve(tmp_path, review=GATES) as bridge:
        wait_for_planes(bridge)
        bridge.post("/a/hollow/demo/v1/chat/completions", {"model": "gpt-4o-empty", "messages": [{"role": "user", "content": "How long?"}]})
        wait_until(lambda: len(states(bridge)) == 1)
        (flagged,) = states(bridge)
        assert review(bridge, "fail", flagged, "--note", "nothing in it", "--by", "jo") == 0
        approved = Asking(bridge)
        wait_until(lambda: held(bridge))
        (first,) = held(bridge)
        bury(bridge, "proxy.controlplane.plane")  # who is told of it again
        capsys.readouterr()
        wait_until(lambda: review(bridge, "show", first) == 0 and "── answered" in capsys.readouterr().out)
        assert approved.status == -1 and review(bridge, "approve", first, "--by", "mo") == 0
        approved.join(30)
        assert approved.status == 200
        rejected = Asking(bridge)
        wait_until(lambda: held(bridge))
        (second,) = held(bridge)
        assert review(bridge, "reject", second, "--note", "too harsh") == 0
        rejected.join(30)
        assert (rejected.status, rejected.name_of_error) == (403, "policy_review_rejected")
        lost = Asking(bridge)
        wait_until(lambda: held(bridge))
        (third,) = held(bridge)
        bury(bridge, "proxy.dataplane.plane")
        lost.join(30)
        assert lost.status == 0, "the answer was in its process alone, and has not left"
        wait_until(lambda: not held(bridge))
        expected = {flagged: "fail", first: "approved", second: "rejected", third: "released"}
        assert states(bridge) == expected
    with serve(tmp_path, review=GATES) as bridge:
        wait_until(lambda: states(bridge) == expected)
        capsys.readouterr()
        assert review(bridge, "show", flagged) == 0
        shown = capsys.readouterr().out
        assert "fail by jo: nothing in it" in shown and "empty: empty" in shown and "capture.content" in shown
