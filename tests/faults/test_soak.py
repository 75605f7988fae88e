"""Nothing is left of thousands of calls, streams, hang-ups, refusals, WebSockets and reloads. WEIGHBRIDGE_SOAK_CALLS asks for more of them."""

from __future__ import annotations

import os

from tests.faults.soak import MIXED, soak

CALLS = int(os.environ.get("WEIGHBRIDGE_SOAK_CALLS", "1200"))
OTHERS = {"streamed", "hung up", "fell back", "refused", "left early", "socket closed", "socket left"}


def test_nothing_is_left_of_a_long_mix(run, tmp_path):
    async def main():
        before, after, seen, _ = await soak(tmp_path, CALLS, seed=5)
        assert {*MIXED, *OTHERS} <= set(seen) and seen.total() >= CALLS
        assert after == before and before["tasks"] == 1 and before["Edge"] == before["Call"] == 0

    run(main())
