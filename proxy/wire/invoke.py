"""Amazon Bedrock's Invoke: the body is the model's own, one JSON object or base64 pieces in a binary event stream.

Bedrock adds its counts: in the response headers, and in a stream's last chunk under `amazon-bedrock-invocationMetrics`.
Where the body has finer ones, those count.
Format: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from proxy.call import Usage
from proxy.wire.anthropic import MessagesForm
from proxy.wire.bedrock import ConverseForm, take_exception
from proxy.wire.chat import ChatForm
from proxy.wire.loose import FAULTS, Loose, count
from proxy.wire.tally import Tally


class _Result(msgspec.Struct, rename="camel"):
    output_text: str | None = None
    text: str | None = None
    token_count: int | None = None
    completion_reason: str | None = None
    stop_reason: str | None = msgspec.field(default=None, name="stop_reason")


class _Metrics(msgspec.Struct, rename="camel", gc=False):
    input_token_count: int | None = None
    output_token_count: int | None = None
    cache_read_input_token_count: int | None = None
    cache_write_input_token_count: int | None = None


class _Native(msgspec.Struct):
    """What the models of Meta, Amazon Titan, Mistral and Cohere answer in their own shapes."""

    generation: str | None = None  # Llama
    prompt_token_count: int | None = None
    generation_token_count: int | None = None
    stop_reason: str | None = None
    results: list[_Result] | None = None  # Titan
    outputText: str | None = None
    completionReason: str | None = None
    inputTextTokenCount: int | None = None
    totalOutputTextTokenCount: int | None = None
    outputs: list[_Result] | None = None  # Mistral
    text: str | None = None  # Cohere
    finish_reason: str | None = None


class _Metered(msgspec.Struct):
    metrics: _Metrics | None = msgspec.field(default=None, name="amazon-bedrock-invocationMetrics")


class _Frame(msgspec.Struct, gc=False):
    bytes: str | None = None


_NATIVE = Loose(_Native)
_METERED = Loose(_Metered)
_FRAME = Loose(_Frame)
_HEADERS = ("input", "output", "cache-read-input", "cache-write-input")


class InvokeForm:
    """Reads `bedrock.invoke`: through the form of the model's own dialect, and the counts that Bedrock adds."""

    formats = ("bedrock.invoke",)
    __slots__ = ("_tally", "_inner", "_metrics")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._metrics: _Metrics | None = None
        model = tally.model_asked or ""
        if "anthropic." in model:
            self._inner: MessagesForm | ChatForm | ConverseForm | NativeForm = MessagesForm(tally)
        elif any(maker in model for maker in ("openai.", "deepseek.", "qwen.", "moonshot", "minimax.", "zai.", "google.", "nvidia.")):
            self._inner = ChatForm(tally)
        elif "amazon.nova" in model and "embed" not in model:
            self._inner = ConverseForm(tally)
        else:
            self._inner = NativeForm(tally)

    def read_whole(self, body: bytes) -> None:
        self._inner.read_whole(body)

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        for name, data in events:
            if name.startswith(b"exception:"):
                take_exception(self._tally, name, data)
                continue
            try:
                event = base64.b64decode(_FRAME.decode(data).bytes or "")
                metered = _METERED.decode(event)
            except (*FAULTS, binascii.Error):
                self._tally.reading.unread += 1
                continue
            self._inner.read_events([(b"", event)])
            if metered.metrics is not None:
                self._metrics = metered.metrics
                self._tally.reading.complete = True

    def finish(self) -> None:
        self._inner.finish()
        if self._tally.reading.usage is not None:
            return
        metrics = self._metrics or self._read_headers()
        if metrics is None:
            return
        read, written = count(metrics.cache_read_input_token_count), count(metrics.cache_write_input_token_count)
        self._tally.reading.usage = Usage(
            input_tokens=count(metrics.input_token_count) + read + written,
            output_tokens=count(metrics.output_token_count),
            cache_read_tokens=read,
            cache_write_tokens=written,
        )

    def _read_headers(self) -> _Metrics | None:
        texts = [self._tally.headers.get(f"x-amzn-bedrock-{name}-token-count") for name in _HEADERS]
        numbers = [int(text) if text and text.isdecimal() and len(text) <= 15 else None for text in texts]
        return None if numbers[0] is None and numbers[1] is None else _Metrics(*numbers)


class NativeForm:
    """Reads the shapes of models that follow no other dialect (through `InvokeForm`)."""

    formats = ()
    __slots__ = ("_tally", "_taken", "_made")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._taken: int | None = None
        self._made: int | None = None

    def read_whole(self, body: bytes) -> None:
        self._take(_NATIVE.decode(body))
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        for _, data in events:
            try:
                self._take(_NATIVE.decode(data))
            except FAULTS:
                self._tally.reading.unread += 1

    def finish(self) -> None:
        if self._taken is not None or self._made is not None:
            self._tally.reading.usage = Usage(input_tokens=count(self._taken), output_tokens=count(self._made))

    def _take(self, native: _Native) -> None:
        tally, reading = self._tally, self._tally.reading
        for piece in (native.generation, native.outputText, native.text):
            tally.add_text(piece)
        reading.finish = native.stop_reason or native.completionReason or native.finish_reason or reading.finish
        made = [native.generation_token_count, native.totalOutputTextTokenCount]
        for result in (native.results or []) + (native.outputs or []):
            tally.add_text(result.output_text or result.text)
            reading.finish = result.completion_reason or result.stop_reason or reading.finish
            made.append(result.token_count)
        for number in (native.prompt_token_count, native.inputTextTokenCount):
            self._taken = number if number is not None else self._taken
        for number in made:
            self._made = number if number is not None else self._made
