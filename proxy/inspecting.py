"""What is inspected: the settings under `evaluators`, and their checks.

The data plane reads of them how many calls it is to hand over; all else is the control plane's.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from proxy.document import Faults

BUILT_IN = ("empty", "json", "tools", "truncated", "repetition", "leaks", "mojibake", "language", "refusal", "error_page", "secrets")
_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_LANGUAGE = re.compile(r"[a-z]{2}\Z")
_MOST_TIMEOUT_S = 60.0


class Expectation(msgspec.Struct, frozen=True):
    """What the answers to some agents or tasks must keep to, beside what their requests ask for."""

    agent: str = "*"  # a name, or a pattern such as `report-*`
    task: str = "*"
    language: str | None = None  # two letters
    json: bool = False
    schema: str | None = None  # a file that holds a JSON Schema


class OwnEvaluator(msgspec.Struct, frozen=True):
    """An evaluator of somebody else's, in a process of its own."""

    name: str
    path: str  # package.module:function
    timeout_s: float = 1.0
    share: float = 1.0


class Evaluators(msgspec.Struct, frozen=True):
    """How many calls are inspected, and by what."""

    per_second: float = 20.0  # calls that are handed over at most; 0: none
    share: float = 1.0  # of the calls, as far as `per_second` allows
    shares: dict[str, float] = {}  # evaluator → of the calls handed over
    expect: list[Expectation] = []
    own: list[OwnEvaluator] = []


def check_evaluators(evaluators: Evaluators, faults: Faults) -> None:
    """Add what is wrong with the section. A value that was at fault may be None."""
    if evaluators.per_second < 0:
        faults.add("evaluators.per_second", "must be 0 or more; 0 inspects nothing")
    _check_share("evaluators.share", evaluators.share, faults)
    own = [one.name for one in evaluators.own if one is not None]
    for name, share in evaluators.shares.items():
        _check_share(f"evaluators.shares.{name}", share, faults)
        if name not in BUILT_IN:
            instead = "give it a `share` where it stands under `own`" if name in own else f"there are {', '.join(BUILT_IN)}"
            faults.add(f"evaluators.shares.{name}", f"is no evaluator of ours; {instead}")
    for index, one in enumerate(evaluators.expect):
        where = f"evaluators.expect[{index}]"
        if one.language is not None and not _LANGUAGE.match(one.language):
            faults.add(f"{where}.language", "expected two letters, such as en or de")
        if one.schema is not None and not _is_json(one.schema):
            faults.add(f"{where}.schema", "cannot be read as JSON; name a file that holds a JSON Schema")
        if not (one.language or one.json or one.schema):
            faults.add(where, "expects nothing; name a `language`, `json: true` or the file of a `schema`")
    for index, one in enumerate(evaluators.own):
        where = f"evaluators.own[{index}]"
        if one.name in BUILT_IN or own.index(one.name) != index:
            faults.add(f"{where}.name", "is taken by another evaluator; name it otherwise")
        elif not _NAME.match(one.name or ""):
            faults.add(f"{where}.name", "expected lower-case letters, digits and _, for it is a label of metrics")
        if not _PATH.match(one.path or ""):
            faults.add(f"{where}.path", "expected package.module:function")
        if not 0 < one.timeout_s <= _MOST_TIMEOUT_S:
            faults.add(f"{where}.timeout_s", f"must be greater than 0, and at most {_MOST_TIMEOUT_S:g}")
        _check_share(f"{where}.share", one.share, faults)


def _is_json(path: str) -> bool:
    try:
        msgspec.json.decode(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _check_share(where: str, share: float | None, faults: Faults) -> None:
    if share is not None and not 0 <= share <= 1:
        faults.add(where, "is a share, from 0 to 1")
