"""What a request asks for, read from its body: one struct declares the few fields of all dialects that are read.

Everything else in the body (the prompt above all) is skipped without being built, so a 100 KB prompt costs what
scanning it costs. A field of an unexpected type is as if absent. Forms (`multipart/form-data`) are read by a search for
their short fields, in whatever part of the body is at hand.
"""

from __future__ import annotations

import re

import msgspec

from proxy.call import Ask, Kind
from proxy.wire.loose import FAULTS, Loose, is_set

_MOST_WORD = 300
_MOST_TOKENS = 2**40
_FORM_FIELD = re.compile(rb'name="?(model|stream|n|response_format|user)"?[^\r\n]{0,300}\r?\n(?:[^\r\n]{1,300}\r?\n){0,8}\r?\n([^\r\n]{1,300})\r?\n')
_CLAUDE_SESSION = re.compile(r"_session_([0-9a-fA-F-]{8,64})\Z")


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Format(msgspec.Struct):
    type: str | None = None


class _TextOptions(msgspec.Struct):
    format: _Format | None = None


class _Generation(msgspec.Struct, rename="camel"):
    max_output_tokens: int | None = None
    candidate_count: int | None = None
    response_mime_type: str | None = None
    max_tokens: int | None = None  # Bedrock Converse's inferenceConfig, Nova's


class _Options(msgspec.Struct):
    num_predict: int | None = None


class _Metadata(msgspec.Struct):
    agent_id: str | None = None
    agent_name: str | None = None
    task_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None


class _ClientMetadata(msgspec.Struct):
    session_id: str | None = None
    thread_id: str | None = None


class _Conversation(msgspec.Struct):
    id: str | None = None


class Body(msgspec.Struct):
    """The fields of a request body that are read, over all dialects."""

    type: str | None = None  # of a WebSocket message
    model: str | None = None
    models: list[str] | None = None  # OpenRouter's order of preference
    agent: str | None = None  # Gemini Interactions
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    max_tokens_to_sample: int | None = None
    n: int | None = None
    service_tier: str | None = None
    response_format: _Format | str | None = None
    text: _TextOptions | None = None
    output_config: _TextOptions | None = None
    output_format: _Format | str | None = None
    format: msgspec.Raw = msgspec.Raw()
    generationConfig: _Generation | None = None
    generation_config: _Generation | None = None
    inferenceConfig: _Generation | None = None
    options: _Options | None = None
    metadata: _Metadata | None = None
    client_metadata: _ClientMetadata | None = None
    conversation: str | _Conversation | None = None
    safety_identifier: str | None = None
    user: str | None = None
    prompt_cache_key: str | None = None
    session_id: str | None = None  # OpenRouter


class _ClaudeUser(msgspec.Struct):
    session_id: str | None = None


_BODY = Loose(Body)
_CLAUDE_USER = Loose(_ClaudeUser)


def read_ask(kind: Kind, body: bytes, content_type: str = "") -> Ask:
    """What `body` asks for. Raises `msgspec.DecodeError` if the body of a JSON endpoint is no JSON.

    JSON nested too deeply to be read is passed on unread. Forms, and bodies of other endpoints, may be given in part.
    """
    if content_type.lower().startswith("multipart/"):
        return _read_form(kind, body)
    if not body:
        if kind.json_body:
            raise msgspec.DecodeError("Input data was truncated")
        return Ask(model=kind.model, stream=bool(kind.stream))
    try:
        fields = _BODY.decode(body)
    except FAULTS as fault:
        if kind.json_body and isinstance(fault, msgspec.DecodeError):
            raise
        return Ask(model=kind.model, stream=bool(kind.stream), prompt_bytes=len(body))
    return make_ask(kind, fields, len(body))


