"""Images and audio."""

from __future__ import annotations

import pytest

from tests.demo.client import Client
from tests.simulated.form import read_form

BOUNDARY = "xYz"


def form(*parts: tuple[str, str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart body of (name, file name or "", content), and its header."""
    body = b""
    for name, file_name, content in parts:
        file = f'; filename="{file_name}"' if file_name else ""
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def test_images_whole_and_streamed(provider: Client) -> None:
    asked = {"model": "gpt-image-1", "prompt": "a cat", "n": 2}
    whole = provider.ask("/v1/images/generations", asked).document
    assert len(whole["data"]) == 2 and whole["usage"] == {**whole["usage"], "input_tokens": 2, "output_tokens": 544, "total_tokens": 546}
    events = provider.ask("/v1/images/generations", {**asked, "n": 1, "stream": True}).events
    assert [event["type"] for event in events] == ["image_generation.partial_image", "image_generation.completed"] and events[1]["usage"]


def test_an_edit_is_a_form(provider: Client) -> None:
    body, headers = form(("prompt", "", b"a hat"), ("image", "a.png", b"\x89PNG\r\n--\r\n\x00"))
    assert provider.ask("/v1/images/edits", body, headers).document["usage"]["input_tokens"] == 2
    assert provider.ask("/v1/images/edits", b"{}").status == 400


def test_speech_is_bytes_of_its_kind(provider: Client) -> None:
    asked = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "hello there"}
    spoken = provider.ask("/v1/audio/speech", asked)
    assert spoken.headers["content-type"] == "audio/mpeg" and len(spoken.body) == 4000
    assert provider.ask("/v1/audio/speech", {**asked, "response_format": "wav"}).headers["content-type"] == "audio/wav"
    assert provider.ask("/v1/audio/speech", {**asked, "stream_format": "sse"}).events[-1]["type"] == "speech.audio.done"


@pytest.mark.parametrize(("model", "kind"), [("whisper-1", "duration"), ("gpt-4o-transcribe", "tokens")])
def test_transcriptions_are_billed_by_duration_or_by_tokens(provider: Client, model: str, kind: str) -> None:
    body, headers = form(("model", "", model.encode()), ("file", "a.wav", b"RIFF\r\n" * 1000))
    heard = provider.ask("/v1/audio/transcriptions", body, headers).document
    assert heard["usage"]["type"] == kind and heard["text"]
    body, headers = form(("model", "", model.encode()), ("stream", "", b"true"), ("file", "a.wav", b"RIFF\r\n" * 1000))
    events = provider.ask("/v1/audio/transcriptions", body, headers).events
    assert "".join(event["delta"] for event in events[:-1]) == heard["text"] and events[-1]["usage"] == heard["usage"]


def test_a_form_keeps_every_byte() -> None:
    content = b"\r\n--x\r\n\x00\xff"
    body, headers = form(("a", "f.bin", content), ("b", "", b"1"))

    class Given:
        class request:
            pass

    Given.request.headers, Given.body = headers, body
    assert read_form(Given) == {"a": ("f.bin", content), "b": (None, b"1")}
