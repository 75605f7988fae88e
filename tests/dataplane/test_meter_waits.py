"""The metered relay while a shared ledger is asked, and calls that are ended by order."""

from __future__ import annotations

import asyncio

import pytest

from proxy.call import Call
from proxy.errors import Refusal
from tests.dataplane.bench import ASK, CHAT, END, HEAD, body_of, chunk, framed, open_bench, stream
from tests.dataplane.conftest import Exchange, post


def refuse(call: Call, seen_tokens: int) -> bool:
    return False


class Ledger:
    """Answers in its own time."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.asked = asyncio.Event()

    async def __call__(self, call: Call, seen_tokens: int) -> bool:
        self.asked.set()
        granted = await self.answer
        if granted:
            call.toll.reserved_output_tokens = seen_tokens + 10_000
        return granted


@pytest.mark.parametrize(("granted", "full"), [(True, False), (True, True), (False, False)])
def test_while_the_ledger_is_asked_nothing_uncovered_is_passed_on(run, tmp_path, granted: bool, full: bool) -> None:
    async def main() -> None:
        ledger = Ledger()
        async with open_bench(tmp_path, stream(chunk(), chunk("x" * 40), chunk("z" * 4)), ledger) as bench:
            reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
            writer.write(post(CHAT, ASK))
            async with asyncio.timeout(5):
                await reader.readuntil(framed(chunk()))
                await ledger.asked.wait()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await reader.read(1)
                upstream = bench.relays[0]._connection.transport
                assert not upstream.is_reading()
                bench.relays[0].client_paused(True)
                bench.relays[0].client_paused(False)  # a client that drains meanwhile does not let it go on
                assert not upstream.is_reading()
                bench.relays[0].client_paused(full)
                ledger.answer.set_result(granted)
                if granted:
                    if full:
                        await reader.readuntil(framed(chunk("x" * 40)))
                        assert not upstream.is_reading()
                        bench.relays[0].client_paused(False)
                        assert upstream.is_reading()
                    await reader.readuntil(framed(chunk("z" * 4)))
                    assert upstream.is_reading()
                else:
                    assert await reader.read() == framed(chunk("x" * 40)) + framed(END) + b"0\r\n\r\n"
            writer.close()

    run(main())


def test_an_answer_that_ends_while_the_ledger_is_asked_is_passed_on(run, tmp_path) -> None:
    async def main() -> None:
        ledger = Ledger()

        async def script(exchange: Exchange) -> None:
            for _ in range(2):
                await exchange.read_request()
                await exchange.send(HEAD + framed(chunk("x" * 40)) + framed(chunk("z", "stop")) + b"0\r\n\r\n")

        async with open_bench(tmp_path, script, ledger) as bench:
            for _ in range(2):  # the connection can be used again: nothing holds it back
                assert body_of(await bench.ask()) == chunk("x" * 40) + chunk("z", "stop")
            assert [call.outcome for call in bench.calls] == [None, None]
            assert [call.reading.output_bytes for call in bench.calls] == [41, 41]
            ledger.answer.set_result(False)
            await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize("end", ["upstream", "client"])
def test_a_call_that_breaks_while_the_ledger_is_asked_is_over(run, tmp_path, end: str) -> None:
    async def main() -> None:
        ledger = Ledger()

        async def script(exchange: Exchange) -> None:
            await exchange.read_request()
            await exchange.send(HEAD + framed(chunk("x" * 40)))
            await ledger.asked.wait()
            if end == "upstream":
                exchange.writer.transport.abort()
            await exchange.reader.read()

        async with open_bench(tmp_path, script, ledger) as bench:
            reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
            writer.write(post(CHAT, ASK))
            async with asyncio.timeout(5):
                await ledger.asked.wait()
                if end == "client":
                    writer.transport.abort()
                else:
                    bench.relays[0]._connection.hold(False)  # paused, its end is not seen; the sweep for silence would
                    assert (await reader.read()).endswith(framed(chunk("x" * 40)))
                    assert bench.calls[0].outcome == "upstream_cut"
                while bench.pool.connections:
                    await asyncio.sleep(0.005)
            ledger.answer.set_result(True)
            await asyncio.sleep(0)
            assert bench.calls[0].reading.output_bytes == 40
            writer.close()

    run(main())


def test_a_ledger_that_fails_has_granted_nothing(run, tmp_path, caplog) -> None:
    async def main() -> None:
        ledger = Ledger()
        async with open_bench(tmp_path, stream(chunk("x" * 40)), ledger) as bench:
            asked = asyncio.create_task(bench.ask())
            await ledger.asked.wait()
            ledger.answer.set_exception(ConnectionError("away"))
            assert body_of(await asked) == chunk("x" * 40) + END

    run(main())
    assert "asking for more failed" in caplog.text


def test_a_killed_call_is_broken_off_visibly(run, tmp_path) -> None:
    left: list[bool] = []

    async def main() -> None:
        async with open_bench(tmp_path, stream(chunk(), left=left), refuse) as bench:
            reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
            writer.write(post(CHAT, ASK))
            async with asyncio.timeout(5):
                await reader.readuntil(framed(chunk()))
                bench.relays[0].end_by_order(Refusal("policy_killed", "Ended by order."))
                assert await reader.read() == b""
                while not left:
                    await asyncio.sleep(0.005)
            assert bench.calls[0].outcome == "policy_killed"
            bench.relays[0].end_by_order(Refusal("policy_killed", "Ended by order."))
            writer.close()

    run(main())


def test_a_call_killed_before_its_answer_began_is_refused(run, tmp_path) -> None:
    async def main() -> None:
        came = asyncio.Event()

        async def script(exchange: Exchange) -> None:
            await exchange.read_request()
            came.set()
            await exchange.reader.read()

        async with open_bench(tmp_path, script, refuse) as bench:
            asked = asyncio.create_task(bench.ask())
            await came.wait()
            while not bench.relays:
                await asyncio.sleep(0)
            bench.relays[0].end_by_order(Refusal("policy_killed", "Ended by order."))
            assert (await asked).startswith(b"HTTP/1.1 403")
            assert bench.calls[0].outcome == "policy_killed"

    run(main())
