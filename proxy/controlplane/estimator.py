"""Better figures for calls whose provider reported no usage: tokens counted from their sample, priced, written as a correction.

The data plane guesses such a call by its bytes, at once. Here, in a thread of its own and in its own time, the text is counted with
tiktoken and corrected by the ratio learned for its model from calls that did report. A call is corrected when both its
record and its sample have come, in whichever order; where one never comes, the first guess stays. Until the first call is corrected, the
latest lessons only wait: a vocabulary takes half a second and 80 MB to load, and where every provider reports its usage none is needed.
"""

from __future__ import annotations

import json
import logging
import math
import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from proxy.call import Usage
from proxy.config import Config
from proxy.controlplane import tokens
from proxy.controlplane.events import Weighed
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.metrics.errors import EstimateErrors
from proxy.controlplane.ratios import Ratios
from proxy.controlplane.schema import TOKENIZER
from proxy.controlplane.settlement import Precedence, adjust
from proxy.pricing.book import Book
from proxy.pricing.providers import Providers
from proxy.record import Correction, Sample

log = logging.getLogger("weighbridge.estimator")
_MOST_WAITING = 2000
_MOST_LESSONS = 100  # waiting; more than a model's ratio is made of
_BYTES_A_TOKEN = 4
Content = tuple[str, int, str, str, str]


