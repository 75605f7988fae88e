"""OpenAI's images and audio: JSON, multipart forms, event streams and plain bytes.

Source: https://platform.openai.com/docs/api-reference/images and /audio.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from proxy.demo.chat import EVENTS, STREAM_ERROR
from proxy.demo.exchange import Exchange, serve
from proxy.demo.openai import OPENAI, require, sse
from proxy.demo.prose import count_tokens, digest, split_text, write_text
from tests.simulated.form import read_form, require_field

# A transparent PNG of one pixel.
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
_AUDIO_TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav", "pcm": "audio/pcm"}
_SECOND_BYTES = 4000


def _image_usage(prompt: str, count: int) -> dict[str, Any]:
    asked, made = count_tokens(prompt), 272 * count
    details = {"image_tokens": 0, "text_tokens": asked}
    return {"input_tokens": asked, "output_tokens": made, "total_tokens": asked + made, "input_tokens_details": details}


async def make_image(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/images/generations`."""
    prompt, count = require(exchange, "prompt"), exchange.document.get("n") or 1
    return await _send_images(exchange, prompt, count, bool(exchange.document.get("stream")), "image_generation")


async def edit_image(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/images/edits`, a form."""
    form = read_form(exchange)
    prompt = require_field(form, "prompt")[1].decode()
    return await _send_images(exchange, prompt, 1, form.get("stream", (None, b""))[1] == b"true", "image_edit")


async def _send_images(exchange: Exchange, prompt: str, count: int, stream: bool, kind: str) -> web.StreamResponse:
    usage = {} if exchange.fault.name == "no-usage" else {"usage": _image_usage(prompt, count)}
    made = {"created": exchange.now_s, "background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
    if not stream:
        return await exchange.send({**made, "data": [{"b64_json": _PIXEL}] * count, **usage})
    about = {"b64_json": _PIXEL, "created_at": exchange.now_s, "background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
    partial = {"type": f"{kind}.partial_image", **about, "partial_image_index": 0}
    events = [partial, {"type": f"{kind}.completed", **about, **usage}]
    return await exchange.send_stream((sse(event, event["type"]) for event in events), EVENTS, STREAM_ERROR)


async def speak(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/audio/speech`: bytes that stand for sound, a second for every fifteen letters."""
    text, _ = require(exchange, "input"), require(exchange, "voice", (str, dict))
    seconds = 1 + len(text) // 15
    if exchange.document.get("stream_format") == "sse":
        return await exchange.send_stream(_speak_events(text, seconds), EVENTS, STREAM_ERROR)
    kind = _AUDIO_TYPES.get(exchange.document.get("response_format") or "mp3", "audio/mpeg")
    return await exchange.send_stream(_sound(text, seconds), kind, b"")


def _sound(text: str, seconds: int) -> Iterator[bytes]:
    for second in range(seconds):
        yield (digest("sound", text, str(second)) * (_SECOND_BYTES // 32 + 1))[:_SECOND_BYTES]


def _speak_events(text: str, seconds: int) -> Iterator[bytes]:
    for piece in _sound(text, seconds):
        yield sse({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})
    usage = {"input_tokens": count_tokens(text), "output_tokens": 20 * seconds, "total_tokens": count_tokens(text) + 20 * seconds}
    yield sse({"type": "speech.audio.done", "usage": usage})


async def transcribe(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/audio/transcriptions` and `/translations`, a form: sentences that depend on the sound; usage by duration or by tokens."""
    form = read_form(exchange)
    sound, model = require_field(form, "file")[1], require_field(form, "model")[1].decode()
    text = write_text(digest("heard", sound).hex())
    shape = form.get("response_format", (None, b"json"))[1].decode()
    if shape in ("text", "srt", "vtt"):
        return await exchange.send_bytes(text.encode() + b"\n", "text/plain; charset=utf-8")
    usage = _hear_usage(model, sound, text)
    if form.get("stream", (None, b""))[1] == b"true":
        return await exchange.send_stream(_hear_events(text, usage), EVENTS, STREAM_ERROR)
    document: dict[str, Any] = {"text": text, "usage": usage}
    if shape == "verbose_json":
        document |= {"task": "transcribe", "language": "english", "duration": float(1 + len(sound) // _SECOND_BYTES), "segments": []}
    return await exchange.send(document)


def _hear_usage(model: str, sound: bytes, text: str) -> dict[str, Any]:
    seconds = 1 + len(sound) // _SECOND_BYTES
    if model.startswith("whisper"):
        return {"type": "duration", "seconds": seconds}
    heard, said = 10 * seconds, count_tokens(text)
    details = {"audio_tokens": heard, "text_tokens": 0}
    return {"type": "tokens", "input_tokens": heard, "input_token_details": details, "output_tokens": said, "total_tokens": heard + said}


def _hear_events(text: str, usage: dict[str, Any]) -> Iterator[bytes]:
    for piece in split_text(text):
        yield sse({"type": "transcript.text.delta", "delta": piece})
    yield sse({"type": "transcript.text.done", "text": text, "usage": usage})


def add_routes(app: web.Application) -> None:
    app.router.add_post("/v1/images/generations", serve(OPENAI, make_image))
    app.router.add_post("/v1/images/edits", serve(OPENAI, edit_image, json_body=False))
    app.router.add_post("/v1/audio/speech", serve(OPENAI, speak))
    app.router.add_post("/v1/audio/transcriptions", serve(OPENAI, transcribe, json_body=False))
    app.router.add_post("/v1/audio/translations", serve(OPENAI, transcribe, json_body=False))
