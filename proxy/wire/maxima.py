"""Where each format has its maximum of output tokens: one table, for reading it and for writing it."""

from __future__ import annotations

from typing import NamedTuple

from proxy.call import Kind


class Maximum(NamedTuple):
    """In one of `holders` (none: at the top of the body), under one of `names`; the first of each is what is put in where none stands.

    `asides`, each an object and a name in it, may be a second one, which is changed but never put in.
    """

    names: tuple[str, ...]
    holders: tuple[str, ...] = ()
    asides: tuple[tuple[str, str], ...] = ()


_CHAT = Maximum(("max_tokens", "max_completion_tokens"))
_CHAT_OF_OPENAI = Maximum(("max_completion_tokens", "max_tokens"))  # its reasoning models refuse the older name
_PLAIN = Maximum(("max_tokens",))
_CLAUDE = Maximum(("max_tokens", "max_tokens_to_sample"))  # the second of its oldest models
_MAXIMA = {
    "openai.completions": _PLAIN,
    "openai.responses": Maximum(("max_output_tokens",)),
    "anthropic.messages": _PLAIN,
    "gemini.generate": Maximum(("maxOutputTokens", "max_output_tokens"), ("generationConfig", "generation_config")),
    "gemini.interactions": Maximum(("max_output_tokens", "maxOutputTokens"), ("generation_config", "generationConfig")),
    "bedrock.converse": Maximum(("maxTokens",), ("inferenceConfig",), (("additionalModelRequestFields", "max_tokens"),)),
    "cohere.chat": _PLAIN,
    "ollama.chat": Maximum(("num_predict",), ("options",)),
    "ollama.generate": Maximum(("num_predict",), ("options",)),
}
# the makers of the models behind Bedrock's Invoke, whose bodies are their own; the first that is part of the model's id
_MAKERS: dict[str, Maximum | None] = {
    "embed": None,
    "rerank": None,
    "anthropic.": _CLAUDE,
    "amazon.nova": Maximum(("maxTokens", "max_new_tokens"), ("inferenceConfig",)),
    "amazon.titan": Maximum(("maxTokenCount",), ("textGenerationConfig",)),
    "meta.": Maximum(("max_gen_len",)),
    "mistral.": _PLAIN,
    "cohere.": _PLAIN,
    "ai21.jamba": _PLAIN,
    "writer.": _PLAIN,
    "openai.": _CHAT_OF_OPENAI,
    **dict.fromkeys(("deepseek.", "qwen.", "moonshot", "minimax.", "zai.", "google.", "nvidia."), _CHAT),
}

# all objects within a body that may keep a maximum
HOLDERS = frozenset(
    name for one in (*_MAXIMA.values(), *_MAKERS.values()) if one is not None for name in (*one.holders, *(aside for aside, _ in one.asides))
)


def find_maximum(kind: Kind, provider: str | None = None) -> Maximum | None:
    """Where a body of this kind has its maximum; None where it has none, or none that is known.

    `provider` is that of the price book (`openai`, `azure`, …); it decides only which name comes first in a chat.
    """
    if not kind.output_maximum:
        return None
    if kind.format == "openai.chat":
        return _CHAT_OF_OPENAI if provider in ("openai", "azure") else _CHAT
    if kind.format == "bedrock.invoke":
        return _MAKERS.get(find_maker(kind.model))
    return _MAXIMA.get(kind.format)


def find_maker(model: str | None) -> str:
    """Whose body a model behind Bedrock's Invoke takes; empty where it is not known, as behind a profile of the caller's own."""
    return next((maker for maker in _MAKERS if maker in (model or "")), "")
