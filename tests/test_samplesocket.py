"""The sample socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.samplesocket import bind


def test_one_that_was_left_behind_is_replaced_and_only_its_owner_may_write(tmp_path: Path) -> None:
    path = tmp_path / "samples.sock"
    bind(path).close()
    bound = bind(path)
    assert path.is_socket() and path.stat().st_mode & 0o777 == 0o600
    bound.close()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        bind(tmp_path / "none" / "samples.sock")
