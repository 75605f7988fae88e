"""The settings of the review."""

from __future__ import annotations

import pytest

from proxy.config import ConfigError, parse


@pytest.mark.parametrize(
    ("section", "path", "told"),
    [
        ("{share: 1.5}", "review.share", "from 0 to 1"),
        ("{most: 0}", "review.most", "use `share: 0`"),
        ("{gates: [{name: P, match: {agent: a}}]}", "review.gates[0].name", "lower-case letters"),
        ("{gates: [{name: p, match: {agent: a}}, {name: p, match: {agent: b}}]}", "review.gates[1].name", "give each its own"),
        ("{gates: [{name: p, match: {}}]}", "review.gates[0].match", "agent: '*'"),
        ("{gates: [{name: p, match: {agnet: a}}]}", "review.gates[0].match.agnet", "team, agent"),
        ("{gates: [{name: p, match: {agent: a}, wait_s: 0}]}", "review.gates[0].wait_s", "is 1 to 3600 seconds"),
        ("{gates: [{name: p, match: {agent: a}, otherwise: keep}]}", "review.gates[0].otherwise", "refuse"),
    ],
)
def test_faults_say_what_to_do(section: str, path: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(f"review: {section}", environment={})
    (fault,) = raised.value.faults
    assert fault.path == path and told in fault.message


def test_a_gate_waits_five_minutes_and_then_refuses() -> None:
    (gate,) = parse("review: {gates: [{name: press, match: {agent: 'press-*', task: x}}]}", environment={}).review.gates
    assert (gate.match, gate.wait_s, gate.otherwise) == ({"agent": "press-*", "task": "x"}, 300.0, "refuse")
