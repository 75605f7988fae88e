"""Settling: each ending gives the figures it can honestly give, once."""

import json

import pytest

from proxy.call import Answer, Ask, Call, Identity, Kind, Reading, Usage
from proxy.config import Price, Upstream
from proxy.dataplane.estimate import ByteRatios
from proxy.dataplane.journal import JournalWriter
from proxy.dataplane.samples import SampleSender
from proxy.dataplane.settle import Settler
from proxy.dataplane.till import Till
from proxy.dataplane.weigher import Weigher
from proxy.pricing.book import Book
from proxy.pricing.providers import Providers
from proxy.redact import Redactor
from proxy.rules import Headroom, Reserving
from proxy.toll.gate import Gate
from proxy.toll.ledger import Ledger

CHAT = Kind("openai.chat", "chat", json_body=True, needs_model=True)
PRICES = [Price(model="m", input=1.0, output=2.0)]


@pytest.fixture
def desk(tmp_path):
    journal = JournalWriter(tmp_path / "journal", 1 << 20)
    samples = SampleSender(tmp_path / "none.sock")
    book, ratios = Book.load(None, PRICES), ByteRatios()
    providers = Providers(book, {"up": Upstream(url="http://127.0.0.1:1")})
    till = Till(Ledger([]), Gate([], Headroom()), Weigher(book, providers, Reserving(), ratios))
    settler = Settler(book, providers, ratios, till, journal, samples, Redactor())

    def settle(call: Call) -> dict:
        settler.settle(call)
        journal.flush()
        lines = b"".join(path.read_bytes() for path in (tmp_path / "journal").iterdir()).splitlines()
        return [json.loads(line)["call"] for line in lines if line.startswith(b'{"call"')][-1]

    yield settle, settler
    journal.close()
    samples.close()


def call(status: int | None = 200, sent: bool = True, **parts) -> Call:
    answer = Answer(status=status, sent_ns=10 if sent else None, last_byte_ns=2_000)
    settings = {"kind": CHAT, "ask": Ask(model="m", prompt_bytes=4600), "reading": Reading(model="m"), "method": "POST", **parts}
    return Call(id="1", started_ns=1_000, path="/v1/chat/completions", upstream="up", identity=Identity("a", "path"), answer=answer, **settings)


def figures(record: dict) -> tuple:
    tokens = record.get("input_tokens"), record.get("output_tokens")
    return (*tokens, record.get("usage_source", "none"), record.get("cost_nano_usd"), record.get("cost_source"))


def test_reported_usage_is_priced(desk):
    settle, _ = desk
    record = settle(call(reading=Reading(model="m", usage=Usage(1000, 10))))
    assert figures(record) == (1000, 10, "reported", 1_020_000, "override") and record["price_version"]


@pytest.mark.parametrize("outcome", ["caller_gone", "upstream_cut", "upstream_timeout"])
def test_what_was_seen_of_a_broken_answer_is_paid_though_only_its_beginning_was_reported(desk, outcome):
    settle, _ = desk
    begun = Reading(model="m", usage=Usage(1000, 1), output_bytes=420)
    assert figures(settle(call(reading=begun, outcome=outcome))) == (1000, 100, "estimated", 1_200_000, "override")
    failed = Reading(model="m", usage=Usage(1000, 1), output_bytes=420, error="overloaded")
    assert figures(settle(call(reading=failed)))[:3] == (1000, 100, "estimated"), "an error event in the middle"
    whole = Reading(model="m", usage=Usage(1000, 90), output_bytes=420, complete=True)
    assert figures(settle(call(reading=whole, outcome=outcome))) == (1000, 90, "reported", 1_180_000, "override")


def test_missing_usage_is_estimated_and_marked(desk):
    settle, settler = desk
    assert figures(settle(call(reading=Reading(model="m", output_bytes=420)))) == (1000, 100, "estimated", 1_200_000, "override")
    assert settler.estimates == 1


def test_an_unknown_price_is_unknown_and_never_zero(desk):
    settle, _ = desk
    record = settle(call(reading=Reading(model="other", usage=Usage(5, 5)), ask=Ask(model="other")))
    assert "cost_nano_usd" not in record and "cost_source" not in record


@pytest.mark.parametrize(
    ("status", "sent", "outcome", "expected"),
    [
        (None, False, "upstream_unreachable", (None, None, "none", 0, "unbilled")),
        (429, True, None, (None, None, "none", 0, "unbilled")),
        (None, True, "caller_gone", (1000, 0, "estimated", 1_000_000, "override")),
        (None, True, "upstream_timeout", (1000, 0, "estimated", 1_000_000, "override")),
        (200, True, "upstream_cut", (1000, 0, "estimated", 1_000_000, "override")),
    ],
)
def test_endings_without_usage(desk, status, sent, outcome, expected):
    settle, _ = desk
    assert figures(settle(call(status, sent, outcome=outcome))) == expected


def test_a_call_is_settled_once(desk):
    settle, settler = desk
    one = call()
    settle(one)
    settler.settle(one)
    assert settler.settled == 1


def test_a_background_response_is_charged_once_when_it_is_fetched(desk):
    settle, _ = desk
    responses, retrieval = Kind("openai.responses", "chat", json_body=True), Kind("openai.responses", "chat")
    done = Reading(model="m", response_id="resp_1", usage=Usage(1000, 10), finish="completed")
    assert figures(settle(call(kind=responses, reading=Reading(model="m", response_id="resp_1", finish="queued"))))[2:4] == ("none", None)
    assert figures(settle(call(kind=retrieval, method="GET", reading=done))) == (1000, 10, "reported", 1_020_000, "override")
    assert figures(settle(call(kind=retrieval, method="GET", reading=done))) == (None, None, "none", 0, "unbilled")
    assert figures(settle(call(kind=retrieval, reading=Reading(response_id="resp_9")))) == (None, None, "none", 0, "unbilled"), "a cancel"


