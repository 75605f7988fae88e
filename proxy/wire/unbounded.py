"""Why no upper bound of a call's cost can be told before it is made, as far as its request shows it.

A bound needs that every input token takes at least one byte of the request, that a maximum holds all output, and that nothing else is
billed. What breaks one of these has a name here; whatever is not understood counts as breaking it.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter

from proxy.call import Kind
from proxy.wire.attachments import Media
from proxy.wire.body import Body, ChatBody, ChatOfParts, EmbedBody, GoogleBody, InputBody, MessagesBody, MessagesOfParts
from proxy.wire.loose import FAULTS
from proxy.wire.maxima import find_maker, find_maximum
from proxy.wire.parts import ABSENT, stands
from proxy.wire.toolkit import Tool, name_google_tools, name_tools

UNBOUNDED = {
    "audio": "sound, spoken or heard, is not bounded by its bytes",
    "background": "the answer of a background call is not seen here",
    "batch": "a batch holds any number of calls",
    "compaction": "the provider sums up the conversation, beyond the maximum of output",
    "fallback_models": "the provider may answer with another model",
    "file": "a document or a film is not bounded by its bytes",
    "image_output": "pictures are made",
    "image_url": "a picture that the provider fetches may be of any size",
    "no_maximum": "this endpoint takes no maximum of output tokens",
    "prediction": "rejected tokens of a prediction are billed beside the output",
    "server_tools": "tools that the provider runs are called as often as the model likes",
    "stored_context": "input that the provider keeps is not in the request",
    "unread": "the request is of a kind, or of a form, that is not read",
    "web_search": "searches are billed beside the tokens, and what they find is input",
}
# what no maximum of output is needed for: nothing is written, or nothing is billed
_WITHOUT_OUTPUT = frozenset(
    {
        "openai.embeddings",
        "openai.files",
        "openai.count",
        "anthropic.count",
        "cohere.embed",
        "ollama.embed",
        "gemini.embed",
        "gemini.count",
        "bedrock.count",
    }
)
_KINDS = {
    "openai.images": "image_output",
    "openai.audio": "audio",
    "openai.realtime": "audio",
    "openai.batches": "batch",
    "anthropic.batches": "batch",
}
# fields whose presence alone tells; all others are looked into
_MARKS: dict[type[Body], dict[str, str]] = {
    ChatBody: {
        "audio": "audio",
        "web_search_options": "web_search",
        "search_parameters": "web_search",
        "plugins": "server_tools",
        "data_sources": "server_tools",
        "agent_id": "stored_context",
        "preset": "stored_context",
        "prediction": "prediction",
    },
    InputBody: {
        "previous_response_id": "stored_context",
        "previous_interaction_id": "stored_context",
        "continuation_token": "stored_context",
        "cached_content": "stored_context",
        "prompt": "stored_context",
        "background": "background",
        "context_management": "compaction",
        "environment": "server_tools",
    },
    MessagesBody: {
        "mcp_servers": "server_tools",
        "container": "server_tools",
        "fallbacks": "fallback_models",
        "compaction": "compaction",
        "thread": "stored_context",
        "promptVariables": "stored_context",
    },
    GoogleBody: {"cachedContent": "stored_context", "cached_content": "stored_context"},
}
_MARKS |= {ChatOfParts: _MARKS[ChatBody], MessagesOfParts: _MARKS[MessagesBody]}
# the same as one fetch of all of them, and what it gives where none stands
_FETCHES = {body: (attrgetter(*marks), (ABSENT,) * len(marks)) for body, marks in _MARKS.items()}
_MODELS = (
    ("search-preview", "web_search"),
    ("search-api", "web_search"),
    ("sonar", "web_search"),
    (":online", "web_search"),
    ("deep-research", "server_tools"),
    ("compound", "server_tools"),  # Groq's
    ("@preset/", "stored_context"),  # OpenRouter's
    (":prompt/", "stored_context"),  # Bedrock's
    ("-image", "image_output"),
    ("-tts", "audio"),
    ("audio-preview", "audio"),
    ("native-audio", "audio"),
)


def makes_output(kind: Kind) -> bool:
    """Whether calls of this kind are billed for what they write; embeddings, token counts and uploads are not."""
    if kind.format == "bedrock.invoke":
        return find_maker(kind.model) not in ("embed", "rerank")
    return kind.format not in _WITHOUT_OUTPUT and kind.operation != "models"


def name_kind(kind: Kind) -> tuple[str, ...]:
    """What the kind alone tells of a call with a body."""
    if find_maximum(kind) is not None:
        return ()
    named = _KINDS.get(kind.format)
    if named is not None:
        return (named,)
    if kind.operation == "predict" or (kind.format == "opaque" and kind.operation != "models"):
        return ("unread",)
    return ("no_maximum",) if makes_output(kind) else ()


def look_into(kind: Kind, fields: Body, model: str | None) -> Media:
    """The media of a request, and everything in it that makes its cost unbounded."""
    media = Media()
    named = media.unbounded
    if beforehand := name_kind(kind) + _name_model(model or ""):
        named.update(beforehand)
    if fields.conversation is not None:
        named.add("stored_context")
    if fields.models is not None and len(fields.models) > 1:
        named.add("fallback_models")
    fetch, nothing = _FETCHES.get(type(fields), (None, ()))
    if fetch is not None and (found := fetch(fields)) != nothing:
        named.update(name for name, raw in zip(_MARKS[type(fields)].values(), found, strict=True) if stands(raw))
    try:
        _look_into(fields, media)
    except FAULTS:
        named.add("unread")
    return media


def _look_into(fields: Body, media: Media) -> None:
    if isinstance(fields, ChatBody):
        media.take_messages(fields.messages or ())
        media.take_pictures(fields.images)
        _look_at_tools(media, fields.tools, fields.modalities)
    elif isinstance(fields, MessagesBody):
        media.take_messages(fields.messages or ())
        _look_at_tools(media, fields.tools)
        if fields.toolConfig is not None:
            _look_at_tools(media, fields.toolConfig.tools)
        if fields.additionalModelRequestFields is not None:
            _look_at_tools(media, fields.additionalModelRequestFields.tools)
        if fields.context_management is not ABSENT and b"compact" in bytes(fields.context_management):
            media.unbounded.add("compaction")
    elif isinstance(fields, InputBody):
        media.take_items(fields.input)
        _look_at_tools(media, fields.tools, fields.modalities, fields.response_modalities)
        if fields.agent is not None:
            media.unbounded.add("server_tools")
    elif isinstance(fields, GoogleBody):
        for each in (fields, *(fields.requests or ())):
            contents = each.contents if isinstance(each.contents, list) else [each.contents]
            media.take_contents((*contents, each.content, each.systemInstruction, each.system_instruction))
        if fields.tools is not None:
            media.unbounded.update(name_google_tools([fields.tools] if isinstance(fields.tools, dict) else fields.tools))
        for generation in (fields.generationConfig, fields.generation_config):
            if generation is not None:
                _look_at_tools(media, None, generation.responseModalities, generation.response_modalities)
    elif isinstance(fields, EmbedBody):
        media.take_pictures(fields.images)
        media.take_messages(fields.inputs or ())


def _look_at_tools(media: Media, tools: list[Tool] | None, *modalities: list[str] | None) -> None:
    """What the caller's tools, and what it wants written besides text, add to the names."""
    if tools:
        media.unbounded.update(name_tools(tools))
    for modality in (word.lower() for words in modalities if words for word in words):
        if modality in ("audio", "image", "video"):
            media.unbounded.add("audio" if modality == "audio" else "image_output")


@lru_cache(maxsize=1024)
def _name_model(model: str) -> tuple[str, ...]:
    return tuple(name for mark, name in _MODELS if mark in model)
