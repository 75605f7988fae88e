from __future__ import annotations

import pytest

from evaluators.verdict import Verdict


@pytest.mark.parametrize(("severity", "failed"), [("none", False), ("info", False), ("warning", True), ("error", True)])
def test_what_is_only_worth_knowing_fails_nothing(severity: str, failed: bool) -> None:
    assert Verdict("empty", "x", 0.0, severity).failed is failed
