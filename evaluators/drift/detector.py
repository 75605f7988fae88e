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
from evaluators.drift.reading import Reading, gather, read
from evaluators.drift.settings import Settings
from evaluators.drift.verdicts import Verdicts
from evaluators.drift.witness import Witness

LEARNING, WATCHING, ALARMED = "learning", "watching", "alarmed"
CERTAIN, LIKELY = "certain", "likely"
FEATURE_NAMES = (*features.NAMES, *figures.NAMES)
FLAG_WEIGHTS = (*raised.WEIGHTS, *(verdicts.WEIGHT for _ in range(verdicts.PLACES)))
# A text longer than this is measured at once: of those that wait little is held.
LONG_CHARACTERS = 8_000
# An answer whose text is read and not measured: the figures that came with it and those of its prompt, and its flags.
Waiting = tuple[Reading, list[float], list[bool]]
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
        self.waiting: list[Waiting] = []
        self.answers = Baseline(self.settings, len(FEATURE_NAMES), len(prompts.NAMES), len(features.NAMES), FLAG_WEIGHTS)

    def update(self, text: str, meta: Mapping) -> Alarm | None:
        """One answer. `meta` may hold: prompt, finish_reason, verdicts (names of what other evaluators found wrong), id, the figures named in
        `figures` and the facts named in `witness`. Returns an alarm once, when it is raised; after a likely one a certain one may follow."""
        if self.alarm is not None and self.alarm.severity == CERTAIN:
            return None
        reading = read(text)
        flags = [*raise_flags(text, reading, meta.get("finish_reason")), *self.verdicts.place(meta.get("verdicts", ()))]
        figured = [*figures.weigh(len(text), meta), *prompts.measure(meta.get("prompt"))]
        self.witness.note(text, meta, self.seen + 1, self.state == LEARNING)
        self.waiting.append((reading, figured, flags))
        if len(self.waiting) >= self.answers.room or self.answers.is_pressing(flags):
            return self.judge()
        if len(reading.text) > LONG_CHARACTERS:
            self.measure()
        return None

    def measure(self) -> None:
        """Measures the texts that wait, and keeps them no longer."""
        if not self.waiting:
            return
        readings, figured, flags = zip(*self.waiting, strict=True)
        self.waiting.clear()
        batch = gather(readings)
        self.answers.add(np.concatenate([features.measure(batch), figured], axis=1), np.array(flags), sketch(batch))

    def judge(self) -> Alarm | None:
        """Judges the answers that wait, as `update` does itself when there are a few of them; an alarm, if that raises one."""
        if self.alarm is not None and self.alarm.severity == CERTAIN:
            return None
        self.measure()
        return self._look(self.answers.judge())

    def _look(self, trail: np.ndarray) -> Alarm | None:
        """Whether the evidence after each of the answers that were judged is enough for an alarm."""
        if not len(trail):
            return None
        self.evidence, self.likelihood = trail[-1].tolist()
        enough = trail >= 1 / self.settings.alpha
        if enough[:, 0].any():
            kind, severity = 0, CERTAIN
        elif enough[:, 1].any() and self.settings.sensitive and self.alarm is None:
            kind, severity = 1, LIKELY
        else:
            return None
        first = int(enough[:, kind].argmax())
        self.alarm = self._name(severity, self.answers.judged - len(trail) + 1 + first, float(trail[first, kind]))
        return self.alarm

    def _name(self, severity: str, at: int, evidence: float) -> Alarm:
        began = min(at, self.answers.find_start())
        before, after = self.witness.show(began)
        kind = "input" if self.answers.input_evidence() >= 1 / INPUT_ALPHA else "output"
        names = (*FEATURE_NAMES, *raised.NAMES, *self.verdicts.names)
        return Alarm(
            severity=severity,
            kind=kind,
            at=at,
            began=began,
            evidence=evidence,
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
        return LEARNING if self.seen < self.settings.warmup else WATCHING

    @property
    def seen(self) -> int:
        """The answers since the baseline began."""
        return self.answers.answers + len(self.waiting)

    @property
    def unjudged(self) -> int:
        """Answers of a stream that is watched that wait to be judged."""
        return 0 if self.state == LEARNING else self.seen - self.answers.judged

    @property
    def status(self) -> Status:
        return Status(self.state, self.seen, max(0, self.settings.warmup - self.seen), self.version, self.evidence)

    def accept(self) -> None:
        """What comes now is the new normal: a new baseline is learned from the next answers."""
        self._begin()

    def dismiss(self) -> None:
        """The alarm was false, or the change was undone: the old baseline stays, and the evidence begins again."""
        self.judge()
        self.alarm = None
        self.evidence = self.likelihood = 0.0
        if self.state == WATCHING:
            self.answers.clear()
