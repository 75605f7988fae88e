"""Hostile answers: what the worst of them cost whoever reads them, beside an ordinary one of 1 KB.

    .venv/bin/python benchmarks/hostile.py [SCALE]     SCALE makes them smaller; 1 unless told

Every stateless evaluator and the drift detector get every answer of `rig/hostile.py` whole, as `weighbridge evaluate` does; the data plane's
readers get it as a chat completion in one body and as a stream. CPU is a multiple of what an ordinary answer costs the same reader.
Fails where one costs more CPU than reading so many bytes once may, or more than 64 MiB of memory.
"""

from __future__ import annotations

import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from rig.hostile import list_samples, write  # noqa: E402

from evaluators.catalog import BUILT_IN  # noqa: E402
from evaluators.drift import Detector  # noqa: E402
from evaluators.sample import Sample  # noqa: E402
from proxy.call import Ask, Kind  # noqa: E402
from proxy.wire.reader import open_reader  # noqa: E402

ORDINARY, TIMES = 1000, 30
WARMUP = 310
PIECE, DELTA = 65536, 1000
MOST_PEAK_BYTES = 64 * 1024 * 1024
# What windows of bounded size may cost, and what each byte may beside them.
MOST_WINDOWS_S, MOST_NS_A_BYTE = 0.03, 60
JSON, SSE = "application/json", "text/event-stream"
CHAT = Kind("openai.chat", "chat", json_body=True)
Reads = Callable[[Sample], object]


def renew(sample: Sample) -> Sample:
    """The same without what was remembered of it."""
    return Sample(**{name: getattr(sample, name) for name in Sample.__struct_fields__})


def write_body(sample: Sample) -> bytes:
    calls = [
        {"id": f"c{number}", "type": "function", "function": {"name": one.name, "arguments": one.arguments}}
        for number, one in enumerate(sample.calls)
    ]
    message = {"role": "assistant", "content": sample.text, **({"tool_calls": calls} if calls else {})}
    return json.dumps({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}).encode()


def write_stream(sample: Sample) -> bytes:
    deltas = [{"content": sample.text[at : at + DELTA]} for at in range(0, len(sample.text), DELTA)]
    for number, one in enumerate(sample.calls):
        deltas.append({"tool_calls": [{"index": number, "id": f"c{number}", "function": {"name": one.name, "arguments": one.arguments}}]})
    lines = [json.dumps({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    return "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode()


def read(data: bytes, media: str) -> object:
    reader = open_reader(CHAT, Ask(stream=media == SSE), 200, media, {})
    for at in range(0, len(data), PIECE):
        reader.feed(data[at : at + PIECE])
    return reader.end()


def list_readers() -> dict[str, Reads]:
    """Name → what reads a sample."""
    detector = Detector()

    def watch(sample: Sample) -> None:
        tools = [call.name for call in sample.calls]
        if detector.update(sample.text, {"prompt": sample.prompt, "finish_reason": sample.finish, "tools": tools, "output_tokens": 250}):
            detector.dismiss()

    for _ in range(WARMUP):
        watch(Sample(text=write(ORDINARY)))
    return {**BUILT_IN, "drift": watch}


def measure(reads: Callable[[], object]) -> tuple[float, int]:
    """CPU in seconds, and the most bytes of memory."""
    started = time.process_time()
    reads()
    cpu_s = time.process_time() - started
    tracemalloc.start()
    reads()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return cpu_s, peak


def measure_all(scale: float) -> Iterator[tuple[str, str, float, float, int, int]]:
    """(reader, answer, CPU s, peak bytes, CPU s of an ordinary one, bytes of the answer)."""
    ordinary = Sample(text=write(ORDINARY), asked="json", prompt="Why?", prompt_language="en")
    readers = list_readers()
    usual = {
        name: min(measure(lambda one=one: [one(renew(ordinary)) for _ in range(TIMES)])[0] for _ in range(3)) / TIMES for name, one in readers.items()
    }
    ways = {"a body": (write_body, JSON), "a stream": (write_stream, SSE)}
    for name, (make, media) in ways.items():
        data = make(ordinary)
        usual[name] = min(measure(lambda data=data, media=media: [read(data, media) for _ in range(TIMES)])[0] for _ in range(3)) / TIMES
    for answer, sample in list_samples(scale).items():
        size = len(write_body(sample))
        for name, one in readers.items():
            yield name, answer, *measure(lambda one=one, sample=sample: one(renew(sample))), usual[name], size
        for name, (make, media) in ways.items():
            data = make(sample)
            yield name, answer, *measure(lambda data=data, media=media: read(data, media)), usual[name], size


def main(scale: float) -> int:
    worst: dict[str, tuple[float, str, float]] = {}
    peaks: dict[str, tuple[int, str]] = {}
    faults = []
    for name, answer, cpu_s, peak, usual_s, size in measure_all(scale):
        worst[name] = max(worst.get(name, (0.0, "", 0.0)), (cpu_s, answer, cpu_s / usual_s))
        peaks[name] = max(peaks.get(name, (0, "")), (peak, answer))
        if cpu_s > MOST_WINDOWS_S + size * MOST_NS_A_BYTE * 1e-9 or peak > MOST_PEAK_BYTES:
            faults.append(f"{name}, {answer}: {1e3 * cpu_s:.1f} ms, {peak / 2**20:.1f} MiB")
    print("| reads it | most CPU, ms | of an ordinary answer's | of | most memory, MiB | of |\n|---|---|---|---|---|---|")
    for name, (cpu_s, answer, times) in worst.items():
        peak, largest = peaks[name]
        print(f"| {name} | {1e3 * cpu_s:.1f} | {times:.0f} times | {answer} | {peak / 2**20:.1f} | {largest} |")
    print(*faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
