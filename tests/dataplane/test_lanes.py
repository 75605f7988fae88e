"""Lanes to upstreams, swapped while calls run on them."""

import asyncio
import gc

from proxy.config import Limits, Upstream
from tests.dataplane.conftest import open_site, post
from tests.dataplane.test_path import ANSWER, ASK, CHAT, STREAM_ASK, answer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


def test_a_running_call_ends_where_it_began_and_the_next_goes_the_new_way(run, tmp_path, monkeypatch):
    monkeypatch.setenv("NEW_KEY", "sk-new")
    go, heads = asyncio.Event(), []

    async def script(exchange):
        while True:
            heads.append(await exchange.read_request())
            if b"/old" in heads[-1]:
                await exchange.send(HEAD)
                await go.wait()
                await exchange.send(b"0\r\n\r\n")
            else:
                await exchange.reply(ANSWER)

    async def main():
        async with open_site(tmp_path, script) as site:
            lanes, traffic = site.plane.traffic.lanes, site.plane.traffic
            before = traffic.pools["up"]
            reader, writer = await site.connect()
            writer.write(post("/up/old/v1/chat/completions", STREAM_ASK, connection=b"keep-alive"))
            await reader.readuntil(b"hello")
            url = f"http://127.0.0.1:{before.port}"
            lanes.configure({"up": Upstream(url=url + "/moved", key="env:NEW_KEY"), "more": Upstream(url=url)}, Limits())
            assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)
            assert b"/moved/v1/chat/completions" in heads[-1] and b"Bearer sk-new" in heads[-1]
            assert (await site.ask(post("/more/v1/chat/completions", ASK))).endswith(ANSWER)
            assert lanes.names == ["more", "up"] and traffic.pools["up"] is not before
            assert lanes.reap() == 3 and len(before.connections) == 1
            go.set()
            await reader.readuntil(b"0\r\n\r\n")
            writer.write(post("/more/v1/chat/completions", ASK))
            assert (await reader.read()).endswith(ANSWER)
            writer.close()
            lanes.reap()
            async with asyncio.timeout(5):
                while before.connections:  # its last call is over: nobody will use them again
                    await asyncio.sleep(0)
            assert lanes.reap() == 2
            del before
            gc.collect()
            assert not lanes._retired
            lanes.configure({"more": Upstream(url=url)}, Limits())
            assert b" 404 " in await site.ask(post(CHAT, ASK))
            assert [one["outcome"] for one in site.events("call")] == ["ok"] * 4 + ["caller_unknown_upstream"]

    run(main())


def test_what_has_not_changed_keeps_its_connections(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            lanes, limits = site.plane.traffic.lanes, Limits(idle_s=7)
            pool, lane = lanes.pools["up"], lanes.by_name["up"]
            lanes.configure({"up": lane.upstream}, limits)
            assert lanes.pools["up"] is pool and lanes.by_name["up"] is lane
            lanes.configure({"up": lane.upstream}, Limits(connect_s=2))
            assert lanes.pools["up"] is not pool and lanes.pools["up"].connect_s == 2

    run(main())


def test_a_call_that_waits_to_be_let_in_goes_the_way_it_has_taken(run, tmp_path, monkeypatch):
    heads = []

    async def script(exchange):
        heads.append(await exchange.read_request())
        await exchange.reply(ANSWER)

    async def main():
        async with open_site(tmp_path, script) as site:
            lanes = site.plane.traffic.lanes
            admission = site.plane.traffic._admission
            inside, admit, let = asyncio.Event(), admission.admit, asyncio.Event()

            async def wait(*arguments):
                inside.set()
                await let.wait()
                return await admit(*arguments)

            monkeypatch.setattr(admission, "admit", wait, raising=True)
            asking = asyncio.create_task(site.ask(post(CHAT, ASK, b"Authorization: Bearer callers\r\n")))
            await inside.wait()
            lanes.configure({}, Limits())
            let.set()
            assert (await asking).endswith(ANSWER) and b"Bearer callers" in heads[0]
            lanes.reap()

    run(main())
