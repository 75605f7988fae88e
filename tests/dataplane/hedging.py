"""Embeddings at a slow upstream: scripted upstreams whose answers wait for a word, and what the journal says of both attempts."""

from __future__ import annotations

import asyncio
import json
import time

from proxy.dataplane.race import Race
from proxy.routes import Hedge
from tests.dataplane.conftest import Exchange, Site
from tests.dataplane.routing import call

EMBED = "/up/v1/embeddings"
ASK = json.dumps({"model": "m", "input": "x" * 400}).encode()
SOON = Hedge(after_s=0.01, share=1.0, least=100)
CHATS = Hedge(after_s=0.01, share=1.0, least=100, kinds=["chat"])
LATE = Hedge(after_s=600.0, share=1.0, least=100)
COST = 40 * 2000  # nano-USD of one answer


def embeddings(word: str = "fast", input_tokens: int = 40) -> bytes:
    usage = {"prompt_tokens": input_tokens, "total_tokens": input_tokens}
    return json.dumps({"object": "list", "data": [], "model": "m", "from": word, "usage": usage}).encode()


class Held:
    """A reply that waits for `go`; `ended` when the proxy has closed the connection instead."""

    def __init__(self, reply: bytes = embeddings("slow"), status: bytes = b"200 OK") -> None:
        self.reply = reply
        self.status = status
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        self.asked.set()
        going, ending = asyncio.ensure_future(self.go.wait()), asyncio.ensure_future(exchange.reader.read())
        await asyncio.wait((going, ending), return_when=asyncio.FIRST_COMPLETED)
        going.cancel()
        if ending.done():
            self.ended.set()
            raise ConnectionError
        ending.cancel()
        await asyncio.wait((ending,))
        await exchange.reply(self.reply, status=self.status)


async def embed(site: Site) -> tuple[int, dict[str, str], bytes]:
    return await call(site, ASK, EMBED)


async def begin(site: Site, *helds: Held) -> asyncio.Task:
    """A call that is under way when all of these have been asked."""
    asking = asyncio.create_task(embed(site))
    async with asyncio.timeout(5):
        for held in helds:
            await held.asked.wait()
    return asking


def watch_given_up(site: Site) -> asyncio.Event:
    """Set when a second attempt has come to nothing before it was sent."""
    given_up, release = asyncio.Event(), site.plane._admission.release

    def note(*arguments: object, **named: object) -> None:
        release(*arguments, **named)
        given_up.set()

    site.plane._admission.release = note
    return given_up


def counted(site: Site) -> tuple[int, int]:
    """How many calls could have been hedged in the last minute, and how many were to be."""
    hedges, now = site.plane.traffic.lanes.by_name["up"].hedges, time.monotonic()
    return hedges._calls.sum(now), hedges._taken.sum(now)


def split(site: Site) -> tuple[dict, dict]:
    """(the call's record, that of the attempt which lost), and nothing else is in the journal."""
    records = site.events("call")
    (record,) = [one for one in records if "attempt_of" not in one]
    (loser,) = [one for one in records if "attempt_of" in one]
    assert loser["attempt_of"] == record["id"] and {one["id"] for one in site.events("opened")} == {record["id"], loser["id"]}
    assert site.plane.traffic.opened == site.plane._settler.settled == site.plane._settler.closed == 2 and not site.plane.traffic.in_flight
    return record, loser


def find_race(site: Site) -> Race:
    """What carries the one call that runs."""
    (race,) = [one for one in site.plane.traffic.in_flight if isinstance(one, Race)]
    return race


async def settle_down(race: Race) -> None:
    """Until the call waits for nothing but its end: whether there is a second attempt has been decided."""
    async with asyncio.timeout(5):
        while not race.done._callbacks:
            await asyncio.sleep(0.005)


def running(site: Site, name: str = "up") -> list[int]:
    """The running attempts of each key."""
    return [key.running for key in site.plane.traffic.lanes.by_name[name].keyring.keys]
