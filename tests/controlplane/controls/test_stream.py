"""How one control goes on from counting to an order and back, without flapping."""

from proxy.controlplane.controls.stream import Stream
from proxy.controls import Control

RULE = Control("c", ["error"], "pause", at_least=3, of=5, for_s=100.0)


def feed(stream, found, now_s, first=0, calls=5):
    return [stream.note(f"{now_s}-{first + number}", found, now_s) is not None for number in range(calls)]


def act(stream, now_s):
    length_s = stream.choose_length(now_s)
    stream.begin_anew()
    stream.hold(now_s, length_s)
    return length_s


def test_what_is_found_while_it_holds_does_not_count():
    stream = Stream(RULE)
    assert feed(stream, "a/a", 0.0) == [False] * 4 + [True]
    assert act(stream, 0.0) == 100.0
    assert feed(stream, "a/a", 99.0, calls=50) == [False] * 50
    assert feed(stream, "a/a", 100.0) == [False] * 4 + [True], "a whole window anew"


def test_soon_again_is_twice_as_long_up_to_a_bound_and_later_as_at_first():
    stream, now_s, lengths = Stream(RULE), 0.0, []
    for _ in range(6):
        lengths.append(act(stream, now_s))
        now_s += lengths[-1] + 50.0
    assert lengths == [100.0, 200.0, 400.0, 800.0, 1600.0, 1600.0]
    assert act(stream, now_s + 2 * 1600.0) == 100.0
