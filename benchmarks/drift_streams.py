"""Many streams of answers watched for drift at once: memory of each, and what it takes to save and to restore them all.

    .venv/bin/python benchmarks/drift_streams.py [STREAMS]     1,000 unless told

All learn side by side, so that all of them hold their warm-up at the same time, which is the most that they ever take. Memory is that of the process,
with the setting of malloc that the supervisor gives the control plane. Fails where a stream that has learned takes over 300 KB, or where the restored
streams are not the same.
"""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy as np
from rig import memory_mib
from rig.hostile import write

from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.streams.allowance import Allowance
from proxy.controlplane.streams.stream import Stream
from proxy.controlplane.streams.streams import Streams
from proxy.inspecting import Drift
from proxy.record import Sample as Sent
from proxy.supervise import MAPPED_BYTES

STREAMS, WATCHED = 1000, 10
MOST_BYTES = 300_000
LEAST_CHARACTERS, MOST_CHARACTERS, TEXTS = 600, 1800, 2000
LARGE_BYTES = 4000  # an array that is named
INSIDE = "inside"


def make_answers(draw: random.Random) -> list[str]:
    whole = write(400_000)
    sizes = [draw.randint(LEAST_CHARACTERS, MOST_CHARACTERS) for _ in range(TEXTS)]
    return [whole[at : at + size] for size in sizes for at in [draw.randrange(len(whole) - size)]]


def measure_rss() -> float:
    gc.collect()
    return memory_mib(os.getpid(), "VmRSS") * 2**20


def list_arrays(stream: Stream) -> dict[str, int]:
    """The large arrays of a stream's detector: name → bytes; and all of them together."""
    learned = stream.detector.answers
    parts = {"": learned, "bank.": learned.bank, "rates.": learned.rates, "direction.": learned.direction}
    held = {f"{part}{name}": value.nbytes for part, one in parts.items() if one for name, value in vars(one).items() if isinstance(value, np.ndarray)}
    return {name: size for name, size in held.items() if size >= LARGE_BYTES} | {"all": sum(held.values())}


def tell(what: str, before: float, streams: Streams, number: int) -> float:
    size = (measure_rss() - before) / number
    arrays = ", ".join(f"{name} {one / 1000:.0f}" for name, one in list_arrays(next(iter(streams._streams.values()))).items())
    print(f"| {what} | {size / 1000:.0f} | {arrays} |", flush=True)
    return size


def time_it(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def run(number: int) -> int:
    draw = random.Random(1)
    texts, drift, verdicts = make_answers(draw), Drift(most_streams=number), [Verdict("empty")]
    unbounded = Allowance(lambda: 0.0, lambda: 0.0)
    with tempfile.TemporaryDirectory() as folder:
        journal = JournalWriter(Path(folder), 1 << 30)
        streams = Streams(drift, Path(folder, "drift"), journal, clock_ns=lambda: 1, allowance=unbounded)

        def play(answers: int) -> None:
            for _ in range(answers):
                for agent in range(number):
                    text = draw.choice(texts)
                    sent = Sent(
                        id=f"{draw.getrandbits(128):032x}", agent=f"agent-{agent}", model="m-1", model_asked="m", upstream="u", format="openai.chat",
                        usage_source="reported", finish="stop", input_tokens=20, output_tokens=len(text) // 4, reasoning_tokens=0,
                    )  # fmt: skip
                    streams.watch(sent, Sample(text=text, prompt="How is the mill?", prompt_digest="0123456789abcdef", offered=[]), verdicts)

        before = measure_rss()
        print("| of a stream | KB of memory | KB of its arrays |\n|---|---|---|")
        cpu_s = time_it(lambda: play(drift.warmup - 1))
        tell("before the end of its warm-up", before, streams, number)
        cpu_s += time_it(lambda: play(1 + WATCHED))
        size = tell("learned", before, streams, number)
        saving_s = time_it(streams.save)
        kept = sum(path.stat().st_size for path in Path(folder, "drift").iterdir()) / number
        restored = Streams(drift, Path(folder, "drift"), journal, allowance=unbounded)
        restoring_s = time_it(restored.restore)
        same = sorted(map(repr, restored.describe())) == sorted(map(repr, streams.describe()))
        journal.close()
    print(f"\n{number} streams, {1e6 * cpu_s / number / (drift.warmup + WATCHED):.0f} us of CPU an answer")
    print(f"save: {saving_s:.2f} s of CPU, {kept / 1000:.0f} KB a file; restore: {restoring_s:.2f} s of CPU, the same: {same}")
    return 0 if size <= MOST_BYTES and same else 1


def main(arguments: list[str]) -> int:
    if arguments[1:] == [INSIDE]:
        return run(int(arguments[0]))
    settings = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(MAPPED_BYTES)}
    command = [sys.executable, __file__, arguments[0] if arguments else str(STREAMS), INSIDE]
    return subprocess.run(command, env={**os.environ, **settings}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