def make_ask(kind: Kind, fields: Body, size: int) -> Ask:
    """An `Ask` of the decoded fields of a body of `size` bytes."""
    stream = kind.stream
    if stream is None:
        stream = fields.stream if fields.stream is not None else kind.format in ("ollama.chat", "ollama.generate")
    asked = True
    if stream and kind.format in ("openai.chat", "openai.completions"):
        asked = fields.stream_options is not None and fields.stream_options.include_usage is True
    generation = fields.generationConfig or fields.generation_config or fields.inferenceConfig
    agent, task, session = _read_marks(fields)
    return Ask(
        model=kind.model or _word(fields.model) or _word(fields.models[0] if fields.models else fields.agent),
        stream=stream,
        max_output_tokens=_read_most_tokens(fields, generation),
        choices=min(max(fields.n or (generation.candidate_count if generation else None) or 1, 1), 1024),
        service_tier=_word(fields.service_tier),
        usage_expected=asked,
        json_asked=_asks_json(kind, fields, generation),
        prompt_bytes=size,
        agent=agent,
        task=task,
        session=session,
    )


def _read_most_tokens(fields: Body, generation: _Generation | None) -> int | None:
    numbers = [fields.max_completion_tokens, fields.max_output_tokens, fields.max_tokens, fields.max_tokens_to_sample]
    if generation is not None:
        numbers += [generation.max_output_tokens, generation.max_tokens]
    if fields.options is not None:
        numbers.append(fields.options.num_predict)
    return next((min(number, _MOST_TOKENS) for number in numbers if number is not None and number >= 0), None)


def _asks_json(kind: Kind, fields: Body, generation: _Generation | None) -> bool:
    shapes = [fields.response_format, fields.output_format]
    shapes += [part.format for part in (fields.text, fields.output_config) if part is not None]
    kinds = [shape.type for shape in shapes if isinstance(shape, _Format)]
    if any(word is not None and word.startswith("json") for word in kinds):
        return True
    if generation is not None and generation.response_mime_type == "application/json":
        return True
    return kind.format.startswith("ollama.") and is_set(fields.format) and bytes(fields.format) != b'""'


def _read_marks(fields: Body) -> tuple[str | None, str | None, str | None]:
    """(agent, task, session) as agent programs and SDKs put them into a body."""
    metadata = fields.metadata or _Metadata()
    agent = metadata.agent_id or metadata.agent_name or fields.safety_identifier or fields.user
    session = metadata.session_id or fields.session_id
    if metadata.user_id:
        claude_session = _read_claude_session(metadata.user_id)
        session = session or claude_session
        if claude_session is None:
            agent = agent or metadata.user_id
    if fields.client_metadata is not None:
        session = session or fields.client_metadata.session_id or fields.client_metadata.thread_id
    if fields.conversation is not None:
        session = session or (fields.conversation if isinstance(fields.conversation, str) else fields.conversation.id)
    return _word(agent), _word(metadata.task_id), _word(session or fields.prompt_cache_key)


def _read_claude_session(user_id: str) -> str | None:
    """Claude Code's session: its `user_id` is JSON with a `session_id`, or `user_…_account_…_session_<uuid>`."""
    if user_id.startswith("{"):
        try:
            return _CLAUDE_USER.decode(user_id.encode("utf-8", "replace")).session_id
        except FAULTS:
            return None
    found = _CLAUDE_SESSION.search(user_id)
    return found[1] if found else None


def _read_form(kind: Kind, body: bytes) -> Ask:
    fields: dict[bytes, str] = {}
    for found in _FORM_FIELD.finditer(body):
        fields.setdefault(found[1], found[2].decode("utf-8", "replace").strip())
    copies = fields.get(b"n", "1")
    return Ask(
        model=kind.model or _word(fields.get(b"model")),
        stream=fields.get(b"stream", "").lower() == "true",
        choices=min(max(int(copies), 1), 1024) if copies.isdecimal() and len(copies) < 5 else 1,
        json_asked="json" in fields.get(b"response_format", ""),
        prompt_bytes=len(body),
        agent=_word(fields.get(b"user")),
    )


def _word(text: str | None) -> str | None:
    return text[:_MOST_WORD] if text else None
