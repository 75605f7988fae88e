"""Which of several provider keys a call is sent with."""

from collections import Counter

from proxy.call import RateLimits
from proxy.dataplane.keyring import Keyring, ProviderKey
from proxy.routes import Breaker


def ring(*names, share=0.0):
    return Keyring([ProviderKey(name, f"sk-{name}", Breaker(share=share, least_calls=1, open_s=5)) for name in names])


def test_equal_keys_take_turns():
    keys = ring("a", "b", "c")
    assert Counter(keys.pick(0).name for _ in range(9)) == {"a": 3, "b": 3, "c": 3}


def test_the_least_loaded_goes_first():
    keys = ring("a", "b")
    keys.keys[0].running = 3
    assert {keys.pick(0).name for _ in range(4)} == {"b"}


def test_beside_a_call_that_runs_it_is_another_one_or_none():
    keys = ring("a", "b", "c")
    assert {keys.pick(0, keys.keys[0]).name for _ in range(4)} == {"b", "c"}
    for key in keys.keys[1:]:
        key.parked_until_s, key.is_refused = 60, True
    assert keys.pick(0, keys.keys[0]) is None
    keys.keys[0].parked_until_s, keys.keys[0].is_refused = 60, True
    assert keys.pick(0, keys.keys[0]) is None and keys.pick(0) is not None
    alone = ring("a")
    assert alone.pick(0, alone.keys[0]) is alone.keys[0]


def test_what_is_left_counts_until_the_limit_is_whole_again():
    keys = ring("a", "b")
    tight = RateLimits(limit_requests=100, remaining_requests=90, limit_tokens=1000, remaining_tokens=100, reset_tokens_s=30)
    keys.learn(keys.keys[0], 200, tight, 0)
    keys.keys[1].running = 4
    assert keys.pick(1).name == "b"  # five for all of it is less than one for a tenth
    keys.keys[1].running = 40
    assert keys.pick(1).name == "a"
    keys.keys[1].running = 4
    assert keys.pick(31).name == "a"


def test_a_limited_key_rests_as_long_as_the_provider_said():
    keys = ring("a", "b")
    keys.learn(keys.keys[0], 429, RateLimits(retry_after_s=20), 100)
    assert {keys.pick(119).name for _ in range(4)} == {"b"}
    keys.learn(keys.keys[1], 429, RateLimits(retry_after_s=7), 100)
    assert keys.pick(106) is None and keys.is_limited(106) and keys.wait_s(100) == 7
    assert keys.pick(107).name == "b"


def test_a_refused_key_is_parked_and_where_all_are_the_provider_says_so():
    keys = ring("a", "b")
    keys.learn(keys.keys[0], 401, RateLimits(), 0)
    assert {keys.pick(299).name for _ in range(4)} == {"b"}
    keys.learn(keys.keys[1], 403, RateLimits(), 0)
    assert keys.pick(1) is not None
    keys.learn(keys.keys[1], 200, RateLimits(), 2)
    assert {keys.pick(3).name for _ in range(4)} == {"b"}


def test_a_single_key_is_not_put_to_rest_but_its_breaker_holds():
    keys = ring("a", share=1.0)
    keys.learn(keys.keys[0], 429, RateLimits(retry_after_s=60), 0)
    assert keys.pick(1) is not None
    breaker = keys.keys[0].breaker
    breaker.leave(breaker.enter(), True, 1)
    assert keys.pick(2) is None and not keys.is_free(2) and keys.wait_s(2) == 4 and not keys.is_limited(2)


def test_a_key_whose_breaker_is_open_is_passed_by():
    keys = ring("a", "b", share=1.0)
    breaker = keys.keys[0].breaker
    breaker.leave(breaker.enter(), True, 1)
    assert {keys.pick(2).name for _ in range(4)} == {"b"}
