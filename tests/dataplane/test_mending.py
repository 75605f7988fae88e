"""Controls that mend: whose bad answers are followed by another attempt, and that nobody else's are."""

import json

import pytest

from proxy.controls import Control
from proxy.dataplane.mending import NOTHING_MENDED, Mend, Mending
from proxy.routes import Fallback, Retry
from proxy.toll.subject import Subject
from tests.dataplane.paying import answer
from tests.dataplane.routing import ASK, STREAM, Upstreams, call
from tests.dataplane.test_attempt import EMPTY, JSON_ASK, stream_of
from tests.dataplane.test_carrier import hold
from tests.dataplane.test_path import CHUNKS

GOOD = answer(40, 60).replace(b'"hi"', b'"{}"')
BROKEN = {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a": '}}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [BROKEN]}, "finish_reason": "tool_calls"}
BAD_CALL = json.dumps({"id": "r", "model": "m", "choices": [CHOICE]}).encode()
WRONG_CALL = BAD_CALL.replace(b'"{\\"a\\": "', b'"{}"')
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["a"]}}}
TOOL_ASK = json.dumps({**json.loads(ASK), "tools": [TOOL]}).encode()
SOON = {"up": {"retry": Retry(attempts=1, backoff_s=0.0)}}
RETRY = Control("a", ["empty", "truncated", "invalid_json", "invalid_tools"], "retry", {"agent": "support-*"})
MINE = b"x-agent-id: support-1\r\n"


def test_all_that_concern_a_call_are_joined():
    controls = [Control("a", ["empty"], "retry"), Control("b", ["truncated"], "retry", {"agent": "x"}), Control("c", ["empty"], "fall_back")]
    mending = Mending([*controls, Control("d", ["json"], "pause")])
    assert mending.find(Subject("x", "up")) == Mend(frozenset({"empty", "truncated"}), frozenset({"empty"}))
    assert mending.find(Subject("y", "up")) == Mend(frozenset({"empty"}), frozenset({"empty"}))
    assert Mending([Control("d", ["json"], "pause")]).is_idle and not mending.is_idle
    assert Mending(controls[1:2]).find(Subject("y", "up")) is NOTHING_MENDED


@pytest.mark.parametrize(
    ("word", "first", "ask"),
    [("empty", EMPTY, ASK), ("truncated", GOOD[:-9], ASK), ("invalid_json", answer(40, 60), JSON_ASK), ("invalid_tools", BAD_CALL, ASK),
     ("invalid_tools", WRONG_CALL, TOOL_ASK)],
)  # fmt: skip
def test_a_bad_answer_is_asked_for_once_more(run, tmp_path, word, first, ask):
    up = Upstreams(first, GOOD)

    async def script(site):
        assert (await call(site, ask, headers=MINE))[::2] == (200, GOOD)
        await site.record(2)
        apart, record = site.events("call")
        assert (apart["outcome"], record["tried"], record["outcome"]) == ("upstream_discarded", f"up {word}", "ok")

    hold(run, tmp_path, {"up": up}, SOON, script, controls=[RETRY])


def test_once_and_then_it_passes(run, tmp_path):
    up = Upstreams(EMPTY)

    async def script(site):
        assert (await call(site, headers=MINE))[::2] == (200, EMPTY)

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(attempts=3, backoff_s=0.0)}}, script, controls=[RETRY])
    assert len(up.asked) == 2


def test_other_agents_and_streams_are_left_alone(run, tmp_path):
    up = Upstreams(EMPTY, stream_of(*CHUNKS[-1:]))

    async def script(site):
        assert (await call(site, headers=b"x-agent-id: sales\r\n"))[::2] == (200, EMPTY)
        assert (await call(site, STREAM, headers=MINE))[0] == 200

    hold(run, tmp_path, {"up": up}, SOON, script, controls=[RETRY])
    assert len(up.asked) == 2


@pytest.mark.parametrize("also", [[], [RETRY]])
def test_it_goes_to_a_fallback_after_what_is_tried_again(run, tmp_path, also):
    up, other = Upstreams(EMPTY), Upstreams(GOOD)
    sections = {"up": SOON["up"] | {"fallbacks": [Fallback("other")]}}

    async def script(site):
        assert (await call(site, headers=MINE))[::2] == (200, GOOD)

    hold(run, tmp_path, {"up": up, "other": other}, sections, script, controls=[Control("b", ["empty"], "fall_back"), *also])
    assert (len(up.asked), len(other.asked)) == (1 + len(also), 1)
