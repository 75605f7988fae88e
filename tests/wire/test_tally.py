"""The tally: bounds, counts and what it makes of pieces."""

from __future__ import annotations

import msgspec

from proxy.wire.tally import Tally


def test_text_is_kept_up_to_the_limit_and_counted_beyond() -> None:
    tally = Tally(5, None, {})
    for piece in ("abc", None, "", "défg", "more"):
        tally.add_text(piece)
    tally.add_hidden("thought")
    reading = tally.close()
    assert reading.text == "abcdé"
    assert reading.output_bytes == 3 + 5 + 4 + 7
    assert tally.first_token


def test_tools_are_kept_up_to_the_limit_and_counted_beyond() -> None:
    tally = Tally(6, None, {})
    tally.add_tool(0, "f", '{"a"')
    tally.add_tool(1, "g")
    tally.add_arguments(0, ":1}")
    tally.add_arguments(9, "unknown")
    reading = tally.close()
    assert reading.tools == [("f", '{"a":1'), ("g", "{}")]
    assert reading.output_bytes == 1 + 4 + 1 + 3 + 7


def test_the_number_of_tools_is_bounded() -> None:
    tally = Tally(100, None, {})
    for key in range(1000):
        tally.add_tool(key, "f", "{}")
    assert len(tally.close().tools) == 256


def test_a_providers_words_are_kept_up_to_a_bound() -> None:
    """They stand in records, labels and causes; one of a megabyte would stand in all of them."""
    tally = Tally(100, None, {})
    names = ("model", "response_id", "finish", "service_tier", "system_fingerprint")
    for name in names:
        setattr(tally.reading, name, name + "x" * 10**6)
    reading = tally.close()
    assert all(getattr(reading, name).startswith(name) and len(getattr(reading, name)) == 300 for name in names)


def test_whole_arguments_fill_in_only_where_no_pieces_came() -> None:
    tally = Tally(100, None, {})
    tally.add_tool(0, "f", "{}")
    tally.set_arguments(0, '{"x":1}')
    tally.add_tool(1, None)
    tally.add_tool(1, "late")
    tally.set_arguments(1, '{"y":2}')
    assert tally.close().tools == [("f", "{}"), ("late", '{"y":2}')]


def test_the_first_error_counts() -> None:
    tally = Tally(100, None, {})
    tally.add_error(b"null")
    tally.add_error(msgspec.Raw(b'{"message":"one","type":"t"}'))
    tally.add_error(b'{"message":"two"}')
    assert (tally.close().error, tally.close().error_type) == ("one", "t")


def test_nothing_came() -> None:
    assert not Tally(1, None, {}).first_token
