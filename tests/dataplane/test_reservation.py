import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import Ask, Call, Identity, Kind, Usage
from proxy.dataplane import reservation
from proxy.dataplane.estimate import ByteRatios
from proxy.dataplane.reservation import OutputQuantiles, Parts, bound, expect, price, read_maximum, weigh, writes_text
from proxy.pricing.ceiling import Ceiling
from proxy.rules import Reserving
from proxy.toll.terms import Weight
from proxy.wire import read_ask, recognise

CHAT = Kind("openai.chat", "chat", json_body=True)
RATES = Ceiling(input=2 * 10**12, media=6 * 10**12, output=10 * 10**12, request=10**15, search=10**16, audio_hour=36 * 10**16)


def make_call(kind: Kind = CHAT, **asked) -> Call:
    ask = Ask(**({"model": "m", "prompt_bytes": 4600, "max_output_tokens": 100} | asked))
    return Call(id="c", started_ns=0, method="POST", path="", kind=kind, ask=ask, identity=Identity("alice", "path"))


def guess(call: Call, quantiles: OutputQuantiles | None = None, ratios: ByteRatios | None = None, **reserving) -> Parts:
    return expect(call, ratios or ByteRatios(), quantiles or OutputQuantiles(), Reserving(**reserving))


def learn(quantiles: OutputQuantiles, outputs, agent="alice", model="m") -> None:
    for tokens in outputs:
        quantiles.learn(agent, model, tokens)


def test_a_prompt_is_estimated_with_a_margin_and_its_output_by_its_maximum():
    assert guess(make_call()) == Parts(1116, 0, 100)
    assert guess(make_call(), input_margin=2) == Parts(2016, 0, 100)
    assert guess(make_call(choices=3)).output_tokens == 300


def test_bytes_a_token_are_those_of_the_model():
    ratios = ByteRatios()
    for _ in range(200):
        ratios.learn("m", 2000, 100, Usage(input_tokens=1000, output_tokens=50))
    assert 2500 < guess(make_call(), ratios=ratios).text_tokens < 2600
    assert guess(make_call(model="other"), ratios=ratios).text_tokens == 1116


def test_without_a_maximum_the_config_says_then_what_was_learned():
    quantiles = OutputQuantiles()
    call = make_call(max_output_tokens=None)
    learn(quantiles, [400] * 19)
    assert guess(call, quantiles).output_tokens == 16384
    learn(quantiles, [800])
    assert guess(call, quantiles).output_tokens == 1001
    assert guess(call, quantiles, output_tokens=500).output_tokens == 500
    assert guess(make_call(max_output_tokens=None, model="other"), quantiles).output_tokens == 16384
    assert guess(make_call(max_output_tokens=9), quantiles).output_tokens == 9


def test_few_outputs_pass_what_was_learned():
    quantiles, chance = OutputQuantiles(), random.Random(7)
    lengths = [round(chance.lognormvariate(6, 0.8)) for _ in range(3000)]
    passed = 0
    for length in lengths:
        expected = quantiles.expect("alice", "m")
        passed += expected is not None and length > expected
        quantiles.learn("alice", "m", length)
    assert passed < 30, "about one in a hundred"
    assert quantiles.expect("alice", "m") < 16384


def test_what_is_long_ago_is_forgotten():
    quantiles = OutputQuantiles()
    learn(quantiles, [10_000] + [100] * 63)
    assert quantiles.expect("alice", "m") == 12_501
    learn(quantiles, [100])
    assert quantiles.expect("alice", "m") == 126


def test_the_least_used_agents_are_forgotten_first(monkeypatch):
    monkeypatch.setattr(reservation, "_MOST_STREAMS", 3)
    quantiles = OutputQuantiles()
    for agent in ("a", "b", "c", "a", "d"):
        learn(quantiles, [1] * 20, agent)
    assert [quantiles.expect(agent, "m") for agent in "abcd"] == [2, None, 2, 2]


def test_pictures_count_by_piece_or_by_size_and_not_as_text():
    assert guess(make_call(prompt_bytes=104_600, media_bytes=100_000, media_pieces=2)) == Parts(1116, 3200, 100, 0, 12)
    assert guess(make_call(prompt_bytes=1_004_600, media_bytes=1_000_000, media_pieces=1)).media_tokens == 5000


