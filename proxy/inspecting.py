"""What is inspected: the settings under `evaluators`, and their checks.

The data plane reads of them how many calls it is to hand over; all else is the control plane's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec

from proxy.document import Faults

BUILT_IN = ("empty", "json", "tools", "truncated", "repetition", "leaks", "mojibake", "language", "refusal", "error_page", "secrets")
_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
DRIFT = "drift"
_MOST_CPU_S = 60.0  # of a minute
_LANGUAGE = re.compile(r"[a-z]{2}\Z")
_MOST_TIMEOUT_S = 60.0
_STREAMS_BY = ("agent", "task", "model", "upstream")
_LEAST_WARMUP, _MOST_WARMUP = 50, 1_000
_MOST_STREAMS = 10_000
_LEAST_SAVE_S = 1.0


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


class Manner(msgspec.Struct, frozen=True):
    """How the answers to some agents are judged, where it is not as all others. What is None stays as it is."""

    agent: str = "*"  # a name, or a pattern such as `report-*`
    task: str = "*"
    evaluators: list[str] = []  # those that this concerns, `drift` among them; none: all
    share: float | None = None  # of the inspected calls
    timeout_s: float | None = None  # for one answer
    cpu_s_per_minute: float | None = None  # that each of them may take for each of the agents
    severity: dict[str, Literal["info", "warning", "error"]] = {}  # evaluator, or one of its labels (`refusal/refused`) → how grave it is


class Drift(msgspec.Struct, frozen=True):
    """How each stream of answers is watched for a change of what is usual in it."""

    enabled: bool = True
    alpha: float = 0.0001  # false alarms an answer: one in 10,000
    warmup: int = 300  # answers that say what is usual, before anything is judged
    sensitive: bool = False  # whether the calibrated detector raises alarms as well, which are `likely`
    times: bool = False  # whether how long answers take counts as well
    by: list[str] = msgspec.field(default_factory=lambda: ["agent", "task", "model"])  # what streams are told apart by
    most_streams: int = 500
    save_s: float = 300.0  # how often what was learned is saved


class Evaluators(msgspec.Struct, frozen=True):
    """How many calls are inspected, and by what."""

    per_second: float = 20.0  # calls that are handed over at most; 0: none
    share: float = 1.0  # of the calls, as far as `per_second` allows
    shares: dict[str, float] = {}  # evaluator → of the calls handed over
    expect: list[Expectation] = []
    own: list[OwnEvaluator] = []
    agents: list[Manner] = []  # all that fit hold, a later one before an earlier one
    drift: Drift = Drift()


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
        if one.name in (*BUILT_IN, DRIFT) or own.index(one.name) != index:
            faults.add(f"{where}.name", "is taken by another evaluator; name it otherwise")
        elif not _NAME.match(one.name or ""):
            faults.add(f"{where}.name", "expected lower-case letters, digits and _, for it is a label of metrics")
        if not _PATH.match(one.path or ""):
            faults.add(f"{where}.path", "expected package.module:function")
        if not 0 < one.timeout_s <= _MOST_TIMEOUT_S:
            faults.add(f"{where}.timeout_s", f"must be greater than 0, and at most {_MOST_TIMEOUT_S:g}")
        _check_share(f"{where}.share", one.share, faults)
    for index, one in enumerate(evaluators.agents):
        _check_manner(f"evaluators.agents[{index}]", one, (*BUILT_IN, *own), faults)
    if evaluators.drift is not None:
        _check_drift(evaluators.drift, faults)


def _check_manner(where: str, manner: Manner, names: tuple[str, ...], faults: Faults) -> None:
    for name in manner.evaluators or ():
        if name not in (*names, DRIFT):
            there = f"is no evaluator; there are {', '.join((*names, DRIFT))}, and a judge has a `match` and a `share` where it stands"
            faults.add(f"{where}.evaluators", f"`{name}` {there}")
    limits = (manner.timeout_s, manner.cpu_s_per_minute)
    if limits != (None, None) and manner.evaluators == [DRIFT]:
        faults.add(f"{where}.evaluators", "drift works for a quarter of a core at most, over all agents; give it a `share` here, and no more")
    _check_share(f"{where}.share", manner.share, faults)
    for name, number, most in (("timeout_s", limits[0], _MOST_TIMEOUT_S), ("cpu_s_per_minute", limits[1], _MOST_CPU_S)):
        if number is not None and not 0 < number <= most:
            faults.add(f"{where}.{name}", f"must be greater than 0, and at most {most:g}; `share: 0` asks an evaluator nothing")
    for word in manner.severity or ():
        name, slash, label = word.partition("/")
        if name not in names or (slash and not _NAME.match(label)):
            faults.add(f"{where}.severity.{word}", "expected an evaluator, or one of its labels as refusal/refused")
    if manner.share is None and limits == (None, None) and not manner.severity:
        faults.add(where, "changes nothing; give it a `share`, `timeout_s`, `cpu_s_per_minute` or `severity`")


def _check_drift(drift: Drift, faults: Faults) -> None:
    where = f"evaluators.{DRIFT}"
    if drift.alpha is not None and not 0 < drift.alpha < 1:
        faults.add(f"{where}.alpha", "is false alarms an answer, more than 0 and less than 1: 0.0001 is one in 10,000")
    if drift.warmup is not None and not _LEAST_WARMUP <= drift.warmup <= _MOST_WARMUP:
        faults.add(f"{where}.warmup", f"expected {_LEAST_WARMUP} to {_MOST_WARMUP} answers; with fewer than 300 a change is found later")
    unknown = [name for name in drift.by or () if name not in _STREAMS_BY]
    if drift.by is not None and (unknown or "agent" not in drift.by or len(set(drift.by)) < len(drift.by)):
        faults.add(f"{where}.by", f"expected agent, and with it any of {', '.join(_STREAMS_BY[1:])}, each once")
    if drift.most_streams is not None and not 1 <= drift.most_streams <= _MOST_STREAMS:
        faults.add(f"{where}.most_streams", f"expected 1 to {_MOST_STREAMS}; each takes up to 0.4 MB of memory")
    if drift.save_s is not None and not drift.save_s >= _LEAST_SAVE_S:
        faults.add(f"{where}.save_s", f"must be {_LEAST_SAVE_S:g} or more")


def _is_json(path: str) -> bool:
    try:
        msgspec.json.decode(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _check_share(where: str, share: float | None, faults: Faults) -> None:
    if share is not None and not 0 <= share <= 1:
        faults.add(where, "is a share, from 0 to 1")
