"""What is committed is what the code makes, and what the SDK's own classes read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.__main__ import FOLDER, write_all
from dashboards.board import finish

COMMITTED = sorted(FOLDER.glob("*.json"))


def test_making_them_again_leaves_no_difference(tmp_path: Path) -> None:
    (tmp_path / "gone.json").write_text("{}")
    write_all(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {path.name: path.read_text() for path in FOLDER.iterdir()}


@pytest.mark.parametrize("path", COMMITTED, ids=[path.stem for path in COMMITTED])
def test_the_sdk_reads_what_is_committed_and_writes_the_same(path: Path) -> None:
    register_default_plugins()
    board = json.loads(path.read_text(encoding="utf-8"))
    read = json.loads(JSONEncoder().encode(finish(Dashboard.from_json(board))))
    assert read == board and board["schemaVersion"] == 42 and path.stem == board["uid"]
