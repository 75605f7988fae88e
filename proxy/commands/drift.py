"""`weighbridge drift`: how the streams of answers stand, and what is said of an alarm: accepted as the new normal, or dismissed."""

from __future__ import annotations

import argparse
from typing import Any

from proxy.commands.admin import CannotAnswer, NothingRuns, address_of, change
from proxy.commands.desk import add_common, drop_absent
from proxy.commands.reports import ask_running
from proxy.config import Config, load
from proxy.controlplane import show
from proxy.controlplane.reports import Report
from proxy.controlplane.streams.listing import list_drift
from proxy.controlplane.streams.shelf import Shelf
from proxy.controlplane.streams.told import LEARNING, StreamUnreadable, Told, read_head

_MOST_THIN = 20  # that are listed
_TEXTS = {
    "accept": "take what comes now for the new normal: it is learned from the next answers",
    "dismiss": "say that an alarm was false, or its cause is mended: what is normal stays",
}


def add(commands: Any) -> None:
    """Add the commands to the command line."""
    text = "streams of answers that are watched for drift, and the causes of their alarms"
    drift = commands.add_parser("drift", help=text, description=text[0].upper() + text[1:] + ".")
    drift.add_argument("--config", help="the YAML file of the proxy; without it the defaults hold")
    drift.add_argument("--format", choices=show.FORMATS, default="table")
    drift.set_defaults(run=run)
    verbs = drift.add_subparsers(dest="verb")
    for verb, text in _TEXTS.items():
        command = verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(run=run_settle, every=False)
        command.add_argument("agents", nargs="+", metavar="AGENT", help="whose alarms")
        for name in ("task", "model", "upstream"):
            command.add_argument(f"--{name}", help=f"only the streams of this {name}, as `weighbridge drift` shows it")
        if verb == "accept":
            command.add_argument("--every", action="store_true", help="streams without an alarm as well, before a change that is wanted")
        command.add_argument("--reason", help="for the record")
        add_common(command)


def run(options: argparse.Namespace) -> int:
    """Show the streams; below them the cause of each alarm that stands."""
    config = load(options.config)
    try:
        made = ask_running(config, "drift", {})
    except NothingRuns:
        made = read_folder(config)
    print(show.write(made, options.format), end="")
    if options.format == "table":
        for row in made.rows:
            one = dict(zip(made.columns, row, strict=True))
            if one["cause"] and not one["said"]:
                print(f"{one['agent']}: {one['cause']}")
        print(explain_thin(made), end="")
    return 0


def explain_thin(made: Report) -> str:
    """Which streams nothing can be said of yet."""
    thin = [one for row in made.rows if (one := dict(zip(made.columns, row, strict=True)))["state"] == LEARNING]
    lines = [
        f"{one['agent']}: too little traffic to judge: {one['answers']} answers seen, {one['missing']} more are needed" for one in thin[:_MOST_THIN]
    ]
    if len(thin) > _MOST_THIN:
        lines.append(f"and {len(thin) - _MOST_THIN} streams more have had too little traffic to judge")
    return "".join(f"{line}\n" for line in lines)


def read_folder(config: Config) -> Report:
    """The streams as they were saved last."""
    found: list[Told] = []
    for _, data in Shelf(config.drift).read():
        try:
            found.append(read_head(data))
        except StreamUnreadable:
            continue
    made = list_drift(found)
    made.note = "as saved last: no weighbridge runs"
    return made


def run_settle(options: argparse.Namespace) -> int:
    """Accept or dismiss, and say which streams it was."""
    config = load(options.config)
    words = {name: getattr(options, name) for name in ("task", "model", "upstream", "reason", "by")}
    body = {"verb": options.verb, "agents": options.agents, "every": options.every, **drop_absent(words)}
    try:
        answer = change(config, "POST", "/api/drift", body)
    except NothingRuns:
        raise CannotAnswer(f"no weighbridge runs on {address_of(config.admin)}; start it, for it is what watches the answers") from None
    for one in answer["streams"]:
        names = ", ".join(f"{name} {one[name]}" for name in ("agent", "task", "model", "upstream") if one[name])
        print(f"{names}: {'learned anew from the next answers' if options.verb == 'accept' else 'watched again against what was normal'}")
    if answer["note"]:
        print(f"weighbridge: {answer['note']}")
    return 0
