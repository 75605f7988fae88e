"""What is remembered over a restart, and what a damaged file costs."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from proxy.controlplane.notices.state import State, read_state, write_state
from proxy.controlplane.notices.told import Told
from tests.controlplane.notices.conftest import make_alert


def test_what_is_written_is_read_and_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "notices.json"
    assert read_state(path) == State()
    state = State([make_alert()], {"ops": {"WeighbridgeAgentSilent": Told(5.0, [make_alert()])}})
    write_state(path, msgspec.json.encode(state))
    assert read_state(path) == state and stat.S_IMODE(path.stat().st_mode) == 0o600
    write_state(path, b"{}")
    assert read_state(path) == State()


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"alerts": [{}]}', b"\xff"])
def test_a_damaged_file_costs_what_it_held(tmp_path: Path, damaged: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "notices.json"
    path.write_bytes(damaged)
    assert read_state(path) == State() and "may be told again" in caplog.text
