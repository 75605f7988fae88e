"""519 recorded exchanges: every reading equals the one of an independent reader; however the bytes come, and wherever they end.

What the other reader says counts, with these readings of its words:
- `stream` tells whether the answer was a stream; a refused stream is none, while an `Ask` tells what was asked.
- Tool arguments are compared as JSON, because some providers send an object and each reader writes it in its own way.
- Where it says null or nothing and the bytes say more (tokens of Cohere's and Gemini's embeddings, the reason of a blocked
  prompt, an error under `detail`), we may know more: only what it states is compared.
"""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

from proxy.call import Reading
from proxy.wire import open_reader, read_ask, recognise
from tests.cases import holds_for

FOLDER = Path(__file__).parent / "recorded"


def load(name: str) -> list[dict]:
    with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


EXPECTED = {one["id"]: one for one in load("expected")}
EXCHANGES = load("exchanges")
KNOWS_MORE = {"r0080", "r0083", "r0084", "r0093", "r0097", "r0550"}


def read(exchange: dict, pieces: list[bytes]) -> tuple[dict, Reading]:
    """(what a reader tells, in the words of the expected readings; the reading)."""
    path, _, query = exchange["path"].partition("?")
    kind = recognise(exchange["method"], path, query, "openai")
    request = exchange["request"]
    ask = read_ask(kind, json.dumps(request).encode() if request is not None else b"")
    headers = {name.lower(): value if isinstance(value, str) else value[0] for name, value in exchange["headers"].items()}
    reader = open_reader(kind, ask, exchange["status"], headers.get("content-type", ""), headers, text_limit=1 << 20)
    for piece in pieces:
        reader.feed(piece)
    reading = reader.end()
    usage = reading.usage
    told = {
        "model_requested": ask.model,
        "stream": ask.stream,
        "model": reading.model,
        "finish": reading.finish,
        "text": reading.text,
        "error": reading.error,
        "tools": [[name, json.loads(arguments)] for name, arguments in reading.tools],
        "usage": usage
        and {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cache_read": usage.cache_read_tokens,
            "cache_write": usage.cache_write_tokens,
            "reasoning": usage.reasoning_tokens,
        },
    }
    return told, reading


def body_of(exchange: dict) -> bytes:
    return base64.b64decode(exchange["body_b64"])


def test_all_are_there() -> None:
    assert len(EXCHANGES) == len(EXPECTED) == 519


@holds_for({one["id"]: (one,) for one in EXCHANGES})
def test_reading_equals_the_expected(exchange: dict) -> None:
    expected = EXPECTED[exchange["id"]]
    told, reading = read(exchange, [body_of(exchange)])
    if "tools" in expected:
        expected = expected | {"tools": [[name, json.loads(arguments)] for name, arguments in expected["tools"]]}
    if exchange["status"] >= 400:
        told["stream"] = False
    compared = [name for name in told if name in expected]
    if exchange["id"] in KNOWS_MORE:
        assert any(expected[name] is None and told[name] is not None for name in compared)
        compared = [name for name in compared if expected[name] is not None]
    assert {name: told[name] for name in compared} == {name: expected[name] for name in compared}
    assert reading.unread == 0
    assert reading.complete == (exchange["status"] < 400)


def test_byte_by_byte_reads_the_same() -> None:
    for exchange in EXCHANGES:
        body = body_of(exchange)
        assert read(exchange, [body[at : at + 1] for at in range(len(body))])[1] == read(exchange, [body])[1], exchange["id"]


def test_cut_anywhere_never_raises_and_never_tells_more() -> None:
    for exchange in EXCHANGES:
        body = body_of(exchange)
        _, whole = read(exchange, [body])
        step = max(len(body) // 24, 1)
        for at in [*range(0, len(body), step), *range(max(len(body) - 12, 0), len(body))]:
            reading = read_cut(exchange, body[:at])
            assert whole.text.startswith(reading.text), (exchange["id"], at)
            assert reading.output_bytes <= whole.output_bytes, (exchange["id"], at)


def read_cut(exchange: dict, body: bytes) -> Reading:
    path, _, query = exchange["path"].partition("?")
    kind = recognise(exchange["method"], path, query, "openai")
    headers = {name.lower(): value if isinstance(value, str) else value[0] for name, value in exchange["headers"].items()}
    ask = read_ask(kind, json.dumps(exchange["request"]).encode() if exchange["request"] is not None else b"")
    reader = open_reader(kind, ask, exchange["status"], headers.get("content-type", ""), headers, text_limit=1 << 20)
    reader.feed(body[: len(body) // 2])
    reader.feed(body[len(body) // 2 :])
    return reader.end()
