"""Conditions about what must never be lost: when they hold, and when they must not."""

from __future__ import annotations

import pytest

from tests.controlplane.notices.conftest import Story


@pytest.mark.parametrize(
    ("name", "shown", "most"),
    [
        ("WeighbridgeRecordsLost", "weighbridge_journal_lost_lines_total", 0),
        ("WeighbridgeJournalUnreadable", "weighbridge_journal_garbage_lines_total", 0),
        ("WeighbridgeJournalUnreadable", "weighbridge_journal_unknown_lines_total", 0),
        ("WeighbridgeDatabaseFailing", "weighbridge_database_failures_total", 3),
        ("WeighbridgeDatabaseFailing", "weighbridge_database_rebuilds_total", 0),
    ],
)
def test_what_grows_by_more_than_it_may(name: str, shown: str, most: int) -> None:
    story = Story(name).show({shown: {(): 50}}, 3)
    assert story.find() == {}
    assert story.show({shown: {(): 50 + most}}).find() == {}
    assert story.show({shown: {(): 51 + most}}).find() == {(): most + 1}
    assert Story(name).show({shown: {(): 50}}).show({shown: {(): 0}}).find() == {}
    assert Story(name).show({}).show({shown: {(): 50}}).find() == {}


def test_lines_that_wait_for_the_disk_and_a_gap() -> None:
    waiting, gap = "weighbridge_journal_waiting_lines", "weighbridge_accounting_gap_calls"
    for name, shown in (("WeighbridgeDiskRefusesJournal", waiting), ("WeighbridgeAccountingGap", gap)):
        assert Story(name).show({shown: {(): 0}}).find() == {}
        assert Story(name).show({shown: {(): 3}}).find() == {(): 3}
    assert Story("WeighbridgeAccountingGap").show({gap: {(): -1}}).find() == {(): -1}


def test_drops_are_found_by_what_and_why() -> None:
    name, shown, what = "WeighbridgeObserversDropping", "weighbridge_dropped_total", ("spans", "full")
    assert Story(name).show({shown: {what: 5}}).show({shown: {what: 9}}).find() == {what: 4}
    assert Story(name).show({shown: {what: 5}}, 2).find() == {}
    assert Story(name).show({shown: {}}).show({shown: {what: 5}}).find() == {}  # it may have been so for days
