"""Whether a model's tool calls surely go against what the request offers, as far as a glance tells.

Only what JSON Schema asks of the outermost object is held against it: `required`, and the `type` and `enum` of each property, and names that
`additionalProperties: false` excludes. Each of these alone makes arguments invalid, so what offends here offends a whole validator too; what lies
deeper the evaluators see. No library is needed, and the work is at most that of reading the request once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from proxy.wire.loose import FAULTS

_MOST_REQUEST = 1024 * 1024  # read within a millisecond or two
_MOST_SCHEMA = 64 * 1024
_MOST_CALLS = 64
_decode = msgspec.json.Decoder().decode
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,), "number": (int, float), "integer": (int, float), "boolean": (bool,), "array": (list,), "object": (dict,), "null": (type(None),),
}  # fmt: skip


class _Function(msgspec.Struct):
    name: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    parametersJsonSchema: msgspec.Raw = msgspec.Raw()
    input_schema: msgspec.Raw = msgspec.Raw()
    inputSchema: msgspec.Raw = msgspec.Raw()  # Bedrock: {json: …}


class _Tool(_Function):
    type: str | None = None
    function: _Function | None = None
    toolSpec: _Function | None = None
    functionDeclarations: list[_Function] | None = None
    function_declarations: list[_Function] | None = None


class _Config(msgspec.Struct):
    tools: list[_Tool] | None = None


class _Request(msgspec.Struct):
    tools: list[_Tool] | None = None
    functions: list[_Function] | None = None
    toolConfig: _Config | None = None


_REQUEST = msgspec.json.Decoder(_Request)


def offends(request: bytes, calls: Sequence[tuple[str, str]]) -> bool:
    """Whether one of the calls (name, arguments as JSON text) does. What cannot be read offends nobody."""
    if len(request) > _MOST_REQUEST:
        return False
    try:
        asked = _REQUEST.decode(request)
    except FAULTS:
        return False
    schemas: dict[str, list[msgspec.Raw]] = {}
    for name, schema in _list_functions(asked):
        schemas.setdefault(name, []).append(schema)
    return any(len(schemas.get(name, ())) == 1 and _goes_against(schemas[name][0], arguments) for name, arguments in calls[:_MOST_CALLS])


def _list_functions(asked: _Request) -> Iterator[tuple[str, msgspec.Raw]]:
    """The name and the schema of each function that is offered."""
    given = asked.tools if asked.tools is not None else asked.toolConfig.tools if asked.toolConfig is not None else None
    for tool in [*(given or ()), *(asked.functions or ())]:
        inner: Sequence[_Function] = (tool,)
        if isinstance(tool, _Tool):
            inner = tool.functionDeclarations or tool.function_declarations or (tool.function or tool.toolSpec or tool,)
        for one in inner:
            if one.name is not None:
                places = (one.parametersJsonSchema, one.parameters, one.input_schema, one.inputSchema)
                yield one.name, next((raw for raw in places if bytes(memoryview(raw)[:1]) == b"{"), msgspec.Raw())


def _goes_against(written: msgspec.Raw, arguments: str) -> bool:
    if not 0 < len(memoryview(written)) <= _MOST_SCHEMA:
        return False
    try:
        schema, given = _decode(written), _decode(arguments or "{}")
    except FAULTS:
        return False
    if isinstance(schema.get("json"), dict) and len(schema) == 1:
        schema = schema["json"]
    if not isinstance(given, dict) or "$ref" in schema:  # beside which older drafts read nothing
        return False
    properties = schema["properties"] if isinstance(schema.get("properties"), dict) else {}
    required = schema.get("required")
    if isinstance(required, list) and any(isinstance(name, str) and name not in given for name in required):
        return True
    if schema.get("additionalProperties") is False and "patternProperties" not in schema and given.keys() - properties.keys():
        return True
    return any(isinstance(properties.get(name), dict) and _is_other(value, properties[name]) for name, value in given.items())


def _is_other(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is of none of the types, or none of the values, that its schema names."""
    if "$ref" in schema or (value is None and schema.get("nullable") is True):
        return False
    kinds = schema.get("type")
    named = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    known = [isinstance(kind, str) and kind.lower() in _KINDS for kind in named]
    if named and all(known) and not any(_is_of(value, kind.lower()) for kind in named):
        return True
    return isinstance(schema.get("enum"), list) and value not in schema["enum"]


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS[kind])
