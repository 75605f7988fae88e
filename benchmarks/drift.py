"""How fast the drift detector finds a change, how often it cries wolf, and what it costs.

    .venv/bin/python benchmarks/drift.py [ANSWERS]        CPU and state of 20 streams of made-up answers
    .venv/bin/python benchmarks/drift.py PACK [PART]      the pack's own protocol, on every PART-th stream of each kind

PACK is a folder of recorded answers of real models with its runner, bench_drift.py; it is not part of this repository.
Its streams, its rules of counting and its tables are used as they are; this file only gives it the detector.
One pass gives both severities: a sensitive detector says "likely" first and "certain" when a detector that is not sensitive would say so.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import random
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import ModuleType

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # else CPU time is counted once for every thread of the linear algebra

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from evaluators import language  # noqa: E402
from evaluators.catalog import judge_all  # noqa: E402
from evaluators.drift import Detector  # noqa: E402
from evaluators.drift.state import save  # noqa: E402
from evaluators.sample import Sample  # noqa: E402

STREAMS = 20
MOST_STATE_BYTES = 300_000
ROUNDS, ANSWERS = 7, 150  # of the CPU of all evaluators; answers of each task
SEVERITIES = ("certain", "likely")
TEXT = "the report shows that orders of this client are late and we should call them today about a new price for it"


def write(rng: random.Random) -> str:
    """An answer of about 1,200 characters, as those of the pack are."""
    words = TEXT.split()
    lines = [" ".join(rng.choices(words, k=rng.randint(8, 20))).capitalize() + "." for _ in range(rng.randint(10, 18))]
    return "\n".join(("- " if rng.random() < 0.2 else "") + line for line in lines)


def measure_cost(answers: int) -> None:
    rng = random.Random(1)
    detectors = [Detector(sensitive=True) for _ in range(STREAMS)]
    texts = [write(rng) for _ in range(400)]
    meta = {"prompt": texts[0][:300], "finish_reason": "stop", "input_tokens": 80, "output_tokens": 300, "latency_s": 2.0, "model_answered": "m"}
    largest = 0
    for number in range(300):
        for detector in detectors:
            detector.update(rng.choice(texts), meta)
        if number in (99, 298):
            largest = max(largest, len(save(detectors[0])))
    rounds = []
    for _ in range(5):
        started = time.process_time()
        for number in range(max(STREAMS, answers // 5)):
            detectors[number % STREAMS].update(rng.choice(texts), meta)
        rounds.append(1e6 * (time.process_time() - started) / max(STREAMS, answers // 5))
    largest = max(largest, len(save(detectors[0])))
    size = sum(map(len, texts)) // len(texts)
    print(f"{STREAMS} streams, answers of {size} characters: {min(rounds):.0f} us of CPU an answer (the best of 5 rounds)")
    print(f"state {largest:,} bytes at most, packed")
    if largest > MOST_STATE_BYTES:
        sys.exit(f"a state is larger than {MOST_STATE_BYTES:,} bytes")


def run(runner: ModuleType, stream: object) -> dict[str, object]:
    """The runner's result for each severity, from one pass over the stream."""
    detector = Detector(sensitive=True)
    found: dict[str, int] = {}
    for number, (text, meta) in enumerate(stream.items):
        if alarm := detector.update(text, meta):
            found.setdefault(alarm.severity, number)
            if alarm.severity == "certain":
                break
    found.setdefault("likely", found.get("certain"))
    end = len(stream.items) - runner.WARMUP
    results = {}
    for severity in SEVERITIES:
        at = found.get(severity)
        results[severity] = runner.Result(stream.group, stream.name, at, stream.change, end if at is None else at + 1 - runner.WARMUP)
    return results


_TAKEN: list = []  # what a worker process was forked with: the runner and the streams


def _take(*given: object) -> None:
    _TAKEN[:] = given


def _run_chosen(number: int) -> dict[str, object]:
    runner, chosen = _TAKEN
    return run(runner, chosen[number])


