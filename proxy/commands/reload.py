"""`weighbridge reload`: the running Weighbridge takes its changed config."""

from __future__ import annotations

import argparse
from typing import Any

from proxy.commands.admin import CannotAnswer, NothingRuns, address_of, change
from proxy.commands.desk import add_common
from proxy.config import load


def add(commands: Any) -> None:
    """Add the command to the command line."""
    text = "take a changed config: upstreams, limits, rules, keys and prices, without a restart; what was spent stays"
    command = commands.add_parser("reload", help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(run=run)
    add_common(command)


def run(options: argparse.Namespace) -> int:
    """Let the config be read again, and say what has changed."""
    config = load(options.config)
    try:
        answer = change(config, "POST", "/api/reload", {"by": options.by})
    except NothingRuns:
        raise CannotAnswer(f"no weighbridge runs on {address_of(config.admin)}; one reads its config when it starts") from None
    print(f"changed: {', '.join(answer['changed']) or 'nothing'}")
    return 0
