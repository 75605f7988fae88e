"""What a journal line holds, and that no line raises."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proxy.controlplane.events import CRASHED, Batch, Weighed, close_crashed, parse
from proxy.record import Extended, Record
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
    assert batch.bodies["calls"] == [call(3)[8:-2]]


def test_white_space_is_no_garbage() -> None:
    batch = Batch()
    kind, weighed = parse(b'{ "call" : ' + call(3)[8:-2].replace(b",", b" ,\r ") + b" }", batch)
    assert (kind, weighed.id, batch.garbage) == ("call", "call-3", 0)
    assert b"\r" not in batch.bodies["calls"][0]


def test_a_crashed_call_without_a_budget_has_no_figures() -> None:
    body, weighed = close_crashed(make_opened(5))
    fields = msgspec.json.decode(body)
    assert (weighed.outcome, weighed.duration_ns, weighed.cost_nano_usd, weighed.cost_source) == (CRASHED, None, None, "none")
    assert fields["agent"] == "agent-2" and not {"duration_ns", "input_tokens", "charged", "reserved"} & fields.keys()


def test_a_crashed_call_under_a_budget_is_presumed_to_have_cost_what_was_reserved() -> None:
    body, weighed = close_crashed(make_opened(5, reserved={"day.usd@x": 70}, reserved_nano_usd=70, key="k", tags={"stage": "test"}))
    record = msgspec.json.decode(body)
    assert (weighed.cost_nano_usd, weighed.cost_source, weighed.charged, weighed.usage_source) == (70, "presumed", {"day.usd@x": 70}, "none")
    assert (record["reserved_nano_usd"], record["key"], record["tags"]) == (70, "k", {"stage": "test"})


def test_a_crashed_call_that_had_reserved_more_is_presumed_to_have_cost_the_new_whole() -> None:
    extended = Extended(id="call-5", reserved_nano_usd=90, reserved={"day.usd@x": 90})
    _, weighed = close_crashed(make_opened(5, reserved={"day.usd@x": 70}, reserved_nano_usd=70), extended)
    assert (weighed.cost_nano_usd, weighed.charged) == (90, {"day.usd@x": 90})


def test_a_crashed_call_of_unknown_price_is_charged_what_was_reserved_and_its_cost_stays_unknown() -> None:
    _, weighed = close_crashed(make_opened(5, reserved={"day.calls@x": 1}))
    assert (weighed.cost_nano_usd, weighed.cost_source, weighed.charged) == (None, "none", {"day.calls@x": 1})


@given(
    st.one_of(
        st.binary(),
        st.builds(
            lambda name, rest: b'{"' + name + b'":' + rest,
            st.sampled_from([b"call", b"opened", b"extended", b"correction", b"order", b"task", b"x"]),
            st.binary(),
        ),
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
