"""What requests ask, in each dialect."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evaluators.sample import Tool
from proxy.controlplane.inspection.question import Question, read_question, translate

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def ask(**fields: object) -> Question:
    return read_question(json.dumps(fields).encode())


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
        {"format": SCHEMA},
        {"response_format": {"type": "json_object", "schema": SCHEMA}},
        {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}},
        {"generationConfig": {"responseMimeType": "application/json", "responseSchema": {**SCHEMA, "type": "OBJECT"}}},
        {"generation_config": {"response_mime_type": "application/json", "response_schema": SCHEMA}},
    ],
    ids=["chat", "responses", "messages", "messages before", "ollama", "cohere", "gemini", "gemini's words", "gemini in python"],
)
def test_a_schema(fields: dict) -> None:
    question = ask(**fields)
    assert question.asked == "json"
    assert question.schema == SCHEMA


@pytest.mark.parametrize(
    "fields",
    [{"response_format": {"type": "json_object"}}, {"format": "json"}, {"generationConfig": {"responseMimeType": "application/json"}}],
)
def test_json_without_a_schema(fields: dict) -> None:
    question = ask(**fields)
    assert (question.asked, question.schema) == ("json", None)


@pytest.mark.parametrize("fields", [{}, {"response_format": {"type": "text"}}, {"text": {"format": {"type": "text"}}}, {"generationConfig": {}}])
def test_text(fields: dict) -> None:
    assert ask(**fields).asked == "text"


@pytest.mark.parametrize(
    "tools",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]},
        {"tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]},
        {"tools": [{"name": "f", "input_schema": SCHEMA}]},
        {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}]},
        {"toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}]}},
        {"functions": [{"name": "f", "parameters": SCHEMA}]},
    ],
    ids=["chat", "responses", "messages", "gemini", "converse", "functions"],
)
def test_tools(tools: dict) -> None:
    assert ask(**tools).offered == [Tool("f", SCHEMA)]


def test_a_tool_that_takes_text_is_marked() -> None:
    assert ask(tools=[{"type": "custom", "name": "f"}]).offered == [Tool("f", None, True)]
    assert ask(tools=[{"type": "custom", "name": "f", "input_schema": SCHEMA}]).offered == [Tool("f", SCHEMA)]


@pytest.mark.parametrize(
    "tool", [{"type": "web_search"}, {"googleSearch": {}}, {"type": "mcp", "server_url": "http://x"}, "f", {"type": "bash_20250124", "name": "bash"}]
)
def test_beside_a_tool_that_is_not_known_no_name_is_wrong(tool: object) -> None:
    assert ask(tools=[{"name": "f"}, tool]).offered is None
    assert ask().offered == []
    assert ask(tools=[{"name": "f"}], mcp_servers=[{"url": "http://x"}]).offered is None
    assert ask(prompt={"id": "pmpt_1"}).offered is None


def test_the_language_is_that_of_the_user_s_last_words() -> None:
    french = "Le moulin est de l'autre côté de la rivière et il a été construit par les moines, qui ne l'ont pas vendu."
    english = "The mill is on the other side of the river and it was built by the monks."
    before = [{"role": "user", "content": english}, {"role": "assistant", "content": english}]
    assert ask(messages=[*before, {"role": "user", "content": [{"type": "text", "text": french}]}], system=english).language == "fr"
    assert ask(input=french).language == "fr"
    assert ask(contents=[{"parts": [{"text": french}]}]).language == "fr"
    assert ask(prompt=english).language == "en"
    assert ask(messages=[{"role": "user", "content": None}]).language is None


def test_the_prompt_is_what_the_user_wrote_last_and_all_of_it() -> None:
    long = "How long is the river? " * 400
    before = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Yes?"}]
    parts = [{"type": "text", "text": long}, {"type": "text", "text": "end"}]
    assert ask(messages=[*before, {"role": "user", "content": parts}]).prompt == f"{long}\nend"
    assert ask(input=long).prompt == long
    assert ask(messages=[{"role": "assistant", "content": "Yes?"}]).prompt is None


def test_the_digest_is_that_of_what_stays_the_same() -> None:
    first, second = ({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]} for text in "ab")
    assert ask(**first).digest == ask(**second).digest
    assert ask(**first).digest != ask(**first, tools=[{"name": "f"}]).digest
    assert ask(system="a").digest != ask(system="b").digest


@pytest.mark.parametrize("request_", [None, b"", b"[]", b'{"messages": [{"role": "us', b"\xff", b'{"a":' * 100_000, b"--boundary"])
def test_what_cannot_be_read_asks_for_nothing_known(request_: bytes | None) -> None:
    assert read_question(request_) == Question()


def test_google_s_words_are_put_into_json_schema() -> None:
    words = {"type": "STRING", "nullable": True, "enum": ["A"], "format": "enum"}
    made = translate({"type": "ARRAY", "minItems": "2", "items": words, "propertyOrdering": ["a"]})
    assert made == {"type": "array", "minItems": 2, "items": {"type": ["string", "null"], "enum": ["A", None]}}


NAMES = st.sampled_from([
    "messages", "role", "content", "parts", "text", "tools", "function", "name", "parameters", "type", "format", "response_format", "json_schema",
    "schema", "generationConfig", "responseMimeType", "responseSchema", "items", "properties", "enum", "nullable", "minItems", "system", "input",
    "toolConfig", "functionDeclarations",
])  # fmt: skip
BODY = st.dictionaries(
    NAMES,
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(["user", "json", "application/json", "OBJECT"])),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
        max_leaves=15,
    ),
    max_size=6,
)


@given(BODY)
@example({"messages": [{"role": []}]})
def test_no_request_is_too_strange(body: dict) -> None:
    assert isinstance(read_question(json.dumps(body).encode()), Question)
