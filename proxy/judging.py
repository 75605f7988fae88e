"""Judges: models that are asked what they think of other models' answers; the settings under `judges`, and their checks.

A judge calls through this proxy, as an agent of its own, so its calls are recorded, priced and held by budgets like anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import msgspec

from proxy.document import Faults
from proxy.rules import Budget

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_MATCHED = ("agent", "task", "team", "model", "upstream")
_MOST_TIMEOUT_S = 600.0
_MOST_PER_MINUTE = 600.0
SPOKEN = ("openai", "anthropic", "gemini")
_HARD = ("enforce", "strict")


class Judge(msgspec.Struct, frozen=True):
    """A model with a rubric."""

    name: str  # of the evaluator whose verdicts these are
    upstream: str  # where it is asked, in the words of its dialect
    model: str
    rubric: str | None = None
    rubric_file: str | None = None
    path: str | None = None  # behind the upstream's name; `{model}` in it is the model's; None: as the dialect has it
    key: str | None = None  # env:NAME of what it calls with: a virtual key, or one for the provider
    against: str | None = None  # a model that is asked the same, for the judge to compare both answers
    match: dict[str, str] = {}
    share: float = 0.05  # of the inspected calls that match …
    per_minute: float = 6.0  # … and so many at most
    timeout_s: float = 60.0
    pass_score: float = 0.5  # a lower one fails the answer
    severity: Literal["info", "warning", "error"] = "warning"  # of a failure

    @property
    def agent(self) -> str:
        """Who it is among the agents."""
        return f"judge-{self.name}"

    def find_key(self, environment: Mapping[str, str]) -> str | None:
        """What it calls with."""
        return None if self.key is None else environment.get(self.key.removeprefix("env:")) or None

    def read_rubric(self) -> str:
        """What answers are judged by. Raises OSError and UnicodeError."""
        return Path(self.rubric_file).read_text(encoding="utf-8") if self.rubric_file is not None else self.rubric or ""


class Known(msgspec.Struct, frozen=True):
    """What a judge's settings refer to."""

    upstreams: Mapping[str, Any]
    evaluators: Collection[str]
    budgets: list[Budget]
    demo: bool
    auth: str
    environment: Mapping[str, str]


def check_judges(judges: list[Judge], known: Known, faults: Faults) -> None:
    """Add what is wrong with the judges. A value that was at fault may be None."""
    seen: set[str] = set(known.evaluators)
    for index, judge in enumerate(judges):
        path = f"judges[{index}]"
        if not _NAME.match(judge.name or ""):
            faults.add(f"{path}.name", "expected lower-case letters, digits and _, for it is a label of metrics")
        elif judge.name in seen:
            faults.add(f"{path}.name", "is taken by another judge or evaluator; name it otherwise")
        seen.add(judge.name)
        _check_place(path, judge, known, faults)
        _check_rubric(path, judge, faults)
        for word in judge.match or ():
            if word not in _MATCHED:
                faults.add(f"{path}.match.{word}", f"an inspected call is known by {', '.join(_MATCHED)}")
        for field, most in (("share", 1.0), ("pass_score", 1.0), ("per_minute", _MOST_PER_MINUTE), ("timeout_s", _MOST_TIMEOUT_S)):
            if not 0 < getattr(judge, field) <= most:
                faults.add(f"{path}.{field}", f"must be greater than 0, and at most {most:g}")
        if not any(_bounds(budget, judge.agent) for budget in known.budgets):
            example = f"{{name: {judge.agent.replace('_', '-')}, usd: 1, per: day, match: {{agent: {judge.agent}}}}}"
            faults.add(path, f"spends money and has no budget that is enforced; add one to `budgets`: {example}")


def _check_place(path: str, judge: Judge, known: Known, faults: Faults) -> None:
    upstream = known.upstreams.get(judge.upstream)
    if upstream is None and not (judge.upstream == "demo" and known.demo):
        faults.add(f"{path}.upstream", f"names no configured upstream; known: {', '.join(known.upstreams) or 'none'}")
    elif upstream is not None and upstream.dialect not in SPOKEN:
        faults.add(f"{path}.upstream", f"speaks the dialect {upstream.dialect}; a judge speaks {', '.join(SPOKEN)}")
    if judge.path is not None and not judge.path.startswith("/"):
        faults.add(f"{path}.path", "begins with a slash: /v1/chat/completions")
    if judge.key is not None and not (judge.key.startswith("env:") and judge.find_key(known.environment)):
        faults.add(f"{path}.key", "expected env:NAME of an environment variable that is set")
    elif judge.key is None and known.auth == "required":
        faults.add(f"{path}.key", "is needed, for `auth: required` lets nobody else in; issue a virtual key, and name its variable as env:NAME")


def _check_rubric(path: str, judge: Judge, faults: Faults) -> None:
    if (judge.rubric is None) == (judge.rubric_file is None):
        faults.add(f"{path}.rubric", "give either `rubric`, the text, or `rubric_file`")
        return
    try:
        if not judge.read_rubric().strip():
            faults.add(f"{path}.rubric", "is empty; say what a good answer is")
    except (OSError, UnicodeError):
        faults.add(f"{path}.rubric_file", "cannot be read; name a file of UTF-8 text")


def _bounds(budget: Budget, agent: str) -> bool:
    """Whether a budget holds for all calls of an agent."""
    return budget.mode in _HARD and all(word == "agent" and fnmatchcase(agent, pattern or "") for word, pattern in (budget.match or {}).items())
