"""Prompts and outputs as the GenAI conventions want them: JSON lists of messages, each with a role and parts, for any wire format."""

from __future__ import annotations

from typing import Any

import msgspec

_MESSAGES = ("messages", "contents", "input", "prompt", "inputs")
_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")


def write_input(prompt: str) -> tuple[str | None, str | None]:
    """(messages, system instructions) of a request body; one that is cut or no JSON object is one message of the user."""
    try:
        body = msgspec.json.decode(prompt)
    except (msgspec.MsgspecError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return (_write([{"role": "user", "parts": _read_parts(prompt)}]) if prompt else None), None
    given = next((body[name] for name in _MESSAGES if body.get(name)), None)
    system = next((body[name] for name in _SYSTEM if body.get(name)), None)
    items = given if isinstance(given, list) else [given] if given is not None else []
    messages = [_read_message(item) for item in items]
    return _write(messages) if messages else None, _write(_read_parts(system)) if system is not None else None


def write_output(text: str, tools: str, finish: str | None) -> str:
    """The answer as one message; `tools` is JSON, a list of names and arguments."""
    parts = _read_parts(text)
    try:
        calls = msgspec.json.decode(tools or "[]", type=list[tuple[str, str]])
    except msgspec.MsgspecError:  # it was cut
        calls = []
    parts += [{"type": "tool_call", "name": name, "arguments": arguments} for name, arguments in calls]
    return _write([{"role": "assistant", "parts": parts, "finish_reason": finish or ""}])


def _read_message(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        return {"role": "user", "parts": _read_parts(item)}
    parts = _read_parts(item.get("content") if "content" in item else item.get("parts", item.get("text")))
    for call in item.get("tool_calls") or []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            parts.append({"type": "tool_call", "id": call.get("id"), "name": function.get("name"), "arguments": function.get("arguments")})
    return {"role": str(item.get("role") or "user"), "parts": parts}


def _read_parts(value: Any) -> list[dict[str, Any]]:
    """The text in a content, however a format puts it; of what is no text only its type."""
    if isinstance(value, str):
        return [{"type": "text", "content": value}] if value else []
    if isinstance(value, list):
        return [part for item in value for part in _read_part(item)]
    if isinstance(value, dict):
        return _read_parts(value["parts"]) if isinstance(value.get("parts"), list) else _read_part(value)
    return []


def _read_part(item: Any) -> list[dict[str, Any]]:
    if isinstance(item, str):
        return _read_parts(item)
    if not isinstance(item, dict):
        return []
    if isinstance(text := item.get("text", item.get("input_text")), str):
        return [{"type": "text", "content": text}]
    if item.get("type") == "tool_use":
        return [{"type": "tool_call", "id": item.get("id"), "name": item.get("name"), "arguments": item.get("input")}]
    return [{"type": str(item.get("type") or "other")}]


def _write(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        return "[]"
