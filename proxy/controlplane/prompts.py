"""Finds what a model reads in a request body: the texts, the tools and the number of messages, for any wire format.

Formats differ in where they put a prompt, but hardly in what they call it; so one walk over the known names serves them all.
Images, audio, files and opaque ids are left out: they are no text, and no tokenizer can count them.
"""

from __future__ import annotations

from typing import Any

import msgspec

# Where the prompt stands at the top of a body: OpenAI chat, completions and embeddings, Responses, Anthropic, Gemini, Converse, Cohere, Ollama.
_PROMPT = (
    *("messages", "prompt", "suffix", "input", "instructions", "system", "contents", "content", "requests"),
    *("systemInstruction", "system_instruction", "query", "documents", "texts", "message", "inputText"),
)
_TOOLS = ("tools", "functions", "toolConfig", "tool_config")
_SHAPES = ("response_format", "output_config", "output_format", "text", "format")  # read by the model only where they hold a schema
_NO_TEXT = frozenset(
    (
        *("type", "role", "id", "tool_call_id", "toolCallId", "tool_use_id", "toolUseId", "call_id", "item_id", "status", "detail", "index"),
        *("cache_control", "cachePoint", "signature", "thoughtSignature", "thought_signature", "encrypted_content", "redactedContent", "model"),
        *("image", "images", "image_url", "input_audio", "audio", "video", "source", "inlineData", "inline_data", "fileData", "file_data", "file"),
        *("file_id", "file_url", "media_type", "mimeType", "mime_type", "url", "bytes", "data", "b64_json", "annotations"),
    )
)
# Free JSON that a model reads as text, whatever its keys are called: arguments and results of tools.
_FREE_JSON = frozenset({"arguments", "args", "response", "json", "toolUse", "toolResult"})


class Prompt(msgspec.Struct):
    """What a request lets the model read."""

    texts: list[str] = []
    tools: str = ""  # definitions of tools, as compact JSON
    messages: int = 0
    tokens: int = 0  # tokens that the caller sent as numbers (embeddings, legacy completions)


def read_prompt(request: bytes) -> Prompt | None:
    """The prompt in a request body; None where the body is not one JSON object (cut, multipart, binary)."""
    try:
        body = msgspec.json.decode(request)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if not isinstance(body, dict):
        return None
    prompt = Prompt()
    for name in _PROMPT:
        if (value := body.get(name)) is not None:
            prompt.messages += _count_messages(value)
            _collect(value, prompt)
    tools = [value for name in _TOOLS if isinstance(value := body.get(name), list | dict) and value]
    prompt.tools = _write(tools) if tools else ""
    shapes = [_write(value) for name in _SHAPES if isinstance(value := body.get(name), dict)]
    prompt.texts.extend(shape for shape in shapes if "schema" in shape)
    return prompt


def _count_messages(value: Any) -> int:
    if isinstance(value, list):
        return max(1, sum(isinstance(item, dict) and ("role" in item or "parts" in item or "type" in item) for item in value))
    return 1


def _collect(value: Any, prompt: Prompt) -> None:
    """Adds every text below `value`. A stack and no recursion: the depth is the caller's to choose."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if item:
                prompt.texts.append(item)
        elif isinstance(item, list):
            if item and type(item[0]) is int:
                prompt.tokens += len(item)
            else:
                stack.extend(reversed(item))
        elif isinstance(item, dict):
            free = "input" if item.get("type") == "tool_use" else None
            for name, below in item.items():
                if (name in _FREE_JSON or name == free) and isinstance(below, dict | list):
                    prompt.texts.append(_write(below))
                elif name not in _NO_TEXT:
                    stack.append(below)


def _write(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        return ""
