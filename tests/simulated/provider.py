"""The simulated provider with every further dialect: Azure, Mistral, Groq, DeepSeek, OpenRouter, Cohere, Bedrock, Ollama, and OpenAI's
images, audio, files, batches and Realtime.

`python -m tests.simulated.provider --port 0` runs it alone. Dialects whose paths collide with OpenAI's stand below their provider's
name: `/mistral/v1/…`, `/groq/openai/v1/…`, `/deepseek/…`, `/openrouter/api/v1/…`; all others have their own native paths.
`x-demo-encoding: gzip|br|zstd` compresses an answer; request bodies may come in each of these too.
"""

from __future__ import annotations

import gzip

import brotli
import zstandard
from aiohttp import web

from proxy.demo import provider
from proxy.demo.desk import DESK
from proxy.demo.provider import serve_app, start
from tests.simulated import bedrock, cohere, files, flavours, media, ollama, realtime

__all__ = ["make_app", "serve_app", "start"]


def make_app(record: bool = True, seed: str | None = None) -> web.Application:
    """The demo's application and all further dialects."""
    app = provider.make_app(record, seed, extend)
    desk = app[DESK]
    desk.decoders |= {"br": _unpack_brotli, "zstd": _unpack_zstd}
    desk.encoders |= {"gzip": lambda body: gzip.compress(body, mtime=0), "br": brotli.compress, "zstd": zstandard.ZstdCompressor().compress}
    return app


def extend(app: web.Application) -> None:
    for part in (flavours, cohere, bedrock, ollama, media, files, realtime):
        part.add_routes(app)


def _unpack_brotli(body: bytes) -> bytes:
    try:
        return brotli.decompress(body)
    except brotli.error as error:
        raise ValueError(str(error)) from None


def _unpack_zstd(body: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


if __name__ == "__main__":
    provider.main(make_app)
