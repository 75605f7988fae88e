"""How a Python client's cases are run: one JSON command a line comes in, one JSON outcome a line goes out.

A case is a function `case_<name>(at)` of the script that calls `serve`; `at(upstream)` is the base URL to give to the client.
Each of its `FAULTS` is a case too, run by its function `ask_for(at, fault)`, which asks a model of that name.
Its outcome is a dictionary; an exception that it raises is an outcome too. Nothing but the standard library is used here.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

_answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # what a library prints must not look like an outcome


def _stay_on_loopback(event: str, arguments: tuple) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in ("127.0.0.1", "::1", "localhost"):
        raise PermissionError(f"a client wanted to leave this machine: {arguments[1]}")


@dataclasses.dataclass(frozen=True)
class At:
    """Where this run goes: straight to the provider, or through the proxy, which wants the upstream's name in the path."""

    root: str
    proxied: bool
    before: str = ""  # what stands before the upstream's name

    def __call__(self, upstream: str) -> str:
        return f"{self.root}/{self.before}{upstream}" if self.proxied else self.root


def hold(after: int) -> None:
    """Have the provider's next answer held back behind its first `after` chunks, until `first` is called."""
    _say({"hold": after})
    sys.stdin.readline()


def first() -> None:
    """Report that the beginning of a held answer has arrived; the rest is let go then."""
    _say({"first": True})
    sys.stdin.readline()


def see(**seen: Any) -> dict:
    """An outcome: text, tools as (name, arguments) pairs, input and output tokens, finish, model; None where a client does not say."""
    return seen


def tell(error: BaseException) -> dict:
    """An exception as an outcome: its class, its status where it has one."""
    kind = type(error)
    status = next((value for name in ("status_code", "code", "http_status") if isinstance(value := getattr(error, name, None), int)), None)
    cause = error.__cause__
    name = f"{kind.__module__}.{kind.__qualname__}"
    message = str(getattr(error, "body", None) or error)  # some exceptions recite all headers, the date among them
    return see(error=name, status=status, cause=type(cause).__qualname__ if cause is not None else None, message=message[:2000])


def _say(line: dict) -> None:
    _answers.write(json.dumps(line, default=str) + "\n")
    _answers.flush()


def _run(case: Callable[[At], Any], at: At) -> dict:
    try:
        outcome = case(at)
        return asyncio.run(outcome) if inspect.iscoroutine(outcome) else outcome
    except Exception as error:  # an exception is what many cases are about
        told = tell(error)
        return {**told, "message": re.sub(re.escape(at.root) + (r"/\w+" if at.proxied else ""), "ROOT", told["message"])}


def serve(cases: dict[str, Any]) -> None:
    """Run the cases that standard input asks for, until it ends."""
    sys.addaudithook(_stay_on_loopback)
    _say({"ready": True})
    for line in iter(sys.stdin.readline, ""):
        command = json.loads(line)
        name = command["case"]
        case = functools.partial(cases["ask_for"], fault=name) if name in cases.get("FAULTS", ()) else cases[f"case_{name}"]
        _say({"outcome": _run(case, At(command["root"], command["proxied"], command.get("before", "")))})
