"""Reading never touches traffic: a reader with a defect costs figures, and neither bytes nor the record."""

import pytest

from proxy.call import Reading
from proxy.dataplane import relay
from tests.dataplane.conftest import open_site, post
from tests.dataplane.test_path import CHAT, CHUNKS, STREAM_ASK, split, stream, unchunk


class Failing:
    """A reader with a defect: at opening, at the first piece, at a later one, or at the end."""

    first_token = False

    def __init__(self, when: str) -> None:
        self._when = when
        self.first_token = when == "batch"

    def feed(self, data: bytes) -> None:
        if self._when in ("feed", "batch"):
            raise ZeroDivisionError

    def end(self) -> Reading:
        raise ZeroDivisionError


@pytest.mark.parametrize("when", ["open", "feed", "batch", "end"])
def test_a_reader_that_fails_touches_no_byte_and_the_call_is_settled(run, tmp_path, monkeypatch, when):
    def open_failing(*_: object) -> Failing:
        return Failing(when) if when != "open" else 1 / 0

    monkeypatch.setattr(relay, "open_reader", open_failing)

    async def main():
        async with open_site(tmp_path, stream) as site:
            content, ended = unchunk(split(await site.ask(post(CHAT, STREAM_ASK)))[1])
            assert content == b"".join(CHUNKS) and ended
            record = await site.record()
            assert (record["outcome"], record["usage_source"], record["unread"]) == ("ok", "estimated", 1)

    run(main())
