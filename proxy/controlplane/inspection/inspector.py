"""The inspector: judges the samples that the data plane chose, in a thread of its own, and keeps and counts what is found.

Our evaluators are bounded by how they are built, and run here. Those of others run in `guests`, another thread, each in a process of its own, and
what they cannot keep up with is dropped and counted. Nothing of an answer's text is kept: verdicts are names, figures and explanations that
quote nothing. Whoever else wants to know (drift, traces) is told through `listeners`.
"""

from __future__ import annotations

import fnmatch
import logging
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from evaluators import catalog
from evaluators.sample import Sample, ToolCall
from evaluators.verdict import PASS, Verdict
from proxy.controlplane.inspection.apart import Apart, NoVerdict
from proxy.controlplane.inspection.manners import CPU_CAP, Bounds, Rations, Register
from proxy.controlplane.inspection.question import read_question
from proxy.controlplane.inspection.tally import Tally
from proxy.inspecting import Evaluators
from proxy.record import Sample as Sent
from proxy.wire.tally import MOST_TEXT

log = logging.getLogger("weighbridge.inspection")
ANY = "any"  # stands in a row of `verdicts` for all evaluators together: one for each inspected call
_MOST_ROWS = 10_000  # that wait for the database
_MOST_GUESTS_WAITING = 100
_BYTES_A_TOKEN = 4
_GRAVITY = ("none", "info", "warning", "error")
Row = tuple[str, int, str, str, str, float, str]  # call, at ns, evaluator, label, severity, score, explanation
Listener = Callable[[Sent, Sample, list[Verdict]], None]


