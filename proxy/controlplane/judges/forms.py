"""The forms in which a judge is asked: what one question looks like in each provider's words, and where the text of its answer stands.

To add one: a function that writes, one that reads, and an entry in `_FORMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

Messages = list[dict[str, str]]
_MOST_OUTPUT_TOKENS = 4096  # Anthropic wants a maximum
_VERSION = "2023-06-01"  # of Anthropic's API
_MODEL = "{model}"  # stands in a path for the model's name


class Form(NamedTuple):
    """One provider's words."""

    path: str  # where it is asked by default
    ending: str  # of every path that it is asked at
    write: Callable[[str, Messages, bool], dict[str, Any]]  # model, messages, whether JSON is wanted → the request
    read: Callable[[Any], Iterator[str]]  # an answer → its pieces of text; raises LookupError, TypeError, AttributeError
    credential: str  # the header that holds the key
    headers: dict[str, str]

    def locate(self, path: str | None, model: str) -> str:
        """The path at which the model is asked."""
        return (path or self.path).replace(_MODEL, quote(model, safe=""))

    def sign(self, key: str | None) -> dict[str, str]:
        """The headers of a request with a key."""
        if key is None:
            return self.headers
        return {**self.headers, self.credential: f"Bearer {key}" if self.credential == "Authorization" else key}

    def find_text(self, body: bytes) -> str | None:
        """The text of an answer; None where there is none."""
        try:
            text = "".join(self.read(msgspec.json.decode(body)))
        except (msgspec.MsgspecError, UnicodeError, RecursionError, LookupError, TypeError, AttributeError):
            return None
        return text if text.strip() else None


def choose_form(dialect: str, path: str | None) -> Form:
    """The form of a path, where that tells; else the one of the dialect."""
    return next((form for form in _FORMS.values() if (path or "").endswith(form.ending)), _FORMS[dialect])


def _write_chat(model: str, messages: Messages, wants_json: bool) -> dict[str, Any]:
    return {"model": model, "messages": messages, **({"response_format": {"type": "json_object"}} if wants_json else {})}


def _read_chat(answer: Any) -> Iterator[str]:
    yield answer["choices"][0]["message"]["content"]


def _write_responses(model: str, messages: Messages, wants_json: bool) -> dict[str, Any]:
    return {"model": model, "input": messages, "store": False, **({"text": {"format": {"type": "json_object"}}} if wants_json else {})}


def _read_responses(answer: Any) -> Iterator[str]:
    return (part["text"] for item in answer["output"] if item.get("type") == "message" for part in item["content"] if part["type"] == "output_text")


def _write_anthropic(model: str, messages: Messages, _: bool) -> dict[str, Any]:
    rules, said = _part(messages)
    return {"model": model, "max_tokens": _MOST_OUTPUT_TOKENS, "messages": said, **({"system": rules} if rules else {})}


def _read_anthropic(answer: Any) -> Iterator[str]:
    return (block["text"] for block in answer["content"] if block["type"] == "text")


def _write_gemini(_: str, messages: Messages, wants_json: bool) -> dict[str, Any]:
    rules, said = _part(messages)
    request: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": one["content"]}]} for one in said]}
    if rules:
        request["systemInstruction"] = {"parts": [{"text": rules}]}
    return {**request, **({"generationConfig": {"responseMimeType": "application/json"}} if wants_json else {})}


def _read_gemini(answer: Any) -> Iterator[str]:
    return (part["text"] for part in answer["candidates"][0]["content"]["parts"] if "text" in part and not part.get("thought"))


def _part(messages: Messages) -> tuple[str, Messages]:
    """The rules, and what is said under them."""
    rules = "\n\n".join(one["content"] for one in messages if one["role"] == "system")
    return rules, [one for one in messages if one["role"] != "system"]


_FORMS = {  # by dialect; one that a path alone tells has a name of its own
    "openai": Form("/v1/chat/completions", "/chat/completions", _write_chat, _read_chat, "Authorization", {}),
    "openai responses": Form("/v1/responses", "/responses", _write_responses, _read_responses, "Authorization", {}),
    "anthropic": Form("/v1/messages", "/messages", _write_anthropic, _read_anthropic, "x-api-key", {"anthropic-version": _VERSION}),
    "gemini": Form(f"/v1beta/models/{_MODEL}:generateContent", ":generateContent", _write_gemini, _read_gemini, "x-goog-api-key", {}),
}
