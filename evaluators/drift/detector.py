"""The detector: one stream of answers in, an alarm out where they are no longer what they were, with its cause.

Answers and prompts are learned and watched side by side: the answers' evidence raises the alarm; the prompts' says whether the input moved as well.
Nothing is judged before the warm-up is whole, and nothing after an alarm until somebody says what it was: `accept` learns the new normal,
`dismiss` keeps the old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evaluators.drift import cause, features, figures, prompts, verdicts
from evaluators.drift import flags as raised
from evaluators.drift.alarm import Alarm
from evaluators.drift.baseline import Baseline
from evaluators.drift.fingerprint import sketch
from evaluators.drift.flags import raise_flags
from evaluators.drift.reading import read
from evaluators.drift.settings import Settings
from evaluators.drift.verdicts import Verdicts
from evaluators.drift.witness import Witness

LEARNING, WATCHING, ALARMED = "learning", "watching", "alarmed"
CERTAIN, LIKELY = "certain", "likely"
FEATURE_NAMES = (*features.NAMES, *figures.NAMES)
FLAG_WEIGHTS = (*raised.WEIGHTS, *(verdicts.WEIGHT for _ in range(verdicts.PLACES)))
# How sure it must be that the prompts moved before an alarm says so.
INPUT_ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class Status:
    """`missing`: answers still to come before anything is judged; a stream too thin to judge says so here instead of guessing."""

    state: str
    answers: int
    missing: int
    baseline: int
    evidence: float

    def explain(self) -> str:
        if self.state == LEARNING:
            return f"too little traffic to judge: {self.answers} answers seen, {self.missing} more are needed"
        return f"{self.state}: {self.answers} answers, evidence {self.evidence:.3g}"


class Detector:
    """`update` once for each answer of a stream, in their order; see `Settings` for the arguments."""

    def __init__(self, alpha: float = 1e-4, warmup: int = 300, first: int = 100, sensitive: bool = False) -> None:
        self.settings = Settings(alpha, warmup, first, sensitive)
        self.version = 0
        self._begin()

    def _begin(self) -> None:
        self.version += 1
        self.alarm: Alarm | None = None
        self.evidence = self.likelihood = 0.0
        self.verdicts = Verdicts()
        self.witness = Witness()
        self.answers = Baseline(self.settings, len(FEATURE_NAMES), len(prompts.NAMES), len(features.NAMES), FLAG_WEIGHTS)

    def update(self, text: str, meta: Mapping) -> Alarm | None:
        """One answer. `meta` may hold: prompt, finish_reason, verdicts (names of what other evaluators found wrong), id, the figures named in
        `figures` and the facts named in `witness`. Returns an alarm once, when it is raised; after a likely one a certain one may follow."""
        if self.alarm is not None and self.alarm.severity == CERTAIN:
            return None
        reading = read(text)
        values = np.concatenate([features.measure(reading), figures.weigh(len(text), meta), prompts.measure(meta.get("prompt"))])
        flags = np.array([*raise_flags(reading, meta.get("finish_reason")), *self.verdicts.place(meta.get("verdicts", ()))])
        learning = self.state == LEARNING
        self.answers.update(values, flags, sketch(reading))
        self.evidence, self.likelihood = self.answers.evidence()
        self.witness.note(text, meta, self.answers.answers, learning)
        threshold = 1 / self.settings.alpha
        if self.evidence >= threshold:
            self.alarm = self._name(CERTAIN)
        elif self.settings.sensitive and self.alarm is None and self.likelihood >= threshold:
            self.alarm = self._name(LIKELY)
        else:
            return None
        return self.alarm

    def _name(self, severity: str) -> Alarm:
        began = self.answers.find_start()
        before, after = self.witness.show(began)
        kind = "input" if self.answers.input_evidence() >= 1 / INPUT_ALPHA else "output"
        names = (*FEATURE_NAMES, *raised.NAMES, *self.verdicts.names)
        return Alarm(
            severity=severity,
            kind=kind,
            at=self.answers.answers,
            began=began,
            evidence=self.evidence if severity == CERTAIN else self.likelihood,
            threshold=1 / self.settings.alpha,
            baseline=self.version,
            moves=cause.find_moves(self.answers, names, began),
            wire=self.witness.find_changes(began),
            before=before,
            after=after,
        )

    @property
    def state(self) -> str:
        if self.alarm is not None:
            return ALARMED
        return LEARNING if self.answers.answers < self.settings.warmup else WATCHING

    @property
    def status(self) -> Status:
        seen = self.answers.answers
        return Status(self.state, seen, max(0, self.settings.warmup - seen), self.version, self.evidence)

    def accept(self) -> None:
        """What comes now is the new normal: a new baseline is learned from the next answers."""
        self._begin()

    def dismiss(self) -> None:
        """The alarm was false, or the change was undone: the old baseline stays, and the evidence begins again."""
        self.alarm = None
        self.evidence = self.likelihood = 0.0
        if self.state == WATCHING:
            self.answers.clear()
