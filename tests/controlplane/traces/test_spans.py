"""Records become spans: their kinds, ids, times, parents and links, and what stands on which of them."""

from __future__ import annotations

import json

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from proxy.config import Upstream
from proxy.controlplane.events import close_crashed
from proxy.controlplane.traces.spans import Content, SpanMaker, Told
from proxy.record import Attempted
from proxy.trace import OF_CALL, make_span_id, make_trace_id
from tests.controlplane.conftest import START_NS, make_opened, make_record

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
AT = START_NS + 10**9  # of record 1
UPSTREAMS = {"openai": Upstream(url="https://api.openai.com"), "groq": Upstream(url="http://api.groq.com:8080/openai")}
TRAIL = [
    Attempted(1, "openai", "m", None, 10_000, 500_000, "overloaded", 529),
    Attempted(2, "groq", "m-9", "KEY_B", 600_000, 900_000_000, "ok", 200),
]


def make(maker: SpanMaker | None = None, content: Content | None = None, **fields: object) -> list[ReadableSpan]:
    record = msgspec.json.decode(msgspec.json.encode(make_record(1, **{"upstream": "openai", **fields})), type=Told)
    return (maker or make_maker()).make(record, content)


def make_maker(vocabulary: str = "current") -> SpanMaker:
    return SpanMaker(UPSTREAMS, "1.2", "host", vocabulary)


def ids(span: ReadableSpan) -> tuple[str, str]:
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def test_a_call_is_a_server_span_and_its_attempt_a_client_span_below_it() -> None:
    server, client = make(waited_ns=1000, added_ns=500)
    assert (server.kind, server.name, client.kind, client.name) == (SpanKind.SERVER, "POST chat", SpanKind.CLIENT, "chat m")
    assert ids(server) == (make_trace_id("call-1"), make_span_id("call-1", OF_CALL)) and server.parent is None
    assert ids(client) == (make_trace_id("call-1"), make_span_id("call-1", 1)) and client.parent == server.context
    assert (server.start_time, server.end_time) == (AT, AT + 10**9 + 1)
    assert (client.start_time, client.end_time) == (AT + 1500, AT + 10**9 + 1)
    assert server.status.status_code is client.status.status_code is StatusCode.UNSET
    assert server.resource.attributes["service.name"] == "weighbridge" and server.resource.attributes["host.name"] == "host"
    again = make(waited_ns=1000, added_ns=500)
    assert [ids(one) for one in again] == [ids(server), ids(client)]


def test_a_caller_s_trace_is_joined() -> None:
    server, client = make(trace_id=TRACE, span_id=SPAN)
    assert ids(server)[0] == ids(client)[0] == TRACE
    assert f"{server.parent.span_id:016x}" == SPAN and server.parent.is_remote
    made = make(trace_id=TRACE)[0]  # made by ourselves, for the upstream
    assert ids(made)[0] == TRACE and made.parent is None


def test_what_came_back_stands_on_the_attempt_and_nowhere_else() -> None:
    server, client = make(
        input_tokens=1000, output_tokens=20, cache_read_tokens=900, cache_write_tokens=0, reasoning_tokens=5, finish="stop", response_id="r",
        system_fingerprint="fp_1",
        stream=True, first_token_ns=250_000_000, added_ns=0, max_output_tokens=64, cost_nano_usd=1_500_000, remaining_tokens=7,
    )  # fmt: skip
    expected = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m", "gen_ai.response.model": "m-1",
        "gen_ai.response.id": "r", "openai.response.system_fingerprint": "fp_1",
        "gen_ai.response.finish_reasons": ["stop"], "gen_ai.request.stream": True, "gen_ai.request.max_tokens": 64,
        "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 900,
        "gen_ai.usage.cache_write.input_tokens": 0, "gen_ai.usage.reasoning.output_tokens": 5, "gen_ai.response.time_to_first_chunk": 0.25,
        "server.address": "api.openai.com", "server.port": 443, "weighbridge.cost.usd": 0.0015, "weighbridge.cost.source": "book",
        "weighbridge.usage.source": "reported", "weighbridge.upstream.remaining_tokens": 7,
    }  # fmt: skip
    assert expected.items() <= client.attributes.items()
    assert not [name for name in server.attributes if name.startswith(("gen_ai.usage", "gen_ai.response", "weighbridge.cost"))]
    assert None not in client.attributes.values() and "gen_ai.usage.audio.input_tokens" not in client.attributes


