"""What goes up a WebSocket unread under a budget: it may be a call, so the socket ends before it is sent."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from proxy.rules import Budget
from tests.dataplane.conftest import Exchange, open_site
from tests.dataplane.paying import PRICES, Run

HEAD = b"GET /up%b HTTP/1.1\r\nHost: p\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
CREATE = json.dumps({"type": "response.create", "model": "m", "input": "x"}).encode()
BINARY, TEXT, RESERVED = 0x82, 0x81, 0xF1


def frame(first: int, payload: bytes) -> bytes:
    return bytes([first, 0x80 | 126]) + len(payload).to_bytes(2, "big") + b"\0\0\0\0" + payload


async def say(folder: Path, path: bytes, said: bytes, *budgets: Budget) -> tuple[bytes, bytes, dict]:
    """(what the client got, what came to the upstream behind the head, the record)."""
    came = asyncio.get_running_loop().create_future()

    async def agree(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        got = b""
        try:
            while len(got) < len(said) and (piece := await exchange.reader.read(65536)):
                got += piece
        finally:
            came.set_result(got)

    async with open_site(folder, agree, budgets=list(budgets), prices=PRICES) as site, asyncio.timeout(10):
        reader, writer = await site.connect()
        writer.write(HEAD % path)
        got = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in got:
            writer.close()
            return got, b"", await site.record()
        writer.write(said)
        sent = await came
        got = b"" if sent == said else await reader.read()
        writer.close()
        return got, sent, await site.record()


@pytest.mark.parametrize(
    "said",
    [frame(BINARY, CREATE), frame(TEXT, CREATE[:-1] + b',"x":NaN}'), frame(RESERVED, CREATE)],
    ids=["binary", "no JSON", "no frame"],
)
@pytest.mark.parametrize("mode", ["enforce", "strict"])
def test_what_cannot_be_read_ends_a_socket_that_a_budget_concerns(run: Run, tmp_path: Path, said: bytes, mode: str) -> None:
    name = b"policy_call_unpriced" if mode == "enforce" else b"policy_call_unbounded"

    async def go() -> None:
        budget = Budget("all", usd=1, mode=mode, unpriced="refuse" if mode == "enforce" else "allow")
        got, sent, record = await say(tmp_path, b"/v1/responses", said, budget)
        assert name in got and sent == b""
        assert record["outcome"] == name.decode()

    run(go())


@pytest.mark.parametrize("budgets", [[], [Budget("all", usd=1, mode="observe")], [Budget("all", usd=1, unpriced="allow")]])
def test_it_passes_where_no_budget_must_count_it(run: Run, tmp_path: Path, budgets: list[Budget]) -> None:
    async def go() -> None:
        said = frame(BINARY, CREATE)
        assert (await say(tmp_path, b"/v1/responses", said, *budgets))[:2] == (b"", said)

    run(go())


@pytest.mark.parametrize(("mode", "name"), [("enforce", b"policy_call_unpriced"), ("strict", b"policy_call_unpriced"), ("observe", b" 101 ")])
def test_a_socket_of_a_kind_that_is_not_read_is_not_opened_under_a_budget(run: Run, tmp_path: Path, mode: str, name: bytes) -> None:
    async def go() -> None:
        got, sent, _ = await say(tmp_path, b"/ws/BidiGenerateContent", frame(TEXT, CREATE), Budget("all", usd=1, mode=mode))
        assert (name in got) if mode != "observe" else (got == b"" and sent)

    run(go())
