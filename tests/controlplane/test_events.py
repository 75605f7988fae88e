"""What a journal line holds, and that no line raises."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proxy.controlplane.events import CRASHED, Batch, Weighed, close_crashed, parse
from proxy.record import Record
from tests.controlplane.conftest import call, line, make_opened


def test_the_weighed_part_has_the_records_names_and_defaults() -> None:
    of_record = {field.name: field.default for field in msgspec.structs.fields(Record)}
    for field in msgspec.structs.fields(Weighed):
        assert field.name in of_record
        if of_record[field.name] is not msgspec.NODEFAULT:
            assert field.default == of_record[field.name]


def test_a_call_is_handed_on_as_it_was_written() -> None:
    batch = Batch()
    kind, weighed = parse(call(3)[:-1], batch)
    assert (kind, weighed.id, weighed.cost_nano_usd) == ("call", "call-3", 1003)
    assert batch.calls == [call(3)[8:-2]]


def test_white_space_is_no_garbage() -> None:
    batch = Batch()
    kind, weighed = parse(b'{ "call" : ' + call(3)[8:-2].replace(b",", b" ,\r ") + b" }", batch)
    assert (kind, weighed.id, batch.garbage) == ("call", "call-3", 0)
    assert b"\r" not in batch.calls[0]


def test_a_crashed_call_has_no_figures() -> None:
    body, weighed = close_crashed(make_opened(5))
    fields = msgspec.json.decode(body)
    assert (weighed.outcome, weighed.duration_ns, weighed.cost_nano_usd) == (CRASHED, None, None)
    assert fields["agent"] == "agent-2" and "duration_ns" not in fields and "input_tokens" not in fields


@given(
    st.one_of(
        st.binary(),
        st.builds(lambda name, rest: b'{"' + name + b'":' + rest, st.sampled_from([b"call", b"opened", b"correction", b"x"]), st.binary()),
    )
)
def test_no_line_raises_and_each_is_an_event_or_counted(data: bytes) -> None:
    batch = Batch()
    kind, _ = parse(data, batch)
    assert bool(kind) != bool(batch.garbage + batch.unknown)


def test_unknown_events_are_not_garbage() -> None:
    batch = Batch()
    assert parse(line("verdict", {"a": 1})[:-1], batch) == ("", None)
    assert (batch.unknown, batch.garbage) == (1, 0)
