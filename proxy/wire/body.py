"""The fields of request bodies that are read, declared as structs: those of all dialects, and what each dialect has beside them.

Everything that is not declared (text above all) is skipped without being built. The bare ones are without the contents, the tools and
the marks that only a weight needs: what stands in the many parts of a long conversation is read where somebody counts it.
"""

from __future__ import annotations

import msgspec

from proxy.wire.loose import Loose
from proxy.wire.parts import ABSENT, Content, Item, PartsMessage, TextMessage
from proxy.wire.toolkit import Tool


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class Format(msgspec.Struct):
    type: str | None = None


class TextOptions(msgspec.Struct):
    format: Format | None = None


class Generation(msgspec.Struct):
    """Gemini's `generationConfig`, Bedrock's `inferenceConfig`, Titan's `textGenerationConfig`; Google takes both spellings."""

    maxOutputTokens: int | None = None
    max_output_tokens: int | None = None
    candidateCount: int | None = None
    candidate_count: int | None = None
    responseMimeType: str | None = None
    response_mime_type: str | None = None
    responseModalities: list[str] | None = None
    response_modalities: list[str] | None = None
    maxTokens: int | None = None
    max_new_tokens: int | None = None  # Nova's older name
    maxTokenCount: int | None = None  # Titan


class Options(msgspec.Struct):
    num_predict: int | None = None


class Metadata(msgspec.Struct):
    agent_id: str | None = None
    agent_name: str | None = None
    task_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None


class ClientMetadata(msgspec.Struct):
    session_id: str | None = None
    thread_id: str | None = None


class Conversation(msgspec.Struct):
    id: str | None = None


class Thinking(msgspec.Struct):
    type: str | None = None
    budget_tokens: int | None = None  # Anthropic
    max_tokens: int | None = None  # OpenRouter's `reasoning`


class Body(msgspec.Struct):
    """The fields that are read over all dialects."""

    model: str | None = None
    models: list[str] | None = None  # OpenRouter's order of preference
    agent: str | None = None  # Gemini Interactions
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    n: int | None = None
    service_tier: str | None = None
    speed: str | None = None  # Anthropic's: `fast` has a price of its own
    response_format: Format | str | None = None
    text: TextOptions | None = None
    output_config: TextOptions | None = None
    output_format: Format | str | None = None
    metadata: Metadata | None = None
    client_metadata: ClientMetadata | None = None
    conversation: str | Conversation | None = None
    safety_identifier: str | None = None
    user: str | None = None
    prompt_cache_key: str | None = None
    session_id: str | None = None  # OpenRouter


class BareChat(Body):
    """`openai.chat`, `openai.completions` and `ollama.*`."""

    prompt: msgspec.Raw = ABSENT
    best_of: int | None = None
    options: Options | None = None  # Ollama
    format: msgspec.Raw = ABSENT  # Ollama
    thinking: Thinking | None = None
    reasoning: Thinking | None = None  # OpenRouter


class ChatBody(BareChat):
    messages: list[TextMessage] | None = None
    tools: list[Tool] | None = None
    images: msgspec.Raw = ABSENT  # Ollama
    modalities: list[str] | None = None
    audio: msgspec.Raw = ABSENT
    web_search_options: msgspec.Raw = ABSENT
    search_parameters: msgspec.Raw = ABSENT  # xAI
    plugins: msgspec.Raw = ABSENT  # OpenRouter
    data_sources: msgspec.Raw = ABSENT  # Azure
    agent_id: msgspec.Raw = ABSENT  # Mistral
    preset: msgspec.Raw = ABSENT  # OpenRouter
    prediction: msgspec.Raw = ABSENT


class BareInput(Body):
    """`openai.responses` and `gemini.interactions`."""

    generation_config: Generation | None = None
    generationConfig: Generation | None = None


class InputBody(BareInput):
    input: list[Item] | Item | str | None = None
    tools: list[Tool] | None = None
    modalities: list[str] | None = None
    response_modalities: list[str] | None = None
    previous_response_id: msgspec.Raw = ABSENT
    previous_interaction_id: msgspec.Raw = ABSENT
    continuation_token: msgspec.Raw = ABSENT
    cached_content: msgspec.Raw = ABSENT
    prompt: msgspec.Raw = ABSENT
    background: msgspec.Raw = ABSENT
    context_management: msgspec.Raw = ABSENT
    environment: msgspec.Raw = ABSENT


class ToolConfig(msgspec.Struct):
    tools: list[Tool] | None = None