def test_a_batch_is_charged_once_when_it_has_ended(desk):
    settle, _ = desk
    batches = Kind("openai.batches", "batches")
    made = call(kind=batches, reading=Reading(response_id="batch_1", finish="validating"))
    under_way = call(kind=batches, method="GET", reading=Reading(model="m", response_id="batch_1", finish="in_progress", usage=Usage(500, 5)))
    ended = Reading(model="m", response_id="batch_1", finish="completed", usage=Usage(1000, 10))
    assert figures(settle(made))[2:4] == ("none", 0) and figures(settle(under_way))[2:4] == ("none", 0)
    assert figures(settle(call(kind=batches, method="GET", reading=ended))) == (1000, 10, "reported", 1_020_000, "override")
    assert figures(settle(call(kind=batches, method="GET", reading=ended)))[2:4] == ("none", 0)
    assert figures(settle(call(kind=batches, reading=ended)))[2:4] == ("none", 0), "a cancel that comes too late"


def test_a_stream_cut_while_in_progress_is_estimated_and_not_charged_again(desk):
    settle, _ = desk
    responses = Kind("openai.responses", "chat", json_body=True)
    cut = Reading(model="m", response_id="resp_2", finish="in_progress", output_bytes=420)
    assert figures(settle(call(kind=responses, outcome="upstream_cut", reading=cut)))[:3] == (1000, 100, "estimated")
    done = Reading(model="m", response_id="resp_2", usage=Usage(1000, 10), finish="completed")
    assert figures(settle(call(kind=Kind("openai.responses", "chat"), method="GET", reading=done)))[3:] == (0, "unbilled")


def test_the_presented_key_stays_out_of_the_record(desk):
    settle, _ = desk
    record = settle(call(401, reading=Reading(error="Incorrect API key provided: sk-live-1234."), presented=("sk-live-1234",)))
    assert record["error"] == "Incorrect API key provided: [redacted]."


def test_a_defect_in_weighing_costs_figures_and_not_the_record(desk, monkeypatch):
    settle, settler = desk
    monkeypatch.setattr(settler, "_weigh", lambda call: 1 / 0)
    record = settle(call())
    assert record["id"] == "1" and "cost_nano_usd" not in record and settler.defects == 1


def test_an_error_inside_a_200_is_its_own_outcome(desk):
    settle, _ = desk
    assert settle(call(reading=Reading(model="m", error="overloaded", usage=Usage(1, 1))))["outcome"] == "upstream_stream_error"


def test_a_defect_while_looking_for_secrets_costs_the_words_and_not_the_record(desk, monkeypatch):
    settle, settler = desk
    monkeypatch.setattr(settler.redact, "clean", lambda *_: 1 / 0)
    reading = Reading(model="m", usage=Usage(1000, 10), error="it says sk-1", finish="stop", response_id="r-1")
    record = settle(call(reading=reading))
    assert (record["error"], record["input_tokens"], record["cost_nano_usd"], settler.defects) == ("[redacted]", 1000, 1_020_000, 1)
    assert not {"finish", "response_id", "request_id", "model"} & set(record) and record["outcome"] == "upstream_stream_error"


@pytest.mark.parametrize(
    ("parts", "chosen"),
    [
        ({}, True),
        ({"status": 500}, None),
        ({"outcome": "caller_gone"}, None),
        ({"reading": Reading(model="m", text="half", error="overloaded")}, False),
        ({"reading": Reading(model="m", text="the part that was read", is_oversized=True)}, False),
        ({"is_inspected": False}, None),
    ],
)
def test_whole_answers_alone_are_handed_over_to_be_inspected(desk, monkeypatch, parts, chosen):
    """An answer that broke off is no model's fault; it goes to the estimator all the same."""
    settle, settler = desk
    sent = []
    monkeypatch.setattr(settler._samples, "send", sent.append)
    usage = Usage(input_tokens=5, output_tokens=7, reasoning_tokens=3)
    whole = {"reading": Reading(model="m", text="whole", usage=usage, complete=True), "is_inspected": True}
    settle(call(**(whole | parts)))
    assert [sample.is_inspected for sample in sent] == ([] if chosen is None else [chosen])
    if chosen:
        assert (sent[0].reasoning_tokens, sent[0].duration_ns, sent[0].upstream, sent[0].model_asked) == (3, 1_000, "up", "m")


def test_of_a_long_prompt_the_outline_goes_with_the_sample_without_the_presented_key(desk, monkeypatch):
    settle, settler = desk
    sent = []
    monkeypatch.setattr(SampleSender, "send", lambda _, sample: sent.append(sample))
    body = json.dumps({"messages": ["x" * 100_000], "tools": [{"name": "sk-secret"}]}).encode()
    one = call(reading=Reading(model="m", text="said", usage=Usage(1, 1), complete=True), presented=("sk-secret",), is_lesson=True)
    settler.keep(one, body)
    assert one.outline is None
    one.is_inspected = True  # by an order, a moment later
    settler.keep(one, body)
    settle(one)
    assert (sent[0].outline, sent[0].left_out, len(sent[0].request)) == (b'{"tools":[{"name": "[redacted]"}]}', [], 65536)
    assert (one.body, one.outline, settler._samples._kept_bytes) == (None, None, 0)
