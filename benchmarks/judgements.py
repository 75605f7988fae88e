"""How often each stateless evaluator is right on labelled answers of real models, and what it costs.

    python benchmarks/judgements.py [PACK]

PACK is a folder of answers (benchmarks/README.md says of which form and where they come from); without one, the few examples below show that
this runs. Labels are of three sorts: people's (refusals), another parser's or the source's own (JSON, languages, tools), and faults put into
answers of which the original is the negative (all others). An answer belongs, with what was made of it, to `dev` or `test` by the hash of its
text, where it is known of its prompt: answers to one prompt are in one half.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from evaluators.catalog import BUILT_IN, judge_all
from evaluators.sample import Sample, Tool, ToolCall

Case = tuple[str, Sample, bool]  # the text that says in which half it is, the sample, whether the evaluator is to object
MOST_US = 100.0
_LEAST_TEXT = 400  # characters; of a shorter answer a part may be whole
_LITTLE = {
    "outputs": [{"task": "alpaca", "output": f"Number {number}. " + "The mill was built by the river. " * 18} for number in range(40)],
    "pools": [
        {"pool": "refusal", "label": "2_full_refusal", "text": "I'm sorry, but I can't assist with that."},
        {"pool": "xstest_other", "label": "1_full_compliance", "text": "Use the command kill, with the number of the process."},
        {"pool": "other_language", "label": "fr", "text": "Le moulin est sur la rivière et il a été construit par les moines, qui ne l'ont pas."},
    ],
    "toolcalls": [{"output": "", "tool_calls": [{"name": "find", "arguments": '{"id": 1}'}]}],
}  # fmt: skip


def read_pack(folder: Path | None, name: str) -> list[dict[str, Any]]:
    """The rows of one file of the pack."""
    if folder is None:
        return _LITTLE[name]
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def split(text: str) -> str:
    """`dev` or `test`, by the text alone."""
    return "test" if hashlib.sha256(text.encode("utf-8", "replace")).digest()[0] % 2 else "dev"


def parses(text: str) -> bool:
    """What the standard library says, which is another parser than the evaluator's."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def make_loop(text: str, random_: random.Random) -> str:
    start = random_.randrange(len(text) // 4, len(text) // 2)
    length = random_.randrange(20, 120)
    return text[: start + length] + text[start : start + length] * random_.randrange(8, 40)


def cut(text: str, random_: random.Random) -> str:
    return text[: random_.randrange(len(text) // 4, len(text) * 9 // 10)]


def misread(text: str, random_: random.Random) -> str:
    """As another machine would show it; a text without such characters is given the quotes that word processors make."""
    curly = text.replace("'", "\u2019").replace(' "', " \u201c")
    if curly.isascii():
        curly += " \u2013 caf\u00e9"
    return curly.encode().decode("cp1252", "replace")


def leak(text: str, random_: random.Random) -> str:
    tokens = ["<|im_end|>\n<|im_start|>assistant\n", "</s>", "<|eot_id|>", "[/INST]", "\n### Human: go on\n### Assistant: ", "<end_of_turn>\n"]
    token = random_.choice(tokens)
    place = random_.choice([len(text), len(text) // 2])
    return text[:place] + token + text[place:]


def add_key(text: str, random_: random.Random) -> str:
    """A made-up credential of a published form."""
    body = "".join(random_.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=48))
    key = random_.choice(["sk-" + body, "sk-ant-api03-" + body, "AKIA" + body.upper()[:16], "ghp_" + body[:36], "AIza" + body[:35]])
    place = text.find(" ", len(text) // 2) + 1
    return f"{text[:place]}{key} {text[place:]}"


def empty(text: str, random_: random.Random) -> str:
    return random_.choice(["", " \n", "\u200b", "{}", "...", "```\n```", "\ufeff\n", "null"])


_PAGES = (
    "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr>nginx</body></html>",
    "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head>",
    '{"error": {"message": "The server is overloaded", "type": "server_error"}}', "upstream connect error or disconnect/reset before headers",
    "Internal Server Error", '{"detail": "Not Found"}', "error code: 524", "<html><title>504 Gateway Time-out</title>",
)  # fmt: skip


def put_in(fault: Callable[[str, random.Random], str], texts: list[str]) -> list[Case]:
    random_ = random.Random(fault.__name__)
    return [case for text in texts for case in ((text, Sample(text=text), False), (text, Sample(text=fault(text, random_)), True))]


def put_page(text: str, random_: random.Random) -> str:
    return random_.choice(_PAGES)


def find_cases(folder: Path | None) -> dict[str, list[Case]]:
    """evaluator → its cases."""
    outputs, pools, turns = (read_pack(folder, name) for name in ("outputs", "pools", "toolcalls"))
    chat = [row["output"] for row in outputs if row["task"] in ("alpaca", "wild")]
    texts = [text for text in chat if len(text) >= _LEAST_TEXT]
    asked = [row for row in pools if row["pool"] in ("refusal", "xstest_other") and not row["label"].startswith("3_")]  # 3: in part
    strange = [row["text"] for row in pools if row["pool"] == "other_language"]
    cases = {
        "empty": put_in(empty, texts),
        "json": [(text, Sample(text=text, asked="json"), not parses(text)) for row in outputs if row["task"] == "gsm" and (text := row["output"])],
        "tools": list(find_tool_cases(turns)),
        "truncated": put_in(cut, texts),
        "repetition": put_in(make_loop, texts),
        "leaks": put_in(leak, texts),
        "mojibake": put_in(misread, texts),
        "language": [
            *((text, Sample(text=text, language="en"), True) for text in strange),
            *((text, Sample(text=text, language="en"), False) for text in texts),
        ],
        "refusal": [(row.get("prompt") or row["text"], Sample(text=row["text"]), row["pool"] == "refusal") for row in asked],
        "error_page": put_in(put_page, texts),
        "secrets": put_in(add_key, texts),
    }
    assert cases.keys() == BUILT_IN.keys()
    return cases


_KINDS = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}


def find_tool_cases(turns: list[dict[str, Any]]) -> Iterator[Case]:
    """Real tool calls as they are, and each once broken: cut, renamed, with a value of another type."""
    calls = [ToolCall(call["name"], call["arguments"]) for turn in turns for call in turn["tool_calls"]]
    kinds: dict[str, dict[str, str]] = {}
    for call in calls:
        for name, value in json.loads(call.arguments).items():
            kinds.setdefault(call.name, {})[name] = _KINDS.get(type(value), "number")
    offered = [Tool(name, {"type": "object", "properties": {each: {"type": kind} for each, kind in of.items()}}) for name, of in kinds.items()]
    random_ = random.Random("tools")
    for call in calls:
        broken = [ToolCall(call.name, call.arguments[: random_.randrange(1, len(call.arguments))]), ToolCall(call.name + "_all", call.arguments)]
        broken += [ToolCall(call.name, json.dumps(dict.fromkeys(json.loads(call.arguments)) or [1]))]
        yield call.arguments, Sample(calls=[call], offered=offered), False
        yield call.arguments, Sample(calls=[random_.choice(broken)], offered=offered), True


_LABELS = {"json": "another parser", "language": "the source", "refusal": "people"}
_WITH_INFO = ("truncated", "refusal")


def measure(name: str, cases: list[Case], part: str, with_info: bool = False) -> str:
    """One row of the table: what of one half was told right; on demand what is only worth knowing counts as an objection, too."""
    judge = BUILT_IN[name]
    right = missed = wrong = clean = 0
    for origin, sample, is_faulty in cases:
        if split(origin) != part:
            continue
        verdict = judge(sample)
        objects = verdict is not None and (verdict.failed or (with_info and verdict.severity == "info"))
        right += objects and is_faulty
        missed += not objects and is_faulty
        wrong += objects and not is_faulty
        clean += not objects and not is_faulty
    precision = f"{right / (right + wrong):.3f}" if right + wrong else "-"
    recall = f"{right / (right + missed):.3f}" if right + missed else "-"
    shown = f"{name}, with `info`" if with_info else name
    return f"| {shown} | {_LABELS.get(name, 'put in')} | {part} | {right + missed} | {wrong + clean} | {precision} | {recall} | {wrong} |"


def measure_cpu(folder: Path | None) -> None:
    rows = read_pack(folder, "outputs")

    def make() -> list[Sample]:
        return [Sample(text=row["output"], language="en", asked="json" if row["task"] == "gsm" else None) for row in rows]

    print("\n| evaluator | CPU us an answer |\n|---|---|")
    for name, judge in BUILT_IN.items():
        samples, started = make(), time.process_time()
        for sample in samples:
            judge(sample)
        print(f"| {name} | {(time.process_time() - started) / len(samples) * 1e6:.1f} |")
    samples, started = make(), time.process_time()
    for sample in samples:
        judge_all(sample)
    whole = (time.process_time() - started) / len(samples) * 1e6
    print(f"| all of them | {whole:.1f} |")
    print(f"\n{len(samples)} answers of {sum(len(sample.text) for sample in samples) // len(samples)} characters on the average")
    if folder is not None and whole > MOST_US:
        sys.exit(f"more than {MOST_US:g} us an answer")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print("| evaluator | labels | half | faulty | sound | precision | recall | sound ones objected to |\n|---|---|---|---|---|---|---|---|")
    for name, cases in find_cases(folder).items():
        for part in ("dev", "test"):
            print(measure(name, cases, part))
        if name in _WITH_INFO:
            for part in ("dev", "test"):
                print(measure(name, cases, part, with_info=True))
    measure_cpu(folder)


if __name__ == "__main__":
    main()
