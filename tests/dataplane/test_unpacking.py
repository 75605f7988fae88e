"""A packed request body: its copy is unpacked beside the loop, so a small bomb holds nobody up."""

import asyncio
import gzip
import threading

from proxy.dataplane import forward
from tests.dataplane.conftest import open_site, post
from tests.dataplane.test_path import ANSWER, ASK, CHAT, answer


def test_while_one_body_is_unpacked_another_call_is_carried(run, tmp_path, monkeypatch):
    begun, go_on, real = threading.Event(), threading.Event(), forward.decoder

    def open_slow(coding, limit):
        unpack = real(coding, limit)

        class Slow:
            failed = False

            def feed(self, data):
                begun.set()
                assert go_on.wait(5)
                return unpack.feed(data)

        return Slow()

    monkeypatch.setattr(forward, "decoder", open_slow)

    async def main():
        async with open_site(tmp_path, answer) as site:
            packed = asyncio.create_task(site.ask(post(CHAT, gzip.compress(ASK), b"Content-Encoding: gzip\r\n")))
            await asyncio.to_thread(begun.wait, 5)
            assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)
            go_on.set()
            assert (await packed).endswith(ANSWER)

    run(main())
