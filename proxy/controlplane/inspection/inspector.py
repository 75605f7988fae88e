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

    def __init__(self, evaluators: Evaluators, draw: Callable[[], float] = random.random, clock: Callable[[], float] = time.monotonic) -> None:
        self.tally = Tally()
        self.rows: deque[Row] = deque(maxlen=_MOST_ROWS)
        self.listeners: list[Listener] = []
        self._draw = draw
        self._clock = clock
        self._waiting: queue.Queue[tuple[Sent, Sample]] = queue.Queue(_MOST_GUESTS_WAITING)
        self._guests: list[tuple[Apart, float]] = []
        self._held: Evaluators | None = None  # whose guests there are
        self.configure(evaluators)

    def configure(self, evaluators: Evaluators) -> None:
        """Take other settings, from the next call on."""
        self._expected = [(one, _read_schema(one.schema)) for one in evaluators.expect]
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
        """What our evaluators say of a sample, each as often as it is to be asked."""
        shares = self._settings.shares
        verdicts = []
        for name, judge in catalog.BUILT_IN.items():
            share = shares.get(name, 1.0)
            if share >= 1 or self._draw() < share:
                verdict = self._judge(name, judge, sample)
                if verdict is not None:
                    verdicts.append(verdict)
        return verdicts

    def add(self, sent: Sent, sample: Sample, verdict: Verdict) -> None:
        """Take in what somebody else has said of an inspected call; kept also where it is `pass`, for not every call is put before them."""
        self._take(sent, verdict, is_kept=True)
        self._tell(sent, sample, [verdict])

    def prepare(self, sent: Sent) -> Sample:
        """A sample as the evaluators see it: what was asked is read from the request, what is expected from the config."""
        question = read_question(sent.request)
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
            self._guests = [(Apart(one.name, one.path, one.timeout_s), one.share) for one in settings.own]
            self._held = settings
        found = []
        for guest, share in self._guests:
            if share < 1 and self._draw() >= share:
                continue
            started = self._clock()
            try:
                verdict = guest.judge(sample)
            except NoVerdict as error:
                self.tally.fail(guest.name, error.reason)
                continue
            self.tally.time(guest.name, self._clock() - started)
            if verdict is not None:
                self._take(sent, verdict)
                found.append(verdict)
        if found:
            self._tell(sent, sample, found)

    def _close_guests(self) -> None:
        for guest, _ in self._guests:
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
