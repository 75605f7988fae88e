"""What is counted of verdicts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from evaluators.verdict import Verdict
from proxy.controlplane.inspection.tally import MAX_AGENTS, Tally


def render(tally: Tally) -> str:
    registry = CollectorRegistry()
    registry.register(tally)
    return generate_latest(registry).decode()


def test_verdicts_are_counted_by_label_and_by_agent() -> None:
    tally = Tally()
    tally.count("a", "red", Verdict("empty"))
    tally.count("a", "red", Verdict("empty", "whitespace", 0.0, "error"))
    tally.count("b", None, Verdict("language", "other_language", 0.2, "info"))
    tally.calls += 2
    text = render(tally)
    assert 'weighbridge_verdicts_total{evaluator="empty",label="whitespace"} 1.0' in text
    assert 'weighbridge_agent_verdicts_total{agent="a",evaluator="empty",team="red",verdict="fail"} 1.0' in text
    assert 'weighbridge_agent_verdicts_total{agent="a",evaluator="empty",team="red",verdict="pass"} 1.0' in text
    assert 'weighbridge_agent_verdicts_total{agent="b",evaluator="language",team="",verdict="pass"} 1.0' in text
    assert "weighbridge_evaluated_calls_total 2.0" in text


def test_names_are_bounded() -> None:
    tally = Tally()
    for number in range(MAX_AGENTS + 50):
        tally.count(f"agent-{number}", "t", Verdict("own", f"label-{number}"))
    text = render(tally)
    assert 'weighbridge_agent_verdicts_total{agent="other",evaluator="own",team="",verdict="pass"} 50.0' in text
    assert text.count("weighbridge_agent_verdicts_total{") == MAX_AGENTS + 1
    assert text.count("weighbridge_verdicts_total{") == 41


def test_failures_drops_and_seconds() -> None:
    tally = Tally()
    tally.fail("own", "timeout")
    tally.drop("own_behind", 3)
    tally.miss("tools")
    tally.skip("own", "cpu_cap")
    tally.skip("own", "cpu_cap")
    tally.time("empty", 0.00003)
    tally.time("empty", 10.0)
    text = render(tally)
    assert 'weighbridge_evaluator_failures_total{evaluator="own",reason="timeout"} 1.0' in text
    assert 'weighbridge_evaluations_dropped_total{reason="own_behind"} 3.0' in text
    assert 'weighbridge_questions_missed_total{part="tools"} 1.0' in text
    assert 'weighbridge_evaluator_skipped_total{evaluator="own",reason="cpu_cap"} 2.0' in text
    assert 'weighbridge_evaluator_seconds_bucket{evaluator="empty",le="5e-05"} 1.0' in text
    assert 'weighbridge_evaluator_seconds_count{evaluator="empty"} 2.0' in text
