"""The bench: whose calls come before which judge, what leaves, what is retried, and what becomes of rulings."""

from __future__ import annotations

import json
import threading

from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.config import Capture, Config
from proxy.controlplane.inspection.inspector import Inspector
from proxy.controlplane.judges.asking import NotAsked
from proxy.controlplane.judges.bench import Bench
from proxy.inspecting import Evaluators
from proxy.judging import Judge
from proxy.record import Sample as Sent
from proxy.redact import Redactor

JUDGE = Judge("tone", "up", "m", "be kind", share=1.0, per_minute=60.0)
PAIR = Judge("pair", "up", "m", "r", against="big", share=1.0)
REQUEST = json.dumps({"messages": [{"role": "user", "content": "my password: hunter2hunter2"}]}).encode()
FAIL = {"score": 0.1, "label": "curt", "explanation": "says hunter2hunter2"}


def reply(text: object) -> bytes:
    content = text if isinstance(text, str) else json.dumps(text)
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


class Court:
    """A bench before a scripted model."""

    def __init__(self, *replies: object, judges: tuple[Judge, ...] = (JUDGE,), capture: bool = False, draws: float = 0.0) -> None:
        self.now_s = 1000.0
        self.replies = list(replies)
        self.asked: list[tuple[str, dict, str | None, float]] = []
        self.inspector = Inspector(Evaluators())
        config = Config(judges=list(judges), capture=Capture(content=capture))
        redact = Redactor(["hunter2hunter2"])
        self.bench = Bench(config, "http://bridge", self.inspector, redact, self.answer, lambda: draws, lambda: self.now_s)
        self.inspector.listeners.append(self.bench.hear)
        self.told: list[Verdict] = []
        self.inspector.listeners.append(lambda sent, sample, verdicts: self.told.extend(verdicts))

    def answer(self, url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> bytes:
        self.asked.append((url, json.loads(body), headers, timeout_s))
        one = self.replies.pop(0)
        if isinstance(one, Exception):
            raise one
        return reply(one)

    def inspect(self, agent: str = "a", text: str = "Go away. hunter2hunter2", **other: object) -> int:
        """How many calls wait for a judge after one more was inspected."""
        known = {"id": "c1", "agent": agent, "format": "f", "usage_source": "reported", "text": text, "request": REQUEST}
        self.inspector.inspect(Sent(**{**known, **other}))
        return self.bench._waiting.qsize()

    def rule(self) -> None:
        while not self.bench._waiting.empty():
            self.bench.judge(*self.bench._waiting.get())


def test_a_call_is_put_before_a_judge_without_its_secrets_and_the_verdict_is_like_any_other() -> None:
    court = Court(FAIL)
    court.inspect()
    court.rule()
    ((url, body, headers, timeout_s),) = court.asked
    assert (url, headers, timeout_s, body["model"]) == ("http://bridge/a/judge-tone/up/v1/chat/completions", {}, 60.0, "m")
    assert "hunter2" not in json.dumps(body) and "Go away." in body["messages"][1]["content"]
    assert court.inspector.rows[-1][2:] == ("tone", "curt", "warning", 0.1, ""), "what it explains may quote, and content is not kept"
    assert court.told[-1] == Verdict("tone", "curt", 0.1, "warning", "")
    text = str([(sample.labels, sample.value) for family in court.inspector.tally.collect() for sample in family.samples])
    assert "{'evaluator': 'tone', 'label': 'curt'}, 1" in text
    assert court.bench._waiting.empty(), "its own verdict is no second call"


def test_where_content_is_kept_its_words_are_too_without_secrets() -> None:
    court = Court({**FAIL, "score": 1.0}, capture=True)
    court.inspect()
    court.rule()
    assert court.inspector.rows[-1][2:] == ("tone", "pass", "none", 1.0, "says [redacted]"), "a pass is kept as well: not every call is judged"


def test_nonsense_is_asked_again_once_and_then_counted() -> None:
    court = Court("as you like", FAIL)
    court.inspect()
    court.rule()
    assert len(court.asked) == 2 and court.inspector.rows[-1][3] == "curt"
    court = Court("as you like", "as you like")
    court.inspect()
    court.rule()
    assert len(court.asked) == 2 and court.inspector.tally.failures == {("tone", "nonsense"): 1}


def test_the_order_of_two_answers_is_drawn() -> None:
    for draws, first in ((0.0, "theirs"), (0.9, "Go away. [redacted]")):
        court = Court("theirs", {"score": 1.0, "label": "first", "explanation": ""}, judges=(PAIR,), draws=draws)
        court.inspect()
        court.rule()
        assert [body["model"] for _, body, _, _ in court.asked] == ["big", "m"]
        assert json.loads(court.asked[1][1]["messages"][1]["content"])["first"] == first
        assert court.inspector.rows[-1][3] == ("worse" if first == "theirs" else "pass")


def test_a_comparison_needs_a_question() -> None:
    court = Court(judges=(PAIR,))
    court.inspect(request=None)
    court.rule()
    assert court.inspector.tally.failures == {("pair", "no_question"): 1}


def test_who_is_judged_and_how_often() -> None:
    court = Court(judges=(Judge("tone", "up", "m", "r", match={"agent": "a*"}, share=0.5, per_minute=2.0),))
    assert court.inspect("judge-tone") == court.inspect("b") == court.inspect("a", text=" ") == 0
    assert court.inspect("a") == 1 and court.inspect("a") == 1, "two a minute are one in thirty seconds"
    court.now_s += 30.0
    assert court.inspect("a") == 2
    court.now_s += 30.0
    court.bench._draw = lambda: 0.5
    assert court.inspect("a") == 2, "of the share"
    court.bench.hear(Sent(id="c", agent="a", format="f", usage_source="none"), Sample(text="x"), [Verdict("own", "bad", 0.0, "error")])
    assert court.bench._waiting.qsize() == 2


def test_judges_are_not_judged() -> None:
    court = Court(judges=(JUDGE, Judge("other", "up", "m", "r", share=1.0)))
    assert court.inspect("judge-other") == court.inspect("judge-tone") == 0 and court.inspect("judge-third") == 2


def test_what_is_too_much_is_counted() -> None:
    court = Court()
    for _ in range(102):
        court.now_s += 1.0
        waiting = court.inspect()
    assert waiting == 100 and court.inspector.tally.dropped == {"judge_behind": 2}


def test_one_that_fails_again_and_again_rests() -> None:
    court = Court(*[NotAsked("refused")] * 3, FAIL)
    for _ in range(3):
        court.now_s += 1.0
        court.inspect()
        court.rule()
    court.now_s += 59.0
    assert court.inspect() == 0 and court.inspector.tally.failures == {("tone", "refused"): 3}
    court.now_s += 1.0
    assert court.inspect() == 1


def test_it_works_in_its_own_thread_and_without_an_address_not_at_all() -> None:
    court, stopping = Court(FAIL), threading.Event()
    court.inspect()
    court.inspector.listeners.append(lambda *_: stopping.set())
    court.bench.run(stopping)
    assert court.told[-1].label == "curt"
    court.bench._base = ""
    court.bench.configure(Config(judges=[JUDGE]), str)
    assert court.inspect() == 0