def test_who_called_stands_on_both() -> None:
    who = {"session": "s", "task": "t", "team": "red", "parent_agent": "boss", "key": "k", "tags": {"stage": "test"}}
    for span in make(**who):
        found = span.attributes
        assert (found["gen_ai.agent.name"], found["gen_ai.conversation.id"], found["weighbridge.task.id"]) == ("agent-1", "s", "t")
        assert (found["weighbridge.team"], found["weighbridge.agent.parent"], found["weighbridge.tag.stage"]) == ("red", "boss", "test")
        assert found["weighbridge.call.id"] == "call-1"


def test_each_attempt_has_its_span_and_a_repetition_its_event() -> None:
    server, first, second = make(attempts=2, tried="openai overloaded", trail=TRAIL, upstream="groq", model_asked="m-9")
    assert [ids(one)[1] for one in (first, second)] == [make_span_id("call-1", number) for number in (1, 2)]
    assert (first.start_time, first.end_time) == (AT + 10_000, AT + 510_000) and second.start_time == AT + 600_000
    assert first.attributes["error.type"] == "overloaded" and first.status.status_code is StatusCode.ERROR
    assert first.attributes["http.response.status_code"] == 529 and "gen_ai.usage.input_tokens" not in first.attributes
    assert (first.name, first.attributes["gen_ai.provider.name"], second.attributes["gen_ai.provider.name"]) == ("chat m", "openai", "groq")
    assert (second.attributes["server.port"], second.attributes["weighbridge.upstream.key"]) == (8080, "KEY_B")
    assert "gen_ai.usage.input_tokens" in second.attributes and second.status.status_code is StatusCode.UNSET
    (event,) = server.events
    assert (event.name, event.timestamp, event.attributes["error.type"]) == ("weighbridge.retried", AT + 510_000, "overloaded")
    assert server.attributes["weighbridge.attempts"] == 2 and server.status.status_code is StatusCode.UNSET


def test_an_attempt_with_a_record_of_its_own_hangs_below_its_call() -> None:
    trail = [Attempted(2, "openai", "m", None, 0, 5, "upstream_discarded", 200)]
    (apart,) = make(id="apart", attempt_of="call-1", outcome="upstream_discarded", trail=trail)
    server = make()[0]
    assert (ids(apart)[0], apart.parent.span_id) == (ids(server)[0], server.context.span_id)
    assert ids(apart)[1] == make_span_id("call-1", 2) and apart.attributes["weighbridge.cost.usd"] > 0
    (loser,) = make(id="loser", attempt_of="call-1", outcome="upstream_discarded")  # of a race: it was sent under its own id
    assert ids(loser)[1] == make_span_id("loser", 1) and loser.parent.span_id == server.context.span_id
    (lone,) = make(attempts=1, outcome="policy_budget_exhausted", act="refused", trail=[])
    assert lone.kind is SpanKind.SERVER


