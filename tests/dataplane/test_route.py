"""Where the next attempt of a call goes, decided without a socket and with a clock of its own."""

import random

import msgspec
import pytest

from proxy.call import Ask, Call, Kind
from proxy.config import Upstream
from proxy.dataplane.lane import Lane
from proxy.dataplane.route import Route, draw_backoff
from proxy.errors import Refusal
from proxy.routes import Breaker, Fallback, Retry, name_condition

CHAT = Kind("openai.chat", "chat", json_body=True, needs_model=True)
BODY = b'{"model": "m", "messages": []}'
ALL = ["unreachable", "timeout", "cut", "rate_limited", "overloaded", "server_error"]


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def make(clock=None, ask=None, method="POST", body=BODY, others=("other",), **section):
    call = Call(id="c", started_ns=0, method=method, path="/v1/chat/completions", upstream="up", kind=CHAT, ask=ask or Ask(model="m"))
    sections = {"up": Upstream(url="http://up", **section)} | {name: Upstream(url=f"http://{name}") for name in others}
    lanes = {name: Lane(name, one, {"A": "sk-a", "B": "sk-b"}) for name, one in sections.items()}
    return Route(call, lanes, body, "/v1/chat/completions", clock or Clock())


def begin(route):
    route.enter()
    route.start()
    return route


def test_the_words_of_statuses():
    words = {429: "rate_limited", 500: "server_error", 502: "server_error", 503: "overloaded", 504: "server_error", 529: "overloaded"}
    assert {status: name_condition(status) for status in words} == words
    assert not any(name_condition(status) for status in (200, 204, 302, 400, 401, 403, 404, 422, 499))


def test_backoff_is_drawn_from_nothing_to_a_bound_that_doubles_up_to_the_most():
    assert [draw_backoff(number, 0.5, 8, lambda: 1.0) for number in (1, 2, 3, 6, 5000)] == [0.5, 1, 2, 8, 8]
    draws = [draw_backoff(2, 0.5, 8) for _ in range(1000)]
    assert min(draws) < 0.05 and 0.95 < max(draws) <= 1


def test_so_many_attempts_and_no_more():
    route = begin(make(retry=Retry(attempts=3, when=["overloaded"])))
    assert route.decide("overloaded") is not None
    assert route.go() <= 0.5
    begin(route)
    assert route.decide("overloaded") is not None
    route.go()
    begin(route)
    assert route.decide("overloaded") is None and route.call.attempts == 3
    assert route.call.tried == "up overloaded, up overloaded"


def test_the_providers_wait_is_the_least_wait():
    route = begin(make(retry=Retry(when=ALL, backoff_s=0.1, most_backoff_s=5)))
    assert route.decide("rate_limited", wait_s=5) is not None and route.go() == 5
    assert begin(make(retry=Retry(when=ALL, most_backoff_s=5))).decide("rate_limited", wait_s=5.1) is None


def test_no_attempt_begins_too_late():
    clock = Clock()
    route = begin(make(clock, retry=Retry(attempts=9, when=ALL, within_s=30), fallbacks=[Fallback("other")]))
    clock.now += 29
    assert route.decide("overloaded", wait_s=0) is not None
    clock.now += 1
    assert route.decide("overloaded") is None
    assert begin(make(retry=Retry(attempts=9, when=ALL, within_s=3, most_backoff_s=60))).decide("rate_limited", wait_s=4) is None


@pytest.mark.parametrize("seed", range(20))
def test_no_mix_of_failures_repeats_a_post_of_unknown_fate(seed):
    draw = random.Random(seed)
    retry = Retry(attempts=draw.randint(1, 5), when=draw.sample(ALL, 4), unknown_fate=draw.random() < 0.5)
    route = make(retry=retry, fallbacks=[Fallback("other", when=ALL)])
    for _ in range(10):
        unknown_fate = route.lane.retry.unknown_fate
        begin(route)
        is_known = draw.random() < 0.6
        failure = route.decide(draw.choice(ALL), is_known=is_known)
        assert failure is None or is_known or unknown_fate
        if failure is None:
            return
        route.go()
    pytest.fail("it ends")