@pytest.mark.parametrize(("name", "searches"), [("image_url", 0), ("file", 0), ("stored_context", 0), ("web_search", 1), ("server_tools", 1)])
def test_what_no_size_tells_is_guessed(name, searches):
    plain, more = guess(make_call()), guess(make_call(unbounded=(name,)))
    assert more.text_tokens > plain.text_tokens + 1000 and more.searches == searches


@pytest.mark.parametrize(
    ("method", "path", "model", "tokens"),
    [
        ("POST", "/v1/embeddings", None, 0),
        ("POST", "/v1/moderations", None, 0),
        ("POST", "/v2/rerank", None, 0),
        ("POST", "/v1/batches", None, 0),
        ("POST", "/v1/vector_stores", None, 0),
        ("POST", "/model/amazon.titan-embed-text-v2:0/invoke", None, 0),
        ("POST", "/model/anthropic.claude-opus-4/invoke", None, 16384),
        ("POST", "/v1/responses", None, 16384),
        ("POST", "/v1/images/generations", None, 6400),
        ("POST", "/v1/audio/speech", None, 4096),
    ],
)
def test_only_what_answers_in_tokens_reserves_output(method, path, model, tokens):
    kind = recognise(method, path, "", "openai")
    assert guess(make_call(kind, max_output_tokens=None, model=kind.model or "m")).output_tokens == tokens
    assert writes_text(kind) == (tokens == 16384)


def test_a_form_is_a_file_and_not_a_text():
    kind = recognise("POST", "/v1/audio/transcriptions", "", "openai")
    parts = guess(make_call(kind, prompt_bytes=8_000_000, max_output_tokens=None))
    assert (parts.text_tokens, parts.audio_s) == (16, 1000)
    assert parts.media_tokens >= 10 * 1000, "providers count ten tokens a second"


def test_a_bound_takes_a_token_for_every_byte():
    assert bound(make_call(choices=2)) == Parts(4600 + 1024, 0, 200)
    assert bound(make_call(recognise("POST", "/v1/embeddings", "", "openai"))).output_tokens == 0


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20), st.booleans())
def test_a_request_has_at_least_the_bytes_of_its_text(content, is_escaped):
    """The proof rests on it: what a byte-level tokenizer sees is never longer than the JSON that carries it."""

    def measure(value) -> int:
        if isinstance(value, dict):
            return sum(len(key.encode()) + measure(inner) for key, inner in value.items())
        return sum(measure(inner) for inner in value) if isinstance(value, list) else len(str(value).encode())

    body = json.dumps({"model": "m", "max_tokens": 5, "metadata": content}, ensure_ascii=is_escaped).encode()
    call = make_call()
    call.ask = read_ask(CHAT, body)
    assert bound(call).text_tokens >= measure(content) + 1024


@pytest.mark.parametrize("maximum", [None, 0])
def test_a_maximum_of_zero_is_none(maximum):
    call = make_call(max_output_tokens=maximum)
    assert read_maximum(call) is None and guess(call).output_tokens == 16384


def test_absurd_maxima_stay_exact_numbers():
    call = make_call(max_output_tokens=2**40, choices=2**20)
    for parts in (guess(call), bound(call)):
        assert weigh(parts, Ceiling(0, 0, 600 * 10**12, 0, 0, 0)).nano_usd < 2**53


def test_a_price_is_summed_exactly_and_rounded_up():
    assert weigh(Parts(1000, 0, 100), RATES) == Weight(2_000_000 + 1_000_000 + 1_000_000, 1100)
    assert weigh(Parts(1, 0, 0), Ceiling(1, 0, 0, 0, 0, 0)).nano_usd == 1
    assert weigh(Parts(0, 0, 0), Ceiling(1, 1, 1, 0, 1, 1)).nano_usd == 0
    assert weigh(Parts(1000, 10, 100), None) == Weight(None, 1110)


def test_pictures_searches_and_sound_have_their_own_rates():
    assert price(Parts(0, 100, 0), RATES) == 600 * 10**12 + RATES.request
    assert price(Parts(0, 0, 0, searches=2), RATES) == 2 * RATES.search + RATES.request
    assert price(Parts(0, 1, 0, audio_s=360), RATES) == RATES.media + RATES.audio_hour // 10 + RATES.request
