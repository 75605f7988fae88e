"""Counts tokens with tiktoken, offline and within bounds, for calls whose provider reported no usage.

The vocabularies lie beside this file (`vocabularies/README.md`); nothing here ever opens a connection. Loading one takes about
half a second and 80 MB, and counting holds the interpreter: call from a worker thread, never from an event loop.

What is counted is what tiktoken would count, up to 256 KiB of text. Longer text is counted in windows spread evenly over it and
extrapolated. tiktoken panics (a `BaseException`) on a million blanks, so no window is longer than 16 Ki characters, and every call of it
is guarded: what it cannot count is taken as four bytes a token, and `failures()` tells how often.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import math
import threading
import types
from pathlib import Path

import tiktoken
from tiktoken.model import encoding_name_for_model
from tiktoken_ext import openai_public

from proxy.controlplane.prompts import read_prompt
from proxy.controlplane.ratios import Ratios

__all__ = ["LIMIT_BYTES", "Ratios", "VocabularyError", "count", "estimate_prompt", "failures"]

LIMIT_BYTES = 256 * 1024  # the most that is tokenised of one text
_WINDOW = 16 * 1024  # characters given to tiktoken at once
_SEAM = 256  # how far back from a window's end a clean seam between two words is looked for
_FALLBACK_BYTES = 4  # bytes a token where nothing can be counted
_VOCABULARIES = Path(__file__).parent / "vocabularies"
_DEFINITIONS = {"o200k_base": openai_public.o200k_base, "cl100k_base": openai_public.cl100k_base}

# OpenAI's chat format, measured exact on recorded calls: three tokens a message, three to begin the answer. Gemini bills the text alone.
_MESSAGE_TOKENS = 3
_ANSWER_TOKENS = 3
# Tools as compact JSON against what providers bill: OpenAI renders them shorter; Anthropic adds a hidden prompt wherever Claude runs,
# 570 to 680 tokens on recorded calls, about 350 up to Claude 4.0.
_OPENAI_TOOLS = 0.75
_CLAUDE_TOOL_PROMPT = 600
_OLD_CLAUDE_TOOL_PROMPT = 350
_OLD_CLAUDES = ("claude-3", "claude-sonnet-4-0", "claude-opus-4-0", "claude-sonnet-4-2025", "claude-opus-4-2025")

_failed: dict[str, int] = {"load": 0, "count": 0, "prompt": 0}
_loading = threading.Lock()


class VocabularyError(Exception):
    """A vocabulary that is missing or is not the one that tiktoken expects."""


def failures() -> dict[str, int]:
    """How often a guard had to fall back to bytes since the start: by what failed (`load`, `count`, `prompt`)."""
    return dict(_failed)


def count(text: str, model: str | None = None) -> int:
    """The tokens of `text` in the model's vocabulary (o200k_base where OpenAI published none). Never raises."""
    if not text:
        return 0
    most = LIMIT_BYTES if text.isascii() else LIMIT_BYTES // 4
    windows = cut_windows(text) if len(text) <= most else sample_windows(text, most)
    encoding_name = choose_encoding(model)
    tokens = sum(_count_window(window, encoding_name) for window in windows)
    if len(text) <= most:
        return tokens
    return math.ceil(tokens * len(text) / sum(len(window) for window in windows))


def estimate_prompt(request: bytes, format: str, model: str | None = None, request_bytes: int = 0) -> int:
    """The input tokens of a request body: its texts, its tools and the overhead of its messages; images are not counted.

    `format` is the wire format's name; it decides what a message and a tool cost beside their text. `request_bytes`: the whole length where
    `request` was cut. A body that is not one JSON object is counted as text and, where it was cut, extrapolated.
    """
    whole = max(request_bytes, len(request))
    prompt = read_prompt(request)
    if prompt is None:
        _failed["prompt"] += 1
        tokens = count(request[:LIMIT_BYTES].decode("utf-8", "replace"), model)
        return math.ceil(tokens * whole / min(len(request), LIMIT_BYTES)) if request else 0
    tokens = prompt.tokens
    if prompt.messages and "gemini" not in format:
        tokens += prompt.messages * _MESSAGE_TOKENS + _ANSWER_TOKENS
    if sum(map(len, prompt.texts)) <= LIMIT_BYTES // 4:
        tokens += sum(count(text, model) for text in prompt.texts)
    else:
        tokens += count("\n".join(prompt.texts), model)
    if prompt.tools:
        tokens += _weigh_tools(count(prompt.tools, model), format, (model or "").lower())
    return tokens


