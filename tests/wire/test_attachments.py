"""Pictures, sound and files in prompts: how many bytes of base64, how many pieces, and the same whichever way a body is read."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import Kind
from proxy.wire import read_ask, recognise
from proxy.wire.attachments import Media
from proxy.wire.body import ChatBody, ChatOfParts, MessagesBody, MessagesOfParts, decode_body

CHAT = recognise("POST", "/v1/chat/completions", "", "openai")
RESPONSES = recognise("POST", "/v1/responses", "", "openai")
MESSAGES = recognise("POST", "/v1/messages", "", "anthropic")
GEMINI = recognise("POST", "/v1/models/gemini:generateContent", "", "gemini")
INTERACTIONS = recognise("POST", "/v1beta/interactions", "", "gemini")
CONVERSE = recognise("POST", "/model/m/converse", "", "bedrock")
COHERE = recognise("POST", "/v2/embed", "", "cohere")
OLLAMA = recognise("POST", "/api/generate", "", "ollama")
B64 = "iVBORw0KGgo" * 100
URL = f"data:image/png;base64,{B64}"
IN_URL, BARE = len(URL), len(B64)


def claude(source: dict) -> dict:
    return {"type": "image", "source": source}


@pytest.mark.parametrize(
    ("kind", "fields", "size"),
    [
        (
            CHAT,
            {"messages": [{"content": [{"type": "text", "text": URL}, {"type": "image_url", "image_url": {"url": URL, "detail": "low"}}]}]},
            IN_URL,
        ),
        (CHAT, {"messages": [{"content": "x"}, {"content": [{"type": "image_url", "image_url": {"url": URL}}]}]}, IN_URL),
        (CHAT, {"messages": [{"content": {"type": "image_url", "image_url": {"url": URL}}}]}, IN_URL),
        (CHAT, {"messages": [{"content": [{"type": "image_url", "image_url": URL}]}]}, IN_URL),
        (CHAT, {"messages": [{"content": [{"type": "input_audio", "input_audio": {"data": B64}}]}]}, BARE),
        (CHAT, {"messages": [{"content": [{"type": "file", "file": {"file_data": B64, "filename": "a.pdf"}}]}]}, BARE),
        (RESPONSES, {"input": [{"content": [{"type": "input_image", "image_url": URL}]}]}, IN_URL),
        (RESPONSES, {"input": [{"content": [{"type": "input_file", "file_data": URL}]}]}, IN_URL),
        (RESPONSES, {"input": [{"type": "function_call_output", "output": [{"type": "input_image", "image_url": URL}]}]}, IN_URL),
        (RESPONSES, {"input": [{"type": "image_generation_call", "result": B64}]}, BARE),
        (MESSAGES, {"messages": [{"content": [claude({"type": "base64", "data": B64})]}]}, BARE),
        (MESSAGES, {"messages": [{"content": [{"type": "tool_result", "content": [claude({"type": "base64", "data": B64})]}]}]}, BARE),
        (GEMINI, {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": B64}}]}]}, BARE),
        (GEMINI, {"contents": {"parts": {"inline_data": {"mime_type": "image/png", "data": B64}}}}, BARE),
        (GEMINI, {"contents": [{"parts": [{"functionResponse": {"parts": [{"inlineData": {"mimeType": "image/png", "data": B64}}]}}]}]}, BARE),
        (INTERACTIONS, {"input": [{"type": "image", "mime_type": "image/png", "data": B64}]}, BARE),
        (CONVERSE, {"messages": [{"content": [{"image": {"format": "png", "source": {"bytes": B64}}}]}]}, BARE),
        (CONVERSE, {"messages": [{"content": [{"toolResult": {"content": [{"image": {"source": {"bytes": B64}}}]}}]}]}, BARE),
        (CONVERSE, {"messages": [{"content": [{"guardContent": {"image": {"source": {"bytes": B64}}}}]}]}, BARE),
        (COHERE, {"images": [URL]}, IN_URL),
        (COHERE, {"inputs": [{"content": [{"type": "image_url", "image_url": {"url": URL}}]}]}, IN_URL),
        (OLLAMA, {"images": [B64]}, BARE),
    ],
)
def test_what_stands_in_base64_is_weighed(kind: Kind, fields: dict, size: int) -> None:
    ask = read_ask(kind, json.dumps({"model": "m"} | fields).encode())
    assert (ask.media_bytes, ask.media_pieces) == (size, 1)
    assert ask.prompt_bytes > size
    assert "image_url" not in ask.unbounded


def test_pieces_add_up() -> None:
    picture = claude({"type": "base64", "data": B64})
    ask = read_ask(MESSAGES, json.dumps({"messages": [{"content": [picture, picture]}, {"content": "x"}, {"content": [picture]}]}).encode())
    assert (ask.media_bytes, ask.media_pieces, ask.unbounded) == (3 * BARE, 3, ())
    assert read_ask(OLLAMA, json.dumps({"images": [B64, B64], "prompt": "x"}).encode()).media_pieces == 2
    assert read_ask(COHERE, json.dumps({"images": [URL, "https://x"]}).encode()).unbounded == ("image_url",)


def test_bodies_whose_contents_are_lists_are_read_in_one_step() -> None:
    long = b" " * 2000
    texts, lists = b'{"messages":[{"content":"[x]"}]}' + long, b'{"messages":[{"content":"x"},{"content": [{"type":"text"}]}]}' + long
    assert [type(decode_body(kind, texts)) for kind in ("openai.chat", "anthropic.messages")] == [ChatBody, MessagesBody]
    assert [type(decode_body(kind, lists)) for kind in ("openai.chat", "anthropic.messages")] == [ChatOfParts, MessagesOfParts]


@pytest.mark.parametrize("wrong", [5, None, "", "text", [5], [None], {"type": 5}, [["a"]], [{"type": {}}], [{"source": 1}], True])
def test_what_is_not_as_it_should_be_is_as_if_absent(wrong: object) -> None:
    for kind, field in (
        (CHAT, "messages"),
        (MESSAGES, "messages"),
        (RESPONSES, "input"),
        (GEMINI, "contents"),
        (CONVERSE, "messages"),
        (OLLAMA, "images"),
    ):
        assert read_ask(kind, json.dumps({field: wrong, "max_tokens": 3, "model": "m"}).encode()).media_bytes == 0
        content = {field: [{"content": wrong, "parts": wrong}], "model": "m"}
        assert read_ask(kind, json.dumps(content).encode()).media_bytes == 0


PART = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["text", "image_url", "image", "input_audio", "tool_result", "document", "other", None, 5]),
        "text": st.text(max_size=5),
        "image_url": st.sampled_from([URL, {"url": URL}, {"url": "https://x"}, None, 5, []]),
        "source": st.sampled_from(
            [{"data": B64}, {"url": "https://x"}, {"type": "text"}, "x", {"content": [{"type": "image", "source": {"data": B64}}]}]
        ),
        "content": st.sampled_from(["x", [{"type": "image", "source": {"data": B64}}], {"type": "image"}, 5, [["x"]]]),
        "tools": st.sampled_from([[{"type": "mcp"}], 5, [5], {}]),
    },
)
CONTENT = st.none() | st.integers() | st.text(max_size=5) | st.lists(PART | st.integers(), max_size=3) | PART


@given(st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": CONTENT}) | st.integers(), max_size=4))
def test_both_ways_to_read_contents_find_the_same(messages: list) -> None:
    body = json.dumps({"messages": messages}).encode()
    found = []
    for kind in (ChatBody, ChatOfParts):
        try:
            fields = msgspec.json.decode(body, type=kind)
        except msgspec.ValidationError:
            return
        media = Media()
        media.take_messages(fields.messages or ())
        found.append((media.bytes, media.pieces, media.unbounded))
    assert found[0] == found[1]


@given(st.lists(st.fixed_dictionaries({"content": CONTENT, "parts": CONTENT}) | CONTENT, max_size=4) | CONTENT)
def test_no_content_raises(content: object) -> None:
    body = json.dumps({"messages": content, "input": content, "contents": content, "images": content, "tools": content, "inputs": content}).encode()
    for kind in (CHAT, RESPONSES, MESSAGES, GEMINI, INTERACTIONS, CONVERSE, COHERE, OLLAMA):
        assert read_ask(kind, body).media_bytes >= 0
