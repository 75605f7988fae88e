"""The admin token: made where there is none, kept where there is one, its owner's only."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.token import make_token


@pytest.mark.parametrize("content", [None, b"", b"short\n", b"\xff"])
def test_a_token_is_made_where_there_is_none_worth_the_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "admin-token"
    if content is not None:
        path.write_bytes(content)
    token = make_token(path)
    assert len(bytes.fromhex(token)) == 32 and path.stat().st_mode & 0o777 == 0o600
    assert make_token(path) == token and path.read_text() == token + "\n"
    assert [one.name for one in tmp_path.iterdir()] == ["admin-token"]


def test_a_token_of_the_operators_own_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    path.write_text("an operator's own token, and a long one")
    assert make_token(path) == "an operator's own token, and a long one"
