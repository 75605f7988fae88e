"""The page for people: what it says of the data plane and of the reports, and that nothing from outside is markup."""

from __future__ import annotations

import msgspec
import pytest

from proxy.controlplane.page import write_page
from proxy.controlplane.reports import Report
from proxy.pulse import Pulse

PULSE = Pulse(**{field.name: 0 for field in msgspec.structs.fields(Pulse) if field.required})
CALLS = Report("calls", ["started_ns", "agent", "model", "cost_nano_usd"], [[10**18, "<script>alert(1)</script>", None, None]])


@pytest.mark.parametrize(
    ("changes", "age_s", "bad", "words"),
    [
        ({"in_flight": 3, "settled": 12}, 0.2, False, "alive: 3 calls in flight, 12 ended since 1970-01-01T00:00:00.000Z."),
        ({}, 9.0, True, "last heard of 9 s ago"),
        ({"journal_waiting": 5}, 0.2, True, "5 records waiting for the disk"),
        ({"journal_lost": 2}, 0.2, True, "2 records lost"),
    ],
)
def test_it_says_how_the_data_plane_is(changes: dict[str, int], age_s: float, bad: bool, words: str) -> None:
    text = write_page(msgspec.structs.replace(PULSE, **changes), age_s, 5.0, [])
    assert words in text and ('class="state bad"' in text) is bad


def test_a_data_plane_that_was_never_heard_of_is_said_so() -> None:
    assert "not heard of yet" in write_page(None, None, 5.0, [])


def test_reports_are_tables_and_names_are_never_markup() -> None:
    text = write_page(PULSE, 0.1, 5.0, [("Calls", CALLS)])
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;" in text and "<script" not in text
    assert "2001-09-09T01:46:40.000Z" in text and "unknown" in text


def test_without_calls_it_says_how_to_make_one() -> None:
    assert "make demo" in write_page(PULSE, 0.1, 5.0, [("Calls", msgspec.structs.replace(CALLS, rows=[]))])


def test_without_a_database_it_says_why() -> None:
    assert "<p>it is made again &amp; soon back</p>" in write_page(PULSE, 0.1, 5.0, [("Calls", "it is made again & soon back")])