def judge(pack_path: str, part: int) -> None:
    sys.path.insert(0, pack_path)
    runner = importlib.import_module("bench_drift")
    pack = runner.Pack.load(pack_path)
    seen: dict[str, int] = defaultdict(int)
    chosen = []
    for stream in (*runner.null_streams(pack), *runner.change_streams(pack)):
        seen[stream.group] += 1
        if (seen[stream.group] - 1) % part == 0:
            chosen.append(stream)
    results: dict[str, dict[str, list]] = {severity: defaultdict(list) for severity in SEVERITIES}
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), _take, (runner, chosen)) as pool:
        for number, found in enumerate(pool.imap(_run_chosen, range(len(chosen)), chunksize=4)):
            for severity, result in found.items():
                results[severity][chosen[number].group].append(result)
    number = len(chosen)
    print(f"{number} of {sum(seen.values())} streams (part 1/{part} of each kind), seed {runner.SEED}, threshold 1/alpha = 10,000.")
    print(f"{runner.cpu_us(Detector, pack):.0f} us of CPU an answer; {measure_all(runner, pack):.0f} with all other evaluators.\n")
    for severity, by in results.items():
        print(f"## {severity}\n")
        print("| no-change streams | false alarms | answers watched | per 10,000 | 95 % interval |\n|---|---|---|---|---|")
        for group in ("null", "null_long", "bursty"):
            alarms, watched, rate = runner.far(by[group])
            low, high = runner.poisson_ci(alarms, watched) if watched else (0, 0)
            print(f"| {group} | {alarms} | {watched:,} | {rate:.2f} | {low:.2f} to {high:.2f} |")
        print("\n| change | runs | median answers / found within 400 | alarms before it |\n|---|---|---|---|")
        for group in runner.GROUPS:
            if by[group]:
                print(f"| {group} | {len(by[group])} | {runner.cell(by[group])} | {runner.delays(by[group])[1]} |")
        print_pairs(runner, by)


def measure_all(runner: ModuleType, pack: object) -> float:
    """CPU microseconds of an answer for all evaluators, the stateless ones and then drift, on the streams of the runner's own measurement."""
    rounds = []
    for seed in range(ROUNDS):
        taken = count = 0
        for task in sorted(pack.out):
            items = runner.null_short(pack, task, sorted(pack.out[task])[0], seed).items
            detector = Detector()
            for text, meta in items[: runner.WARMUP]:
                detector.update(text, meta)
            samples = [make_sample(text, meta) for text, meta in items[runner.WARMUP : runner.WARMUP + ANSWERS]]
            started = time.process_time()
            for sample, (text, meta) in zip(samples, items[runner.WARMUP :], strict=False):
                found = [verdict.name for verdict in judge_all(sample) if verdict.failed]
                detector.update(text, meta | {"verdicts": found})
            taken, count = taken + time.process_time() - started, count + len(samples)
        rounds.append(1e6 * taken / count)
    return sorted(rounds)[ROUNDS // 2]


def make_sample(text: str, meta: dict[str, str]) -> Sample:
    """What the control plane makes of an answer; the language of the question is read with the question, once."""
    return Sample(text=text, prompt=meta["prompt"], finish=meta.get("finish_reason"), prompt_language=language.detect(meta["prompt"]))


def print_pairs(runner: ModuleType, by: dict[str, list]) -> None:
    print("\n| pair or fault | runs | median / found |\n|---|---|---|")
    for group in runner.GROUPS:
        names: dict[str, list] = defaultdict(list)
        for result in by[group]:
            names[result.name.split(" on ")[0]].append(result)
        for name, results in names.items():
            print(f"| {group}: {name} | {len(results)} | {runner.cell(results)} |")
    print()


if __name__ == "__main__":
    first = sys.argv[1] if len(sys.argv) > 1 else "20000"
    if first.isdigit():
        measure_cost(int(first))
    else:
        judge(first, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
