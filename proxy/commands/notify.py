"""`weighbridge notify --test`: whether those who are to be told of what is wrong can be reached."""

from __future__ import annotations

import argparse
from typing import Any

from proxy.commands.admin import CannotAnswer, NothingRuns, address_of, change
from proxy.commands.desk import add_common
from proxy.config import load


def add(commands: Any) -> None:
    """Add the command to the command line."""
    text = "send a test notice through every channel of the config, and say what came of each"
    command = commands.add_parser("notify", help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(run=run)
    command.add_argument("--test", action="store_true", required=True, help="what is to be sent: a notice that says it is a test")
    add_common(command)


def run(options: argparse.Namespace) -> int:
    """Let the running Weighbridge send it; the status is 1 where a channel did not take it."""
    config = load(options.config)
    try:
        results = change(config, "POST", "/api/notify", {"by": options.by})["results"]
    except NothingRuns:
        raise CannotAnswer(f"no weighbridge runs on {address_of(config.admin)}; start it, for it is what sends notices") from None
    for result in results:
        state = "sent" if result["sent"] else "NOT sent"
        print(f"{result['channel']} ({result['kind']}): {state}: {result['message']}")
    return 0 if all(result["sent"] for result in results) else 1
