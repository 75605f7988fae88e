"""What a user may set of a detector, checked."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_FIRST = 50


@dataclass(frozen=True, slots=True)
class Settings:
    """`alpha`: false alarms an answer (1e-4: one in 10,000); `warmup`: answers that the baseline is learned from before anything is judged;
    `first`: how many of these set the cells; `sensitive`: whether the calibrated detector may raise an alarm too."""

    alpha: float = 1e-4
    warmup: int = 300
    first: int = 100
    sensitive: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}: give false alarms an answer, more than 0 and less than 1, as 1e-4 for one in 10,000")
        if not LEAST_FIRST <= self.first <= self.warmup:
            raise ValueError(f"first is {self.first}: give at least {LEAST_FIRST} and at most warmup, which is {self.warmup}")