class Additional(msgspec.Struct):
    """Bedrock's `additionalModelRequestFields`: fields of the model's own."""

    max_tokens: int | None = None
    thinking: Thinking | None = None
    reasoning_config: Thinking | None = None
    tools: list[Tool] | None = None


class BareMessages(Body):
    """`anthropic.messages`, `cohere.chat` and `bedrock.*`."""

    thinking: Thinking | None = None
    inferenceConfig: Generation | None = None
    textGenerationConfig: Generation | None = None
    additionalModelRequestFields: Additional | None = None
    max_tokens_to_sample: int | None = None
    max_gen_len: int | None = None


class MessagesBody(BareMessages):
    messages: list[TextMessage] | None = None
    tools: list[Tool] | None = None
    toolConfig: ToolConfig | None = None
    context_management: msgspec.Raw = ABSENT
    mcp_servers: msgspec.Raw = ABSENT
    container: msgspec.Raw = ABSENT
    fallbacks: msgspec.Raw = ABSENT
    compaction: msgspec.Raw = ABSENT
    thread: msgspec.Raw = ABSENT
    promptVariables: msgspec.Raw = ABSENT


class BareGoogle(Body):
    """`gemini.generate` and `gemini.embed`."""

    generationConfig: Generation | None = None
    generation_config: Generation | None = None


class GoogleBody(BareGoogle):
    contents: list[Content] | Content | None = None
    content: Content | None = None  # embeddings
    requests: list[GoogleBody] | None = None  # embeddings
    systemInstruction: Content | None = None
    system_instruction: Content | None = None
    tools: list[dict[str, msgspec.Raw]] | dict[str, msgspec.Raw] | None = None
    cachedContent: msgspec.Raw = ABSENT
    cached_content: msgspec.Raw = ABSENT


class EmbedBody(Body):
    """`cohere.embed`: texts, and pictures."""

    images: msgspec.Raw = ABSENT
    inputs: list[PartsMessage] | None = None


class ChatOfParts(ChatBody):
    """For contents that are lists: these are read at once, while texts among them are built for nothing."""

    messages: list[PartsMessage] | None = None


class MessagesOfParts(MessagesBody):
    messages: list[PartsMessage] | None = None


_PLAIN, _INPUT, _GOOGLE, _EMBED = Loose(Body), Loose(InputBody), Loose(GoogleBody), Loose(EmbedBody)
_CHAT, _MESSAGES = Loose(ChatBody), Loose(MessagesBody)
_OF_PARTS: dict[Loose, Loose] = {_CHAT: Loose(ChatOfParts), _MESSAGES: Loose(MessagesOfParts)}
_BARE: dict[Loose, Loose] = {_CHAT: Loose(BareChat), _INPUT: Loose(BareInput), _MESSAGES: Loose(BareMessages), _GOOGLE: Loose(BareGoogle)}
_DECODERS: dict[str, Loose] = {
    "openai.chat": _CHAT,
    "openai.completions": _CHAT,
    "ollama.chat": _CHAT,
    "ollama.generate": _CHAT,
    "openai.responses": _INPUT,
    "gemini.interactions": _INPUT,
    "anthropic.messages": _MESSAGES,
    "cohere.chat": _MESSAGES,
    "bedrock.converse": _MESSAGES,
    "bedrock.invoke": _MESSAGES,
    "gemini.generate": _GOOGLE,
    "gemini.embed": _GOOGLE,
    "cohere.embed": _EMBED,
}
_CONTENT = b'"content":'
_LOOKED_THROUGH = 4096
_SMALL = 1024  # where either way is as fast


def decode_body(format: str, data: bytes, *, bare: bool = False) -> Body:
    """The fields of a body of this format. Raises only `FAULTS` of `loose`: the bytes are no JSON, or nested too deeply."""
    decoder = _DECODERS.get(format, _PLAIN)
    if bare:
        return _BARE.get(decoder, _PLAIN).decode(data)
    of_parts = _OF_PARTS.get(decoder)
    if of_parts is not None and len(data) > _SMALL and _begins_with_lists(data, decoder is _MESSAGES):
        decoder = of_parts
    return decoder.decode(data)


def _begins_with_lists(data: bytes, otherwise: bool) -> bool:
    """A guess from the first contents, and only of what is faster; `otherwise` where there is none to be seen."""
    place = data.find(_CONTENT, 0, _LOOKED_THROUGH)
    if place < 0:
        return otherwise
    for _ in range(3):
        if data[place + len(_CONTENT) : place + len(_CONTENT) + 2].lstrip().startswith(b"["):
            return True
        place = data.find(_CONTENT, place + 1, _LOOKED_THROUGH)
        if place < 0:
            break
    return False
