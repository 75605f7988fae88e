"""The program `weighbridge`: serve, check, demo, and the commands of `proxy.commands`.

Exit statuses: 0 done, 1 could not be done, 2 asked wrongly or a faulty config.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import version
from typing import Any

from proxy import supervise
from proxy.commands import drift, evaluate, keys, notify, orders, quarantine, reload, reports, review, settle, task
from proxy.commands.admin import CannotAnswer, address_of
from proxy.config import ConfigError, load
from proxy.controlplane.reports import BadQuestion
from proxy.controlplane.store import QueryTooLong
from proxy.demo import fleet

_COMMANDS = (reports, orders, keys, task, settle, reload, notify, evaluate, drift, review, quarantine)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="weighbridge", description="Observability sidecar and reverse proxy for LLM traffic.")
    parser.add_argument("--version", action="version", version=f"weighbridge {version('weighbridge')}", help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True)
    _add(commands, "serve", "run the proxy", lambda options: supervise.serve(options.config))
    _add(commands, "check", "list every fault of a config", lambda options: check(options.config))
    demo = _add(commands, "demo", "let simulated agents work against the proxy", run_demo)
    demo.add_argument("--url", help="base URL of the proxy, if not the one of the config")
    demo.add_argument("--seconds", type=float, default=20.0, help="how long they work (default: 20)")
    for module in _COMMANDS:
        module.add(commands)
    return parser


def _add(commands: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("--config", help="the YAML file; without it the defaults hold")
    command.set_defaults(run=run)
    return command


def check(config_path: str | None) -> int:
    """Say whether a config can be used."""
    config = load(config_path)
    names = ", ".join([*(["demo"] if config.demo else []), *config.upstreams])
    print(f"{config_path or 'the default config'} is in order: {address_of(config.listen)}, admin {address_of(config.admin)}, upstreams {names}")
    return 0


def run_demo(options: argparse.Namespace) -> int:
    """Let simulated agents work."""
    return fleet.run(options.url or address_of(load(options.config).listen), options.seconds)


def main(arguments: list[str] | None = None) -> int:
    """The entry point of the program."""
    options = build_parser().parse_args(arguments)
    try:
        return options.run(options)
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
