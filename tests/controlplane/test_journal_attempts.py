"""Calls of several attempts in the journal: one row each, and where they went last."""

from __future__ import annotations

import pytest

from proxy.controlplane.store import Store
from tests.controlplane.conftest import Segments, add, load_all, opened


@pytest.mark.parametrize("restarted", [False, True])
def test_a_crashed_call_of_several_attempts_is_one_and_stands_where_it_went_last(segments: Segments, store: Store, restarted: bool) -> None:
    segments.alive.add(11)
    add(segments.begin(1), opened(1, upstream="first") + opened(1, upstream="second"))
    for _ in range(1 + restarted):
        reader = segments.reader()
        reader.restore(store)
        load_all(reader, store)
    segments.alive.clear()
    load_all(reader, store)
    assert store.query("SELECT id, upstream, outcome FROM calls")[1] == [("call-1", "second", "weighbridge_crashed")]
