"""The meter and the relay that obeys it: more is asked for in time, what is refused is cut at a whole event, and the figures stay true."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import Ask, Call, Kind, Toll, Usage
from proxy.dataplane.meter import Meter
from tests.dataplane.bench import ASK, CHAT, END, HEAD, body_of, chunk, framed, open_bench, quarter, stream
from tests.dataplane.conftest import Exchange, post


def make_call(covered: int | None, **ask: object) -> Call:
    kind = Kind("openai.chat", "chat")
    return Call(id="c", started_ns=0, method="POST", path=CHAT, kind=kind, ask=Ask(**ask), toll=Toll(reserved_output_tokens=covered, is_metered=True))


class Purse:
    """Grants `steps` extensions of `step` tokens, and remembers what it was asked."""

    def __init__(self, steps: int, step: int = 100) -> None:
        self.asked: list[int] = []
        self._steps = steps
        self._step = step

    def __call__(self, call: Call, seen_tokens: int) -> bool:
        self.asked.append(seen_tokens)
        if len(self.asked) > self._steps:
            return False
        call.toll.reserved_output_tokens = max(call.toll.reserved_output_tokens or 0, seen_tokens) + self._step
        return True


# --- the meter alone ----------------------------------------------------------------------------------------------------------


def test_more_is_asked_for_at_nine_tenths() -> None:
    purse = Purse(1)
    meter = Meter(make_call(100), purse, quarter)
    assert meter.weigh(4 * 90, None) is True and purse.asked == []
    assert meter.weigh(4 * 91, None) is True and purse.asked == [91]
    assert meter.weigh(4 * 180, None) is True and purse.asked == [91]
    assert meter.weigh(4 * 181, None) is False and purse.asked == [91, 181]


def test_without_a_reservation_of_output_nothing_is_asked() -> None:
    assert Meter(make_call(None), Purse(0), quarter).weigh(10**9, None) is True


def test_a_running_count_is_believed_and_only_the_rest_estimated() -> None:
    meter = Meter(make_call(1000), Purse(0), quarter)
    meter.weigh(4 * 40, Usage(output_tokens=60))
    assert meter.seen_tokens == 60
    meter.weigh(4 * 50, Usage(output_tokens=60))
    assert meter.seen_tokens == 70
    meter.weigh(4 * 90, Usage(output_tokens=50))
    assert meter.seen_tokens == 50


def test_a_count_of_the_beginning_is_not_believed() -> None:
    meter = Meter(make_call(1000), Purse(0), quarter)
    meter.weigh(4 * 50, Usage(output_tokens=1))
    assert meter.seen_tokens == 50


@pytest.mark.parametrize("ask", [{"max_output_tokens": 50, "choices": 2}, {"max_output_tokens": 100}])
def test_a_maximum_that_is_covered_is_the_provider_s_business(ask: dict) -> None:
    purse = Purse(0)
    meter = Meter(make_call(100, **ask), purse, quarter)
    assert meter.weigh(4 * 160, None) is True and purse.asked == []  # a rough estimate must not cut what was paid for
    assert meter.weigh(4 * 170, None) is False


def test_a_maximum_that_was_written_is_the_provider_s_business_too() -> None:
    call = make_call(100, max_output_tokens=4000)
    call.toll.capped_tokens = 100
    assert Meter(call, Purse(0), quarter).weigh(4 * 150, None) is True


def test_a_provider_that_has_counted_past_its_maximum_is_not_trusted_further() -> None:
    purse = Purse(1, step=10)
    meter = Meter(make_call(100, max_output_tokens=100), purse, quarter)
    assert meter.weigh(4 * 100, Usage(output_tokens=100)) is True and purse.asked == []
    assert meter.weigh(4 * 101, Usage(output_tokens=101)) is True and purse.asked == [101]
    assert meter.weigh(4 * 107, Usage(output_tokens=107)) is False  # half of the ten


def test_a_grant_of_nothing_is_not_asked_for_at_every_piece() -> None:
    purse = Purse(100, step=0)
    meter = Meter(make_call(10), purse, quarter)
    for seen in range(0, 4000, 4):
        assert meter.weigh(seen, None) is True
    assert len(purse.asked) < 40


@given(st.lists(st.integers(0, 500), max_size=60), st.integers(1, 300), st.integers(0, 6))
def test_what_goes_on_is_covered(sizes: list[int], covered: int, steps: int) -> None:
    call = make_call(covered)
    meter, seen = Meter(call, Purse(steps), quarter), 0
    for size in sizes:
        seen += size
        if meter.weigh(seen, None) is not True:
            break
        assert meter.seen_tokens <= call.toll.reserved_output_tokens


# --- the relay, between two sockets -------------------------------------------------------------------------------------------


def test_a_refusal_ends_the_stream_at_a_whole_event_and_cancels_the_upstream(run, tmp_path) -> None:
    left: list[bool] = []

    async def main() -> None:
        async with open_bench(tmp_path, stream(chunk(), chunk(), chunk(), chunk() + chunk()[:30], left=left), Purse(0)) as bench:
            got = await bench.ask()
            assert body_of(got) == chunk() * 4 + END
            (call,) = bench.calls
            assert (call.outcome, call.toll.act, call.settled) == ("policy_budget_cut", "cut", True)
            assert call.reading.output_bytes == 48 and not call.reading.complete and call.reading.finish is None
            while not left:
                await asyncio.sleep(0.005)
            assert not bench.pool.connections

    run(main())


def test_an_event_that_has_begun_is_finished_first(run, tmp_path) -> None:
    async def main() -> None:
        event = chunk("x" * 40)
        async with open_bench(tmp_path, stream(event[:60], event[60:70], event[70:] + chunk() + b"data: {"), Purse(0)) as bench:
            assert body_of(await bench.ask()) == event + chunk() + END

    run(main())


def test_an_array_is_closed_where_its_last_element_ended(run, tmp_path) -> None:
    async def main() -> None:
        element = json.dumps({"candidates": [{"content": {"parts": [{"text": "x" * 99}], "role": "model"}, "index": 0}]}).encode()
        head = HEAD.replace(b"text/event-stream", b"application/json")
        async with open_bench(tmp_path, stream(b"[" + element + b"\n,\n" + element[:40], head=head), Purse(0)) as bench:
            whole = json.loads(body_of(await bench.ask(path="/v1beta/models/gemini-2.5-pro:streamGenerateContent")))
            assert [one["candidates"][0].get("finishReason") for one in whole] == [None, "MAX_TOKENS"]

    run(main())


def test_an_answer_that_ends_by_itself_is_not_cut(run, tmp_path) -> None:
    async def main() -> None:
        whole = chunk() + chunk("end", "stop") + b"data: [DONE]\n\n"

        async def script(exchange: Exchange) -> None:
            for _ in range(2):
                await exchange.read_request()
                await exchange.send(HEAD + framed(chunk()) + framed(whole) + b"0\r\n\r\n")

        async with open_bench(tmp_path, script, Purse(0), covered=4) as bench:
            for _ in range(2):
                assert body_of(await bench.ask()) == chunk() + whole
            assert [call.outcome for call in bench.calls] == [None, None]
            assert bench.calls[0].toll.act is None and bench.calls[0].reading.complete

    run(main())


def test_the_client_s_connection_lives_on_after_a_cut(run, tmp_path) -> None:
    async def main() -> None:
        async with open_bench(tmp_path, stream(chunk("x" * 100)), Purse(0)) as bench:
            reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
            for _ in range(2):
                writer.write(post(CHAT, ASK, connection=b"keep-alive"))
                async with asyncio.timeout(5):
                    assert (await reader.readuntil(b"0\r\n\r\n")).endswith(framed(END) + b"0\r\n\r\n")
            writer.close()

    run(main())


def test_a_client_of_http_1_0_sees_the_end_as_the_end_of_its_connection(run, tmp_path) -> None:
    async def main() -> None:
        async with open_bench(tmp_path, stream(chunk("x" * 100)), Purse(0)) as bench:
            reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
            writer.write(post(CHAT, ASK).replace(b"HTTP/1.1", b"HTTP/1.0"))
            async with asyncio.timeout(5):
                assert (await reader.read()).endswith(b"\r\n\r\n" + chunk("x" * 100) + END)
            writer.close()

    run(main())


def test_what_cannot_be_ended_well_is_broken_off(run, tmp_path) -> None:
    big = chunk("x" * 100)
    plain = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    heads = {
        "a length that was announced": (plain + b"Content-Length: 100000\r\n\r\n", big, lambda data: data, CHAT),
        "a compressed body": (plain + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", gzip.compress(big), framed, CHAT),
        "a format without an ending": (
            HEAD,
            b'data: {"event_type":"step.delta","delta":{"text":"' + b"x" * 99 + b'"}}\n\n',
            framed,
            "/v1/interactions",
        ),
    }

    async def main() -> None:
        for head, piece, frame, path in heads.values():
            async with open_bench(tmp_path, stream(piece, head=head, frame=frame), Purse(0)) as bench:
                got = await bench.ask(path=path)
                assert not got.endswith(b"0\r\n\r\n") and b"[DONE]" not in got and len(got) < 1000
                (call,) = bench.calls
                assert (call.outcome, call.toll.act, call.settled) == ("policy_budget_cut", "cut", True)

    run(main())


def test_an_answer_that_is_no_stream_is_never_cut(run, tmp_path) -> None:
    async def main() -> None:
        body = json.dumps({"choices": [{"message": {"content": "x" * 5000}, "finish_reason": "stop"}]}).encode()

        async def script(exchange: Exchange) -> None:
            await exchange.read_request()
            await exchange.reply(body)

        purse = Purse(0)
        async with open_bench(tmp_path, script, purse) as bench:
            assert (await bench.ask()).endswith(body)
            assert bench.calls[0].reading.output_bytes == 5000 and purse.asked == []

    run(main())


def test_a_stream_that_cannot_be_read_goes_on(run, tmp_path, monkeypatch, caplog) -> None:
    async def main() -> None:
        async def script(exchange: Exchange) -> None:
            await exchange.read_request()
            await exchange.send(HEAD + framed(chunk("x" * 400)) + framed(chunk()) + b"0\r\n\r\n")

        async with open_bench(tmp_path, script, Purse(0)) as bench:
            assert body_of(await bench.ask()) == chunk("x" * 400) + chunk()
            assert bench.calls[0].reading.unread == 1

    monkeypatch.setattr("proxy.wire.chat.ChatForm.read_events", lambda *_: 1 / 0)
    run(main())
    assert "reading an answer failed" in caplog.text
