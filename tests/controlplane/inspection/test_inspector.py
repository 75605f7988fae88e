"""The inspector: from samples of the data plane to verdicts kept and counted."""

from __future__ import annotations

import json
import queue
import threading
from pathlib import Path

import pytest

from evaluators import catalog
from evaluators.sample import Sample
from proxy.controlplane.inspection.inspector import Inspector
from proxy.inspecting import Evaluators, Expectation, OwnEvaluator
from proxy.record import Sample as Sent

ENGLISH = "The mill is on the other side of the river and it was built by the monks, who had it for many years."


def send(text: str = ENGLISH, request: dict | None = None, **other: object) -> Sent:
    body = json.dumps(request or {}).encode()
    return Sent(**{"id": "c1", "agent": "a", "format": "openai.chat", "usage_source": "reported", "text": text, "request": body, **other})


def found(inspector: Inspector, sent: Sent) -> dict[str, str]:
    return {verdict.name: verdict.label for verdict in inspector.inspect(sent) if verdict.severity != "none"}


def test_a_sound_answer_leaves_one_row() -> None:
    inspector = Inspector(Evaluators())
    assert found(inspector, send()) == {}
    ((call, _, evaluator, label, severity, score, explanation),) = inspector.rows
    assert (call, evaluator, label, severity, score, explanation) == ("c1", "any", "pass", "none", 1.0, "")


def test_what_was_asked_is_held_against_the_answer() -> None:
    inspector = Inspector(Evaluators())
    asked = {"response_format": {"type": "json_object"}, "tools": [{"type": "function", "function": {"name": "f"}}]}
    assert found(inspector, send(request=asked)) == {"json": "invalid"}
    assert found(inspector, send(text="{}", request={})) == {"empty": "empty_json"}
    assert found(inspector, send(text="", tools=[("g", "{}")], request=asked)) == {"tools": "not_offered"}
    assert [row[2:5] for row in inspector.rows][:2] == [("any", "invalid", "error"), ("json", "invalid", "error")]


def test_what_the_user_wrote_goes_with_the_answer() -> None:
    asked = {"messages": [{"role": "user", "content": "How long is the river?"}]}
    assert Inspector(Evaluators()).prepare(send(request=asked)).prompt == "How long is the river?"


def test_reasoning_without_an_answer_is_told_from_nothing() -> None:
    inspector = Inspector(Evaluators())
    assert found(inspector, send(text="")) == {"empty": "empty"}
    assert found(inspector, send(text="", output_bytes=400)) == {"empty": "only_reasoning"}
    assert found(inspector, send(text="", reasoning_tokens=100)) == {"empty": "only_reasoning"}


def test_an_answer_that_fills_what_is_kept_is_no_whole_one() -> None:
    inspector = Inspector(Evaluators())
    assert inspector.prepare(send(text="x" * 65536)).is_cut
    assert inspector.prepare(send(tools=[("f", "x" * 65536)])).is_cut
    assert not inspector.prepare(send()).is_cut


def test_expectations_concern_their_agents_and_tasks(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "array"}')
    expect = [Expectation(agent="fr-*", language="fr"), Expectation(task="list", schema=str(schema)), Expectation(agent="j", json=True)]
    inspector = Inspector(Evaluators(expect=expect))
    assert found(inspector, send(agent="fr-1")) == {"language": "other_language"}
    assert found(inspector, send(agent="j")) == {"json": "invalid"}
    assert found(inspector, send(text='{"a": 1}', task="list")) == {"json": "schema"}
    assert found(inspector, send(agent="x", task="y")) == {}
    schema.unlink()
    inspector.configure(Evaluators(expect=expect))
    assert found(inspector, send(text="[", task="list"))["json"] == "cut"


def test_an_evaluator_may_judge_a_share() -> None:
    draws = iter([0.4, 0.6])
    inspector = Inspector(Evaluators(shares={"empty": 0.5}), draw=lambda: next(draws))
    assert [found(inspector, send(text="")) for _ in range(2)] == [{"empty": "empty"}, {}]


def test_a_defect_costs_a_verdict_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(sample: Sample) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(catalog.BUILT_IN, "empty", break_down)
    inspector = Inspector(Evaluators())
    inspector.listeners += [lambda *_: 1 / 0, lambda sent, sample, verdicts: told.append((sent.id, sample.text, len(verdicts) > 3))]
    told: list[object] = []
    assert found(inspector, send(text="<|im_end|>")) == {"leaks": "control_token"}
    assert inspector.tally.failures == {("empty", "raised"): 1, ("<lambda>", "listener"): 1}
    assert told == [("c1", "<|im_end|>", True)]


def test_evaluators_of_others_are_asked_beside_ours() -> None:
    own = OwnEvaluator("mine", "tests.controlplane.inspection.guests:judge", timeout_s=60.0)
    inspector = Inspector(Evaluators(own=[own]))
    stopping = threading.Event()
    heard = threading.Event()
    inspector.listeners.append(lambda sent, sample, verdicts: heard.set() if verdicts[0].name == "mine" else None)
    thread = threading.Thread(target=inspector.run_guests, args=(stopping,), daemon=True)
    thread.start()
    inspector.inspect(send(text="LOUD"))
    assert heard.wait(300)
    stopping.set()
    thread.join(60)
    assert not thread.is_alive()
    assert [row[2:4] for row in inspector.rows] == [("any", "pass"), ("mine", "shout")]


def test_what_others_cannot_keep_up_with_is_dropped_and_counted() -> None:
    inspector = Inspector(Evaluators(own=[OwnEvaluator("mine", "a:b")]))
    for _ in range(103):
        inspector.inspect(send())
    assert inspector.tally.dropped == {"own_behind": 3}
    assert inspector.tally.calls == 103


def test_it_works_until_told_to_stop() -> None:
    inspector, stopping, samples = Inspector(Evaluators()), threading.Event(), queue.Queue()
    inspector.listeners.append(lambda *_: stopping.set())
    samples.put([send(), send(id="c2")])
    inspector.run(samples, stopping)
    assert inspector.tally.calls == 2
