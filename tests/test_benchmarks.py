"""The benchmarks still run: each one in Python, with little to do; what they measure is not looked at here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LITTLE = {
    "admission": "2000", "load_journal": "500", "shared_admission": "200", "slow_streams": "20 4096 3", "attackers": "6 20", "parts_down": "0.3",
    "drift": "200", "drift_live": "", "drift_streams": "1", "hostile": "0.001", "judgements": "", "spans": "300", "instruments": "100 1",
}  # fmt: skip


def test_every_benchmark_is_known_here() -> None:
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} == set(LITTLE)


@pytest.mark.parametrize("name", LITTLE)
def test_it_runs_and_prints_figures(name: str) -> None:
    command = [sys.executable, f"benchmarks/{name}.py", *LITTLE[name].split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    assert any(character.isdigit() for character in done.stdout)
