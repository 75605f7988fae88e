"""The law of endings: recorded streams, however they come and wherever they are cut, end as at their maximum and read without a fault."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from proxy.call import Ask, Kind
from proxy.wire import open_reader, recognise
from proxy.wire.endings import ENDINGS, open_ending
from proxy.wire.reader import FORMS
from tests.wire.endings.conftest import FINISHES, UNCOUNTED, cut_behind, open_watched, read_again

_RECORDED = Path(__file__).parents[1] / "recorded" / "exchanges.jsonl.gz"


def load() -> list[tuple[str, str, str, bytes, int]]:
    """(id, format, content type, body, choices) of every stream of which something can be ended."""
    found = []
    with gzip.open(_RECORDED, "rt", encoding="utf-8") as lines:
        for exchange in map(json.loads, lines):
            path, _, query = exchange["path"].partition("?")
            format = recognise(exchange["method"], path, query, "openai").format
            kind = next((value for name, value in exchange["headers"].items() if name.lower() == "content-type"), "")
            if exchange["status"] < 400 and format in FINISHES and "stream" in kind:
                found.append((exchange["id"], format, kind, base64.b64decode(exchange["body_b64"]), 1))
                if format == "gemini.generate":  # the same without alt=sse
                    parts = [part[6:] for part in found[-1][3].replace(b"\r\n", b"\n").split(b"\n\n") if part]
                    found.append((f"{exchange['id']}-array", format, "application/json", b"[" + b",\r\n".join(parts) + b"\n]\n", 1))
    return found


STREAMS = load()


def test_every_dialect_is_among_them() -> None:
    assert len(STREAMS) > 60
    assert {"openai.chat", "openai.responses", "anthropic.messages", "gemini.generate", "bedrock.converse"} <= {stream[1] for stream in STREAMS}


@pytest.mark.parametrize("stream", STREAMS, ids=[stream[0] for stream in STREAMS])
def test_cut_anywhere_it_ends_well(stream: tuple[str, str, str, bytes, int]) -> None:
    _, format, content_type, body, choices = stream
    whole = read_again(body, format, content_type)
    if whole.error is not None:
        return
    step, cuts = max(len(body) // 60, 1), 0
    for at in range(step, len(body), step):
        for pieces in ([body[:at]], [body[: at // 2], body[at // 2 : at]], [body[: at - 1], body[at - 1 : at]]):
            if (done := cut_behind(pieces, format, content_type, choices)) is None:
                continue
            cuts += 1
            passed, last = done
            assert body.startswith(passed)
            reading = read_again(passed + last, format, content_type)
            assert (reading.complete, reading.unread, reading.error, reading.finish) == (format not in UNCOUNTED, 0, None, FINISHES[format]), at
            assert whole.text.startswith(reading.text)
            assert [name for name, _ in whole.tools[: len(reading.tools)]] == [name for name, _ in reading.tools]
            for (_, arguments), (_, all_of_them) in zip(reading.tools, whole.tools, strict=False):
                assert all_of_them.startswith(arguments) or arguments == "{}"
            assert reading.response_id == whole.response_id
    assert cuts > 0 or len(body) < 1000 or content_type == "application/json"


@pytest.mark.parametrize("stream", STREAMS, ids=[stream[0] for stream in STREAMS])
def test_a_whole_stream_is_over_and_never_cut(stream: tuple[str, str, str, bytes, int]) -> None:
    _, format, content_type, body, _ = stream
    reader = open_watched(format, content_type)
    reader.feed(body)
    assert reader.is_over


def test_no_format_has_two_endings_and_each_has_a_form() -> None:
    names = [name for ending in ENDINGS for name in ending.formats]
    assert len(names) == len(set(names))
    assert set(names) == set(FINISHES) <= {name for form in FORMS for name in form.formats}
    assert open_ending(Kind("gemini.interactions", "chat"), Ask()) is None


@pytest.mark.parametrize("format", sorted(FINISHES))
def test_a_stream_that_has_not_begun_has_no_end_of_ours(format: str) -> None:
    ending = open_ending(Kind(format, "chat", model="anthropic.claude"), Ask())
    assert ending is not None
    assert ending.close(0) is None


_WORDS = ["type", "choices", "index", "finish_reason", "usage", "candidates", "finishReason", "item", "part", "delta", "response", "output_index"]
_KINDS = ["response.created", "response.output_item.added", "response.output_text.delta", "response.content_part.done", "message_start"]
_KINDS += ["content_block_start", "message-start", "content-start", "contentBlockDelta", "response.output_text.done", "messageStart", "length"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(_KINDS) | st.text(st.characters(codec="utf-8"), max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=200)
@given(events=st.lists(st.tuples(st.sampled_from([name.encode() for name in [*_KINDS, ""]]), _JSON | st.binary(max_size=6)), max_size=6))
def test_events_of_any_shape_never_raise(events: list[tuple[bytes, object]]) -> None:
    for format in sorted(FINISHES):
        note(format)
        ending = open_ending(Kind(format, "chat", model="anthropic.claude"), Ask())
        assert ending is not None
        ending.take([(name, data if isinstance(data, bytes) else json.dumps(data).encode()) for name, data in events])
        ending.close(3)
        assert ending.is_over in (True, False)


def test_only_streams_are_watched() -> None:
    plain = open_reader(Kind("openai.chat", "chat"), Ask(), 200, "application/json", {}, watched=True)
    refused = open_reader(Kind("openai.chat", "chat"), Ask(stream=True), 429, "text/event-stream", {}, watched=True)
    assert not hasattr(plain, "is_over") and not hasattr(refused, "is_over")
