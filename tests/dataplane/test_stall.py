"""The stall guard: silence and slowness end an answer visibly, and a slow client is not the provider's fault."""

import asyncio

import pytest

from proxy.call import Answer, Ask, Call
from proxy.dataplane.stall import StallGuard
from proxy.routes import Retry, Stall
from tests.dataplane.routing import STREAM, Upstreams, call
from tests.dataplane.test_carrier import hold
from tests.dataplane.test_path import CHUNKS


class Watched:
    """What the guard sees of a relay."""

    def __init__(self, *, stream=True):
        self.call = Call(id="c", started_ns=0, method="POST", path="/", ask=Ask(stream=stream), answer=Answer(first_token_ns=1))
        self.last_activity = 100.0
        self.is_held_back = self.is_over = False
        self.output = 0
        self.stalled = []
        self.done = self.Done(self)

    def count_output(self):
        return self.output

    def stall(self, message):
        self.stalled.append(message)

    class Done:
        def __init__(self, relay):
            self.relay = relay

        def done(self):
            return self.relay.is_over


def watch(relay, **stall):
    return StallGuard(relay, Stall(**stall))


def test_silence():
    relay = Watched()
    guard = watch(relay, idle_s=5)
    assert not guard.check(105) and guard.check(105.1) and "5 s" in relay.stalled[0]


def test_slowness_over_a_whole_window():
    relay = Watched()
    guard = watch(relay, tokens_per_s=10, window_s=4)
    for second in range(9):  # 12 tokens a second, then 8
        assert not guard.check(100 + second)
        relay.output += 48
    for second in range(9, 12):
        assert not guard.check(100 + second)
        relay.output += 20
    assert guard.check(112) and "10 tokens" in relay.stalled[0]


@pytest.mark.parametrize("change", [{"is_held_back": True}, {"is_over": True}])
def test_who_is_not_held_against_the_provider(change):
    relay = Watched()
    guard = watch(relay, idle_s=1, tokens_per_s=100, window_s=2)
    for name, value in change.items():
        setattr(relay, name, value)
    assert not any(guard.check(100 + second) for second in range(20)) and not relay.stalled


def test_without_a_token_or_a_stream_no_speed_is_measured():
    relay = Watched(stream=False)
    assert not any(watch(relay, tokens_per_s=100, window_s=1).check(100 + second) for second in range(9))
    relay = Watched()
    relay.call.answer.first_token_ns = None
    guard = watch(relay, tokens_per_s=100, window_s=1)
    assert not any(guard.check(100 + second) for second in range(9))


@pytest.mark.parametrize("stall", [Stall(idle_s=0.03), Stall(tokens_per_s=1000, window_s=1)])
def test_a_stalled_stream_is_cut_and_counted(run, tmp_path, stall):
    never = asyncio.Event()

    async def reply(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in CHUNKS[:2]:
            await exchange.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await never.wait()

    async def script(site):
        asking = asyncio.create_task(call(site, STREAM))
        async with asyncio.timeout(8):
            while not asking.done():
                site.plane.tick()
                await asyncio.sleep(0.01)
        status, _, body = await asking
        assert status == 200 and not body.endswith(b"0\r\n\r\n")
        record = await site.record()
        assert (record["outcome"], record["status"], record["usage_source"]) == ("upstream_stalled", 200, "estimated")
        never.set()

    hold(run, tmp_path, {"up": Upstreams(reply)}, {"up": {"stall": stall, "retry": Retry(attempts=1)}}, script)
