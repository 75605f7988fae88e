"""`weighbridge task open` and `close`: a task's own budget, and how it ended."""

from __future__ import annotations

import argparse
from typing import Any

from proxy.commands.desk import add_common, change_desk, drop_absent
from proxy.commands.keys import add_amounts
from proxy.config import load

_TEXTS = {"open": "give a task a budget, or change it; prints the task's name", "close": "say how a task ended"}


def add(commands: Any) -> None:
    """Add the commands to the command line."""
    task = commands.add_parser("task", help="give a task a budget; close it with an outcome", description="Open and close a task.")
    verbs = task.add_subparsers(dest="verb", required=True)
    begin, end = (verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".") for verb, text in _TEXTS.items())
    begin.set_defaults(run=run_open)
    begin.add_argument("task", nargs="?", help="its name, as in /a/AGENT/t/TASK/… and x-task-id; without it one is made")
    begin.add_argument("--agent", help="who works on it")
    add_amounts(begin, "the task may spend in its life")
    add_common(begin)
    end.set_defaults(run=run_close)
    end.add_argument("task", help="its name")
    end.add_argument("--outcome", required=True, help="succeeded, failed, abandoned, or a word of your own")
    add_common(end)


def run_open(options: argparse.Namespace) -> int:
    """Open a task."""
    body = drop_absent({name: getattr(options, name) for name in ("task", "agent", "usd", "tokens", "calls", "by")})
    print(change_desk(load(options.config), "POST", "/api/tasks", body)["task"])
    return 0


def run_close(options: argparse.Namespace) -> int:
    """Close a task."""
    answer = change_desk(load(options.config), "POST", "/api/tasks/{id}/close", {"outcome": options.outcome, "by": options.by}, options.task)
    print(f"task {answer['task']}: {answer['outcome']}")
    return 0
