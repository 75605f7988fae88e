"""`weighbridge evaluate`: judges answers from a file of JSON lines, without a proxy."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from evaluators.catalog import BUILT_IN, find, judge_all
from evaluators.sample import read_sample
from proxy.commands.admin import CannotAnswer
from proxy.controlplane.reports import BadQuestion


def add(commands: Any) -> None:
    """Add the command to the command line."""
    text = "judge answers from a file of JSON lines, without a proxy"
    command = commands.add_parser("evaluate", help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument("file", help="one answer a line, as {\"text\": …}; docs/evaluators.md names the other fields; - reads standard input")
    command.add_argument("--own", action="append", default=[], metavar="PACKAGE.MODULE:FUNCTION", help="also this evaluator; may be repeated")
    command.add_argument("--all", action="store_true", help="also print verdicts that say `pass`")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a line of JSON for each finding, and the sums on the error stream. Raises `BadQuestion`, `CannotAnswer`."""
    try:
        judges = [*BUILT_IN.values(), *(find(path) for path in options.own)]
    except ValueError as error:
        raise BadQuestion(str(error)) from None
    found: Counter[tuple[str, str]] = Counter()
    answers = 0
    try:
        with sys.stdin.buffer if options.file == "-" else Path(options.file).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    sample = read_sample(line)
                except ValueError as error:
                    raise BadQuestion(f"line {number} of {options.file} is no answer: {error}") from None
                answers += 1
                for verdict in judge_all(sample, judges):
                    found[verdict.name, verdict.label] += 1
                    if options.all or verdict.severity != "none":
                        told = {"line": number, **({"id": sample.id} if sample.id else {}), **msgspec.structs.asdict(verdict)}
                        print(msgspec.json.encode(told).decode())
    except OSError as error:
        raise CannotAnswer(f"{options.file} cannot be read: {error.strerror}") from None
    for (name, label), count in sorted(found.items()):
        print(f"{name} {label}: {count} of {answers}", file=sys.stderr)
    return 0
