"""What a request asks for, read from its body: the few fields that `body` declares.

Everything else in it (the prompt above all) is skipped without being built, so a 100 KB prompt costs what scanning it costs. A field of
an unexpected type is as if absent. Forms (`multipart/form-data`) are read by a search for their short fields, in whatever part of
the body is at hand.
"""

from __future__ import annotations

import re

import msgspec

from proxy.call import Ask, Kind
from proxy.wire.body import BareChat, BareMessages, Body, Format, Generation, Metadata, Thinking, decode_body
from proxy.wire.loose import FAULTS, Loose, is_set
from proxy.wire.maxima import find_maximum
from proxy.wire.unbounded import look_into, name_kind

_MOST_WORD = 300
_MOST_TOKENS = 2**40
_MOST_CHOICES = 2**20
_NO_SHAPES = (None,) * 4
_UNSAID = Metadata()
_FORM_FIELD = re.compile(rb'name="?(model|stream|n|response_format|user)"?[^\r\n]{0,300}\r?\n(?:[^\r\n]{1,300}\r?\n){0,8}\r?\n([^\r\n]{1,300})\r?\n')
_CLAUDE_SESSION = re.compile(r"_session_([0-9a-fA-F-]{8,64})\Z")


class _ClaudeUser(msgspec.Struct):
    session_id: str | None = None


_CLAUDE_USER = Loose(_ClaudeUser)


def read_ask(kind: Kind, body: bytes, content_type: str = "", *, weighed: bool = True) -> Ask:
    """What `body` asks for. Raises `msgspec.DecodeError` if the body of a JSON endpoint is no JSON.

    JSON nested too deeply to be read is passed on unread. Forms, and bodies of other endpoints, may be given in part. Where nothing
    weighs the call (`weighed` False) its contents and tools are not looked into, which takes the longer the more parts there are: no
    media are counted, and its cost is held to be unbounded, for `unread`.
    """
    if not kind.json_body and content_type.lower().startswith("multipart/"):
        return _read_form(kind, body)
    if not body:
        if kind.json_body:
            raise msgspec.DecodeError("Input data was truncated")
        return leave_unread(kind, has_body=False)
    try:
        fields = decode_body(kind.format, body, bare=not weighed)
    except FAULTS as fault:
        if kind.json_body and isinstance(fault, msgspec.DecodeError):
            raise
        return msgspec.structs.replace(leave_unread(kind, has_body=True), prompt_bytes=len(body))
    return make_ask(kind, fields, len(body), weighed=weighed)


def leave_unread(kind: Kind, *, has_body: bool) -> Ask:
    """What is known of a request whose body is not read."""
    named = set(name_kind(kind)) | ({"unread"} if kind.json_body else set()) if has_body else set()
    return Ask(model=kind.model, stream=bool(kind.stream), unbounded=tuple(sorted(named)))


def make_ask(kind: Kind, fields: Body, size: int, *, weighed: bool = True) -> Ask:
    """An `Ask` of the decoded fields of a body of `size` bytes."""
    stream = kind.stream
    if stream is None:
        stream = fields.stream if fields.stream is not None else kind.format in ("ollama.chat", "ollama.generate")
    asked = True
    if stream and kind.format in ("openai.chat", "openai.completions"):
        asked = fields.stream_options is not None and fields.stream_options.include_usage is True
    generations: list[Generation] = []
    if kind.format.startswith("gemini."):
        generations = [held for name in ("generationConfig", "generation_config") if (held := getattr(fields, name, None)) is not None]
    agent, task, session = _read_marks(fields)
    model = kind.model or _word(fields.model) or _word(fields.models[0] if fields.models else fields.agent)
    media = look_into(kind, fields, model) if weighed else None
    return Ask(
        model=model,
        stream=stream,
        max_output_tokens=_read_maximum(kind, fields),
        choices=_count_choices(kind, fields, generations),
        service_tier=_word(fields.service_tier if fields.speed in (None, "standard") else fields.speed),
        usage_expected=asked,
        json_asked=_asks_json(kind, fields, generations),
        prompt_bytes=size,
        media_bytes=media.bytes if media is not None else 0,
        media_pieces=media.pieces if media is not None else 0,
        reasoning_budget_tokens=_read_reasoning_budget(fields),
        unbounded=("unread",) if media is None else tuple(sorted(media.unbounded)) if media.unbounded else (),
        agent=agent,
        task=task,
        session=session,
    )


