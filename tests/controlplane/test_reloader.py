"""A changed config is taken whole or not at all."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from proxy.config import Config, load
from proxy.controlplane.door import NotDone
from proxy.controlplane.reloader import Reloader
from proxy.controlplane.reports import BadQuestion
from tests.controlplane.test_desk import Room


class Paper:
    """A config file that is written anew, and who took what it says."""

    def __init__(self, folder: Path, room: Room) -> None:
        self.path = folder / "weighbridge.yaml"
        self.folder = folder
        self.kept = folder / "config.yaml"
        self.write()
        self.kept.write_text(self.path.read_text())
        self.taken: list[Config] = []
        self.reloader = Reloader(str(self.path), load(self.path), room.desk, self.taken.append)

    def write(self, **settings: object) -> None:
        self.path.write_text(json.dumps({"state_dir": str(self.folder), **settings}))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


@pytest.fixture
def paper(tmp_path: Path, room: Room) -> Paper:
    return Paper(tmp_path, room)


def test_a_changed_config_is_taken_whole(paper: Paper, room: Room) -> None:
    paper.write(budgets=[{"name": "all", "usd": 5}], identity={"keys": [{"sha256": "a" * 64, "agent": "a"}]}, upstreams={"new": {"url": "http://n"}})
    answer = paper.reloader.make_change().perform("", b'{"by": "jo"}')
    assert answer == {"generation": 1, "changed": ["upstreams.new", "identity.keys", "budgets"], "note": ""}
    (taken,) = paper.taken
    assert taken == load(paper.path) == load(paper.kept)
    assert [key.agent for key in room.desk.configured] == ["a"] and room.orders.config_generation == 1
    assert room.noted() == [{"order": {"at_ns": 1, "by": "jo", "verb": "reload", "reason": "upstreams.new, identity.keys, budgets"}}]
    assert paper.reloader.reload("jo")["changed"] == [] and room.orders.config_generation == 2


def test_what_needs_a_restart_is_named_and_the_rest_is_not_taken_either(paper: Paper, room: Room) -> None:
    paper.write(budgets=[{"name": "all", "usd": 5}], listen={"port": 5}, state_dir="elsewhere")
    with pytest.raises(NotDone, match="nothing was changed: what needs a restart: 2 faults\n  listen.port: cannot change") as raised:
        paper.reloader.reload("jo")
    assert (raised.value.status, [fault["path"] for fault in raised.value.facts["faults"]]) == (422, ["listen.port", "state_dir"])
    assert paper.taken == [] and not room.path.exists() and load(paper.kept).budgets == []


def test_a_fault_changes_nothing_and_all_are_told(paper: Paper, room: Room) -> None:
    paper.path.write_text("budgets: [{name: all, usd: -1}]\nprizes: []\n")
    with pytest.raises(NotDone, match="nothing was changed: .*2 faults") as raised:
        paper.reloader.reload("jo")
    assert (raised.value.status, raised.value.name) == (422, "faulty_config")
    assert [(fault["line"], fault["path"]) for fault in raised.value.facts["faults"]] == [(1, "budgets[0].usd"), (2, "prizes")]
    paper.path.unlink()
    with pytest.raises(NotDone, match="cannot be read"):
        paper.reloader.reload("jo")
    assert paper.taken == [] and not room.path.exists() and room.noted() == []


def test_without_a_file_there_is_nothing_to_read_again(room: Room) -> None:
    with pytest.raises(NotDone, match="without a config file"):
        Reloader(None, Config(), room.desk, lambda _: None).reload("jo")


def test_what_cannot_be_published_is_not_taken(paper: Paper, room: Room, tmp_path: Path) -> None:
    paper.write(budgets=[{"name": "all", "usd": 5}])
    (tmp_path / "orders.draft").mkdir()
    with pytest.raises(NotDone, match="cannot be written"):
        paper.reloader.reload("jo")
    assert paper.taken == [] and load(paper.kept).budgets == []
    (tmp_path / "orders.draft").rmdir()
    (tmp_path / "config.draft").mkdir()
    with pytest.raises(NotDone, match="config.yaml cannot be written"):
        paper.reloader.reload("jo")
    (tmp_path / "config.draft").rmdir()
    assert paper.reloader.reload("jo")["changed"] == ["budgets"]


def test_a_wrong_word_is_refused(paper: Paper) -> None:
    for body in (b'{"bye": "jo"}', b'{"by": ""}'):
        with pytest.raises(BadQuestion):
            paper.reloader.make_change().perform("", body)


def test_a_signal_does_the_same_and_its_fault_goes_to_the_log(paper: Paper, room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "weighbridge.reload")
    paper.write(auth="none", limits={"idle_s": 5})
    paper.reloader.reload_by_signal()
    assert "by SIGHUP; changed: auth, limits.idle_s" in caplog.text and room.orders.config_generation == 1
    paper.write(auth="never")
    paper.reloader.reload_by_signal()
    assert "the config was not read again: nothing was changed" in caplog.text and room.orders.config_generation == 1