@pytest.mark.parametrize(
    ("outcome", "status", "is_failed"),
    [("policy_budget_exhausted", 402, True), ("caller_bad_request", 400, False), ("weighbridge_stopping", 503, True)],
)
def test_a_refusal_is_to_be_seen(outcome: str, status: int, is_failed: bool) -> None:
    refused = {"attempts": 0, "outcome": outcome, "status": status, "act": "refused", "budget": "day", "model": None, "cost_nano_usd": 0}
    (server,) = make(**refused)
    assert (server.status.status_code is StatusCode.ERROR) is is_failed
    found = server.attributes
    assert (found["error.type"], found["weighbridge.fault"], found["weighbridge.budget"]) == (outcome, outcome.partition("_")[0], "day")
    assert (found["gen_ai.request.model"], found["http.response.status_code"], found["weighbridge.cost.usd"]) == ("m", status, 0.0)
    (event,) = server.events
    assert (event.name, event.attributes) == ("weighbridge.refused", {"error.type": outcome, "weighbridge.budget": "day"})


@pytest.mark.parametrize(
    ("outcome", "server_failed", "client_failed"),
    [("upstream_error", True, True), ("caller_gone", False, False), ("policy_budget_cut", True, False), ("ok", False, False)],
)
def test_a_fault_is_told_where_it_lay(outcome: str, server_failed: bool, client_failed: bool) -> None:
    server, client = make(outcome=outcome, error="said", error_type="their_code")
    assert (server.status.status_code is StatusCode.ERROR, client.status.status_code is StatusCode.ERROR) == (server_failed, client_failed)
    assert client.attributes["weighbridge.error.provider_type"] == "their_code" and "said" not in client.attributes.values()


def test_a_call_whose_process_died_has_spans_without_an_end() -> None:
    body, _ = close_crashed(make_opened(1))
    server, client = make_maker().make(msgspec.json.decode(body, type=Told))
    assert server.start_time == server.end_time == client.end_time == AT
    assert server.attributes["error.type"] == client.attributes["error.type"] == "weighbridge_crashed"


def test_a_session_s_calls_and_sub_agents_are_linked() -> None:
    maker = make_maker()
    boss = make(maker, id="1", agent="boss", session="s")[0]
    helper = make(maker, id="2", agent="sub", parent_agent="boss", session="s")[0]
    again = make(maker, id="3", agent="sub", parent_agent="boss", session="s")[0]
    other = make(maker, id="4", agent="sub", parent_agent="boss", session="else")[0]
    linked = [[(link.attributes["weighbridge.link"], link.context.span_id) for link in one.links] for one in (boss, helper, again, other)]
    parent = ("parent_agent", boss.context.span_id)
    assert linked == [[], [parent], [parent, ("previous_call", helper.context.span_id)], []]
    assert not make(maker, id="5", agent="sub", session="s", trace_id=f"{again.context.trace_id:032x}")[0].links  # the trace links them


def test_content_is_sent_only_where_it_is_given() -> None:
    content = Content(json.dumps({"messages": [{"role": "user", "content": "hi"}], "system": "be"}), "ho", "[]")
    _, first, last = make(content=content, attempts=2, trail=TRAIL, finish="stop")
    assert json.loads(last.attributes["gen_ai.input.messages"])[0]["parts"] == [{"type": "text", "content": "hi"}]
    assert json.loads(last.attributes["gen_ai.output.messages"])[0]["finish_reason"] == "stop"
    assert json.loads(last.attributes["gen_ai.system_instructions"])[0]["content"] == "be"
    assert "gen_ai.input.messages" not in first.attributes
    for span in make():
        assert not [name for name in span.attributes if "messages" in name]


def test_legacy_names_are_used_where_they_are_wanted() -> None:
    client = make(make_maker("legacy"))[1]
    assert {"gen_ai.system", "gen_ai.usage.prompt_tokens"} <= set(client.attributes) and "gen_ai.provider.name" not in client.attributes
    assert client.instrumentation_scope.schema_url is None or client.instrumentation_scope.schema_url == ""
    assert {"gen_ai.system", "gen_ai.provider.name"} <= set(make(make_maker("both"))[1].attributes)


def test_a_websocket_that_was_refused_has_no_attempt() -> None:
    assert len(make(transport="websocket", outcome="policy_paused", model=None)) == 1
    assert len(make(transport="websocket", first_byte_ns=5)) == 2
