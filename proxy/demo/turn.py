"""One turn of a conversation, whatever the dialect: what was asked (`Turn`) and what the simulated model does (`Reply`)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from proxy.demo.faults import Fault
from proxy.demo.prose import count_tokens, cut_text, generator, make_instance, write_text

CACHE_FROM_TOKENS = 1024  # prompts shorter than this are not cached, as at OpenAI and Anthropic
_JSON_EXAMPLE = {"type": "object", "properties": {"answer": {"type": "string"}, "confidence": {"type": "number"}, "items": {"type": "array"}}}


class Tool(msgspec.Struct, frozen=True):
    """A function that the caller offers."""

    name: str
    schema: dict[str, Any] = {}
    free_text: bool = False  # its input is plain text, not JSON (OpenAI's custom tools)


class Turn(msgspec.Struct):
    """A request, read into what the simulated model goes by."""

    model: str
    prompt: str  # all text of the request that counts as input
    last: str  # the last text of the last user message
    messages: int = 1
    tools: list[Tool] = []
    must_call: bool = False
    may_call: bool = True
    forced: str | None = None  # the one tool that must be called
    called: list[str] = []  # tools already called since the last user message
    json_asked: bool = False
    schema: dict[str, Any] | None = None
    most_tokens: int | None = None
    reasons: bool = False
    fault: Fault = Fault()


class Called(msgspec.Struct, frozen=True):
    """A tool call that the simulated model makes."""

    name: str
    arguments: Any  # what the schema allows; a string for free text
    free_text: bool = False

    @property
    def text(self) -> str:
        return self.arguments if self.free_text else msgspec.json.encode(self.arguments).decode()


class Reply(msgspec.Struct):
    """What the simulated model answers: text or calls, and the tokens it took."""

    text: str
    calls: list[Called]
    cut: bool  # stopped by the caller's own limit
    thought: str
    input_tokens: int
    output_tokens: int  # with the reasoning
    reasoning_tokens: int
    cached_tokens: int  # part of the input


def answer(turn: Turn, variant: int = 0) -> Reply:
    """What the simulated model does in this turn; `variant` tells the choices of one request apart."""
    dice = generator("turn", turn.prompt, str(variant))
    thought, cut = write_text(turn.last or turn.prompt, "thought") if turn.reasons else "", False
    rest = turn.most_tokens  # reasoning counts inside the maximum
    if thought and rest is not None:
        thought, cut = cut_text(thought, rest)
        rest -= count_tokens(thought)
    calls = [] if turn.fault.name == "empty" else _choose_calls(turn, dice)
    text = ""
    if not calls and turn.fault.name != "empty":
        if turn.json_asked or turn.schema:
            text = msgspec.json.encode(make_instance(turn.schema or _JSON_EXAMPLE, dice)).decode()
        else:
            text = write_text(turn.last or turn.prompt, str(variant) if variant else "")
        if rest is not None:
            text, cut = cut_text(text, rest)
    reasoning = count_tokens(thought)
    spoken = count_tokens(text) + sum(8 + count_tokens(call.name) + count_tokens(call.text) for call in calls)
    input_tokens = count_tokens(turn.prompt) + 4 * turn.messages + 3
    cached = input_tokens // 128 * 64 if input_tokens >= CACHE_FROM_TOKENS else 0
    return Reply(text, calls, cut, thought, input_tokens, spoken + reasoning, reasoning, cached)


def _choose_calls(turn: Turn, dice: Any) -> list[Called]:
    """The tools to call: the forced one, else those the last user message names, else (if one must be called) the last not yet called."""
    if not turn.tools or not turn.may_call:
        return []
    if turn.forced is not None:
        chosen = [tool for tool in turn.tools if tool.name == turn.forced]
    else:
        fresh = [tool for tool in turn.tools if tool.name not in turn.called]
        chosen = [tool for tool in fresh if _names(turn.last, tool.name)]
        if not chosen and turn.must_call:
            chosen = (fresh or turn.tools)[-1:]
    return [Called(tool.name, _write_arguments(tool, turn, dice), tool.free_text) for tool in chosen]


def _write_arguments(tool: Tool, turn: Turn, dice: Any) -> Any:
    return write_text(turn.last) if tool.free_text else make_instance({"type": "object", **tool.schema}, dice)


def _names(text: str, tool: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(tool)}(?!\w)", text) is not None


def join_text(value: Any) -> str:
    """All strings below a JSON value, one a line: what of a request counts as input."""
    found: list[str] = []
    _gather(value, found)
    return "\n".join(found)


def _gather(value: Any, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("data", "file_data", "cache_control", "signature", "thoughtSignature"):  # binary, or not part of the prompt
                found.append(name)
                _gather(inner, found)
    elif isinstance(value, list):
        for inner in value:
            _gather(inner, found)
