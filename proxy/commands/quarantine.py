"""`weighbridge quarantine` and `unquarantine`: which calls are not to be relied on."""

from __future__ import annotations

import argparse
from typing import Any

from proxy.commands.admin import CannotAnswer, NothingRuns, address_of, change
from proxy.commands.desk import add_common, drop_absent
from proxy.config import Config, load
from proxy.controlplane.quarantine import DIMENSIONS


def add(commands: Any) -> None:
    """Add the commands to the command line."""
    impose = commands.add_parser(
        "quarantine", help="mark calls in every report as not to be relied on", description="Mark calls in every report as not to be relied on."
    )
    impose.set_defaults(run=run_impose)
    for dimension in DIMENSIONS:
        impose.add_argument(f"--{dimension}", help=f"the calls of this {dimension}")
    impose.add_argument("--since", help="calls begun from then on: 24h, 2026-11-01 or 2026-11-01T12:00:00Z")
    impose.add_argument("--until", help="the same; calls begun before it. Without it those to come are concerned as well")
    impose.add_argument("--reason", required=True, help="why, for whoever reads the reports")
    add_common(impose)
    lift = commands.add_parser("unquarantine", help="rely on calls again", description="Rely on calls again.")
    lift.set_defaults(run=run_lift)
    lift.add_argument("name", help="the name of the quarantine, as `weighbridge quarantines` shows it")
    lift.add_argument("--reason", help="why")
    add_common(lift)


def run_impose(options: argparse.Namespace) -> int:
    """Put calls into quarantine."""
    words = (*DIMENSIONS, "since", "until", "reason", "by")
    answer = _change(load(options.config), "POST", "/api/quarantines", drop_absent({word: getattr(options, word) for word in words}))
    print(answer["name"])
    return 0


def run_lift(options: argparse.Namespace) -> int:
    """Lift a quarantine."""
    body = drop_absent({"reason": options.reason, "by": options.by})
    print(f"{_change(load(options.config), 'DELETE', '/api/quarantines/{id}', body, options.name)['lifted']}: lifted")
    return 0


def _change(config: Config, method: str, address: str, body: dict, target: str = "") -> dict[str, Any]:
    try:
        return change(config, method, address, body, target)
    except NothingRuns:
        raise CannotAnswer(f"no weighbridge runs on {address_of(config.admin)}; calls are marked while one does") from None
