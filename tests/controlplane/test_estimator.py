"""Estimated calls are corrected by counting; others teach; text is kept only where that is wanted."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import msgspec
import pytest

from proxy.config import Capture, Config, Price
from proxy.controlplane import tokens
from proxy.controlplane.estimator import Estimator
from proxy.controlplane.events import Batch, Weighed, parse
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.settlement import Precedence
from proxy.pricing.book import Book
from proxy.record import Sample
from proxy.redact import Redactor
from tests.controlplane.conftest import Segments, call

PROMPT = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Say hello to the world."}]}'
KEY = "sk-abcdefghij0123456789"


def make_sample(number: int, **other: object) -> Sample:
    fields = {
        "id": f"call-{number}",
        "agent": "a",
        "model": "gpt-4o-mini",
        "format": "openai_chat",
        "usage_source": "estimated",
        "text": "Hello, world! " * 10,
    }
    fields |= {"request": PROMPT, "request_bytes": len(PROMPT), "output_bytes": 140}
    return Sample(**(fields | other))


def make_weighed(number: int, **other: object) -> Weighed:
    fields = {"model": "gpt-4o-mini", "usage_source": "estimated", "input_tokens": 999, "output_tokens": 888}
    return parse(call(number, **(fields | other))[:-1], Batch())[1]


def make(segments: Segments, **capture: object) -> Estimator:
    prices = [Price(model="gpt-4o-mini", input=1.0, output=2.0)]
    writer = JournalWriter(segments.folder, 10**6)
    return Estimator(
        Config(capture=Capture(**capture)), Book.load(None, prices), writer, Precedence(), Redactor(), segments.folder.parent / "ratios.json"
    )


def corrections(segments: Segments) -> list[dict]:
    lines = [line for path in sorted(segments.folder.iterdir()) for line in path.read_bytes().splitlines()]
    return [event["correction"] for event in map(msgspec.json.decode, lines) if "correction" in event]


@pytest.mark.parametrize("sample_first", [True, False])
def test_a_call_is_corrected_once_its_record_and_its_sample_are_here(segments: Segments, sample_first: bool) -> None:
    estimator = make(segments)
    if sample_first:
        estimator.take(make_sample(1))
        estimator.pair()
    estimator.observe([make_weighed(1), make_weighed(2), make_weighed(3, usage_source="reported")])
    estimator.pair()
    estimator.take(make_sample(1))
    estimator.pair()
    (found,) = corrections(segments)
    prompt, made = tokens.estimate_prompt(PROMPT, "openai_chat", "gpt-4o-mini"), tokens.count("Hello, world! " * 10, "gpt-4o-mini")
    assert (found["id"], found["by"], found["input_tokens"], found["output_tokens"]) == ("call-1", "tokenizer", prompt, made)
    assert found["cost_nano_usd"] == prompt * 1000 + made * 2000


def test_what_the_sample_does_not_hold_keeps_the_first_guess_or_grows_in_proportion(segments: Segments) -> None:
    estimator = make(segments)
    estimator.observe([make_weighed(1), make_weighed(2, model="unpriced", model_asked=None), make_weighed(3, cost_source="unbilled")])
    estimator.take(make_sample(1, request=None, output_bytes=1400))
    estimator.take(make_sample(2, model="unpriced"))
    estimator.take(make_sample(3))
    estimator.pair()
    first, second, third = corrections(segments)
    assert (first["input_tokens"], first["output_tokens"]) == (999, 10 * tokens.count("Hello, world! " * 10, "gpt-4o-mini"))
    assert "cost_nano_usd" not in second and "cost_nano_usd" not in third


def teach(estimator: Estimator, calls: int, lessons: int) -> int:
    """Tell of calls for which the provider reported twice the tokens that are counted, which are returned."""
    counted = tokens.count("Hello, world! " * 10, "gpt-4o-mini")
    for number in range(calls):
        estimator.take(make_sample(number, usage_source="reported", is_lesson=number < lessons, input_tokens=5, output_tokens=counted * 2))
    return counted


def test_reported_calls_teach_a_ratio_that_survives_a_restart(segments: Segments) -> None:
    estimator = make(segments)
    estimator.observe([make_weighed(1)])
    estimator.take(make_sample(1))
    estimator.pair()
    counted = teach(estimator, 200, 30)
    assert estimator.learned == 30
    estimator.save()
    again = make(segments)
    again.observe([make_weighed(2)])
    again.take(make_sample(2))
    again.pair()
    before, after = corrections(segments)
    assert before["output_tokens"] == counted and after["output_tokens"] > counted * 1.7


def test_lessons_wait_until_a_call_has_to_be_corrected(segments: Segments) -> None:
    estimator = make(segments)
    counted = teach(estimator, 1000, 1000)
    estimator.save()
    assert estimator.learned == 0, "so no vocabulary was loaded"
    estimator.observe([make_weighed(1)])
    estimator.take(make_sample(1))
    estimator.pair()
    (found,) = corrections(segments)
    assert found["output_tokens"] > counted * 1.7 and estimator.learned == 100


def test_a_damaged_state_costs_what_was_learned_only(segments: Segments) -> None:
    (segments.folder.parent / "ratios.json").write_bytes(b"\xff{")
    assert make(segments).learned == 0


def test_content_is_kept_redacted_and_only_if_wanted(segments: Segments) -> None:
    sample = make_sample(1, text=f"the key is {KEY}", tools=[("send", f'{{"key":"{KEY}"}}')], request=PROMPT.replace(b"hello", KEY.encode()))
    silent = make(segments)
    silent.take(sample)
    assert not silent.content
    keeping = make(segments, content=True, max_bytes=40)
    keeping.take(sample)
    ((call_id, _, prompt, output, arguments),) = keeping.content
    assert (call_id, output) == ("call-1", "the key is [redacted]")
    assert KEY not in prompt + arguments and len(prompt) == 40


def test_the_thread_ends_in_order(segments: Segments, tmp_path: Path) -> None:
    estimator, stopping, samples = make(segments), threading.Event(), queue.Queue()
    estimator.observe([make_weighed(1)])
    samples.put([make_sample(1)])
    thread = threading.Thread(target=estimator.run, args=(samples, stopping), daemon=True)
    thread.start()
    stopping.set()
    thread.join(20)
    assert not thread.is_alive() and (tmp_path / "ratios.json").exists()


def test_budgets_pay_what_the_tokenizer_counts_but_not_over_an_operators_word(segments: Segments) -> None:
    estimator = make(segments)
    charged = {"day.usd@2026-09-21": 5000, "all.tokens@": 1887, "all.calls@": 1}
    estimator.observe([make_weighed(1, charged=charged), make_weighed(2, charged=charged), make_weighed(3, charged=charged, cost_source="unbilled")])
    estimator._precedence.note("call-2")
    for number in (1, 2, 3):
        estimator.take(make_sample(number))
    estimator.pair()
    first, third = corrections(segments)
    counted = first["input_tokens"] + first["output_tokens"]
    assert first["adjusted"] == {"day.usd@2026-09-21": first["cost_nano_usd"] - 5000, "all.tokens@": counted - 1887}
    assert third["id"] == "call-3" and "adjusted" not in third
