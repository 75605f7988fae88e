"""What a name resolves to: kept, shared, judged, and used a while longer when the resolver fails."""

from __future__ import annotations

import asyncio
import socket

import pytest

from proxy.dataplane.names import KEEP_FAILURE_S, KEEP_S, USE_STALE_S, Names, resolve
from proxy.errors import Refusal

PUBLIC = frozenset({"public"})


class Dns:
    """A resolver whose answers and time the test sets."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.failure: Exception | None = None
        self.asked = 0
        self.now = 0.0
        self.free = asyncio.Event()
        self.free.set()

    async def resolve(self, host: str, port: int) -> list:
        self.asked += 1
        await self.free.wait()
        if self.failure:
            raise self.failure
        return [(socket.AF_INET6, (one, port, 0, 0)) if ":" in one else (socket.AF_INET, (one, port)) for one in self.answers]

    def names(self, kinds: frozenset = PUBLIC) -> Names:
        return Names("h", 80, kinds, self.resolve, lambda: self.now)


async def found(names: Names) -> list[str]:
    return [address[0] for _, address in await names.find()]


async def refusal(names: Names) -> str:
    with pytest.raises(Refusal) as caught:
        await names.find()
    assert caught.value.name == "upstream_unreachable"
    return caught.value.message


def test_an_answer_is_kept_and_then_asked_for_anew(run):
    async def main():
        dns = Dns("1.1.1.1")
        names = dns.names()
        assert await found(names) == await found(names) == ["1.1.1.1"]
        dns.answers = ["8.8.8.8"]
        dns.now = KEEP_S - 0.1
        assert await found(names) == ["1.1.1.1"] and dns.asked == 1
        dns.now = KEEP_S
        assert await found(names) == ["8.8.8.8"] and dns.asked == 2

    run(main())


@pytest.mark.parametrize("failure", [socket.gaierror(-2, "no such name"), UnicodeError("label too long"), None])
def test_a_failure_is_kept_for_a_shorter_time(run, failure):
    async def main():
        dns = Dns()
        dns.failure = failure
        names = dns.names()
        assert "does not resolve" in await refusal(names) and "does not resolve" in await refusal(names)
        assert dns.asked == 1
        dns.now, dns.failure, dns.answers = KEEP_FAILURE_S, None, ["1.1.1.1"]
        assert await found(names) == ["1.1.1.1"] and dns.asked == 2

    run(main())


def test_the_last_answer_is_used_while_the_resolver_fails_but_not_for_ever(run):
    async def main():
        dns = Dns("1.1.1.1")
        names = dns.names()
        await names.find()
        dns.failure = OSError()
        dns.now = USE_STALE_S
        assert await found(names) == await found(names) == ["1.1.1.1"] and dns.asked == 2
        dns.now = USE_STALE_S + KEEP_FAILURE_S
        assert "does not resolve" in await refusal(names)

    run(main())


def test_only_what_is_permitted_is_handed_out(run):
    async def main():
        dns = Dns("10.0.0.1", "1.1.1.1", "::1", "169.254.169.254", "1.1.1.1", "::ffff:192.168.0.1")
        assert await found(dns.names()) == ["1.1.1.1"]
        assert await found(dns.names(frozenset({"private"}))) == ["10.0.0.1", "::ffff:192.168.0.1"]
        dns.answers = ["10.0.0.1"]
        message = await refusal(dns.names())
        assert "private: true" in message and "10.0" not in message

    run(main())


def test_an_answer_that_turns_private_takes_the_place_of_the_public_one(run):
    async def main():
        dns = Dns("1.1.1.1")
        names = dns.names()
        await names.find()
        dns.now, dns.answers = KEEP_S, ["127.0.0.1"]
        assert "private: true" in await refusal(names)

    run(main())


def test_who_waits_shares_one_lookup_and_may_leave(run):
    async def main():
        dns = Dns("1.1.1.1")
        dns.free.clear()
        names = dns.names()
        waiting = [asyncio.create_task(found(names)) for _ in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        dns.free.set()
        assert await asyncio.gather(*waiting[1:]) == [["1.1.1.1"]] * 4
        assert waiting[0].cancelled() and dns.asked == 1

    run(main())


def test_addresses_in_doubt_hold_no_longer_than_a_failure(run):
    async def main():
        dns = Dns("1.1.1.1")
        names = dns.names()
        await names.find()
        names.doubt()
        await names.find()
        assert dns.asked == 1
        dns.now = KEEP_FAILURE_S
        await names.find()
        assert dns.asked == 2

    run(main())


def test_a_flood_of_addresses_is_bounded(run):
    async def main():
        assert len(await found(Dns(*(f"1.1.1.{number}" for number in range(200))).names())) == 16

    run(main())


def test_the_systems_resolver_knows_this_machine_and_no_invalid_name(run):
    async def main():
        assert {address[:2] for _, address in await resolve("localhost", 7)} <= {("127.0.0.1", 7), ("::1", 7)}
        for name in ("nowhere.invalid", "a" * 70 + ".test"):
            with pytest.raises((OSError, UnicodeError)):
                await resolve(name, 7)

    run(main())
