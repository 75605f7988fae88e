"""Endings of Bedrock's ConverseStream: frames of our own that close the open block and the message."""

from __future__ import annotations

import json

from proxy.wire.endings.seams import open_seam
from proxy.wire.eventstream import EventStreamParser
from tests.wire.endings.conftest import open_watched

FRAMES = "application/vnd.amazon.eventstream"


def frame(name: str, **payload: object) -> bytes:
    return open_seam(EventStreamParser()).write(b"", [(name.encode(), json.dumps(payload).encode())])


START = frame("messageStart", role="assistant")


def test_text_and_a_broken_tool_call(cut) -> None:
    pieces = [START, frame("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hi"}), frame("contentBlockStop", contentBlockIndex=0)]
    pieces += [frame("contentBlockStart", contentBlockIndex=1, start={"toolUse": {"toolUseId": "t", "name": "buy"}})]
    pieces += [frame("contentBlockDelta", contentBlockIndex=1, delta={"toolUse": {"input": '{"what": "a h'}})]
    last, reading = cut("bedrock.converse", pieces, FRAMES)
    assert EventStreamParser().feed(last) == [(b"contentBlockStop", b'{"contentBlockIndex":1}'), (b"messageStop", b'{"stopReason":"max_tokens"}')]
    assert reading.tools == [("buy", '{"what": "a h')]


def test_over() -> None:
    reader = open_watched("bedrock.converse", FRAMES)
    reader.feed(START)
    assert not reader.is_over
    reader.feed(frame("messageStop", stopReason="end_turn"))
    assert reader.is_over
