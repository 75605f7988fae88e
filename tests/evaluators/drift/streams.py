"""Made-up streams of answers for the tests of the drift detector: sentences of random words in a given manner."""

# ruff: noqa: SIM905

from __future__ import annotations

import random
from collections.abc import Iterator

WORDS = (
    "report table order client number value system simple result check market engine river garden letter moment window signal price "
    "holiday morning record question answer picture village kitchen station paper bottle"
).split()


def write(rng: random.Random, sentences: int = 6, words: int = 9, bullets: float = 0.1) -> str:
    """One answer: about so many sentences of about so many words; some of them as bullet points."""
    lines = []
    for _ in range(max(1, round(rng.gauss(sentences, 1.5)))):
        chosen = ["the", *rng.choices(WORDS, k=max(2, round(rng.gauss(words, 2)))), "and", rng.choice(WORDS)]
        lines.append(("- " if rng.random() < bullets else "") + " ".join(chosen).capitalize() + ".")
    return "\n".join(lines)


def answers(seed: int, number: int, **manner: float) -> Iterator[str]:
    rng = random.Random(seed)
    return (write(rng, **manner) for _ in range(number))


def bursts(seed: int, number: int, run: int = 10) -> Iterator[str]:
    """The same mixture of manners all along, in runs of alike ones."""
    rng = random.Random(seed)
    for _ in range(number // run):
        sentences = rng.choice((4, 6, 8))
        yield from (write(rng, sentences=sentences) for _ in range(run))
