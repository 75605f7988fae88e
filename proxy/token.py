"""The admin token: whoever may read its file in the state folder may give orders.

It is 32 random bytes as hexadecimal digits, or what the operator has put there, in a file that only its owner can read.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_SHORTEST_TOKEN = 32


def make_token(path: Path) -> str:
    """The token of a file, which is made where there is none or none that is long enough. Raises OSError."""
    try:
        token = read_token(path)
    except FileNotFoundError:
        token = ""
    if len(token) >= _SHORTEST_TOKEN:
        return token
    token, draft = secrets.token_hex(32), path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, token.encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)
    draft.replace(path)
    return token


def read_token(path: Path) -> str:
    """The token of a file. Raises OSError."""
    return path.read_text(encoding="utf-8", errors="replace").strip()
