"""Whether a model's tool calls can be carried out: the tool was offered, and the arguments parse and keep to its schema."""

from __future__ import annotations

import msgspec

from evaluators.sample import Sample, Tool, ToolCall
from evaluators.schema import MOST_ANSWER_BYTES, Unusable, check
from evaluators.structure import find_fault
from evaluators.verdict import Verdict

NAME = "tools"
_PASSED = Verdict(NAME)
_MOST_CALLS = 64  # of one answer that are judged
_EXPLAINED = {
    "not_named": "a tool call names no tool",
    "not_offered": "a tool was called that the request does not offer",
    "not_json": "the arguments of a tool call are not JSON",
    "not_object": "the arguments of a tool call are JSON and no object",
    "schema": "the arguments of a tool call go against the tool's schema",
}
_GRAVE = tuple(_EXPLAINED)
_decode = msgspec.json.Decoder().decode


def judge(sample: Sample) -> Verdict | None:
    """The gravest fault of the calls; None where there are none."""
    if not sample.calls:
        return None
    offered = None if sample.offered is None else {tool.name: tool for tool in sample.offered}
    found = [fault for call in sample.calls[:_MOST_CALLS] if (fault := _find_fault(call, offered, sample.is_cut))]
    if not found:
        return _PASSED
    label = min(found, key=_GRAVE.index)
    return Verdict(NAME, label, 1 - len(found) / len(sample.calls[:_MOST_CALLS]), "error", f"{_EXPLAINED[label]}; faulty calls: {len(found)}")


def _find_fault(call: ToolCall, offered: dict[str, Tool] | None, is_cut: bool) -> str | None:
    if not call.name.strip():
        return "not_named"
    if offered is not None and call.name not in offered:
        return "not_offered"
    tool = offered[call.name] if offered is not None else None
    if is_cut or (tool is not None and tool.is_free):
        return None
    body = call.arguments.strip().encode("utf-8", "replace") or b"{}"
    if find_fault(body) is not None:
        return "not_json"
    if not body.startswith(b"{"):
        return "not_object"
    schema = None if tool is None else tool.schema
    if schema is None or len(body) > MOST_ANSWER_BYTES:
        return None
    try:
        return None if check(schema, _decode(body), len(body)) is None else "schema"
    except (Unusable, msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
