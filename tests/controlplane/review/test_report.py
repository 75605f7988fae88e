"""How calls stand in review, and how evaluators and reviewers agree, on known rows."""

from __future__ import annotations

import msgspec
import pytest

from proxy.controlplane.answers import answer
from proxy.controlplane.reports import BadQuestion, Report
from proxy.controlplane.review.report import find_interval, weigh
from proxy.controlplane.store import Loaded, Store
from proxy.reviewed import ReviewEvent

S = 10**9


def step(id: str, at_s: int, state: str, by: str = "weighbridge", **other: object) -> bytes:
    return msgspec.json.encode(ReviewEvent(id=id, at_ns=at_s * S, by=by, state=state, **other))


@pytest.fixture
def filled(store: Store) -> Store:
    """Flagged: f1 to f3, of which two are faulty. Sampled with a tenth: s1 sound, s2 faulty and missed. w waits."""
    steps = [step(id, at, "queued", reason="flagged", share=1.0, agent="a") for at, id in enumerate(("f1", "f2", "f3", "w"), 1)]
    steps += [step(id, at, "queued", reason="sampled", share=0.1, agent="b", task="t") for at, id in enumerate(("s1", "s2"), 5)]
    steps += [step(id, 10, "fail", "jo", note="no") for id in ("f1", "f2", "s2")] + [step(id, 11, "pass", "mo") for id in ("f3", "s1")]
    store.load(Loaded(rows={"reviews": steps}))
    rows = [(id, 0, "any", "pass" if id[0] == "s" else "loop", "none", 0.0, "") for id in ("f1", "f2", "f3", "s1", "s2", "w")]
    rows += [("f1", 0, "repetition", "loop", "error", 0.0, ""), ("f2", 0, "leaks", "template", "warning", 0.0, "")]
    rows += [("f3", 0, "repetition", "lines", "warning", 0.0, ""), ("s1", 0, "refusal", "boilerplate", "info", 0.5, "")]
    store.keep_verdicts(rows)
    return store


def ask(store: Store, name: str, **asked: str) -> Report:
    return answer(store.query, name, asked, 100 * S, list)


def test_what_waits_comes_first_and_then_the_last_decisions(filled: Store) -> None:
    made = ask(filled, "reviews")
    rows = [dict(zip(made.columns, row, strict=True)) for row in made.rows]
    assert [row["id"] for row in rows] == ["w", "f3", "s1", "f1", "f2", "s2"]
    assert (rows[0]["state"], rows[0]["decided_ns"], rows[0]["verdict"], rows[0]["at_ns"]) == ("queued", None, "loop", 4 * S)
    assert (rows[3]["state"], rows[3]["by"], rows[3]["note"], rows[3]["reason"], rows[3]["agent"]) == ("fail", "jo", "no", "flagged", "a")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"state": "open"}, ["w"]), ({"state": "fail"}, ["f1", "f2", "s2"]), ({"state": "decided", "agent": "b"}, ["s1", "s2"]),
        ({"by": "mo"}, ["f3", "s1"]),
        ({"last": "2"}, ["w", "f3"]), ({"since": "1970-01-01T00:00:05Z"}, ["s1", "s2"]), ({"until": "1970-01-01T00:00:02Z"}, ["f1"]),
        ({"reason": "sampled", "task": "t"}, ["s1", "s2"]), ({"agent": "x' OR 'a'='a"}, []),
    ],
)  # fmt: skip
def test_reviews_are_filtered(filled: Store, asked: dict[str, str], expected: list[str]) -> None:
    assert [row[1] for row in ask(filled, "reviews", **asked).rows] == expected


def test_what_cannot_be_asked_is_told(filled: Store) -> None:
    for name, asked in (("reviews", {"state": "done"}), ("reviews", {"outcome": "ok"}), ("agreement", {"team": "t"}), ("agreement", {"x": "t"})):
        with pytest.raises(BadQuestion):
            ask(filled, name, **asked)


def test_agreement_weighs_a_drawn_call_by_how_many_it_stands_for(filled: Store) -> None:
    made = ask(filled, "agreement")
    rows = {row[0]: dict(zip(made.columns, row, strict=True)) for row in made.rows}
    assert set(rows) == {"any of them", "repetition", "leaks"}, "what is only worth knowing is no objection"
    whole = rows["any of them"]
    assert [whole[name] for name in ("reviewed", "flagged", "failed", "both", "precision")] == [5, 3, 3, 2, 0.667]
    assert whole["recall"] == round(2 / 12, 3), "of 2 flagged and 10 that the one drawn stands for"
    one = rows["repetition"]
    assert [one[name] for name in ("flagged", "both", "precision", "recall")] == [2, 1, 0.5, round(1 / 12, 3)]
    assert ask(filled, "agreement", agent="b").rows == [
        ["any of them", 2, 0, 1, 0, None, None, None, 0.0, 0.0], ["leaks", 2, 0, 1, 0, None, None, None, 0.0, 0.0],
        ["repetition", 2, 0, 1, 0, None, None, None, 0.0, 0.0],
    ]  # fmt: skip
    assert "nobody has reviewed" in ask(filled, "agreement", agent="nobody").note


def test_a_judge_is_held_to_the_calls_that_were_put_before_it(filled: Store) -> None:
    filled.keep_verdicts([("f1", 0, "rubric", "pass", "none", 1.0, ""), ("s2", 0, "rubric", "off_topic", "error", 0.0, "")])
    (row,) = [row for row in ask(filled, "agreement").rows if row[0] == "rubric"]
    assert row[1:6] == [2, 1, 2, 1, 1.0], "of two reviewed calls it failed one, and reviewers both"


def test_the_figures_are_those_of_the_books() -> None:
    assert find_interval(8, 10) == (0.49, 0.943)  # Wilson's, as R's prop.test without correction gives it
    assert find_interval(0, 0) == (None, None) and find_interval(0, 5)[0] == 0.0
    # Cohen 1960: 20 both, 5 and 10 one alone, 15 neither: kappa 0.4
    table = {(True, True): (20, 20.0), (True, False): (5, 5.0), (False, True): (10, 10.0), (False, False): (15, 15.0)}
    assert weigh(table)[-1] == 0.4
