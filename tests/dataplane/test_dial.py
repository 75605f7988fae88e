"""Making connections: the race of addresses, what a name may lead to, and the one deadline."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from proxy.config import Upstream
from proxy.dataplane.dial import Dialer, interleave, race
from proxy.dataplane.names import KEEP_FAILURE_S
from tests.dataplane.dialled import V4, V6, Dns, listening, refusal, refusing, serve, silent, talk


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_families_take_turns_beginning_with_the_first() -> None:
    first, second, third, other = (V6, ("a",)), (V6, ("b",)), (V6, ("c",)), (V4, ("d",))
    assert interleave([first, second, third, other]) == [first, other, second, third]
    assert interleave([other, first, second]) == [other, first, second]


def test_a_silent_address_costs_its_head_start_only_and_leaves_nothing_open(run):
    async def main():
        with silent() as nowhere, listening() as listener:
            before = open_files()
            async with asyncio.timeout(5):
                reached = await race([(V4, nowhere), (V4, listener.getsockname())], head_start_s=0.01)
            assert reached.getpeername() == listener.getsockname()
            assert reached.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            reached.close()
            for _ in range(3):
                await asyncio.sleep(0)
            assert open_files() == before

    run(main())


def test_after_a_refusal_the_next_address_is_tried_at_once(run):
    async def main():
        with listening() as listener:
            async with asyncio.timeout(5):
                reached = await race([(V4, refusing()), (V6, ("::1", 1, 0, 0)), (V4, listener.getsockname())], head_start_s=3600)
            reached.close()

    run(main())


def test_the_race_is_lost_when_all_refuse(run):
    async def main():
        with pytest.raises(ConnectionRefusedError):
            await race([(V4, refusing()), (V4, refusing())], head_start_s=3600)

    run(main())


@pytest.mark.parametrize("number", [1, 3])
def test_who_gives_up_leaves_nothing_open(run, number):
    async def main():
        with silent() as nowhere:
            before = open_files()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await race([(V4, nowhere)] * number, head_start_s=0.001)
            for _ in range(3):
                await asyncio.sleep(0)
            assert open_files() == before

    run(main())


def test_two_who_arrive_together_leave_one(run):
    async def main():
        with listening(128) as listener:
            before = open_files()
            for _ in range(20):
                reached = await race([(V4, listener.getsockname())] * 3, head_start_s=0)
                reached.close()
            for _ in range(3):
                await asyncio.sleep(0)
            assert open_files() == before

    run(main())


@pytest.mark.parametrize(
    ("host", "private", "answer", "reached"),
    [
        ("api.test", None, "127.0.0.1", False),
        ("api.test", True, "127.0.0.1", True),
        ("ollama", None, "127.0.0.1", True),
        ("ollama.models.svc.cluster.local", None, "127.0.0.1", True),
        ("ollama", False, "127.0.0.1", False),
        ("localhost", False, "127.0.0.1", True),
        ("localhost", True, "10.0.0.1", False),
        ("api.test", True, "169.254.169.254 0.0.0.0 ::ffff:169.254.169.254", False),
        ("api.test", None, "::ffff:127.0.0.1 64:ff9b::7f00:1", False),
        ("api.test", True, "169.254.169.254 127.0.0.1", True),
    ],
)
def test_what_a_name_may_lead_to(run, host, private, answer, reached):
    async def main():
        async with serve() as port:
            dns = Dns(answer)
            dialer = Dialer(Upstream(f"http://{host}:{port}", private=private), dns)
            if reached:
                assert (await talk(dialer)).transport.is_closing()
            else:
                name, message = await refusal(dialer)
                assert name == "upstream_unreachable" and "`private: true`" in message and not any(one in message for one in answer.split())
            assert dns.asked == [(host, port)]

    run(main())


def test_a_name_is_not_resolved_a_second_time_after_it_was_judged(run):
    """A name that is rebound between the check and the use: there is nothing between."""

    async def main():
        async with serve() as port:
            dns = Dns("127.0.0.1", "169.254.169.254")
            clock = [0.0]
            dialer = Dialer(Upstream(f"http://api.test:{port}", private=True), dns, lambda: clock[0])
            await talk(dialer)
            assert len(dns.asked) == 1
            clock[0] = 1000.0
            assert (await refusal(dialer))[0] == "upstream_unreachable"

    run(main())


def test_an_address_in_the_url_is_used_as_it_stands(run):
    async def main():
        async with serve() as port:
            dns = Dns("10.0.0.1")
            await talk(Dialer(Upstream(f"http://127.0.0.1:{port}", private=False), dns))
            assert not dns.asked

    run(main())


def test_addresses_that_refuse_are_asked_for_anew_before_their_time(run):
    async def main():
        port, clock = refusing()[1], [0.0]
        dns = Dns("127.0.0.1")
        dialer = Dialer(Upstream(f"http://ollama:{port}"), dns, lambda: clock[0])
        for _ in range(2):
            assert await refusal(dialer) == ("upstream_unreachable", "No connection to the provider: check the upstream's url and that it is up.")
        clock[0] = KEEP_FAILURE_S
        await refusal(dialer)
        assert len(dns.asked) == 2

    run(main())


def test_the_deadline_says_how_far_it_came(run):
    async def never(host, port):
        await asyncio.Event().wait()

    async def main():
        with silent() as nowhere, listening() as mute:
            for url, stage in (
                ("http://api.test", "find the upstream's address"),
                (f"http://127.0.0.1:{nowhere[1]}", "reach the provider"),
                (f"https://127.0.0.1:{mute.getsockname()[1]}", "greet with TLS"),
            ):
                name, message = await refusal(Dialer(Upstream(url), never), 0.05)
                assert name == "upstream_timeout" and message.endswith(f"within 0.05 s: it took too long to {stage}.")

    run(main())
