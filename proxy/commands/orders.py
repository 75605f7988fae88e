"""`weighbridge pause`, `kill`, `resume` and `orders`: whose calls are held up, by whom and why."""

from __future__ import annotations

import argparse
from typing import Any

from proxy.commands.desk import add_common, add_list, change_desk, drop_absent
from proxy.config import load
from proxy.controlplane.changes import list_orders
from proxy.controlplane.reports import BadQuestion
from proxy.rules import DIMENSIONS

_TEXTS = {
    "pause": "refuse new calls of an agent, a task or everything, until they are resumed",
    "kill": "the same, and break off the calls that are running",
    "resume": "let the calls of whom was paused or killed through again",
}
_OTHERS = tuple(dimension for dimension in DIMENSIONS if dimension != "agent")


def add(commands: Any) -> None:
    """Add the commands to the command line."""
    for verb, text in _TEXTS.items():
        command = commands.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(run=run)
        command.add_argument("agent", nargs="?", help="the agent's name")
        for dimension in _OTHERS:
            command.add_argument(f"--{dimension}", help=f"instead of an agent: the calls of this {dimension}")
        command.add_argument("--tag", metavar="NAME=VALUE", help="instead of an agent: the calls with this tag")
        command.add_argument("--all", action="store_true", help="everything")
        if verb == "pause":
            command.add_argument("--running", action="store_true", help="break off the calls that are running as well")
        command.add_argument("--reason", required=verb != "resume", help="for whom it concerns: it stands in the refusals, and in the record")
        add_common(command)
    add_list(commands, "orders", "the orders that hold: who was paused or killed, by whom and why", list_orders, report="orders")


def run(options: argparse.Namespace) -> int:
    """Give an order, and say what holds now."""
    scope = read_scope(options)
    running = True if getattr(options, "running", False) else None
    body = {"verb": options.command, **scope, **drop_absent({"running": running, "reason": options.reason, "by": options.by})}
    answer = change_desk(load(options.config), "POST", "/api/orders", body)
    print(describe(options.command, answer["concerns"], bool(running) or options.command == "kill"))
    if others := len(answer["orders"]) - (options.command != "resume"):
        print(f"{others} {'other order holds' if others == 1 else 'other orders hold'}: weighbridge orders")
    return 0


def read_scope(options: argparse.Namespace) -> dict[str, str]:
    """Whom an order concerns: one dimension and a name, or nothing for everything. Raises `BadQuestion`."""
    scope = drop_absent({dimension: getattr(options, dimension) for dimension in DIMENSIONS})
    if options.tag is not None:
        name, sign, value = options.tag.partition("=")
        if not name or not sign:
            raise BadQuestion("--tag takes NAME=VALUE")
        scope[f"tag:{name}"] = value
    if len(scope) + options.all != 1:
        raise BadQuestion(f"name one agent, or one of {', '.join(f'--{dimension}' for dimension in _OTHERS)} and --tag, or --all for everything")
    return scope


def describe(verb: str, concerns: str, running: bool) -> str:
    """What an order brings about."""
    if verb == "resume":
        return f"{concerns}: calls are let through again"
    return f"{concerns}: new calls are refused, " + ("and those that run are broken off" if running else "those that run go on")
