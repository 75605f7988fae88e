"""What a request asked of its answer, in any wire format: JSON or not, a schema, the tools, the language.

Formats put these in different places and call them alike, so one search over the known places serves them all. Of a request that was cut its
outline is read (`proxy.wire.outline`). One that cannot be read asked for nothing that is known; what is not understood is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from evaluators.language import detect
from evaluators.sample import Tool
from proxy.wire.outline import FORMAT, RULES, TOOLS

_decode = msgspec.json.Decoder().decode
_MOST_TOOLS = 512
_MOST_PARTS = 64  # of a message that is looked at
_MOST_PROMPT = 4_000  # characters of its end that tell its language
_MOST_NESTING = 60  # of a schema that is put into other words
_RULES = ("system", "instructions", "systemInstruction", "system_instruction")
_TURNS = ("messages", "input", "contents")
_SYSTEM = ("system", "developer")  # a tuple, as a role that is no text cannot be looked for in a set


class Question(msgspec.Struct, frozen=True):
    """What is known of a request; None is unknown."""

    asked: str | None = None
    schema: Any = None
    offered: list[Tool] | None = None
    language: str | None = None
    digest: str | None = None
    prompt: str | None = None


def read_question(request: bytes | None, left_out: Sequence[str] = ()) -> Question:
    """The question in a request body, or in the outline of one, of which some parts were left out."""
    try:
        body = _decode(request or b"")
        if not isinstance(body, dict):
            return Question()
        asked, schema = (None, None) if FORMAT in left_out else _find_format(body)
        tools = None if TOOLS in left_out else _find_tools(body)
        prompt = _find_prompt(body)
        digest = None if TOOLS in left_out or RULES in left_out else _digest(body)
        return Question(asked, schema, tools, detect(prompt[-_MOST_PROMPT:]) if prompt else None, digest, prompt)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Question()


def _find_format(body: dict[str, Any]) -> tuple[str, Any]:
    """(`json` or `text`, the schema)."""
    google = body.get("generationConfig", body.get("generation_config"))
    if isinstance(google, dict):
        media = google.get("responseMimeType", google.get("response_mime_type"))
        plain = google.get("responseJsonSchema", google.get("response_json_schema"))
        theirs = google.get("responseSchema", google.get("response_schema"))
        schema = plain if plain is not None else translate(theirs) if isinstance(theirs, dict) else None
        return ("json", schema) if media == "application/json" else ("text", None)
    if body.get("format") == "json":  # Ollama
        return "json", None
    for shape in _list_shapes(body):
        if isinstance(shape, dict) and shape:
            inner = shape.get("json_schema")
            schema = inner.get("schema", inner) if isinstance(inner, dict) else shape.get("schema")
            if shape.get("type") in ("json_object", "json_schema"):
                return "json", schema if isinstance(schema, dict) else None
            if shape is body.get("format") and ("type" in shape or "properties" in shape):  # Ollama: the schema itself
                return "json", shape
    return "text", None


def _list_shapes(body: dict[str, Any]) -> Iterator[Any]:
    """Chat, Cohere and Mistral; Responses; Anthropic, in two ways; Ollama."""
    yield body.get("response_format")
    for above in ("text", "output_config"):
        if isinstance(body.get(above), dict):
            yield body[above].get("format")
    yield body.get("output_format")
    yield body.get("format")


_NOT_THEIRS = frozenset(("nullable", "propertyOrdering", "property_ordering", "example", "title", "description", "format"))


def translate(schema: Any, nesting: int = 0) -> Any:
    """A schema in Google's words (OpenAPI 3.0, types in capitals, `nullable`) as JSON Schema. Raises `RecursionError`."""
    if nesting > _MOST_NESTING:
        raise RecursionError
    if isinstance(schema, list):
        return [translate(each, nesting + 1) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for name, below in schema.items():
        if name == "type" and isinstance(below, str):
            made["type"] = [below.lower(), "null"] if schema.get("nullable") is True else below.lower()
        elif name == "properties" and isinstance(below, dict):
            made["properties"] = {each: translate(inner, nesting + 1) for each, inner in below.items()}
        elif name in ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties") and isinstance(below, str):
            made[name] = int(below) if below.isascii() and below.isdigit() and len(below) < 16 else 0  # int64 is written as text
        elif name == "enum":
            made["enum"] = [*below, None] if schema.get("nullable") is True and isinstance(below, list) else below
        elif name in ("items", "anyOf", "any_of"):
            made["anyOf" if name == "any_of" else name] = translate(below, nesting + 1)
        elif name not in _NOT_THEIRS:
            made[name] = below
    return made


def _find_tools(body: dict[str, Any]) -> list[Tool] | None:
    """The tools that may be called; None where one of them cannot be told, for then nothing can be said of a name."""
    if "mcp_servers" in body or isinstance(body.get("prompt"), dict):  # tools that stand elsewhere: on servers, in a stored prompt
        return None
    config = body.get("toolConfig")
    given = body.get("tools")
    if given is None and isinstance(config, dict):
        given = config.get("tools")  # Bedrock
    if given is None:
        given = body.get("functions")
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > _MOST_TOOLS:
        return None
    found: list[Tool] = []
    for tool in given:
        made = list(_read_tool(tool)) if isinstance(tool, dict) else []
        if not made:
            return None
        found += made
    return found


def _read_tool(tool: dict[str, Any]) -> Iterator[Tool]:
    """The functions that one entry offers; none, where it is a tool that the provider runs, or of a sort that is not known."""
    declared = tool.get("functionDeclarations", tool.get("function_declarations"))
    if isinstance(declared, list):
        if len(tool) > 1:  # others of Google's own stand beside them
            return
        for each in declared:
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                plain = each.get("parametersJsonSchema", each.get("parameters_json_schema"))
                yield Tool(each["name"], plain if plain is not None else translate(each.get("parameters")))
        return
    inner = next((tool[name] for name in ("function", "toolSpec", "custom") if isinstance(tool.get(name), dict)), tool)
    if not isinstance(inner.get("name"), str) or tool.get("type", "function") not in ("function", "custom"):
        return
    schema = inner.get("parameters", inner.get("input_schema", inner.get("inputSchema")))
    if isinstance(schema, dict) and "json" in schema and len(schema) == 1:  # Bedrock
        schema = schema["json"]
    is_free = tool.get("type") == "custom" and "input_schema" not in inner
    yield Tool(inner["name"], schema if isinstance(schema, dict) and schema else None, is_free)


def _find_prompt(body: dict[str, Any]) -> str | None:
    """What the user wrote last."""
    turns = next((body[name] for name in _TURNS if isinstance(body.get(name), list | str)), body.get("prompt"))
    if isinstance(turns, str):
        return turns
    for turn in reversed(turns if isinstance(turns, list) else []):
        if isinstance(turn, dict) and turn.get("role", "user") == "user":
            text = "\n".join(_list_texts(turn.get("content", turn.get("parts"))))
            if text:
                return text
    return None


def _list_texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for part in content[:_MOST_PARTS] if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]


def _digest(body: dict[str, Any]) -> str:
    """A digest of what a template gives to every call: the rules and the tools."""
    kept = [body.get(name) for name in (*_RULES, "tools", "functions", "toolConfig")]
    turns = next((body[name] for name in _TURNS if isinstance(body.get(name), list)), [])
    kept += [turn for turn in turns[:_MOST_PARTS] if isinstance(turn, dict) and turn.get("role") in _SYSTEM]
    return hashlib.sha256(msgspec.json.encode(kept)).hexdigest()[:16]
