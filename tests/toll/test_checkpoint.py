"""A checkpoint in lines: whole again, and nothing without its last one."""

from __future__ import annotations

import msgspec

from proxy.toll.checkpoint import Assembly, Part, write_checkpoint


def assemble(lines: bytes) -> dict | None:
    assembly, found = Assembly(), None
    for line in lines.splitlines():
        found = assembly.take(msgspec.json.decode(line, type=dict[str, Part])["checkpoint"])
    return found


def test_a_checkpoint_is_cut_into_short_lines_and_put_together() -> None:
    whole = {
        "cells": {f"a.usd@?agent={n}": (n, n + 1) for n in range(5001)},
        "open": {str(n): {"a.usd@?agent=1": n, "all.usd@": n} for n in range(501)},
        "read": {"0-c1.ndjson": 55},
    }
    lines = write_checkpoint(whole)
    assert len(lines.splitlines()) == 3 + 3 + 1 and max(map(len, lines.splitlines())) < 100_000
    assert assemble(lines) == whole
    assert assemble(b"\n".join(lines.splitlines()[:-1])) is None


def test_the_least_checkpoint_is_one_line() -> None:
    lines = write_checkpoint({"cells": {}, "open": {}})
    assert lines == b'{"checkpoint":{"read":{},"whole":true}}\n'
    assert assemble(lines) == {"cells": {}, "open": {}, "read": {}}
