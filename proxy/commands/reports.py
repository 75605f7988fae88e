"""The report commands: asked of the running Weighbridge, and where none runs read from the database file.

DuckDB lets one process have the file, so that the running Weighbridge itself must be asked.
"""

from __future__ import annotations

import argparse
import time
import urllib.parse
from typing import Any

import duckdb

from proxy.commands.admin import CannotAnswer, NothingRuns, address_of, explain_stranger, fetch
from proxy.config import Config, load
from proxy.controlplane import show
from proxy.controlplane.answers import REPORTS, answer
from proxy.controlplane.balances import Balances
from proxy.controlplane.reports import CHOICES, BadQuestion, Report, find_dimension
from proxy.controlplane.store import Store, StoreBroken, StoreBusy


def add(commands: Any) -> None:
    """Add the report commands to the command line."""
    for name, text in REPORTS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(run=run)
        _add_report(command, name)


def _add_report(command: argparse.ArgumentParser, name: str) -> None:
    command.add_argument("--config", help="the YAML file of the proxy; without it the defaults hold")
    command.add_argument("--format", choices=show.FORMATS, default="table")
    if name not in ("budgets", "quarantines"):
        command.add_argument("--since", help="24h, 7d, 2026-11-01 or 2026-11-01T12:00:00Z")
        command.add_argument("--until", help="the same; calls started before it")
    if name == "report":
        command.add_argument("--by", default="agent,model", help=f"one or more of {CHOICES}")
    if name == "verdicts":
        command.add_argument("--by", default="agent", help=f"one or more of {CHOICES}; '' for all together")
    if name == "tasks":
        command.add_argument("--by", help=f"what tasks cost on the average, by one or more of {CHOICES}; '' for all in one row")
    if name in ("calls", "tasks", "budgets", "reviews"):
        command.add_argument("--last", help=f"how many (default: {100 if name in ('budgets', 'reviews') else 20})")
    if name == "reviews":
        command.add_argument("--state", help="open, decided, or one of pass, fail, unsure, approved, rejected, timed_out, released, dropped")
    such = "accounts, as agent=researcher or budget=agent-day" if name == "budgets" else "calls, as agent=researcher or tag:stage=test"
    command.add_argument("--where", action="append", default=[], metavar="NAME=VALUE", help=f"only such {such}; may be repeated")


def run(options: argparse.Namespace) -> int:
    """Print a report."""
    print(show.write(ask(load(options.config), options.command, read_question(options)), options.format), end="", flush=True)
    return 0


def read_question(options: argparse.Namespace) -> dict[str, str]:
    """The words of a report command as the admin port takes them. Raises `BadQuestion`."""
    asked = {name: value for name in ("since", "until", "by", "last", "state") if (value := getattr(options, name, None)) is not None}
    for condition in options.where:
        name, sign, value = condition.partition("=")
        if not sign:
            raise BadQuestion(f"--where takes NAME=VALUE with a name of {CHOICES}")
        if options.command not in ("budgets", "reviews"):
            find_dimension(name)
        asked[name] = value
    return asked


def ask(config: Config, name: str, asked: dict[str, str]) -> Report:
    """A report of the running Weighbridge, else of the file. Raises `CannotAnswer`, `BadQuestion`."""
    try:
        return ask_running(config, name, asked)
    except NothingRuns:
        return ask_file(config, name, asked)


def ask_running(config: Config, name: str, asked: dict[str, str]) -> Report:
    """A report of the running Weighbridge. Raises `NothingRuns`, `CannotAnswer`, `BadQuestion`."""
    table = fetch(config, "GET", f"/api/{name}?{urllib.parse.urlencode(asked)}")
    try:
        columns = table["columns"]
        return Report(table["report"], columns, [[row[column] for column in columns] for row in table["rows"]], table["note"])
    except (KeyError, TypeError):
        raise explain_stranger(config) from None


def ask_file(config: Config, name: str, asked: dict[str, str]) -> Report:
    """A report of the database file, while no Weighbridge runs."""
    where = address_of(config.admin)
    if not config.database.exists():
        raise CannotAnswer(
            f"no weighbridge runs on {where} and there is no database at {config.database}; start one with `weighbridge serve`, "
            "or name the config of the running one with --config"
        )
    try:
        store = Store(config.database, read_only=True)
    except StoreBusy:
        raise CannotAnswer(f"another process holds {config.database}, but nothing answers on {where}; name its config with --config") from None
    except StoreBroken as error:
        raise CannotAnswer(
            f"{config.database} cannot be read ({error}); `weighbridge serve` sets it aside and makes it again from the journal"
        ) from None
    try:
        made = answer(store.query, name, asked, time.time_ns(), Balances(config).read)
    except duckdb.Error as error:
        raise CannotAnswer(f"{config.database} cannot be read ({error}); `weighbridge serve` makes it again from the journal") from None
    finally:
        store.close()
    made.note = "; ".join(part for part in (made.note, "read from the file: no weighbridge runs") if part)
    return made
