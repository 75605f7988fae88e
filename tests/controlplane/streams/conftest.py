"""Answers to watch, and streams that watch them with a small warm-up."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evaluators.catalog import BUILT_IN
from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.streams.allowance import Allowance
from proxy.controlplane.streams.streams import Streams
from proxy.inspecting import Drift
from proxy.record import Sample as Sent

WARMUP = 60
HEARD_NS = 7
SMALL = Drift(warmup=WARMUP)
_WORDS = ("the", "mill", "is", "on", "other", "side", "of", "river", "and", "it", "was", "built", "by", "monks", "who", "had", "water", "stone")
_NAME = next(iter(BUILT_IN))


def say(number: int, words: int = 60) -> str:
    """A sound answer, the same for the same number."""
    draw = random.Random(number)
    return " ".join(draw.choice(_WORDS) for _ in range(words + draw.randrange(20))).capitalize() + "."


def send(number: int, text: str | None = None, **other: object) -> tuple[Sent, Sample, list[Verdict]]:
    """What a listener of the inspector is told of one answer."""
    text = say(number) if text is None else text
    fields = {"id": f"c{number}", "agent": "a", "format": "openai.chat", "usage_source": "reported", "text": text, "finish": "stop", "team": "t"}
    fields |= {"model": "m-1", "model_asked": "m", "upstream": "u", "task": "report-17", "input_tokens": 20, "output_tokens": len(text) // 4, **other}
    sent = Sent(**fields)
    return sent, Sample(text=text, finish=sent.finish, prompt="How is the mill?"), [Verdict(_NAME)]


def send_cut(number: int, **other: object) -> tuple[Sent, Sample, list[Verdict]]:
    """An answer of another kind: broken off, by another model."""
    return send(number, "The mill is on", **{"finish": "length", "model": "m-2", **other})


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JournalWriter]:
    (tmp_path / "journal").mkdir()
    writer = JournalWriter(tmp_path / "journal", 10**6)
    yield writer
    writer.close()


@pytest.fixture
def make(tmp_path: Path, journal: JournalWriter) -> Callable[..., Streams]:
    """Streams on the same folder, each time it is called."""

    def make_streams(drift: Drift = SMALL, folder: str = "drift") -> Streams:
        return Streams(drift, tmp_path / folder, journal, clock_ns=lambda: HEARD_NS, allowance=Allowance(lambda: 0.0, lambda: 0.0))

    return make_streams


def alarm_of(streams: Streams) -> int:
    """Warm up, and how many answers of another kind it takes."""
    for number in range(WARMUP + 5):
        streams.watch(*send(number))
    for number in range(100, 140):
        streams.watch(*send_cut(number))
        if streams.describe()[0].state == "alarmed":
            return number - 99
    raise AssertionError("no alarm")
