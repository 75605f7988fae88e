"""A document's faults: all of them, where they stand, in words a person can act on; and nothing that YAML can hold breaks the reader."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.document import Fault, Faults, check_name, read


class Inner(msgspec.Struct, frozen=True):
    size: int
    share: float = 0.5
    colour: Literal["red", "green"] = "red"


class Outer(msgspec.Struct, frozen=True):
    name: str = "nobody"
    flag: bool = True
    note: str | None = None
    inner: dict[str, Inner] = {}
    rows: list[Inner] = []


def faults_of(text: str) -> list[str]:
    return [str(fault) for fault in read(text, Outer)[1].in_file_order()]


def test_reads_values_and_keeps_defaults() -> None:
    document, faults = read("name: x\ninner:\n  a: {size: 3, colour: green}\nrows: [{size: 1, share: 2}]\n", Outer)
    assert not faults
    assert document == Outer(name="x", inner={"a": Inner(3, colour="green")}, rows=[Inner(1, 2.0)])


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "{}"])
def test_an_empty_document_is_all_defaults(text: str) -> None:
    document, faults = read(text, Outer)
    assert not faults
    assert document == Outer()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nam: x", "line 1: nam: unknown key; did you mean `name`?"),
        ("zzz: x", "line 1: zzz: unknown key; known here: name, flag, note, inner, rows"),
        ("name: 5", "line 1: name: expected text, got 5; put it in quotes"),
        ("name: true", "line 1: name: expected text, got true; put it in quotes"),
        ("name: 2026-01-02", "line 1: name: expected text, got a date; put it in quotes"),
        ("name: [x]", "line 1: name: expected text, got a list"),
        ("name:", "line 1: name: expected text, got nothing; give it a value, or remove the line"),
        ("note: 5", "line 1: note: expected text or null, got 5; put it in quotes"),
        ("flag: 1", "line 1: flag: expected true or false, got 1"),
        ("flag: 'yes'", "line 1: flag: expected true or false, got text"),
        ("inner: 5", "line 1: inner: expected a mapping (`name: value` lines), got 5"),
        ("inner: {a: 5}", "line 1: inner.a: expected a mapping (`key: value` lines), got 5"),
        ("inner: {a: }", "line 1: inner.a.size: is missing; expected a whole number"),
        ("rows: x", "line 1: rows: expected a list (`- value` lines), got text"),
        ("rows:\n- size: '5'", "line 2: rows[0].size: expected a whole number, got text; write the number in digits and without quotes, such as 30"),
        ("rows:\n- size: 1\n  share: .nan", "line 3: rows[0].share: expected a number, got no finite one"),
        ("rows: [{size: 1, colour: blue}]", "line 1: rows[0].colour: expected one of red, green, got text"),
        ("name: a\nname: b", "line 2: name: is given twice; keep one"),
        ("- 1", "expected a mapping (`key: value` lines), got a list"),
        ("name: [", "line 1, column 8: not valid YAML: expected the node content, but found '<stream end>'"),
        ("name: a\n---\nname: b", "line 2, column 1: not valid YAML: but found another document"),
        ("[" * 5000, "not valid YAML: nested too deeply"),
        ("name: 2026-13-45", "not valid YAML: month must be in 1..12"),
        ("name: a\x00", "not valid YAML: unacceptable character #x0000: special characters are not allowed"),
    ],
)
def test_says_what_is_wrong_and_what_to_do(text: str, expected: str) -> None:
    assert faults_of(text) == [expected]


def test_faults_come_all_at_once_and_in_file_order() -> None:
    text = "rows:\n- {share: x}\nflag: 7\nname: 1\nname: 2\nwhat: 1\n"
    lines = [fault.line for fault in read(text, Outer)[1].in_file_order()]
    assert lines == [2, 2, 3, 5, 5, 6]


def test_a_default_stands_in_for_what_is_wrong() -> None:
    document, faults = read("name: 5\nflag: false\ninner: {a: {size: x, share: 3}}", Outer)
    assert faults
    assert document == Outer(name="nobody", flag=False, inner={"a": Inner(None, 3.0)})


def test_what_could_not_be_read_is_not_spoken_of_again() -> None:
    _, faults = read("inner: {a: 5}\nname: x", Outer)
    faults.add("inner.a.size", "must be greater than 0")
    faults.add("name", "is not nice")
    assert [fault.path for fault in faults.in_file_order()] == ["inner.a", "name"]


def test_a_value_is_never_repeated_where_it_may_be_a_secret() -> None:
    assert "sk-secret" not in "".join(faults_of("flag: sk-secret\ninner: sk-secret\nrows: [sk-secret]\n"))


def test_a_fault_without_a_place_prints_its_message_alone() -> None:
    assert str(Fault("", "cannot be read")) == "cannot be read"


@given(st.text(alphabet="abn: -[]{}&*!?|>'\"#\n\t0159.~<", max_size=80))
def test_nothing_that_can_be_written_breaks_the_reader(text: str) -> None:
    document, faults = read(text, Outer)
    assert faults or isinstance(document, Outer)
    assert all(str(fault) for fault in faults.in_file_order())


def test_a_name_must_be_one_and_its_own() -> None:
    faults, seen = Faults(), set()
    for index, name in enumerate(["night", "Night", "night", None, "x" * 64]):
        check_name(name, seen, f"things[{index}].name", faults)
    said = [str(fault) for fault in faults.in_file_order()]
    assert [line.partition(":")[0] for line in said] == [f"things[{index}].name" for index in (1, 2, 3, 4)]
    assert "starts with a letter" in said[0] and "also the name of another one" in said[1]
