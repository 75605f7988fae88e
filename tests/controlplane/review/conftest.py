"""A queue with a journal of its own and a clock that the test holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.controlplane.desk import Desk
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.review.queue import Queue
from proxy.controlplane.review.strata import Strata
from proxy.record import Sample as Sent
from proxy.reviewing import Review

SOUND = [Verdict("empty"), Verdict("json")]
FAULTY = [Verdict("empty", label="empty", severity="error")]


class Lobby:
    """Where calls wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "journal"
        self.folder.mkdir(exist_ok=True)
        self.now_ns = 10**18
        self.writer = JournalWriter(self.folder, 10**6)
        self.desk = Desk(folder / "orders.json", self.writer, [], self.tick)

    def tick(self) -> int:
        self.now_ns += 10**9
        return self.now_ns

    def open(self, **review: object) -> Queue:
        """A queue that takes no call at random but the first of each stratum."""
        return Queue(Review(**review), self.writer, lambda text: text.replace("secret", "[redacted]"), Strata(lambda: 0.999), self.tick)

    def steps(self) -> list[tuple]:
        """The journal's review lines: (call, state, reason, by)."""
        lines = [json.loads(line) for path in sorted(self.folder.iterdir()) for line in path.read_bytes().splitlines()]
        found = [line["review"] for line in lines if "review" in line]
        return [(one["id"], one["state"], one.get("reason"), one["by"]) for one in found]


def tell(queue: Queue, id: str, verdicts: list[Verdict], agent: str = "a", **other: object) -> None:
    """A call that was inspected."""
    sent = Sent(**{"id": id, "agent": agent, "format": "openai.chat", "usage_source": "reported", "model": "m", "text": f"text of {id}", **other})
    queue.listen(sent, Sample(text=sent.text), verdicts)


def figures(queue: Queue) -> dict[str, float]:
    """The metrics by name, and the labels' values behind it."""
    found = [sample for family in queue.collect() for sample in family.samples]
    return {" ".join((sample.name, *sample.labels.values())): sample.value for sample in found}


@pytest.fixture
def lobby(tmp_path: Path) -> Lobby:
    return Lobby(tmp_path)
