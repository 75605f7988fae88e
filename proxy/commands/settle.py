"""`weighbridge settle`: what a call really cost, where nobody could tell or what was told is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from proxy.commands.admin import CannotAnswer, NothingRuns, address_of, change
from proxy.commands.desk import add_common, drop_absent
from proxy.config import load
from proxy.controlplane.reports import BadQuestion
from proxy.controlplane.show import write_amount, write_usd
from proxy.toll.cells import read_prefix

_TEXT = "correct what a call cost, and the budgets that paid it"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = commands.add_parser("settle", help=_TEXT, description=_TEXT[0].upper() + _TEXT[1:] + ".")
    command.set_defaults(run=run)
    command.add_argument("call", help="its id, as in the response header x-weighbridge-call and in `weighbridge calls --format csv`")
    command.add_argument("--usd", metavar="DOLLARS", help="it cost so much, as 0.0123")
    command.add_argument("--tokens", metavar="IN,OUT", help="it took so many input and output tokens; without --usd they are priced")
    command.add_argument("--nothing", action="store_true", help="it cost nothing")
    add_common(command)


def run(options: argparse.Namespace) -> int:
    """Settle a call and say what has changed."""
    config = load(options.config)
    if options.usd is None and options.tokens is None and not options.nothing:
        raise BadQuestion("say what the call cost: --usd 0.0123, --tokens IN,OUT, both, or --nothing")
    given, made = read_tokens(options.tokens)
    body = {"id": options.call, "by": options.by, "usd": options.usd, "input_tokens": given, "output_tokens": made, "nothing": options.nothing}
    try:
        print(describe(change(config, "POST", "/api/settle", drop_absent(body))), end="")
    except NothingRuns:
        raise CannotAnswer(f"no weighbridge runs on {address_of(config.admin)}, and only a running one can settle; start it, and try again") from None
    return 0


def read_tokens(text: str | None) -> tuple[int | None, int | None]:
    """(input, output) tokens of `IN,OUT`. Raises `BadQuestion`."""
    if text is None:
        return None, None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise BadQuestion("--tokens takes the input and the output tokens, as 1200,350")
    return int(parts[0]), int(parts[1])


def describe(settled: Mapping[str, Any]) -> str:
    """What has become of a call, a line for it and one for each budget whose charge has changed."""
    before, now = (_write(settled[name]) for name in ("cost_before_nano_usd", "cost_nano_usd"))
    lines = [f"call {settled['id']}: {f'cost {now}, as before' if before == now else f'cost {before} → {now}'}"]
    for cell, amount in settled["adjusted"].items():
        unit = read_prefix(cell.partition("?")[0])[1]
        lines.append(f"  {cell}: {'+' if amount > 0 else ''}{write_amount(amount, unit)}")
    if settled.get("note"):
        lines.append(f"  {settled['note']}")
    return "\n".join(lines) + "\n"


def _write(nano_usd: int | None) -> str:
    return "unknown" if nano_usd is None else "$" + write_usd(nano_usd)
