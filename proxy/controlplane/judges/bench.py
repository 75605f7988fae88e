"""The bench: hears which calls were inspected, has judges look at a few of them, and hands on their verdicts.

`hear` is called from the threads that inspect, decides by share and pace, and only puts into a bounded queue; `run` belongs to one thread. Text
goes to the upstream that the config names and nowhere else, redacted as captured content is; what a judge explains is kept only where content is.
"""

from __future__ import annotations

import logging
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import quote

import msgspec

from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.config import Config
from proxy.controlplane.inspection.tally import Tally
from proxy.controlplane.judges.asking import NotAsked, ask
from proxy.controlplane.judges.forms import Messages, choose_form
from proxy.controlplane.judges.ruling import MOST_EXPLANATION, make_verdict, read_ruling, write_question
from proxy.controlplane.prompts import read_prompt
from proxy.inspecting import BUILT_IN
from proxy.judging import Judge
from proxy.record import Sample as Sent
from proxy.toll.subject import Picker, Subject, make_picker

log = logging.getLogger("weighbridge.judges")
_MOST_WAITING = 100  # calls
_TRIES = 2  # until a ruling is as it must be
_FAILURES = 3  # in a row, after which a judge rests
_REST_S = 60.0
Redact = Callable[[str], str]
Ask = Callable[[str, bytes, Mapping[str, str], float], bytes]


class Inspector(Protocol):
    """Who takes verdicts in."""

    tally: Tally

    def add(self, sent: Sent, sample: Sample, verdict: Verdict) -> None: ...


class _Seat:
    """One judge, and how it fares."""

    def __init__(self, judge: Judge, dialect: str, environment: Mapping[str, str]) -> None:
        self.judge = judge
        self.form = choose_form(dialect, judge.path)
        self.pick: Picker = make_picker([], judge.match)
        self.key = judge.find_key(environment)
        self.due_s = 0.0  # when the next call may be put before it
        self.rests_until_s = 0.0
        self.failures = 0


class Bench:
    """All judges. Times are seconds of a monotonic clock."""

    def __init__(
        self, config: Config, base: str, inspector: Inspector, redact: Redact, ask: Ask = ask,
        draw: Callable[[], float] = random.random, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._base = base  # the data plane's address; empty: nobody is asked
        self._inspector = inspector
        self._ask = ask
        self._draw = draw
        self._clock = clock
        self._waiting: queue.Queue[tuple[_Seat, Sent, Sample]] = queue.Queue(_MOST_WAITING)
        self.configure(config, redact)

    def configure(self, config: Config, redact: Redact, environment: Mapping[str, str] = os.environ) -> None:
        """Take other settings, from the next call on."""
        self._redact = redact
        self._keeps_content = config.capture.content
        self._agents = frozenset(judge.agent for judge in config.judges)
        dialects = {name: one.dialect for name, one in config.upstreams.items()}  # the demo's paths tell by themselves
        self._seats = [_Seat(judge, dialects.get(judge.upstream, "openai"), environment) for judge in config.judges] if self._base else []

    def hear(self, sent: Sent, sample: Sample, verdicts: list[Verdict]) -> None:
        """A call was inspected. What others say of it later is no second call, and judges are not judged."""
        if not self._seats or sent.agent in self._agents or not sample.text.strip() or any(one.name not in BUILT_IN for one in verdicts):
            return
        subject = Subject(sent.agent, sent.upstream or "", sent.model_asked or sent.model, team=sent.team, task=sent.task)
        now_s = self._clock()
        for seat in self._seats:
            judge = seat.judge
            is_free = now_s >= max(seat.due_s, seat.rests_until_s)
            if not is_free or seat.pick(subject) is None or (judge.share < 1 and self._draw() >= judge.share):
                continue
            seat.due_s = now_s + 60.0 / judge.per_minute
            try:
                self._waiting.put_nowait((seat, sent, sample))
            except queue.Full:
                self._inspector.tally.drop("judge_behind")

    def run(self, stopping: threading.Event) -> None:
        """Put calls before judges until told to stop."""
        while not stopping.is_set():
            try:
                seat, sent, sample = self._waiting.get(timeout=0.5)
            except queue.Empty:
                continue
            self.judge(seat, sent, sample)

    def judge(self, seat: _Seat, sent: Sent, sample: Sample) -> None:
        """Have one judge rule on one call."""
        name, started_s = seat.judge.name, self._clock()
        try:
            verdict = self._rule(seat, sent, sample)
        except (NotAsked, OSError, UnicodeError) as error:
            self._inspector.tally.fail(name, error.reason if isinstance(error, NotAsked) else "rubric")
            seat.failures += 1
            if seat.failures >= _FAILURES:
                seat.failures, seat.rests_until_s = 0, self._clock() + _REST_S
                log.warning("the judge %s rests for %g s after %d failures in a row; the last one: %s", name, _REST_S, _FAILURES, error)
            return
        seat.failures = 0
        self._inspector.tally.time(name, self._clock() - started_s)
        if verdict is None:
            self._inspector.tally.fail(name, "nonsense")
        else:
            self._inspector.add(sent, sample, verdict)

    def _rule(self, seat: _Seat, sent: Sent, sample: Sample) -> Verdict | None:
        """The verdict; None where the judge does not say what it is asked to. Raises `NotAsked`, OSError, UnicodeError."""
        judge = seat.judge
        request = sent.request if judge.against is not None else sent.outline or sent.request  # another model must have all of it
        prompt = read_prompt(request) if request is not None else None
        question = self._redact("\n\n".join(prompt.texts)) if prompt is not None and prompt.texts else None
        answer, other, is_swapped = self._redact(sample.text), None, False
        if judge.against is not None:
            if question is None:
                raise NotAsked("no_question")
            other = self._post(seat, judge.against, [{"role": "user", "content": question}])
            if other is None:
                raise NotAsked("no_answer")
            is_swapped = self._draw() < 0.5  # whichever stands first is at an advantage
        messages = write_question(judge.read_rubric(), question, answer, other, is_swapped=is_swapped)
        for _ in range(_TRIES):
            text = self._post(seat, judge.model, messages, wants_json=True)
            ruling = read_ruling(text or "", compares=other is not None)
            if ruling is not None:
                explanation = self._redact(ruling.explanation)[:MOST_EXPLANATION] if self._keeps_content else ""
                return make_verdict(judge, ruling, explanation, is_swapped=is_swapped)
        return None

    def _post(self, seat: _Seat, model: str, messages: Messages, *, wants_json: bool = False) -> str | None:
        """The text of the model's answer; None where there is none. Raises `NotAsked`."""
        judge, form = seat.judge, seat.form
        url = f"{self._base}/a/{quote(judge.agent, safe='')}/{quote(judge.upstream, safe='')}{form.locate(judge.path, model)}"
        body = msgspec.json.encode(form.write(model, messages, wants_json))
        return form.find_text(self._ask(url, body, form.sign(seat.key), judge.timeout_s))
