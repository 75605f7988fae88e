"""The sample: one answer of a model and what is known of its question, as every evaluator sees it.

Nothing here is trusted. Text comes from a model, schemas come from a caller, and either may be long, deep or hostile; so whoever judges a
sample reads a bounded part of it: `head` and `tail`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import msgspec

from evaluators.signs import thin

WINDOW = 32_768  # characters of a text's beginning, and of its end, that a scanning evaluator reads


_Value = TypeVar("_Value")


class _Once(Generic[_Value]):
    """A property that is worked out when it is first asked for. The lock of the standard library's costs more than most of what is kept here."""

    def __init__(self, work: Callable[[Any], _Value]) -> None:
        self._work = work
        self._name = work.__name__
        self.__doc__ = work.__doc__

    def __get__(self, sample: Any, owner: type) -> _Value:
        value = sample.__dict__[self._name] = self._work(sample)
        return value


class ToolCall(msgspec.Struct, frozen=True):
    """A call that the model made; `arguments` as the JSON text that it wrote."""

    name: str
    arguments: str = "{}"


class Tool(msgspec.Struct, frozen=True):
    """A tool that the request offered; `schema` is the JSON Schema of its arguments, None where none was given."""

    name: str
    schema: Any = None
    is_free: bool = False  # its argument is free text, not JSON


class Sample(msgspec.Struct, frozen=True, dict=True):
    """One answer. What is not known is None; times in nanoseconds."""

    text: str = ""
    reasoning: str = ""
    calls: list[ToolCall] = []  # the model's tool calls
    offered: list[Tool] | None = None  # the tools of the request; None: not known
    finish: str | None = None  # the provider's own word for why it ended
    asked: Literal["text", "json"] | None = None  # the format that the request asked for
    schema: Any = None  # the JSON Schema that the answer must keep to
    language: str | None = None  # two letters; the language that the answer must be in, where somebody said so
    prompt: str | None = None  # what the user wrote last, where it is known
    prompt_language: str | None = None  # the language of the question, where it could be told
    prompt_digest: str | None = None  # of what stays the same from call to call: the system prompt and the tools
    is_cut: bool = False  # only the beginning of the answer is here
    id: str = ""
    agent: str = ""
    task: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    duration_ns: int | None = None
    first_token_ns: int | None = None

    @_Once
    def stripped(self) -> str:
        """The text without white space around it."""
        return self.text.strip()

    @_Once
    def head(self) -> str:
        """The beginning of the text, of bounded length."""
        return self.text[:WINDOW]

    @_Once
    def tail(self) -> str:
        """The end of the text, of bounded length; all of a short one."""
        return self.text[-WINDOW:]

    @_Once
    def ends(self) -> str:
        """All of a text of at most two windows, else its beginning and its end, joined by an empty line."""
        return self.text if len(self.text) <= 2 * WINDOW else f"{self.head}\n\n{self.tail}"

    @_Once
    def bytes(self) -> bytes:
        """`ends` in UTF-8: some questions are answered fastest there."""
        return self.ends.encode("utf-8", "surrogatepass")

    @_Once
    def thinned(self) -> bytes:
        """`bytes` without its ordinary characters: where signs are looked for first."""
        return thin(self.bytes)


_decode = msgspec.json.Decoder(Sample).decode


def read_sample(line: bytes) -> Sample:
    """A sample from a line of JSON with the fields above. Raises `ValueError` with what is wrong."""
    try:
        return _decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(str(error)) from None
