"""The program `weighbridge`: serve, check, demo, and the reports.

Reports are asked of the running Weighbridge over its admin port, since DuckDB lets one process have the file; where none runs
they are read from the file itself. Exit statuses: 0 done, 1 could not be done, 2 asked wrongly or a faulty config.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import duckdb

from proxy import supervise
from proxy.config import Config, ConfigError, Listen, load
from proxy.controlplane import show
from proxy.controlplane.api import answer
from proxy.controlplane.reports import DIMENSIONS, BadQuestion, Report
from proxy.controlplane.store import QueryTooLong, Store, StoreBroken, StoreBusy
from proxy.demo import fleet

_TIMEOUT_S = 40.0
_REPORTS = {
    "report": "calls, errors, tokens, cost and times, by any of the recorded names",
    "calls": "the newest calls",
    "agents": "every agent seen, with its first and last call",
    "unpriced": "the models whose price is unknown",
}


class CannotAnswer(Exception):
    """Why a command cannot be done, and what to do about it."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="weighbridge", description="Observability sidecar and reverse proxy for LLM traffic.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("serve", "run the proxy"),
        ("check", "list every fault of a config"),
        ("demo", "let simulated agents work against the proxy"),
    ):
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.add_argument("--config", help="the YAML file; without it the defaults hold")
    commands.choices["demo"].add_argument("--url", help="base URL of the proxy, if not the one of the config")
    commands.choices["demo"].add_argument("--seconds", type=float, default=20.0, help="how long they work (default: 20)")
    for name, text in _REPORTS.items():
        _add_report(commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + "."), name)
    return parser


def _add_report(command: argparse.ArgumentParser, name: str) -> None:
    command.add_argument("--config", help="the YAML file of the proxy; without it the defaults hold")
    command.add_argument("--format", choices=show.FORMATS, default="table")
    command.add_argument("--since", help="24h, 7d, 2026-11-01 or 2026-11-01T12:00:00Z")
    command.add_argument("--until", help="the same; calls started before it")
    if name == "report":
        command.add_argument("--by", default="agent,model", help=f"one or more of {', '.join(DIMENSIONS)}")
    if name == "calls":
        command.add_argument("--last", default="20", help="how many (default: 20)")
    command.add_argument("--where", action="append", default=[], metavar="NAME=VALUE", help="only such calls, as agent=researcher; may be repeated")


def read_question(options: argparse.Namespace) -> dict[str, str]:
    """The words of a report command as the admin port takes them. Raises `BadQuestion`."""
    asked = {name: value for name in ("since", "until", "by", "last") if (value := getattr(options, name, None)) is not None}
    for condition in options.where:
        name, sign, value = condition.partition("=")
        if not sign or name not in DIMENSIONS:
            raise BadQuestion(f"--where takes NAME=VALUE with a name of {', '.join(DIMENSIONS)}")
        asked[name] = value
    return asked


def ask(config: Config, name: str, asked: dict[str, str]) -> Report:
    """A report of the running Weighbridge, else of the file. Raises `CannotAnswer`, `BadQuestion`."""
    address = f"{address_of(config.admin)}/api/{name}?{urllib.parse.urlencode(asked)}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the admin port is never behind a proxy of the environment
    try:
        with opener.open(address, timeout=_TIMEOUT_S) as response:
            table = json.load(response)
        columns = table["columns"]
        return Report(name, columns, [[row[column] for column in columns] for row in table["rows"]], table["note"])
    except urllib.error.HTTPError as error:
        raise _explain(error, config) from None
    except urllib.error.URLError:
        return ask_file(config, name, asked)
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        raise CannotAnswer(f"what answers on {address_of(config.admin)} is not Weighbridge's admin port; check `admin` in the config") from None


def _explain(error: urllib.error.HTTPError, config: Config) -> Exception:
    try:
        message = str(json.load(error)["message"])
    except (ValueError, KeyError, TypeError, OSError):
        return CannotAnswer(
            f"what answers on {address_of(config.admin)} is not Weighbridge's admin port (status {error.code}); check `admin` in the config"
        )
    return BadQuestion(message) if error.code == 400 else CannotAnswer(message)


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
        made = answer(store.query, name, asked, time.time_ns())
    except duckdb.Error as error:
        raise CannotAnswer(f"{config.database} cannot be read ({error}); `weighbridge serve` makes it again from the journal") from None
    finally:
        store.close()
    made.note = "; ".join(part for part in (made.note, "read from the file: no weighbridge runs") if part)
    return made


def address_of(listen: Listen) -> str:
    """The base URL under which this machine reaches a listener."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(listen.host, listen.host)
    return f"http://[{host}]:{listen.port}" if ":" in host else f"http://{host}:{listen.port}"


def check(config_path: str | None) -> int:
    """Say whether a config can be used."""
    config = load(config_path)
    names = ", ".join([*(["demo"] if config.demo else []), *config.upstreams])
    print(f"{config_path or 'the default config'} is in order: {address_of(config.listen)}, admin {address_of(config.admin)}, upstreams {names}")
    return 0


def run_command(options: argparse.Namespace) -> int:
    """Do what was asked; the exit status."""
    if options.command == "serve":
        return supervise.serve(options.config)
    if options.command == "check":
        return check(options.config)
    config = load(options.config)
    if options.command == "demo":
        return fleet.run(options.url or address_of(config.listen), options.seconds)
    print(show.write(ask(config, options.command, read_question(options)), options.format), end="", flush=True)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The entry point of the program."""
    options = build_parser().parse_args(arguments)
    try:
        return run_command(options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except BadQuestion as error:
        print(f"weighbridge: {error}", file=sys.stderr)
        return 2
    except (CannotAnswer, QueryTooLong) as error:
        print(f"weighbridge: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has gone: `weighbridge calls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
