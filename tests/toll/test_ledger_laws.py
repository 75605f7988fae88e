"""The laws of money hold for the real ledger, journal and follower, whatever happens in whatever order (`tests.toll.machine`)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.toll.machine import LedgerMachine

# More runs for a longer night: LEDGER_RUNS=2000.
LedgerMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("LEDGER_RUNS", "150")), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLaws = LedgerMachine.TestCase
