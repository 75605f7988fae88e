"""OpenAI's Embeddings and its list of models.

Source: https://platform.openai.com/docs/api-reference/embeddings and /models.
"""

from __future__ import annotations

import array
import base64
import math
import sys
from typing import Any

from aiohttp import web

from proxy.demo.exchange import Exchange, Wrong
from proxy.demo.openai import SNAPSHOTS, require
from proxy.demo.prose import count_tokens, generator

_DIMENSIONS = {"text-embedding-3-large": 3072, "text-embedding-3-small": 1536, "text-embedding-ada-002": 1536}
_OTHERS = (*_DIMENSIONS, "gpt-4o-mini-tts", "gpt-image-1", "whisper-1")
_MOST_DIMENSIONS = 4096


def make_vector(text: str, dimensions: int) -> list[float]:
    """A vector of length 1 that depends on the text, in single precision."""
    if not isinstance(dimensions, int) or not 0 < dimensions <= _MOST_DIMENSIONS:
        raise Wrong(400, f"Invalid value for 'dimensions': must be between 1 and {_MOST_DIMENSIONS}.", param="dimensions")
    dice = generator("vector", text)
    numbers = [dice.uniform(-1, 1) for _ in range(dimensions)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return array.array("f", [number / length for number in numbers]).tolist()


def pack_vector(vector: list[float]) -> str:
    """The vector as base64 of little-endian 32-bit floats."""
    packed = array.array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()


async def answer_embeddings(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/embeddings`."""
    document, model = exchange.document, require(exchange, "model")
    given = require(exchange, "input", (str, list))
    texts = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    dimensions = document.get("dimensions") or _DIMENSIONS.get(model, 1536)
    data: list[dict[str, Any]] = []
    tokens = 0
    for index, text in enumerate(texts):
        tokens += count_tokens(text) if isinstance(text, str) else len(text)
        vector = make_vector(str(text), dimensions)
        wants_text = document.get("encoding_format") == "base64"
        data.append({"object": "embedding", "index": index, "embedding": pack_vector(vector) if wants_text else vector})
    usage = {} if exchange.fault.name == "no-usage" else {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return await exchange.send({"object": "list", "data": data, "model": model, **usage}, {"openai-model": model})


def describe_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_715_367_049, "owned_by": "system"}


async def list_models(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/models`."""
    names = [*SNAPSHOTS, *SNAPSHOTS.values(), *_OTHERS]
    return await exchange.send({"object": "list", "data": [describe_model(name) for name in names]})


async def show_model(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/models/{model}`."""
    return await exchange.send(describe_model(exchange.request.match_info["model"]))
