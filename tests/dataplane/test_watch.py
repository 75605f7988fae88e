"""The watch with a clock of the test's own: what is over a limit is ended, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from proxy.config import Limits
from proxy.dataplane.watch import Watch, count_left
from proxy.errors import Refusal


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Wire:
    """A transport that has `left` bytes to write on a socket of which nothing is queued."""

    def __init__(self) -> None:
        self.left = 0
        self.sock = socket.socket()

    def get_write_buffer_size(self) -> int:
        return self.left

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self.sock


class Edge:
    def __init__(self) -> None:
        self.wire = Wire()
        self.refused: list[str] = []
        self.cut = False

    def refuse(self, refusal) -> None:
        self.refused.append(refusal.name)

    def reset(self) -> None:
        self.cut = True


@pytest.fixture
def edges():
    pair = [Edge(), Edge()]
    yield pair
    for one in pair:
        one.wire.sock.close()


def test_a_head_has_its_time_from_its_first_byte(edges):
    clock = Clock()
    watch = Watch(Limits(head_s=10), clock)
    slow, quick = edges
    watch.head_began(slow)
    clock.now += 6
    watch.head_began(quick)
    watch.head_began(slow)  # a further byte gives no further time
    watch.sweep(edges)
    assert not slow.refused
    watch.head_ended(quick)
    clock.now += 4.5
    watch.sweep(edges)
    assert slow.refused == ["caller_too_slow"] and not quick.refused
    clock.now += 60
    watch.sweep(edges)
    assert slow.refused == ["caller_too_slow"] and not quick.refused


def test_who_takes_something_now_and_then_is_not_cut(edges):
    clock = Clock()
    watch = Watch(Limits(write_idle_s=30), clock)
    idle, slow = edges
    idle.wire.left = slow.wire.left = 1000
    watch.stalled(idle)
    watch.stalled(slow)
    for _ in range(5):
        watch.sweep(edges)
        clock.now += 10
        slow.wire.left -= 1
    assert idle.cut and not slow.cut


def test_who_has_caught_up_or_left_is_not_in_question(edges):
    clock = Clock()
    watch = Watch(Limits(write_idle_s=30), clock)
    quick, gone = edges
    for edge in edges:
        assert watch.enter("127.0.0.1") is None
        edge.wire.left = 1000
        watch.stalled(edge)
        watch.head_began(edge)
    watch.sweep([])
    watch.taken(quick)
    watch.head_ended(quick)
    watch.leave(gone, "127.0.0.1")
    clock.now += 31
    watch.sweep([])
    assert not any(edge.cut or edge.refused for edge in edges)


def test_what_is_left_unread_behind_an_answer_is_found(edges):
    clock = Clock()
    watch = Watch(Limits(write_idle_s=30), clock)
    edges[0].wire.left = 7
    for _ in range(7):
        clock.now += 10
        watch.sweep(edges)
    assert edges[0].cut and not edges[1].cut


def test_connections_are_counted_by_address(edges):
    watch = Watch(Limits(client_connections=2))
    assert watch.enter("a") is None and watch.enter("a") is None and watch.enter("b") is None
    refusal = watch.enter("a")
    assert (refusal.name, refusal.status, refusal.retry_after_s) == ("policy_too_many_running", 429, 1)
    watch.leave(edges[0], "a")
    watch.leave(edges[0], "a")
    assert watch.enter("a") is None


def test_what_the_kernel_still_holds_is_counted(run):
    async def main():
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            assert count_left(writer.transport) == 0 == count_left(None)
            writer.write(b"x" * 32_000_000)
            assert count_left(writer.transport) > 20_000_000
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await reader.read()

    run(main())


def test_running_calls_are_counted_by_address():
    watch = Watch(Limits(client_calls=2))
    for address in ("a", "a", "b"):
        watch.begin_call(address)
    with pytest.raises(Refusal) as refused:
        watch.begin_call("a")
    assert (refused.value.name, refused.value.status, refused.value.retry_after_s) == ("policy_too_many_running", 429, 1)
    for _ in range(2):
        watch.end_call("a")  # the one that was refused, and one of the others
    watch.begin_call("a")
    for address in ("a", "a", "b"):
        watch.end_call(address)
    assert not watch._calls