def test_fallbacks_are_taken_in_order_each_once_for_what_they_are_there_for():
    fallbacks = [Fallback("first", when=["rate_limited"]), Fallback("second", when=["overloaded"]), Fallback("third", when=["overloaded"])]
    route = begin(make(others=("first", "second", "third"), fallbacks=fallbacks, retry=Retry(attempts=1)))
    seen = []
    for word in ("overloaded", "rate_limited", "overloaded"):
        assert route.decide(word) is not None
        route.go()
        seen.append(begin(route).call.upstream)
    assert seen == ["second", "first", "third"] and route.decide("overloaded") is None


def test_the_model_is_renamed_in_body_and_ask_and_comes_back_for_the_next():
    fallbacks = [Fallback("other", {"*": "big"}), Fallback("last", {"n": "x"})]
    route = begin(make(others=("other", "last"), fallbacks=fallbacks, retry=Retry(attempts=1)))
    route.decide("overloaded")
    route.go()
    assert msgspec.json.decode(route.content)["model"] == "big"
    assert (route.call.ask.model, route.asked_model, route.is_moved, route.is_foreign) == ("big", "m", True, True)
    begin(route).decide("overloaded")
    route.go()
    assert (route.content, route.call.ask.model, route.asked_model) == (BODY, "m", None)
    route.restore()
    assert (route.call.upstream, route.call.ask.model) == ("other", "big")


@pytest.mark.parametrize("change", [{"ask": Ask(model="m", unbounded=("stored_context",))}, {"ask": Ask()}, {"body": None}])
def test_what_another_upstream_cannot_answer_does_not_go_there(change):
    route = begin(make(fallbacks=[Fallback("other", {"m": "x"})], retry=Retry(attempts=1), **change))
    assert route.decide("overloaded") is None


def test_while_the_breaker_is_open_calls_go_elsewhere_at_once_or_are_refused():
    clock, breaker = Clock(), Breaker(share=1.0, least_calls=2, open_s=10)
    first = make(clock, breaker=breaker, retry=Retry(attempts=5, when=ALL))
    lanes = first._lanes
    for _ in range(2):
        begin(first).decide_refused(Refusal("upstream_unreachable", "m"), is_sent=False)
        first.leave()
    assert begin_fails(Route(first.call, lanes, BODY, "/", clock)) == ("upstream_open", 10)
    clock.now += 10
    probe = begin(Route(first.call, lanes, BODY, "/", clock))
    assert begin_fails(Route(first.call, lanes, BODY, "/", clock))[0] == "upstream_open"
    probe.leave()  # its caller left: nothing is known
    probe = begin(Route(first.call, lanes, BODY, "/", clock))
    probe.call.answer.status = 200
    probe.leave()
    begin(Route(first.call, lanes, BODY, "/", clock))


def test_a_probe_is_out_from_the_moment_it_is_let_through():
    clock = Clock()
    first = begin(make(clock, breaker=Breaker(share=1.0, least_calls=1, open_s=10)))
    first.learn(500, first.call.answer.limits)
    first.leave()
    clock.now += 10
    probe = Route(first.call, first._lanes, BODY, "/", clock)
    probe.enter()  # it may wait for its turn in a rate limit now
    assert begin_fails(Route(first.call, first._lanes, BODY, "/", clock))[0] == "upstream_open"
    probe.call.answer.status = None
    probe.leave()  # and is refused there
    begin(Route(first.call, first._lanes, BODY, "/", clock))


def begin_fails(route):
    with pytest.raises(Refusal) as caught:
        route.enter()
    return caught.value.name, caught.value.retry_after_s


def test_a_key_that_is_refused_or_limited_is_changed_at_once_and_named():
    route = begin(make(keys=["env:A", "env:B"]))
    assert route.call.upstream_key == "A"
    route.learn(401, route.call.answer.limits)
    assert route.decide("key_refused") is not None and route.go() == 0
    assert begin(route).call.upstream_key == "B" and route.call.tried == "up/A key_refused"
    assert route.decide("key_refused") is None


def test_keys_are_counted_while_they_are_used():
    route = begin(make(keys=["env:A", "env:B"]))
    assert route.key.running == 1
    route.leave()
    route.leave()
    assert route.key.running == 0


def test_changing_the_key_counts_against_the_quota_too():
    route = begin(make(keys=["env:A", "env:B"], retry=Retry(share=0, least=0)))
    route.learn(429, route.call.answer.limits)
    assert route.decide("rate_limited") is None
