"""Endings of Bedrock's Invoke: Anthropic's own, in base64 and frames."""

from __future__ import annotations

import base64
import json

from proxy.call import Ask, Kind
from proxy.wire.endings import open_ending
from proxy.wire.endings.seams import open_seam
from proxy.wire.eventstream import EventStreamParser
from tests.wire.endings.conftest import open_watched

FRAMES = "application/vnd.amazon.eventstream"


def frame(kind: str, **fields: object) -> bytes:
    event = base64.b64encode(json.dumps({"type": kind, **fields}).encode()).decode()
    return open_seam(EventStreamParser()).write(b"", [(b"chunk", json.dumps({"bytes": event, "p": "abc"}).encode())])


START = frame("message_start", message={"id": "m1", "model": "claude", "usage": {"input_tokens": 9, "output_tokens": 1}})
BLOCK = frame("content_block_start", index=0, content_block={"type": "text", "text": ""})


def test_anthropic_s_events_in_frames(cut) -> None:
    pieces = [START, BLOCK, frame("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"})]
    last, reading = cut("bedrock.invoke", pieces, FRAMES)
    assert reading.text == "Hi" and reading.usage.output_tokens == 7
    events = [json.loads(base64.b64decode(json.loads(data)["bytes"])) for name, data in EventStreamParser().feed(last) if name == b"chunk"]
    assert [event["type"] for event in events] == ["content_block_stop", "message_delta", "message_stop"]


def test_over() -> None:
    reader = open_watched("bedrock.invoke", FRAMES)
    reader.feed(START)
    assert not reader.is_over
    reader.feed(frame("message_delta", delta={"stop_reason": "end_turn"}))
    assert reader.is_over


def test_models_of_other_makers_have_none() -> None:
    ending = open_ending(Kind("bedrock.invoke", "chat", model="meta.llama3-70b"), Ask())
    ending.take([(b"chunk", b'{"bytes":"e30="}')])
    assert not ending.is_over and ending.close(3) is None
