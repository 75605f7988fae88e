"""Finding usage in what is cut."""

from __future__ import annotations

import pytest

from proxy.call import Usage
from proxy.wire.scrape import scrape
from proxy.wire.tally import Tally

CASES = [
    (b'"b64_json":"AAAA"}],"model":"m","usage":{"prompt_tokens":1,"completion_tokens":2}}', Usage(1, 2), "m"),
    (
        b'{"usage": {"input_tokens":1,"output_tokens_details":{"image_tokens":7},"output_tokens":9},"data":[{"b64',
        Usage(1, 9, output_image_tokens=7),
        None,
    ),
    (b'0.1]},"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":null,"thoughtsTokenCount":2}}', Usage(5, 2), None),
    (b'0.1]],"meta":{"billed_units":{"input_tokens":4}}}', Usage(4), None),
    (b'0.1]],"total_duration":1,"prompt_eval_count":8}', Usage(8), None),
    (b'{"modelVersion":"g","responseId":"r","candidates":[{"content":', None, "g"),
    (b'"usage":{"prompt_tokens":', None, None),
    (b'"usage":{"text":"no counts"}', None, None),
    (b'"usage":{"prompt_tokens":"x","input_tokens":3}', Usage(3), None),
    (b"\xff\x00" * 50, None, None),
    (b'"usage":' + b'{"a":' * 3000, None, None),
]


def test_the_fingerprint_of_the_backend_is_found() -> None:
    tally = Tally(100, None, {})
    scrape(b'..."}}],"usage":{"prompt_tokens":1},"system_fingerprint":"fp_1"}', tally)
    assert tally.close().system_fingerprint == "fp_1"


@pytest.mark.parametrize(("kept", "usage", "model"), CASES)
def test_cases(kept: bytes, usage: Usage | None, model: str | None) -> None:
    tally = Tally(100, None, {})
    scrape(kept, tally)
    reading = tally.close()
    assert (reading.usage, reading.model, reading.unread) == (usage, model, 1)
