"""What only needs to be present is told apart from what says nothing."""

from __future__ import annotations

import msgspec
import pytest

from proxy.wire.parts import ABSENT, Part, stands


@pytest.mark.parametrize(
    ("value", "expected"), [("null", False), ("[]", False), ("{}", False), ('""', False), ("false", False), ("0", True), ('"x"', True), ("[1]", True)]
)
def test_a_field_that_says_something(value: str, expected: bool) -> None:
    part = msgspec.json.decode(b'{"type": "image_url", "image_url": %b}' % value.encode(), type=Part)
    assert stands(part.image_url) is expected and not stands(part.file) and part.file is ABSENT
