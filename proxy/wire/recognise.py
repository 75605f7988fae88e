"""What a request is, told by its method and path alone.

Paths are matched by their ends, so a prefix (OpenRouter's `/api`, Groq's `/openai`, a gateway's own) does not matter, and
mostly without regard to the upstream's dialect.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import parse_qs, unquote

from msgspec.structs import replace

from proxy.call import Kind

OPAQUE = Kind("opaque", "other")
_MOST_MODEL = 300


def _json(format: str, operation: str, *, needs_model: bool = False, stream: bool | None = None, output_maximum: bool = True) -> Kind:
    return Kind(format, operation, stream=stream, json_body=True, needs_model=needs_model, output_maximum=output_maximum)


# the last two segments, or the last one, of a POST
_POSTS = {
    "chat/completions": _json("openai.chat", "chat", needs_model=True),
    "fim/completions": _json("openai.chat", "text_completion", needs_model=True),
    "agents/completions": _json("openai.chat", "invoke_agent"),
    "completions": _json("openai.completions", "text_completion", needs_model=True),
    "responses": _json("openai.responses", "chat"),
    "responses/compact": _json("openai.responses", "chat", output_maximum=False),
    "responses/input_tokens": _json("openai.count", "count_tokens"),
    "embeddings": _json("openai.embeddings", "embeddings", needs_model=True),
    "decisions": _json("openai.responses", "chat", output_maximum=False),
    "images/generations": _json("openai.images", "image_generation"),
    "images/edits": Kind("openai.images", "image_generation"),
    "audio/speech": _json("openai.audio", "speech", needs_model=True),
    "audio/transcriptions": Kind("openai.audio", "transcription"),
    "audio/translations": Kind("openai.audio", "transcription"),
    "v1/moderations": _json("openai.embeddings", "moderation"),
    "v1/files": Kind("openai.files", "files"),
    "v1/uploads": Kind("openai.files", "files"),
    "openai/files": Kind("openai.files", "files"),
    "v1/batches": Kind("openai.batches", "batches"),
    "openai/batches": Kind("openai.batches", "batches"),
    "realtime/calls": Kind("openai.realtime", "realtime"),
    "realtime/client_secrets": Kind("openai.realtime", "realtime"),
    "v1/messages": _json("anthropic.messages", "chat", needs_model=True),
    "anthropic/messages": _json("anthropic.messages", "chat", needs_model=True),
    "messages/count_tokens": _json("anthropic.count", "count_tokens", needs_model=True),
    "messages/batches": Kind("anthropic.batches", "batches"),
    "v2/chat": _json("cohere.chat", "chat", needs_model=True),
    "v2/embed": _json("cohere.embed", "embeddings", needs_model=True),
    "v2/rerank": _json("cohere.embed", "rerank", needs_model=True),
    "api/chat": _json("ollama.chat", "chat", needs_model=True, stream=None),
    "api/generate": _json("ollama.generate", "text_completion", needs_model=True),
    "api/embed": _json("ollama.embed", "embeddings", needs_model=True),
    "api/embeddings": _json("ollama.embed", "embeddings", needs_model=True),
    "interactions": _json("gemini.interactions", "chat"),
}
_GEMINI = {
    "generateContent": _json("gemini.generate", "generate_content", stream=False),
    "streamGenerateContent": _json("gemini.generate", "generate_content", stream=True),
    "embedContent": _json("gemini.embed", "embeddings", stream=False),
    "batchEmbedContents": _json("gemini.embed", "embeddings", stream=False),
    "predict": _json("gemini.embed", "predict", stream=False),
    "countTokens": _json("gemini.count", "count_tokens", stream=False),
    "rawPredict": _json("anthropic.messages", "chat"),
    "streamRawPredict": _json("anthropic.messages", "chat"),
}
_BEDROCK = {
    "converse": _json("bedrock.converse", "chat", stream=False),
    "converse-stream": _json("bedrock.converse", "chat", stream=True),
    "invoke": _json("bedrock.invoke", "chat", stream=False),
    "invoke-with-response-stream": _json("bedrock.invoke", "chat", stream=True),
    "count-tokens": _json("bedrock.count", "count_tokens", stream=False),
}
_GEMINI_MODEL = re.compile(r"/(?:models|endpoints|tunedModels)/([^/:]+):([A-Za-z-]+)\Z")
_BEDROCK_MODEL = re.compile(r"/model/([^/]+)/([a-z-]+)\Z")
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")
# objects that are fetched, listed or changed by their id
_OBJECTS = (
    (re.compile(r"/responses/[^/]+(?:/cancel)?\Z"), Kind("openai.responses", "chat")),
    (re.compile(r"/responses/[^/]+/input_items\Z"), Kind("openai.files", "files")),
    (re.compile(r"/interactions/[^/]+(?:/cancel)?\Z"), Kind("gemini.interactions", "chat")),
    (re.compile(r"/messages/batches(?:/.*)?\Z"), Kind("anthropic.batches", "batches")),
    (re.compile(r"/batches(?:/.*)?\Z"), Kind("openai.batches", "batches")),
    (re.compile(r"/(?:files|uploads)(?:/.*)?\Z"), Kind("openai.files", "files")),
    (re.compile(r"/models(?:/.*)?\Z"), Kind("opaque", "models")),
)
# what is no object of these where it is posted to: other providers run models so (`POST /models/<name>`), and bill it
_UNPOSTED = re.compile(r"/models(?:/.*)?\Z|/(?:responses|interactions)/[^/]+(?:/input_items)?\Z")
_ESCAPED = re.compile(r"%(?:2[dDeE]|3[0-9aA]|4[1-9a-fA-F]|5[0-9aA]|5[fF]|6[1-9a-fA-F]|7[0-9aA]|7[eE])")  # of what needs no escape, and of a colon
_SOCKETS = {"responses": Kind("openai.responses", "chat"), "realtime": Kind("openai.realtime", "realtime")}


def recognise(method: str, path: str, query: str, dialect: str) -> Kind:
    """The kind of a request; `Kind("opaque", "other")` if nothing here knows it.

    `path` is percent-encoded as it came, without the query. `dialect` decides only where the path is ambiguous.
    """
    kind = _recognise_path(method.upper(), path[:2000], dialect)
    if not query or kind.format not in ("openai.responses", "openai.realtime"):
        return kind
    fields = parse_qs(query[:4000], max_num_fields=None)
    if kind.format == "openai.realtime" and "model" in fields:
        return replace(kind, model=fields["model"][0][:_MOST_MODEL])
    if method.upper() == "GET" and fields.get("stream") == ["true"]:
        return replace(kind, stream=True)
    return kind


@lru_cache(maxsize=2048)
def _recognise_path(method: str, path: str, dialect: str) -> Kind:
    if "%" in path:
        path = _ESCAPED.sub(lambda found: unquote(found[0]), path)  # the same path, as servers read it
    path = path.rstrip("/")
    if method == "POST":
        if found := _GEMINI_MODEL.search(path):
            return _with_model(_GEMINI.get(found[2]), found[1], found[2] == "streamRawPredict")
        if found := _BEDROCK_MODEL.search(path):
            return _with_model(_BEDROCK.get(found[2]), found[1], False)
        kind = _recognise_post(path.rsplit("/", 2), dialect)
        if kind is not None:
            deployment = _DEPLOYMENT.search(path)
            return replace(kind, model=unquote(deployment[1])[:_MOST_MODEL], needs_model=False) if deployment else kind
        if _UNPOSTED.search(path):
            return OPAQUE
    if method == "GET":
        kind = _SOCKETS.get(path.rpartition("/")[2])
        if kind is not None or path.endswith("/live/sessions"):
            return kind or _SOCKETS["realtime"]
    if method in ("GET", "POST", "DELETE"):
        for pattern, kind in _OBJECTS:
            if pattern.search(path):
                return kind
    return OPAQUE


def _recognise_post(segments: list[str], dialect: str) -> Kind | None:
    last = segments[-1]
    kind = _POSTS.get("/".join(segments[-2:])) or _POSTS.get(last)
    if kind is not None:
        return kind
    if last == "messages" and dialect == "anthropic":
        return _POSTS["v1/messages"]
    if last in ("chat", "embed") and dialect in ("cohere", "ollama"):
        return _POSTS[("v2/" if dialect == "cohere" else "api/") + last]
    return None


def _with_model(kind: Kind | None, model: str, stream: bool) -> Kind:
    if kind is None:
        return OPAQUE
    return replace(kind, model=unquote(model)[:_MOST_MODEL], stream=True if stream else kind.stream)
