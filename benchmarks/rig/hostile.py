"""Answers made to hurt whoever reads them: long, deep, repetitive, of one character, and no text at all."""

from __future__ import annotations

import random

from evaluators.sample import Sample, Tool, ToolCall

_LONG, _MILLION, _MANY = 10_000_000, 1_000_000, 100_000
_WORDS = "the report shows that orders of this client are late and we should call them today about a new price for it".split()  # noqa: SIM905


def write(characters: int) -> str:
    """An ordinary answer of about so many characters."""
    draw = random.Random(1)
    lines: list[str] = []
    size = 0
    while size < characters:
        lines.append(" ".join(draw.choices(_WORDS, k=draw.randint(8, 20))).capitalize() + ".")
        size += len(lines[-1]) + 1
    return "\n".join(lines)[:characters]


def _write_fibonacci(characters: int) -> str:
    """The string with the most repetitions that are none."""
    last, now = "a", "ab"
    while len(now) < characters:
        last, now = now, now + last
    return now[:characters]


def list_texts(scale: float = 1.0) -> dict[str, str]:
    """Name → text. `scale` makes all of them smaller."""
    long, million, many = (int(size * scale) for size in (_LONG, _MILLION, _MANY))
    block = write(20_000)
    return {
        "prose of 10 MB": block * (long // len(block)),
        "one word of 1 MB": "a" * million,
        "a million opening brackets": "[" * million,
        "a million brackets of three sorts": "[{(" * (million // 3),
        "a million closing brackets": "}" * million,
        "JSON 100,000 deep": '{"a":' * many + "1" + "}" * many,
        "lists 100,000 deep": "[" * many + "]" * many,
        "JSON of 10 MB": "[" + ",".join(['{"a": [1, "b", null]}'] * (long // 22)) + "]",
        "a broken JSON string of 10 MB": '{"a": "' + "\\u0041" * (long // 6),
        "one period, 10 MB": "ab" * (long // 2),
        "one period, broken at its end": "ab" * (long // 2) + "c",
        "a Fibonacci string of 10 MB": _write_fibonacci(long),
        "lone surrogates": "\ud800" * million,
        "no UTF-8 at all": "\ufffd" * million,
        "characters of zero width": "\u200b" * million,
        "combining marks": "e" + "\u0301" * million,
        "mojibake": "Ã©â€œ" * (million // 5),
        "white space and a word": " " * long + "x",
        "a million line breaks": "\n" * million + "x",
        "a million backticks": "`" * million,
        "a million angles": "<" * million,
        "control tokens": "<|im_start|>[INST]</s>" * (million // 22),
        "tags that nobody closes": "<a><b><i>" * (million // 9),
        "the beginnings of keys": "sk-" * (million // 3),
        "the beginnings of tokens": "eyJ." * (million // 4),
        "addresses that do not end": "a@a." * (million // 4),
        "digits": "1" * million,
        "digits with hyphens": "1-" * (million // 2),
        "apologies": "I'm sorry, but I cannot. " * (million // 25),
        "letters of all alphabets": "".join(map(chr, range(0x370, 0xD7FF))) * (million // 54_000 + 1),
        "ends of sentences": ". " * (million // 2),
        "bullet points": "- \n" * (million // 3),
    }


def list_samples(scale: float = 1.0) -> dict[str, Sample]:
    """Name → sample; JSON is asked for, so that it is looked for."""
    many = int(_MANY * scale)
    tools = [Tool(f"tool_{number}", {"type": "object", "properties": {"a": {"type": "string"}}}) for number in range(500)]
    deep = '{"a":' * many + "1" + "}" * many
    calls = {
        "100,000 tool calls": [ToolCall(f"tool_{number % 500}", '{"a": "b"}') for number in range(many)],
        "100,000 calls of unknown tools": [ToolCall(f"none_{number}", "{") for number in range(many)],
        "arguments 100,000 deep": [ToolCall("tool_1", deep)],
        "arguments of 10 MB": [ToolCall("tool_1", '{"a": "' + "x" * int(_LONG * scale) + '"}')],
    }
    pattern = {"type": "string", "pattern": "^(a+)+$"}
    return {
        **{name: Sample(text=text, asked="json", prompt="Why?", prompt_language="en") for name, text in list_texts(scale).items()},
        **{name: Sample(calls=made, offered=tools, asked="text", finish="tool_calls") for name, made in calls.items()},
        "a schema's pattern that backtracks": Sample(text='"' + "a" * int(_MANY * scale) + '!"', asked="json", schema=pattern),
    }