def _weigh_tools(tokens: int, format: str, model: str) -> int:
    if "anthropic" in format or "claude" in model:
        return tokens + (_OLD_CLAUDE_TOOL_PROMPT if any(name in model for name in _OLD_CLAUDES) else _CLAUDE_TOOL_PROMPT)
    if "openai" in format or "responses" in format or "chat" in format:
        return round(tokens * _OPENAI_TOOLS)
    return tokens


def choose_encoding(model: str | None) -> str:
    """The vocabulary for a model, as tiktoken maps it; o200k_base for every model that tiktoken does not know."""
    try:
        name = encoding_name_for_model((model or "").rsplit("/", 1)[-1])
    except KeyError:
        return "o200k_base"
    return name if name in _DEFINITIONS else "o200k_base"


def cut_windows(text: str) -> list[str]:
    """`text` in pieces of at most 16 Ki characters, cut between a letter and a blank before a letter where there is one.

    No token of either vocabulary spans such a place, so there the sum over the pieces is exact; elsewhere it is off by one at most a cut.
    """
    windows, start = [], 0
    while len(text) - start > _WINDOW:
        end = start + _WINDOW
        for seam in range(end - 1, end - _SEAM, -1):
            if text[seam] == " " and text[seam - 1].isalpha() and text[seam + 1].isalpha():
                end = seam
                break
        windows.append(text[start:end])
        start = end
    windows.append(text[start:])
    return windows


def sample_windows(text: str, most: int) -> list[str]:
    """At most `most` characters of a longer text, in windows spread evenly from its beginning to its end."""
    number = most // _WINDOW
    step = (len(text) - _WINDOW) / (number - 1)
    return [text[start : start + _WINDOW] for start in (round(index * step) for index in range(number))]


def _count_window(window: str, encoding_name: str) -> int:
    """The named guard around tiktoken: whatever it does, a number comes back."""
    failed = "load"
    try:
        with _loading:
            encoding = load_encoding(encoding_name)
        failed = "count"
        return len(encoding.encode(window, disallowed_special=()))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        _failed[failed] += 1
        return math.ceil(len(window.encode("utf-8", "surrogatepass")) / _FALLBACK_BYTES)


@functools.cache
def load_encoding(name: str) -> tiktoken.Encoding:
    """tiktoken's own encoding of that name, from our file. Raises `VocabularyError`.

    tiktoken's definition is run as it stands, only with our loader in the place of the one that downloads; so the pattern, the special tokens and
    the expected hash are those of the installed tiktoken, and nothing in its module is changed.
    """
    definition = _DEFINITIONS[name]
    offline = types.FunctionType(definition.__code__, {**vars(openai_public), "load_tiktoken_bpe": read_vocabulary})
    return tiktoken.Encoding(**offline())


def read_vocabulary(address: str, expected_hash: str | None = None) -> dict[bytes, int]:
    """Token → rank, from our copy of the file that tiktoken would fetch from `address`. Raises `VocabularyError`."""
    path = _VOCABULARIES / f"{address.rsplit('/', 1)[-1]}.gz"
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise VocabularyError(f"{path}: cannot be read: {error}") from None
    if expected_hash is None or hashlib.sha256(content).hexdigest() != expected_hash:
        raise VocabularyError(f"{path}: not the vocabulary that tiktoken expects")
    pairs = (line.split() for line in content.splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in pairs}
