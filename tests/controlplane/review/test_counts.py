"""The metrics of the queue."""

from __future__ import annotations

from proxy.controlplane.review.counts import DECISIONS, ENDINGS, Counts


def test_every_series_is_there_before_anything_happens() -> None:
    families = {family.name: family.samples for family in Counts().collect(dict.fromkeys(("sampled", "flagged", "held"), 0), 0)}
    assert [sample.labels["kind"] for sample in families["weighbridge_review_queue_calls"]] == ["sampled", "flagged", "held"]
    assert [sample.labels["decision"] for sample in families["weighbridge_reviews"]] == [*DECISIONS, *ENDINGS]


def test_only_what_people_decide_is_timed() -> None:
    counts = Counts()
    counts.end("approved", 2 * 10**9)
    counts.end("timed_out", 300 * 10**9)
    counts.end("pass", None)
    (family,) = [one for one in counts.collect({"sampled": 0, "flagged": 0, "held": 0}, 0) if one.name == "weighbridge_review_seconds"]
    assert [sample.value for sample in family.samples if sample.name.endswith(("_sum", "_count"))] == [1.0, 2.0]
