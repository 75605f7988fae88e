"""The order of a turn's end: the journal first, then the sockets, each in its order."""

import asyncio

from proxy.dataplane.outbox import Outbox


class Notes:
    """Stands in for the journal and for sockets, and notes what happens to them."""

    def __init__(self, name: str, happened: list) -> None:
        self._name = name
        self._happened = happened
        self._closing = False

    has_pending = True

    def flush(self) -> None:
        self._happened.append("journal")

    def write(self, data: bytes) -> None:
        self._happened.append((self._name, data))

    def close(self) -> None:
        self._closing = True
        self._happened.append((self._name, "closed"))

    def is_closing(self) -> bool:
        return self._closing


def test_the_journal_is_written_before_any_byte_leaves():
    happened: list = []

    async def main():
        outbox = Outbox(Notes("journal", happened))
        client, upstream = Notes("client", happened), Notes("upstream", happened)
        outbox.send(upstream, b"request")
        outbox.send(client, b"answer")
        outbox.send(client, b"end")
        outbox.close(client)
        outbox.send(client, b"too late")
        outbox.send(None, b"the client has gone")
        assert not happened, "nothing leaves within the turn"
        await asyncio.sleep(0)
        assert happened == ["journal", ("upstream", b"request"), ("client", b"answer"), ("client", b"end"), ("client", "closed")]
        await asyncio.sleep(0)
        assert happened.count("journal") == 1

    asyncio.run(main())


def test_with_nothing_to_write_before_it_a_piece_of_a_stream_leaves_at_once():
    happened: list = []

    async def main():
        journal, client = Notes("journal", happened), Notes("client", happened)
        journal.has_pending = False
        outbox = Outbox(journal)
        outbox.send(client, b"chunk")
        assert happened == [("client", b"chunk")]

    asyncio.run(main())


def test_a_turn_without_bytes_still_writes_its_journal():
    happened: list = []

    async def main():
        outbox = Outbox(Notes("journal", happened))
        outbox.arm()
        outbox.arm()
        await asyncio.sleep(0)
        assert happened == ["journal"]

    asyncio.run(main())
