"""The trail of a call in its record, and the traceparent that each attempt carries, over real sockets."""

import re

import pytest

from proxy.otlp import Otlp
from proxy.routes import Retry
from proxy.rules import Budget
from proxy.trace import make_span_id, make_trace_id
from tests.dataplane.hedging import SOON as HEDGED
from tests.dataplane.hedging import Held, embed, embeddings, split
from tests.dataplane.paying import answer
from tests.dataplane.routing import BUSY, SOON, Upstreams, call, open_routes
from tests.dataplane.test_attempt import EMPTY

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"traceparent: 00-{TRACE}-{SPAN}-01\r\n".encode()
OURS = Otlp(propagate=True)
OK = answer(40, 60)


def hold(run, folder, scripts, sections, script, **settings):
    async def play():
        async with open_routes(folder, scripts, sections, **settings) as site:
            await script(site)

    run(play())


def parents(up):
    """The traceparents that an upstream was sent, taken apart."""
    found = [re.findall(rb"(?i)\r\ntraceparent: 00-(\w{32})-(\w{16})-(\w\w)\r\n", head) for head, _ in up.asked]
    assert all(len(each) == 1 for each in found)
    return [(trace.decode(), span.decode()) for ((trace, span, _),) in found]


def test_one_attempt_leaves_no_trail_and_the_traceparent_as_it_came(run, tmp_path):
    up = Upstreams(OK)

    async def script(site):
        await call(site, headers=CALLER)
        record = await site.record()
        assert "trail" not in record and (record["trace_id"], record["span_id"]) == (TRACE, SPAN)
        assert parents(up) == [(TRACE, SPAN)]

    hold(run, tmp_path, {"up": up}, {}, script)


@pytest.mark.parametrize("caller", [CALLER, b"", b"traceparent: 00-" + b"0" * 32 + b"-00f067aa0ba902b7-01\r\n"])
def test_each_attempt_is_told_of_its_own_span_and_stands_in_the_trail(run, tmp_path, caller):
    up = Upstreams((BUSY, b""), OK)

    async def script(site):
        assert (await call(site, headers=caller))[0] == 200
        record = await site.record()
        first, second = record["trail"]
        assert (first[:2], first[6:]) == ([1, "up"], ["overloaded", 503]) and (second[:2], second[6:]) == ([2, "up"], ["ok", 200])
        assert 0 <= first[4] <= first[4] + first[5] <= second[4] <= second[4] + second[5] <= record["duration_ns"]
        trace = TRACE if caller is CALLER else make_trace_id(record["id"])
        assert record["trace_id"] == trace and record.get("span_id") == (SPAN if caller is CALLER else None)
        assert parents(up) == [(trace, make_span_id(record["id"], number)) for number in (1, 2)]

    hold(run, tmp_path, {"up": up}, {"up": {"retry": SOON}}, script, otlp=OURS)


def test_an_attempt_with_a_record_of_its_own_stands_in_that_record_alone(run, tmp_path):
    up = Upstreams(EMPTY, OK)

    async def script(site):
        assert (await call(site))[0] == 200
        await site.record(2)
        apart, record = site.events("call")
        ((one, *_),), ((two, *_),) = apart["trail"], record["trail"]
        assert (apart["attempt_of"], one, two) == (record["id"], 1, 2) and apart["trail"][0][6] == "upstream_discarded"
        assert [span for _, span in parents(up)] == [make_span_id(record["id"], number) for number in (1, 2)]
        assert {apart["trace_id"], record["trace_id"]} == {make_trace_id(record["id"])}

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(when=["empty"], backoff_s=0)}}, script, otlp=OURS)


def test_a_call_that_is_refused_after_such_an_attempt_has_none_of_its_own(run, tmp_path):
    async def script(site):
        assert (await call(site))[0] in (402, 429)
        await site.record(2)
        apart, record = site.events("call")
        assert len(apart["trail"]) == 1 and record["trail"] == [] and record["outcome"].startswith("policy_")

    retry, budget = {"retry": Retry(when=["empty"], backoff_s=0)}, Budget(name="one", calls=1)
    hold(run, tmp_path, {"up": Upstreams(EMPTY, OK)}, {"up": retry}, script, budgets=[budget])


def test_the_two_attempts_of_a_race_keep_their_spans_whoever_wins(run, tmp_path):
    slow = Held()
    up = Upstreams(slow, embeddings())

    async def script(site):
        assert (await embed(site))[0] == 200
        await site.record(2)
        record, loser = split(site)
        ((number, *_),) = record["trail"]
        assert number == 1 and "trail" not in loser and record["trace_id"] == loser["trace_id"]
        assert [span for _, span in parents(up)] == [make_span_id(one["id"], 1) for one in (loser, record)]

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": HEDGED}}, script, otlp=OURS)


def test_a_call_that_reached_nobody_has_the_attempts_that_found_nobody(run, tmp_path):
    async def script(site):
        assert (await call(site))[0] == 502
        trail = (await site.record())["trail"]
        assert [(one[0], one[6], one[7]) for one in trail] == [
            (1, "unreachable", None), (2, "unreachable", None), (3, "upstream_unreachable", None),
        ]  # fmt: skip

    hold(run, tmp_path, {"up": None}, {"up": {"retry": SOON}}, script)


def test_a_refused_call_has_none(run, tmp_path):
    async def script(site):
        assert (await call(site, body=b"{"))[0] == 400
        assert "trail" not in await site.record()

    hold(run, tmp_path, {"up": Upstreams(OK)}, {}, script)
