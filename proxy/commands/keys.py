"""`weighbridge keys issue`, `list` and `revoke`: virtual keys, of which only the SHA-256 is kept."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from proxy.commands.desk import add_common, add_list, change_desk, drop_absent
from proxy.config import load
from proxy.controlplane.changes import list_keys
from proxy.controlplane.reports import BadQuestion

_TEXTS = {"issue": "issue a key and print it, this once", "revoke": "refuse a key from now on"}


def add(commands: Any) -> None:
    """Add the commands to the command line."""
    keys = commands.add_parser("keys", help="issue, list and revoke virtual keys", description="Issue, list and revoke virtual keys.")
    verbs = keys.add_subparsers(dest="verb", required=True)
    issue, revoke = (verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".") for verb, text in _TEXTS.items())
    issue.set_defaults(run=run_issue)
    issue.add_argument("--agent", help="whose calls they are that come with the key")
    issue.add_argument("--team", help="the team of that agent; with a team alone, any agent may use the key")
    issue.add_argument("--id", help="a name for the key, for reports and budgets (default: made from its SHA-256)")
    issue.add_argument("--tag", action="append", default=[], metavar="NAME=VALUE", help="a tag of all its calls; may be repeated")
    issue.add_argument("--expires", help="2026-12-31 (its end, UTC) or 2026-12-31T12:00:00Z")
    add_amounts(issue, "the key may spend")
    issue.add_argument("--per", help="of hour, day, week, month, lifetime (default), or a rolling time such as 24h")
    add_common(issue)
    revoke.set_defaults(run=run_revoke)
    revoke.add_argument("id", help="as `weighbridge keys list` shows it")
    revoke.add_argument("--reason", help="for the record")
    add_common(revoke)
    add_list(verbs, "list", "all keys and what they may spend; never the keys themselves", list_keys, report="keys")


def add_amounts(command: argparse.ArgumentParser, who: str) -> None:
    """The options of a budget."""
    command.add_argument("--usd", type=float, help=f"US dollars that {who}")
    command.add_argument("--tokens", type=int, help=f"tokens that {who}, input and output together")
    command.add_argument("--calls", type=int, help=f"calls that {who}")


def run_issue(options: argparse.Namespace) -> int:
    """Issue a key: it alone goes to the standard output, so that a script can take it."""
    if options.agent is None and options.team is None:
        raise BadQuestion("the key names nobody; set --agent, --team or both")
    tags = {}
    for text in options.tag:
        name, sign, value = text.partition("=")
        if not name or not sign:
            raise BadQuestion("--tag takes NAME=VALUE")
        tags[name] = value
    names = ("agent", "team", "id", "expires", "usd", "tokens", "calls", "per", "by")
    body = drop_absent({name: getattr(options, name) for name in names}) | ({"tags": tags} if tags else {})
    answer = change_desk(load(options.config), "POST", "/api/keys", body)
    print(f"The key {answer['id']} is shown this once:", file=sys.stderr, flush=True)
    print(answer["key"], flush=True)
    return 0


def run_revoke(options: argparse.Namespace) -> int:
    """Revoke a key."""
    body = drop_absent({"reason": options.reason, "by": options.by})
    change_desk(load(options.config), "DELETE", "/api/keys/{id}", body, options.id)
    print(f"key {options.id}: calls with it are refused")
    return 0
