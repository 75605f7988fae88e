import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import Ask, Call, Identity, Kind, Reading, Usage
from proxy.config import Price, Upstream
from proxy.dataplane.estimate import ByteRatios
from proxy.dataplane.weigher import Weigher
from proxy.pricing.book import Book
from proxy.pricing.compile import compile_book
from proxy.pricing.providers import Providers
from proxy.rules import Reserving
from proxy.toll.terms import Room

CHAT = Kind("openai.chat", "chat", json_body=True)
EMBED = Kind("openai.embeddings", "embeddings", json_body=True)
BOOK = Book.load(None, [Price("m", 2, 10), Price("free", 0, 0), Price("odd", 0.0833333333, 0.3333333333, request=0.00001)])
PROVIDERS = Providers(BOOK, {"up": Upstream(url="http://127.0.0.1:1")})


def make_weigher() -> Weigher:
    return Weigher(BOOK, PROVIDERS, Reserving(), ByteRatios())


def make_call(kind: Kind = CHAT, **asked) -> Call:
    ask = Ask(**({"model": "m", "prompt_bytes": 4600, "max_output_tokens": 1000} | asked))
    return Call(id="c", started_ns=0, method="POST", path="", upstream="up", kind=kind, ask=ask, identity=Identity("alice", "path"))


def cap(call: Call, tokens: int) -> Call:
    return msgspec.structs.replace(call, ask=msgspec.structs.replace(call.ask, max_output_tokens=tokens))


def test_an_estimate_and_a_bound_are_priced():
    weigher, call = make_weigher(), make_call()
    assert weigher.estimate(call).nano_usd == 1116 * 2000 + 1000 * 10_000
    assert weigher.bound(call, None).nano_usd == 5624 * 2000 + 1000 * 10_000
    assert weigher.output_tokens(make_call(choices=2)) == 2000
    assert weigher.price_output(call, 7) == 70_000


def test_an_unknown_price_is_none_and_not_zero():
    weigher = make_weigher()
    call = make_call(model="unheard-of")
    assert weigher.estimate(call).nano_usd is None and weigher.bound(call, None).nano_usd is None and weigher.price_output(call, 1) is None
    assert weigher.affordable(call, Room(nano_usd=10**9), weigher.estimate(call), strict=False) is None
    assert weigher.affordable(call, Room(tokens=1200), weigher.estimate(call), strict=False) == 84
    assert weigher.estimate(make_call(model="free")).nano_usd == 0


@given(
    strict=st.booleans(),
    model=st.sampled_from(["m", "odd"]),
    choices=st.integers(1, 5),
    prompt_bytes=st.integers(0, 500_000),
    maximum=st.integers(1, 100_000),
    nano_usd=st.integers(0, 10**10) | st.none(),
    tokens=st.integers(0, 10**6) | st.none(),
)
def test_what_is_affordable_fits_and_not_one_token_more(strict, model, choices, prompt_bytes, maximum, nano_usd, tokens):
    weigher = make_weigher()
    call = make_call(model=model, choices=choices, prompt_bytes=prompt_bytes, max_output_tokens=maximum)

    def weigh(one: Call):
        return weigher.bound(one, None) if strict else weigher.estimate(one)

    def fits(one: Call) -> bool:
        weight = weigh(one)
        return (nano_usd is None or weight.nano_usd <= nano_usd) and (tokens is None or weight.tokens <= tokens)

    most = weigher.affordable(call, Room(nano_usd, tokens), weigh(call), strict=strict)
    assert most is not None and 0 <= most <= maximum
    if most:
        assert fits(cap(call, most))
    if most < maximum:
        assert not fits(cap(call, most + 1))


def test_strict_counts_with_the_dearest_tier(tmp_path):
    path = tmp_path / "prices.json"
    compile_book(path)
    book = Book.load(path, [])
    weigher = Weigher(book, Providers(book, {"up": Upstream(url="https://api.openai.com")}), Reserving(), ByteRatios())
    call = make_call(model="gpt-5", service_tier="flex")
    call.started_ns = 1_795_200_000 * 10**9
    estimate, bound = weigher.estimate(call), weigher.bound(call, None)
    usual = weigher.estimate(msgspec.structs.replace(call, ask=msgspec.structs.replace(call.ask, service_tier=None)))
    assert estimate.nano_usd < usual.nano_usd < weigher.bound(call, None).nano_usd
    room = Room(nano_usd=bound.nano_usd // 2)
    most = weigher.affordable(call, room, bound, strict=True)
    assert 0 < most < 1000
    assert weigher.bound(cap(call, most), None).nano_usd <= room.nano_usd < weigher.bound(cap(call, most + 1), None).nano_usd


def test_what_has_no_maximum_to_lower_affords_nothing():
    weigher = make_weigher()
    call = make_call(EMBED)
    assert weigher.affordable(call, Room(nano_usd=1), weigher.estimate(call), strict=False) is None
    assert not weigher.needs_maximum(call)


@pytest.mark.parametrize("asked", [{"unbounded": ("web_search",)}, {"media_bytes": 100}, {"max_output_tokens": None}, {"max_output_tokens": 0}])
def test_a_call_without_a_bound_takes_what_the_budget_says(asked):
    weigher = make_weigher()
    call = make_call(**asked)
    weight = weigher.bound(call, 500_000_000)
    assert weight.nano_usd == 500_000_000
    assert weigher.bound(make_call(), 500_000_000).nano_usd < 500_000_000
    assert weigher.bound(call, 1).nano_usd > 1
    assert weigher.affordable(call, Room(nano_usd=400_000_000), weight, strict=True) is None


@pytest.mark.parametrize(("asked", "needs"), [({}, False), ({"max_output_tokens": None}, True), ({"max_output_tokens": 0}, True)])
def test_which_calls_need_a_maximum(asked, needs):
    assert make_weigher().needs_maximum(make_call(**asked)) is needs


def finish(call: Call, **reading) -> Call:
    call.reading = Reading(**({"complete": True} | reading))
    return call


def test_it_learns_from_answers_that_ended_by_themselves():
    weigher = make_weigher()
    usage = Usage(output_tokens=800)
    for _ in range(40):
        weigher.learn(finish(make_call()), usage)  # its maximum may have ended it
        weigher.learn(finish(make_call(max_output_tokens=None), complete=False), usage)
        gone = finish(make_call(max_output_tokens=None))
        gone.outcome = "caller_gone"
        weigher.learn(gone, usage)
    assert weigher.output_tokens(make_call(max_output_tokens=None)) == 16384
    for _ in range(20):
        weigher.learn(finish(make_call(max_output_tokens=None, choices=2)), usage)
    assert weigher.output_tokens(make_call(max_output_tokens=None)) == 501


def test_changed_prices_are_taken_and_what_was_learned_stays():
    weigher = make_weigher()
    for _ in range(20):
        weigher.quantiles.learn("alice", "m", 100)
    book = Book.load(None, [Price("m", 4, 20)])
    weigher.configure(book, PROVIDERS, Reserving(input_margin=1))
    assert weigher.estimate(make_call(max_output_tokens=None)).nano_usd == 1016 * 4000 + 126 * 20_000
