"""The end of a data plane on WebSockets: an error event where a call runs, a closing frame, and nothing within a message."""

import json

import aiohttp

from proxy.errors import Refusal
from tests.dataplane.test_tunnel import CREATE, TRAFFIC, events, open_site, until


def test_a_stop_ends_the_call_on_a_socket_with_an_error_and_an_idle_socket_with_a_word(run, tmp_path):
    async def answer(socket):
        async for _ in socket:
            await socket.send_str(json.dumps(events(0)[0]))

    async def main():
        async with open_site(tmp_path, answer) as (url, records), aiohttp.ClientSession() as session:
            busy, idle = await session.ws_connect(url), await session.ws_connect(url)
            await busy.send_str(json.dumps(CREATE))
            await busy.receive()
            refusal = Refusal("weighbridge_stopping", "Weighbridge is shutting down; try again.")
            assert [relay.end_in_band(refusal) for relay in list(TRAFFIC[-1].in_flight)] == [True, True]
            error = json.loads((await busy.receive()).data)
            assert (error["type"], error["error"]["code"]) == ("error", "weighbridge_stopping")
            for socket in (busy, idle):
                message = await socket.receive(5)
                assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 1001, "weighbridge_stopping")
            await until(lambda: len(records()) == 2)
        assert [record["outcome"] for record in records()] == ["weighbridge_stopping"] * 2

    run(main())


def test_within_a_message_no_frame_of_ours_is_put(run, tmp_path):
    async def answer(socket):
        await socket.receive()
        await socket.send_str(json.dumps(events(0)[0]))
        socket._req.transport.write(b"\x81\x7e\x01\x00half")
        await socket.receive()

    async def main():
        async with open_site(tmp_path, answer) as (url, records), aiohttp.ClientSession() as session:
            async with session.ws_connect(url) as socket:
                await socket.send_str(json.dumps(CREATE))
                await socket.receive()
                (relay,) = TRAFFIC[-1].in_flight
                await until(lambda: not relay._down.is_between_messages)
                refusal = Refusal("weighbridge_stopping", "Weighbridge is shutting down; try again.")
                assert not relay.end_in_band(refusal)
                relay.end_by_order(refusal)
                assert (await socket.receive(5)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)
            await until(records)
        assert [record["outcome"] for record in records()] == ["weighbridge_stopping"]

    run(main())
