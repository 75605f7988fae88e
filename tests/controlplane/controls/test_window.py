"""When a window of inspected calls is enough to act on."""

from proxy.controlplane.controls.window import Window
from proxy.controls import Control

RULE = Control("c", ["error"], "pause", at_least=3, of=5, within_s=100.0)


def fill(window, *found, now_s=0.0, first=0):
    for number, one in enumerate(found):
        window.note(f"c{first + number}", one, now_s)


def test_it_acts_on_so_many_of_so_many_and_never_of_fewer():
    window = Window(RULE)
    fill(window, "json/invalid", "json/invalid", "empty/empty", "json/invalid")
    assert window.judge(0.0) is None, "four calls are no five, though all of them were bad"
    fill(window, None, first=4)
    assert window.judge(0.0) == "4 of the last 5 inspected calls were bad: json/invalid 3, empty/empty 1"


def test_the_oldest_leave():
    window = Window(RULE)
    fill(window, "a/a", None, None, "a/a", "a/a")
    assert window.judge(0.0) is not None
    fill(window, None, first=5)
    assert window.judge(0.0) is None


def test_what_is_too_long_ago_does_not_count_and_a_rare_agent_is_never_enough():
    window = Window(RULE)
    fill(window, "a/a", "a/a")
    fill(window, "a/a", None, None, now_s=60.0, first=2)
    assert window.judge(100.0) is not None
    assert window.judge(101.0) is None


def test_a_call_that_is_told_of_twice_counts_once():
    window = Window(RULE)
    fill(window, "a/a", "a/a", None, None)
    fill(window, "a/a", None, None)
    assert window.judge(0.0) is None, "four calls"
    fill(window, "own/bad", first=3)
    fill(window, None, first=4)
    assert window.judge(0.0) == "3 of the last 5 inspected calls were bad: a/a 2, own/bad 1"
