"""The binary frames are read by botocore's own parser."""

from __future__ import annotations

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as some

from tests.simulated.frames import event, exception, frame


@given(some.dictionaries(some.text("abc:-", min_size=1, max_size=20), some.text(max_size=50), max_size=4), some.binary(max_size=200))
def test_any_frame_is_read_back(headers: dict[str, str], payload: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(frame(headers, payload) * 2)
    first, second = list(buffer)
    assert first.headers == second.headers == headers and first.payload == second.payload == payload


def test_events_and_exceptions_are_told_apart() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(event("metadata", b"{}") + exception("throttlingException", b"{}"))
    said, thrown = (message.to_response_dict() for message in buffer)
    assert (said["status_code"], thrown["status_code"]) == (200, 400) and thrown["headers"][":exception-type"] == "throttlingException"