class Estimator:
    """Pairs samples with records. `observe` and `configure` may be called from any thread; everything else belongs to its own."""

    def __init__(self, config: Config, book: Book, writer: JournalWriter, precedence: Precedence, redact: Callable[[str], str], state: Path) -> None:
        self.corrected = 0
        self.learned = 0
        self.errors = EstimateErrors()
        self.content: deque[Content] = deque(maxlen=1000)
        self._capture = config.capture
        self._book = book
        self._writer = writer
        self._precedence = precedence
        self._redact = redact
        self._state = state
        self._ratios = Ratios()
        self._samples: OrderedDict[str, Sample] = OrderedDict()
        self._records: OrderedDict[str, Weighed] = OrderedDict()
        self._lessons: deque[Sample] = deque(maxlen=_MOST_LESSONS)
        self._is_needed = False  # whether a call had to be corrected yet
        self._incoming: queue.SimpleQueue[Weighed] = queue.SimpleQueue()
        self._providers = Providers(book, config.upstreams)
        self._load()

    def configure(self, config: Config, book: Book, redact: Callable[[str], str]) -> None:
        """Take other prices, and another will to keep content, from the next call on."""
        self._book, self._providers = book, Providers(book, config.upstreams)
        self._capture, self._redact = config.capture, redact

    def observe(self, weighed: list[Weighed]) -> None:
        """Take note of loaded calls that were only estimated."""
        for one in weighed:
            if one.usage_source == "estimated":
                self._incoming.put(one)

    def run(self, samples: queue.Queue[list[Sample]], stopping: threading.Event) -> None:
        """Work until told to stop."""
        saved = time.monotonic()
        while not stopping.is_set():
            try:
                for sample in samples.get(timeout=0.5):
                    self.take(sample)
            except queue.Empty:
                pass
            self.pair()
            if time.monotonic() - saved > 60:
                self.save()
                saved = time.monotonic()
        self.save()

    def take(self, sample: Sample) -> None:
        """Take in one sample: keep its content where that is wanted, learn from it, or let it wait for its record."""
        if self._capture.content:
            self._keep(sample)
        if sample.usage_source == "estimated":
            self._samples[sample.id] = sample
            if len(self._samples) > _MOST_WAITING // 4:
                self._samples.popitem(last=False)
        elif sample.is_lesson and sample.usage_source == "reported":
            self._lessons.append(sample)
            if self._is_needed:
                self._learn()

    def pair(self) -> None:
        """Correct every call of which both halves are here."""
        while not self._incoming.empty():
            record = self._incoming.get_nowait()
            self._records[record.id] = record
            if len(self._records) > _MOST_WAITING:
                self._records.popitem(last=False)
        for call_id in [call_id for call_id in self._samples if call_id in self._records]:
            self._correct(self._samples.pop(call_id), self._records.pop(call_id))

    def _correct(self, sample: Sample, record: Weighed) -> None:
        self._is_needed = True
        self._learn()
        model = sample.model or record.model or record.model_asked
        given, made = record.input_tokens or 0, record.output_tokens or 0
        if sample.request:
            counted = tokens.estimate_prompt(sample.request, sample.format, model, sample.request_bytes)
            given = math.ceil(counted * self._ratios.ratio(model, "input"))
        if sample.text or sample.tools:
            made = math.ceil(_count_output(sample, model) * self._ratios.ratio(model, "output"))
        cost, version, adjusted = None, None, {}
        if record.cost_source != "unbilled":
            provider = self._providers.find(record.upstream, record.dialect)
            models, usage = (record.model, record.model_asked), Usage(input_tokens=given, output_tokens=made)
            priced = self._book.price(
                upstream=record.upstream, provider=provider, models=models, usage=usage, service_tier=record.service_tier, at_ns=record.started_ns
            )
            cost, version = priced.cost_nano_usd, priced.version
            adjusted = adjust(record.charged, cost, given + made)
        correction = Correction(
            id=record.id, at_ns=time.time_ns(), by=TOKENIZER, input_tokens=given, output_tokens=made, cost_nano_usd=cost, price_version=version,
            adjusted=adjusted,
        )  # fmt: skip
        with self._precedence.lock:
            if self._precedence.is_settled(record.id):
                return
            self._writer.write(correction)
        self.corrected += 1

    def _learn(self) -> None:
        """Learn from the calls that wait for it."""
        while self._lessons:
            self._learn_from(self._lessons.popleft())

    def _learn_from(self, sample: Sample) -> None:
        """Learn the model's ratios from a call that reported its usage and whose text is whole."""
        model = sample.model
        if not model:
            return
        if sample.output_tokens and sample.output_bytes and sample.output_bytes == _text_bytes(sample):
            self._compare(model, sample.output_tokens, _count_output(sample, model), "output")
        if sample.input_tokens and sample.request and len(sample.request) == sample.request_bytes:
            counted = tokens.estimate_prompt(sample.request, sample.format, model, sample.request_bytes)
            self._compare(model, sample.input_tokens, counted, "input")

    def _compare(self, model: str, reported: int, counted: int, kind: str) -> None:
        self.errors.count(kind, counted * self._ratios.ratio(model, kind), reported)
        self.learned += self._ratios.learn(model, reported, counted, kind)

    def _keep(self, sample: Sample) -> None:
        most = self._capture.max_bytes
        prompt = self._redact((sample.request or b"").decode("utf-8", "replace"))
        arguments = msgspec.json.encode([(name, self._redact(text)) for name, text in sample.tools]).decode()
        self.content.append((sample.id, time.time_ns(), _cut(prompt, most), _cut(self._redact(sample.text), most), _cut(arguments, most)))

    def save(self) -> None:
        """Write what was learned, so that a restart does not forget it."""
        try:
            fresh = self._state.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(self._ratios.dump()))
            fresh.replace(self._state)
        except OSError as error:
            log.warning("what was learned of the models' tokens could not be saved: %s", error.strerror)

    def _load(self) -> None:
        try:
            self._ratios.load(json.loads(self._state.read_bytes()))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("what was learned of the models' tokens cannot be read and is learned anew: %s", error)


def _text_bytes(sample: Sample) -> int:
    return len(sample.text.encode()) + sum(len(arguments.encode()) for _, arguments in sample.tools)


def _count_output(sample: Sample, model: str | None) -> int:
    """Tokens of the text and tool calls; where the sample holds only a part of the output, of all its bytes in proportion."""
    counted = tokens.count(sample.text, model) + sum(tokens.count(name + arguments, model) for name, arguments in sample.tools)
    held = _text_bytes(sample)
    if held == 0:
        return counted + sample.output_bytes // _BYTES_A_TOKEN
    return math.ceil(counted * max(sample.output_bytes, held) / held)


def _cut(text: str, most_bytes: int) -> str:
    """The text's beginning, of at most so many UTF-8 bytes."""
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")
