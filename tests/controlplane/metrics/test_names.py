"""A bounded set of label values."""

from __future__ import annotations

from proxy.controlplane.metrics.names import Names, name_upstreams


def test_who_is_in_stays_and_who_comes_later_is_other() -> None:
    names = Names(2, ["a"])
    assert [names.admit(one) for one in ("b", "c", "a", "b", "c")] == ["b", "other", "a", "b", "other"]


def test_only_configured_upstreams_are_named() -> None:
    names = name_upstreams(["a"])
    assert [names.admit(one) for one in ("a", "demo", "none", "b")] == ["a", "demo", "none", "other"]