class Inspector:
    """`run` and `run_guests` belong to a thread each; `configure` may be called from any."""

    def __init__(
        self, evaluators: Evaluators, draw: Callable[[], float] = random.random, clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:  # fmt: skip
        self.tally = Tally()
        self.rows: deque[Row] = deque(maxlen=_MOST_ROWS)
        self.listeners: list[Listener] = []
        self._draw = draw
        self._clock = clock
        self._worked = worked  # for how long this thread has worked
        self._rations = Rations(clock)
        self._waiting: queue.Queue[tuple[Sent, Sample]] = queue.Queue(_MOST_GUESTS_WAITING)
        self._guests: list[Apart] = []
        self._held: Evaluators | None = None  # whose guests there are
        self.configure(evaluators)

    def configure(self, evaluators: Evaluators) -> None:
        """Take other settings, from the next call on."""
        self._expected = [(one, _read_schema(one.schema)) for one in evaluators.expect]
        self._register = Register(evaluators)
        self._settings = evaluators

    def run(self, samples: queue.Queue[list[Sent]], stopping: threading.Event) -> None:
        """Judge what comes until told to stop."""
        while not stopping.is_set():
            try:
                batch = samples.get(timeout=0.5)
            except queue.Empty:
                continue
            for sent in batch:
                self.inspect(sent)

    def inspect(self, sent: Sent) -> list[Verdict]:
        """The verdicts of our evaluators on one call; those of others come later."""
        sample = self.prepare(sent)
        verdicts = self.judge(sample)
        self.tally.calls += 1
        for part in sent.left_out:
            self.tally.miss(part)
        worst = max(verdicts, key=lambda verdict: (_GRAVITY.index(verdict.severity), -verdict.score), default=Verdict(ANY))
        self._take(sent, msgspec.structs.replace(worst, name=ANY, explanation=""), is_whole=True)
        for verdict in verdicts:
            self._take(sent, verdict)
        if self._settings.own:
            try:
                self._waiting.put_nowait((sent, sample))
            except queue.Full:
                self.tally.drop("own_behind")
        self._tell(sent, sample, verdicts)
        return verdicts

    def judge(self, sample: Sample) -> list[Verdict]:
        """What our evaluators say of a sample, each as often as it is to be asked and as gravely as it is meant."""
        manners = self._register.find(sample.agent, sample.task)
        verdicts = []
        for name, judge in catalog.BUILT_IN.items():
            bounds = manners.bounds[name]
            if bounds.share >= 1 or self._draw() < bounds.share:
                verdict = self._ration(name, judge, sample, bounds) if bounds.is_rationed else self._judge(name, judge, sample)
                if verdict is not None:
                    verdicts.append(manners.grade(verdict))
        return verdicts

    def thin(self, name: str, listener: Listener) -> Listener:
        """A listener that hears of as many answers of each agent as an evaluator of that name would judge."""

        def hear(sent: Sent, sample: Sample, verdicts: list[Verdict]) -> None:
            share = self._register.find(sent.agent, sent.task).bounds[name].share
            if share >= 1 or self._draw() < share:
                listener(sent, sample, verdicts)

        return hear

    def add(self, sent: Sent, sample: Sample, verdict: Verdict) -> None:
        """Take in what somebody else has said of an inspected call; kept also where it is `pass`, for not every call is put before them."""
        self._take(sent, verdict, is_kept=True)
        self._tell(sent, sample, [verdict])

    def prepare(self, sent: Sent) -> Sample:
        """A sample as the evaluators see it: what was asked is read from the request, what is expected from the config."""
        question = read_question(sent.outline or sent.request, sent.left_out)
        calls = [ToolCall(name, arguments) for name, arguments in sent.tools]
        thought = sent.reasoning_tokens
        if not thought and not sent.tools and not sent.text.strip():
            thought = sent.output_bytes // _BYTES_A_TOKEN  # seen and not kept: it was for no one's eyes
        asked, schema, language = question.asked, question.schema, None
        for expected, known in self._expected:
            if fnmatch.fnmatchcase(sent.agent, expected.agent) and fnmatch.fnmatchcase(sent.task or "", expected.task):
                language = expected.language or language
                asked = "json" if expected.json or expected.schema else asked
                schema = known if known is not None else schema
        return Sample(
            text=sent.text, calls=calls, offered=question.offered, finish=sent.finish, asked=asked, schema=schema, language=language,
            prompt=question.prompt, prompt_language=question.language, prompt_digest=question.digest,
            is_cut=len(sent.text) >= MOST_TEXT or sum(len(call.arguments) for call in calls) >= MOST_TEXT,
            id=sent.id, agent=sent.agent, task=sent.task, model=sent.model, input_tokens=sent.input_tokens, output_tokens=sent.output_tokens,
            reasoning_tokens=thought, duration_ns=sent.duration_ns, first_token_ns=sent.first_token_ns,
        )  # fmt: skip

    def _judge(self, name: str, judge: catalog.Judge, sample: Sample) -> Verdict | None:
        started = self._clock()
        try:
            verdict = judge(sample)
        except Exception:  # the guard around an evaluator: a defect costs its verdict, and is counted
            self.tally.fail(name, "raised")
            log.exception("the evaluator %s failed", name)
            return None
        self.tally.time(name, self._clock() - started)
        return verdict

    def _ration(self, name: str, judge: catalog.Judge, sample: Sample, bounds: Bounds) -> Verdict | None:
        """The same within bounds. What runs here cannot be stopped: that it was late costs its verdict, and in the end a rest."""
        if self._is_refused(name, sample.agent, bounds):
            return None
        started_s = self._worked()
        verdict = self._judge(name, judge, sample)
        taken_s = self._worked() - started_s
        is_late = bounds.timeout_s is not None and taken_s > bounds.timeout_s
        self._rations.take(name, sample.agent, taken_s, is_late=is_late)
        if is_late:
            self.tally.fail(name, "timeout")
            return None
        return verdict

    def _is_refused(self, name: str, agent: str, bounds: Bounds) -> bool:
        """Whether an evaluator has taken all that it may for an agent; counted, if so."""
        reason = self._rations.refuse(name, agent, bounds)
        if reason == CPU_CAP:
            self.tally.skip(name, reason)
        elif reason is not None:
            self.tally.fail(name, reason)
        return reason is not None

    def _take(self, sent: Sent, verdict: Verdict, *, is_whole: bool = False, is_kept: bool = False) -> None:
        """Count a verdict, and keep it where it says something; of every call one row is kept."""
        if not is_whole:
            self.tally.count(sent.agent, sent.team, verdict)
        if is_whole or is_kept or verdict.label != PASS:
            if len(self.rows) == _MOST_ROWS:
                self.tally.drop("verdict_not_kept")
            self.rows.append((sent.id, time.time_ns(), verdict.name, verdict.label, verdict.severity, verdict.score, verdict.explanation))

    def _tell(self, sent: Sent, sample: Sample, verdicts: list[Verdict]) -> None:
        for listener in self.listeners:
            try:
                listener(sent, sample, verdicts)
            except Exception:  # the guard around whoever listens: a defect there costs the others nothing
                self.tally.fail(getattr(listener, "__name__", "listener"), "listener")
                log.exception("one that listens to verdicts failed")

    def run_guests(self, stopping: threading.Event) -> None:
        """Ask the evaluators of others until told to stop."""
        while not stopping.is_set():
            try:
                sent, sample = self._waiting.get(timeout=0.5)
            except queue.Empty:
                continue
            self.ask_guests(sent, sample)
        self._close_guests()

    def ask_guests(self, sent: Sent, sample: Sample) -> None:
        """The verdicts of the evaluators of others on one call."""
        settings = self._settings
        if self._held is not settings:
            self._close_guests()
            self._guests = [Apart(one.name, one.path, one.timeout_s) for one in settings.own]
            self._held = settings
        manners = self._register.find(sent.agent, sent.task)
        found = []
        for guest in self._guests:
            bounds = manners.bounds.get(guest.name)
            if bounds is None or (bounds.share < 1 and self._draw() >= bounds.share):  # None: a reload has just taken it away
                continue
            if bounds.is_rationed and self._is_refused(guest.name, sent.agent, bounds):
                continue
            verdict = self._ask(guest, sent.agent, sample, bounds)
            if verdict is not None:
                verdict = manners.grade(verdict)
                self._take(sent, verdict)
                found.append(verdict)
        if found:
            self._tell(sent, sample, found)

    def _ask(self, guest: Apart, agent: str, sample: Sample, bounds: Bounds) -> Verdict | None:
        started, reason, verdict = self._clock(), None, None
        try:
            verdict = guest.judge(sample, bounds.timeout_s)
        except NoVerdict as error:
            reason = error.reason
            self.tally.fail(guest.name, reason)
        taken_s = self._clock() - started
        if bounds.is_rationed:
            most_s = guest.timeout_s if bounds.timeout_s is None else bounds.timeout_s
            self._rations.take(guest.name, agent, min(taken_s, most_s), is_late=reason == "timeout")  # the start of its process is not on it
        if reason is None:
            self.tally.time(guest.name, taken_s)
        return verdict

    def _close_guests(self) -> None:
        for guest in self._guests:
            guest.close()
        self._guests, self._held = [], None


def _read_schema(path: str | None) -> Any:
    """The schema in a file, which was there when the config was checked."""
    if path is None:
        return None
    try:
        return msgspec.json.decode(Path(path).read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        log.error("the schema %s cannot be read any more, and nothing is held against it: %s", path, error)
        return None
