"""The laws that every evaluator keeps to: no answer crashes one, none is quoted, and none takes long, whatever comes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.catalog import BUILT_IN, find, judge_all
from evaluators.sample import Sample, Tool, ToolCall
from evaluators.verdict import Verdict

# What the evaluators look for, so that random texts come near to it.
PIECES = st.sampled_from(
    ["```", "{", "}", "[", '"', "<answer>", "</answer>", "<|", "|>", "[INST]", "I'm sorry, I can't", "sk-", "@", "1234 ", "eyJ", "\u00c3\u00a9",
     "\ufffd", "\ud800", "\u200b", "the of and ", "le la les ", "\n", " ", "error", "<html><title>", "Human:", "###", "\x00", "das ist ",
     "\u0e01", "AIza", "-", "."]
)  # fmt: skip
TEXT = st.one_of(st.text(st.characters(), max_size=60), st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=40).map("".join))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
WORDS = st.sampled_from(
    ["$ref", "allOf", "properties", "type", "pattern", "items", "not", "$defs", "enum", "$id", "required", "anyOf", "dependencies", "const", "a"]
)
REFERENCES = st.sampled_from(["#", "#/$defs/a", "#/properties/a", "object", "^a*$", "http://127.0.0.1:9/", "#/allOf/0", "#/%25"])
SCHEMA = st.recursive(
    st.one_of(REFERENCES, JSON), lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)), max_leaves=15
)
SAMPLES = st.builds(
    Sample,
    text=TEXT,
    reasoning=TEXT,
    calls=st.lists(st.builds(ToolCall, TEXT, TEXT), max_size=3),
    offered=st.one_of(st.none(), st.lists(st.builds(Tool, TEXT, SCHEMA), max_size=3)),
    finish=st.one_of(st.none(), TEXT, st.just("length")),
    asked=st.sampled_from([None, "text", "json"]),
    schema=SCHEMA,
    language=st.one_of(st.none(), TEXT, st.just("en")),
    prompt_language=st.one_of(st.none(), TEXT),
    is_cut=st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(SAMPLES)
def test_nothing_crashes_an_evaluator(sample: Sample) -> None:
    for verdict in judge_all(sample):
        assert verdict.name in BUILT_IN
        assert 0 <= verdict.score <= 1
        assert (verdict.label == "pass") is (verdict.severity == "none")


LONG = 10_000_000
HOSTILE: dict[str, Callable[[], str]] = {  # made when they are judged: all of them at once would take a quarter of a gigabyte
    "one letter": lambda: "a" * LONG,
    "white space": lambda: " " * LONG + "x",
    "invisible": lambda: "\u200b" * (LONG // 3),
    "brackets": lambda: "[" * LONG,
    "json": lambda: "[" + '{"a": "b"},' * (LONG // 11) + "1]",
    "quotes": lambda: '"' * LONG,
    "tags": lambda: "<answer>" * (LONG // 8),
    "fences": lambda: "```\n" * (LONG // 4),
    "digits": lambda: "1 " * (LONG // 2),
    "long numbers": lambda: "4111-1111-1111-" * (LONG // 15),
    "at signs": lambda: "a@" * (LONG // 2),
    "dots": lambda: "a@a" + ".a" * (LONG // 2),
    "keys": lambda: "sk-" * (LONG // 3),
    "tokens": lambda: "eyJ" * (LONG // 3),
    "controls": lambda: "<|a" * (LONG // 3),
    "surrogates": lambda: "\ud83d" * (LONG // 3),
    "mixed scripts": lambda: "ก한あ中д" * (LONG // 15),
    "lines": lambda: "the same line, over and over\n" * (LONG // 29),
    "almost a loop": lambda: "".join(f"{number} " for number in range(LONG // 8)),
    "sorry": lambda: "I " * 100 + "can't " * (LONG // 6),
    "spaces in html": lambda: "<html" + " " * LONG,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_ten_megabytes_of_anything_are_judged_in_bounded_time(name: str) -> None:
    """A second of CPU each would be a hundred times what it takes; whoever goes back and forth over such a text takes hours."""
    text = HOSTILE[name]()
    schema = {"type": "array", "items": {"$ref": "#"}}
    sample = Sample(text=text, asked="json", schema=schema, language="en", calls=[ToolCall("f", text)], offered=[Tool("f", {})])
    bare = Sample(text=text, language="en")
    started = time.process_time()
    judge_all(sample)
    judge_all(bare)
    assert time.process_time() - started < 20


def test_evaluators_are_found_by_dotted_path() -> None:
    assert find("evaluators.empty:judge") is BUILT_IN["empty"]
    for path in ("evaluators.empty:absent", "no.such.module:judge", "evaluators.empty:NAME", "", "evaluators.empty:"):
        with pytest.raises(ValueError):
            find(path)


def test_no_explanation_quotes_the_answer() -> None:
    marked = "zyxqv"
    key = "sk-" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3f"
    texts = [f"{marked} {text}" for text in ("<|im_end|>", "\ufffd", key, "a@b.org", "I'm sorry, I can't help", "\n### Human: ")]
    texts += [f"```{marked}", f"<html><title>error {marked}", f'{{"{marked}": 1}}', f"Internal server error {marked}", marked * 100]
    for text in texts:
        sample = Sample(text=text, asked="json", schema={"type": "array"}, calls=[ToolCall(marked, text)], offered=[Tool("f")], language="fr")
        verdicts: list[Verdict] = judge_all(sample)
        assert verdicts
        assert all(marked not in verdict.explanation + verdict.label for verdict in verdicts)
