"""The providers' own SDKs read a stream that the budget has cut: no exception, a finish word of the maximum, and no tool call taken for whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from proxy.call import Call
from proxy.demo.provider import start
from tests.clients.driver import ROOT, Client, require
from tests.dataplane.bench import framed, open_bench
from tests.dataplane.conftest import Exchange
from tests.dataplane.test_path import unchunk
from tests.simulated.provider import make_app

PYTHON = ROOT / ".cache" / "clients" / "bin" / "python"
SCRIPT = Path(__file__).parent / "cuts" / "cut_streams.py"
FINISHES = {
    "openai_chat": "length", "openai_chat_tool": "length", "openai_responses": "max_output_tokens", "openai_responses_tool": "max_output_tokens",
    "anthropic": "max_tokens", "anthropic_tool": "max_tokens", "gemini": "MAX_TOKENS", "cohere": "MAX_TOKENS", "ollama": "length",
    "bedrock": "max_tokens",
}  # fmt: skip
MARKS = {  # what begins every piece of the arguments
    "openai_chat_tool": rb'data: [^\n]*"arguments": ?"[^"]', "openai_responses_tool": rb"event: response.function_call_arguments.delta",
    "anthropic_tool": rb'event: content_block_delta\ndata: [^\n]*"partial_json": ?"[^"]',
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    require(PYTHON.exists(), "the environment 'clients' is not installed; `make test` installs it")
    running = Client([str(PYTHON), "-W", "ignore", str(SCRIPT)], tmp_path_factory.mktemp("cut") / "client")
    yield running
    running.close()


def half_of(port: int, mark: bytes | None, gone: list[bool]) -> Callable[[Exchange], Awaitable[None]]:
    """A script: the provider's answer up to its middle, or up to the second piece that a mark finds; then nothing more until the proxy leaves."""

    async def script(exchange: Exchange) -> None:
        head = await exchange.read_request()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + exchange.body)
        answer = await reader.read()
        writer.close()
        fields, _, body = answer.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in fields.lower():
            body, _ = unchunk(body)
        else:
            lines = [line for line in fields.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
            fields = b"\r\n".join([*lines, b"Transfer-Encoding: chunked"])
        end = len(body) // 2 if mark is None else [found.start() for found in re.finditer(mark, body)][1]
        await exchange.send(fields.replace(b"Connection: close\r\n", b"") + b"\r\n\r\n" + framed(body[:end]))
        with contextlib.suppress(ConnectionError):
            gone.append(await exchange.reader.read() == b"")

    return script


def refuse(call: Call, seen_tokens: int) -> bool:
    return False


@pytest.mark.parametrize("case", list(FINISHES))
def test_a_cut_stream_is_an_answer_that_reached_its_maximum(case: str, client: Client, tmp_path: Path) -> None:
    async def main() -> tuple[dict, Call]:
        runner = await start(app=make_app(seed="cut"))
        gone: list[bool] = []
        try:
            async with open_bench(tmp_path, half_of(runner.addresses[0][1], MARKS.get(case), gone), refuse, covered=1) as bench:
                seen = await asyncio.to_thread(client.ask, case, f"http://127.0.0.1:{bench.port}", proxied=False)
            return seen, bench.calls[0]
        finally:
            await runner.cleanup()

    seen, call = uvloop.run(main())
    assert "error" not in seen, seen
    assert seen["finish"] == FINISHES[case]
    assert (call.outcome, call.toll.act) == ("policy_budget_cut", "cut")
    assert seen.get("text") or seen.get("tools")
    if case in MARKS:
        ((name, arguments),) = seen["tools"]
        assert name == "get_weather"
        assert_not_whole(case, arguments)
    if "seen" in seen and "tools" not in seen:
        assert seen["seen"][-1] in ("message-end", "messageStop")


def assert_not_whole(case: str, arguments: str) -> None:
    if case == "anthropic_tool":  # its SDK reads what there is of them
        assert json.loads(arguments) != {"city": "Paris"}
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(arguments)
