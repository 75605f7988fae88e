"""How each evaluator judges each agent's answers, and what it has taken so far."""

from __future__ import annotations

import pytest

from evaluators.verdict import Verdict
from proxy.controlplane.inspection.manners import Bounds, Rations, Register
from proxy.inspecting import Evaluators, Manner, OwnEvaluator

REFUSED = Verdict("refusal", "refused", 0.1, "warning")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(*agents: Manner) -> Register:
    return Register(Evaluators(shares={"secrets": 0.5}, own=[OwnEvaluator("mine", "a:b", share=0.3)], agents=list(agents)))


def test_without_entries_the_shares_hold_for_all() -> None:
    found = make().find("a", None)
    assert (found.bounds["secrets"].share, found.bounds["mine"].share, found.bounds["empty"].share, found.bounds["drift"].share) == (0.5, 0.3, 1, 1)
    assert found.grade(REFUSED) is REFUSED


def test_all_entries_that_fit_hold_and_the_last_one_first() -> None:
    everything = Manner(agent="s-*", share=0.0)
    register = make(everything, Manner(agent="s-1", evaluators=["json", "mine"], share=1.0, timeout_s=2.0), Manner(task="t-*", cpu_s_per_minute=3.0))
    one, two = register.find("s-1", None).bounds, register.find("s-2", "t-1").bounds
    assert (one["json"], one["mine"], one["empty"], one["drift"]) == (Bounds(1.0, 2.0), Bounds(1.0, 2.0), Bounds(0.0), Bounds(0.0))
    assert (two["json"], two["mine"]) == (Bounds(0.0, None, 3.0), Bounds(0.0, None, 3.0))
    assert register.find("other", None).bounds["secrets"] == Bounds(0.5)


@pytest.mark.parametrize(
    ("severity", "wanted"),
    [({"refusal": "error"}, "error"), ({"refusal": "error", "refusal/refused": "info"}, "info"), ({"refusal/boilerplate": "error"}, "warning")],
)
def test_a_finding_is_as_grave_as_it_is_for_its_agent(severity: dict, wanted: str) -> None:
    register = make(Manner(agent="s", severity=severity))
    assert register.find("s", None).grade(REFUSED).severity == wanted
    assert register.find("s", None).grade(Verdict("refusal")).severity == "none"
    assert register.find("t", None).grade(REFUSED).severity == "warning"


def test_what_is_used_up_comes_back_with_the_next_minute() -> None:
    clock = Clock()
    rations, bounds = Rations(clock), Bounds(cpu_s=0.5)
    for _ in range(2):
        assert rations.refuse("json", "a", bounds) is None
        rations.take("json", "a", 0.3, is_late=False)
    assert rations.refuse("json", "a", bounds) == "cpu_cap"
    assert rations.refuse("json", "b", bounds) is None and rations.refuse("empty", "a", bounds) is None
    clock.now = 60.0
    assert rations.refuse("json", "a", bounds) is None


def test_one_that_is_late_again_and_again_rests_on_that_agent() -> None:
    clock = Clock()
    rations, bounds = Rations(clock), Bounds(timeout_s=0.1)
    for is_late in (True, True, False, True, True):
        rations.take("json", "a", 0.2, is_late=is_late)
    assert rations.refuse("json", "a", bounds) is None
    rations.take("json", "a", 0.2, is_late=True)
    assert rations.refuse("json", "a", bounds) == "resting" and rations.refuse("json", "b", bounds) is None
    clock.now = 60.0
    assert rations.refuse("json", "a", bounds) is None


def test_names_without_end_take_no_memory_without_end() -> None:
    register, rations = make(Manner(share=0.5)), Rations(Clock())
    for number in range(10_100):
        register.find(f"a-{number}", None)
        assert rations.refuse("json", f"a-{number}", Bounds(cpu_s=1.0)) is None
        rations.take("json", f"a-{number}", 1.0, is_late=False)
    assert len(register._known) <= 10_000 and len(rations._rations) == 10_000
    assert rations.refuse("json", "a-10099", Bounds(cpu_s=1.0)) == "cpu_cap"