def _read_maximum(kind: Kind, fields: Body) -> int | None:
    """The highest of the maxima that stand: which of two counts is the provider's to decide."""
    maximum = find_maximum(kind)
    if maximum is None:
        return _bound(fields.max_output_tokens) if kind.format == "openai.realtime" else None
    places: list[tuple[object, tuple[str, ...]]] = [(fields, maximum.names)]
    if maximum.holders:
        places = [(getattr(fields, name, None), maximum.names) for name in maximum.holders]
        places += [(getattr(fields, aside, None), (name,)) for aside, name in maximum.asides]
    highest: int | None = None
    for holder, names in places:
        for name in names:
            number = getattr(holder, name, None)
            if number is not None and number >= 0:
                highest = number if highest is None else max(highest, number)
    return _bound(highest)


def _count_choices(kind: Kind, fields: Body, generations: list[Generation]) -> int:
    """How many answers are billed: `best_of` are made where only `n` of them are sent, and each prompt of a list has its own."""
    wanted, prompts = fields.n or 1, 1
    for held in generations:
        wanted = max(wanted, held.candidateCount or 1, held.candidate_count or 1)
    if kind.format == "openai.completions" and isinstance(fields, BareChat):
        wanted, prompts = max(wanted, fields.best_of or 1), _count_prompts(fields.prompt)
    return min(max(wanted, 1) * prompts, _MOST_CHOICES)


def _count_prompts(raw: msgspec.Raw) -> int:
    """A list of texts or of lists of tokens is as many prompts; a list of tokens is one."""
    if bytes(memoryview(raw)[:1]) != b"[":
        return 1
    try:
        prompts = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except FAULTS:
        return 1
    return max(len(prompts), 1) if prompts and bytes(prompts[0])[:1] in (b'"', b"[") else 1


def _read_reasoning_budget(fields: Body) -> int | None:
    budgets: list[Thinking | None] = []
    if isinstance(fields, BareChat):
        budgets = [fields.thinking, fields.reasoning]
    elif isinstance(fields, BareMessages):
        more = fields.additionalModelRequestFields
        budgets = [fields.thinking] if more is None else [fields.thinking, more.thinking, more.reasoning_config]
    for budget in budgets:
        if budget is not None and budget.type != "disabled":
            tokens = budget.budget_tokens if budget.budget_tokens is not None else budget.max_tokens
            if tokens is not None:
                return _bound(tokens)
    return None


def _asks_json(kind: Kind, fields: Body, generations: list[Generation]) -> bool:
    shapes = (fields.response_format, fields.output_format, fields.text and fields.text.format, fields.output_config and fields.output_config.format)
    if shapes != _NO_SHAPES:
        for shape in shapes:
            if isinstance(shape, Format) and shape.type is not None and shape.type.startswith("json"):
                return True
    for held in generations:
        if "application/json" in (held.responseMimeType, held.response_mime_type):
            return True
    return isinstance(fields, BareChat) and kind.format.startswith("ollama.") and is_set(fields.format) and bytes(fields.format) != b'""'


def _read_marks(fields: Body) -> tuple[str | None, str | None, str | None]:
    """(agent, task, session) as agent programs and SDKs put them into a body."""
    metadata = fields.metadata or _UNSAID
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
        unbounded=name_kind(kind),
        agent=_word(fields.get(b"user")),
    )


def _bound(tokens: int | None) -> int | None:
    return None if tokens is None or tokens < 0 else min(tokens, _MOST_TOKENS)


def _word(text: str | None) -> str | None:
    return text[:_MOST_WORD] if text else None
