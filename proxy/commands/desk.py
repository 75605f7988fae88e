"""How a command changes what the orders desk keeps: asked of the running Weighbridge, and where none runs done in the state folder itself."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy import supervise
from proxy.commands.admin import CannotAnswer, NothingRuns, address_of, change
from proxy.commands.reports import ask_running
from proxy.config import Config, load
from proxy.controlplane import show
from proxy.controlplane.changes import make_changes
from proxy.controlplane.desk import Desk
from proxy.controlplane.door import NotDone
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.reports import Report

_LATER = "no weighbridge runs; this holds when one starts"


def add_common(command: argparse.ArgumentParser) -> None:
    """What every command of the desk takes."""
    command.add_argument("--config", help="the YAML file of the proxy; without it the defaults hold")
    command.add_argument("--by", default=find_user(), help="who does this, for the record (default: the user of the system)")


def find_user() -> str:
    """The name of the user who runs this; its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def drop_absent(words: dict[str, Any]) -> dict[str, Any]:
    """A body without what was not given."""
    return {name: value for name, value in words.items() if value is not None}


def change_desk(config: Config, method: str, address: str, body: dict, target: str = "") -> dict[str, Any]:
    """Make a change, and say on the standard error what must be said about it. Raises `CannotAnswer`, `BadQuestion`."""
    try:
        answer = change(config, method, address, body, target)
    except NothingRuns:
        answer = _change_folder(config, method, address, body, target)
    if note := answer.get("note"):
        print(f"weighbridge: {note}", file=sys.stderr)
    return answer


def _change_folder(config: Config, method: str, address: str, body: dict, target: str) -> dict[str, Any]:
    where = address_of(config.admin)
    if not Path(config.state_dir).is_dir():
        raise CannotAnswer(f"no weighbridge runs on {where} and there is no state folder {config.state_dir}; name the config of one with --config")
    try:
        lock = supervise.prepare_state(config)
    except supervise.CannotStart as error:
        raise CannotAnswer(f"nothing answers on {where}, and the state folder cannot be changed: {error}") from None
    journal = JournalWriter(config.journal_dir, config.journal.segment_bytes)
    try:
        desk = Desk(config.orders, journal, config.identity.keys)
        perform = next(one.perform for one in make_changes(desk) if (one.method, one.address) == (method, address))
        answer = perform(target, json.dumps(body).encode())
    except NotDone as error:
        raise CannotAnswer(str(error)) from None
    finally:
        journal.close()
        os.close(lock)
    return {**answer, "note": "; ".join(part for part in (answer["note"], _LATER) if part)}


def add_list(commands: Any, name: str, text: str, make: Callable[[Desk], Report], *, report: str) -> None:
    """Add a command that shows what the desk keeps."""
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("--config", help="the YAML file of the proxy; without it the defaults hold")
    command.add_argument("--format", choices=show.FORMATS, default="table")
    command.set_defaults(run=lambda options: _show(options, report, make))


def _show(options: argparse.Namespace, report: str, make: Callable[[Desk], Report]) -> int:
    config = load(options.config)
    try:
        made = ask_running(config, report, {})
    except NothingRuns:
        try:
            made = make(Desk(config.orders, JournalWriter(config.journal_dir, config.journal.segment_bytes), config.identity.keys))
        except NotDone as error:
            raise CannotAnswer(str(error)) from None
        made.note = "read from the file: no weighbridge runs"
    print(show.write(made, options.format), end="", flush=True)
    return 0
