"""What leaves the data plane is flat, small where little is known, and comes back as it was."""

from __future__ import annotations

import types
import typing

import msgspec
import pytest

from proxy.record import Correction, Opened, Record, Sample

FLAT = (int, float, str, bool, type(None), dict[str, int], dict[str, str])
NEEDED = {
    "id": "c",
    "started_ns": 1,
    "duration_ns": 2,
    "agent": "a",
    "rung": "path",
    "upstream": "demo",
    "dialect": "openai",
    "format": "openai.chat",
    "operation": "chat",
    "method": "POST",
    "path": "/v1/chat/completions",
    "outcome": "ok",
}


def test_a_record_is_flat() -> None:
    for field in msgspec.structs.fields(Record):
        kinds = typing.get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
        assert all(kind in FLAT for kind in kinds) or field.name == "trail", field.name


def test_a_record_comes_back_as_it_was_and_says_only_what_is_known() -> None:
    record = Record(**NEEDED)
    line = msgspec.json.encode(record)
    assert msgspec.json.decode(line, type=Record) == record
    assert set(msgspec.json.decode(line)) == set(NEEDED)


@pytest.mark.parametrize("field", ["cost_nano_usd", "input_tokens", "output_tokens", "status", "first_token_ns"])
def test_unknown_is_not_zero(field: str) -> None:
    unknown, zero = Record(**NEEDED), Record(**NEEDED, **{field: 0})
    assert getattr(unknown, field) is None
    assert getattr(msgspec.json.decode(msgspec.json.encode(zero), type=Record), field) == 0


def test_an_opened_call_tells_what_its_record_will() -> None:
    record = {field.name: field.type for field in msgspec.structs.fields(Record)}
    assert all(record[field.name] == field.type for field in msgspec.structs.fields(Opened) if field.name != "reserved")
    assert {field.name for field in msgspec.structs.fields(Correction)} - {"at_ns", "by", "adjusted"} <= set(record)


def test_a_sample_fits_into_a_message_and_back() -> None:
    sample = Sample(id="c", agent="a", format="openai.chat", usage_source="reported", text="é", tools=[("f", "{}")], request=b"\x00\xff")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sample), type=Sample) == sample
