"""The prompt in a request body, for every format."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.controlplane.prompts import read_prompt

PICTURE = "iVBORw0KGgo" * 100
BODIES = {
    "chat": (
        {
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": "alpha"},
                {"role": "user", "content": [{"type": "text", "text": "beta"}, {"type": "image_url", "image_url": {"url": PICTURE}}]},
                {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "gamma", "arguments": '{"x": 1}'}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": "delta"},
            ],
        },
        ["alpha", "beta", "gamma", '{"x": 1}', "delta"],
        4,
    ),
    "responses": (
        {
            "instructions": "alpha",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "beta"}, {"type": "input_image", "image_url": PICTURE}]},
                {"type": "function_call", "call_id": "c", "name": "gamma", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "delta"},
                {"type": "reasoning", "id": "r", "encrypted_content": PICTURE, "summary": []},
            ],
        },
        ["alpha", "beta", "gamma", "{}", "delta"],
        5,
    ),
    "anthropic": (
        {
            "system": [{"type": "text", "text": "alpha", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": PICTURE}}, {"type": "text", "text": "beta"}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "gamma", "input": {"url": "x"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "delta"}]},
            ],
        },
        ["alpha", "beta", "gamma", '{"url":"x"}', "delta"],
        4,
    ),
    "gemini": (
        {
            "systemInstruction": {"parts": [{"text": "alpha"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "beta"}, {"inlineData": {"mimeType": "image/png", "data": PICTURE}}]},
                {"role": "model", "parts": [{"functionCall": {"name": "gamma", "args": {"data": "x"}}, "thoughtSignature": PICTURE}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "gamma", "response": {"result": "delta"}}}]},
            ],
        },
        ["alpha", "beta", "gamma", '{"data":"x"}', "gamma", '{"result":"delta"}'],
        4,
    ),
    "converse": (
        {"system": [{"text": "alpha"}], "messages": [{"role": "user", "content": [{"text": "beta"}, {"image": {"source": {"bytes": PICTURE}}}]}]},
        ["alpha", "beta"],
        2,
    ),
    "completions": ({"prompt": ["alpha", "beta"]}, ["alpha", "beta"], 1),
    "embeddings": ({"input": "alpha"}, ["alpha"], 1),
    "rerank": ({"query": "alpha", "documents": ["beta", "gamma"]}, ["alpha", "beta", "gamma"], 2),
}


@pytest.mark.parametrize("name", BODIES)
def test_texts_and_messages(name: str) -> None:
    body, texts, messages = BODIES[name]
    prompt = read_prompt(json.dumps(body).encode())
    assert sorted(prompt.texts) == sorted(texts)
    assert prompt.messages == messages
    assert prompt.tools == ""


def test_tools_are_kept_as_compact_json() -> None:
    assert read_prompt(b'{"messages": [], "tools": [{"name": "x"}], "tool_choice": "auto"}').tools == '[[{"name":"x"}]]'


def test_a_schema_is_read_and_other_settings_are_not() -> None:
    with_schema = read_prompt(
        b'{"messages": [], "response_format": {"type": "json_schema", "json_schema": {"name": "x"}}, "text": {"verbosity": "low"}}'
    )
    assert with_schema.texts == ['{"type":"json_schema","json_schema":{"name":"x"}}']
    assert with_schema.tools == ""


def test_token_arrays_are_numbers_of_tokens() -> None:
    assert read_prompt(b'{"prompt": [[1, 2], [3]]}').tokens == 3


@pytest.mark.parametrize("request_body", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe", b"--boundary\r\n", b"[" * 100_000, b'{"input":' * 100_000])
def test_what_is_no_json_object_is_no_prompt(request_body: bytes) -> None:
    assert read_prompt(request_body) is None


def test_deep_nesting_is_walked_without_recursion() -> None:
    depth = 300
    prompt = read_prompt(b'{"messages":' + b'{"content":' * depth + b'"deep"' + b"}" * depth + b"}")
    assert prompt.texts == ["deep"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["role", "content", "type", "input", "text", "args"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["messages", "input", "contents", "system", "tools", "prompt", "x"]), json_values, max_size=5))
def test_any_json_object_is_read(body: dict) -> None:
    prompt = read_prompt(json.dumps(body).encode())
    assert prompt.messages >= 0 and prompt.tokens >= 0
    assert all(prompt.texts)
