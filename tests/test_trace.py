"""Ids of traces and spans: the same for the same call, different for all others, and as W3C Trace Context wants them."""

from __future__ import annotations

import re

from proxy.trace import OF_CALL, make_span_id, make_trace_id, write_traceparent


def test_ids_depend_on_the_call_and_the_attempt_alone() -> None:
    spans = {make_span_id(call, number) for call in ("a", "b", "a/1") for number in (OF_CALL, 1, 2, 300)}
    assert len(spans) == 12 and make_span_id("a", 1) == make_span_id("a", 1)
    assert make_trace_id("a") == make_trace_id("a") != make_trace_id("b")


def test_a_traceparent_is_one() -> None:
    value = write_traceparent(make_trace_id("a"), make_span_id("a", 1)).decode()
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", value)
