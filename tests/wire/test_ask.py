"""What a request asks: every dialect's fields, native marks, forms, and bodies that are not as they should be."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import Ask, Kind
from proxy.wire.ask import read_ask
from proxy.wire.recognise import recognise

CHAT = recognise("POST", "/v1/chat/completions", "", "openai")
COMPLETIONS = recognise("POST", "/v1/completions", "", "openai")
RESPONSES = recognise("POST", "/v1/responses", "", "openai")
MESSAGES = recognise("POST", "/v1/messages", "", "anthropic")
GEMINI = recognise("POST", "/v1/models/gemini:streamGenerateContent", "", "gemini")
CONVERSE = recognise("POST", "/model/m/converse", "", "bedrock")
OLLAMA = recognise("POST", "/api/chat", "", "ollama")


def ask(kind: Kind, **fields: object) -> Ask:
    return read_ask(kind, json.dumps(fields).encode())


def test_chat() -> None:
    asked = ask(CHAT, model="gpt-4o", messages=[{"role": "user", "content": "hi"}], max_completion_tokens=7, n=2, service_tier="flex",
                response_format={"type": "json_schema"})  # fmt: skip
    assert asked == Ask(model="gpt-4o", max_output_tokens=7, choices=2, service_tier="flex", json_asked=True, prompt_bytes=asked.prompt_bytes)
    assert asked.prompt_bytes > 100


def test_usage_is_expected_of_a_chat_stream_only_where_it_was_asked_for() -> None:
    assert not ask(CHAT, model="m", stream=True).usage_expected
    assert not ask(CHAT, model="m", stream=True, stream_options={"include_usage": False}).usage_expected
    assert ask(CHAT, model="m", stream=True, stream_options={"include_usage": True}).usage_expected
    assert ask(CHAT, model="m").usage_expected
    assert ask(RESPONSES, model="m", stream=True).usage_expected


def test_the_limit_of_tokens_in_each_dialect() -> None:
    assert ask(MESSAGES, model="m", max_tokens=1).max_output_tokens == 1
    assert ask(RESPONSES, model="m", max_output_tokens=2).max_output_tokens == 2
    assert ask(GEMINI, generationConfig={"maxOutputTokens": 3, "candidateCount": 4}).max_output_tokens == 3
    assert ask(CONVERSE, inferenceConfig={"maxTokens": 5}).max_output_tokens == 5
    assert ask(OLLAMA, model="m", options={"num_predict": 6}).max_output_tokens == 6
    assert ask(OLLAMA, model="m", options={"num_predict": -1}).max_output_tokens is None


def test_of_two_limits_the_higher_counts_and_another_dialects_says_nothing() -> None:
    assert ask(CHAT, max_tokens=9, max_completion_tokens=5).max_output_tokens == 9
    assert ask(CHAT, max_tokens=9, max_output_tokens=5).max_output_tokens == 9
    assert ask(MESSAGES, max_tokens=9, max_completion_tokens=50).max_output_tokens == 9
    assert ask(GEMINI, generationConfig={"maxOutputTokens": 3}, generation_config={"max_output_tokens": 4}).max_output_tokens == 4
    assert ask(CONVERSE, inferenceConfig={"maxTokens": 5}, additionalModelRequestFields={"max_tokens": 6}).max_output_tokens == 6
    assert ask(CHAT, max_tokens=2**80).max_output_tokens == 2**40
    assert ask(CHAT, max_tokens=-1).max_output_tokens is None
    assert ask(recognise("POST", "/v1/embeddings", "", "openai"), max_tokens=5).max_output_tokens is None


def test_choices_are_what_is_billed() -> None:
    assert ask(COMPLETIONS, prompt="a", n=2, best_of=5).choices == 5
    assert ask(COMPLETIONS, prompt=["a", "b", "c"], n=2).choices == 6
    assert ask(COMPLETIONS, prompt=[[1, 2], [3]]).choices == 2
    assert ask(COMPLETIONS, prompt=[1, 2, 3]).choices == 1
    assert ask(COMPLETIONS, prompt=[]).choices == 1
    assert ask(CHAT, n=2, best_of=5).choices == 2
    assert ask(CHAT, n=-3).choices == 1
    assert ask(CHAT, n=2**70).choices == 2**20
    assert ask(GEMINI, generationConfig={"candidateCount": 4}).choices == 4
    assert ask(GEMINI, generation_config={"candidate_count": 3}).choices == 3


def test_the_budget_of_reasoning() -> None:
    assert ask(MESSAGES, thinking={"type": "enabled", "budget_tokens": 2048}).reasoning_budget_tokens == 2048
    assert ask(MESSAGES, thinking={"type": "disabled", "budget_tokens": 2048}).reasoning_budget_tokens is None
    assert ask(MESSAGES, thinking={"type": "adaptive"}).reasoning_budget_tokens is None
    assert ask(CONVERSE, additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 9}}).reasoning_budget_tokens == 9
    assert ask(CONVERSE, additionalModelRequestFields={"reasoning_config": {"budget_tokens": 8}}).reasoning_budget_tokens == 8
    assert ask(CHAT, reasoning={"max_tokens": 7}).reasoning_budget_tokens == 7
    assert ask(CHAT, reasoning={"effort": "high"}, thinking="on").reasoning_budget_tokens is None


def test_json_asked_in_each_dialect() -> None:
    assert ask(RESPONSES, text={"format": {"type": "json_schema"}}).json_asked
    assert ask(GEMINI, generationConfig={"responseMimeType": "application/json"}).json_asked
    assert ask(GEMINI, generation_config={"response_mime_type": "application/json"}).json_asked
    assert ask(MESSAGES, model="m", output_config={"format": {"type": "json_schema"}}).json_asked
    assert ask(OLLAMA, model="m", format="json").json_asked
    assert not ask(OLLAMA, model="m", format="").json_asked
    assert not ask(CHAT, model="m", response_format={"type": "text"}).json_asked


def test_streams_and_models_of_the_path_and_the_body() -> None:
    assert ask(OLLAMA, model="m").stream
    assert not ask(OLLAMA, model="m", stream=False).stream
    assert ask(GEMINI).stream
    assert ask(GEMINI, model="other").model == "gemini"
    assert ask(CHAT, models=["first", "second"]).model == "first"
    assert ask(recognise("POST", "/v1beta/interactions", "", "gemini"), agent="deep-research").model == "deep-research"


def marks(kind: Kind, **fields: object) -> tuple[str | None, str | None, str | None]:
    asked = ask(kind, model="m", **fields)
    return asked.agent, asked.task, asked.session


def test_native_marks() -> None:
    assert marks(CHAT, metadata={"agent_id": "a", "task_id": "t", "session_id": "s"}, user="u") == ("a", "t", "s")
    assert marks(CHAT, user="u") == ("u", None, None)
    assert marks(CHAT, safety_identifier="i", user="u", prompt_cache_key="k") == ("i", None, "k")
    assert marks(MESSAGES, metadata={"user_id": "plain"}) == ("plain", None, None)
    assert marks(MESSAGES, metadata={"user_id": '{"device_id":"d","session_id":"s1"}'}) == (None, None, "s1")
    old = "user_ab12_account_34cd_session_0f8fad5b-d9cb-469f-a165-70867728950e"
    assert marks(MESSAGES, metadata={"user_id": old}) == (None, None, "0f8fad5b-d9cb-469f-a165-70867728950e")
    assert marks(RESPONSES, client_metadata={"thread_id": "th"}, prompt_cache_key="k") == (None, None, "th")
    assert marks(RESPONSES, conversation="conv_1") == (None, None, "conv_1")
    assert marks(RESPONSES, conversation={"id": "conv_2"}) == (None, None, "conv_2")
    assert marks(CHAT, metadata={"user_id": "{broken"}, user="x" * 1000)[0] == "x" * 300


@pytest.mark.parametrize("model", [5, None, ["m"], {"a": 1}, True, ""])
def test_a_field_of_a_wrong_type_is_absent_and_the_rest_is_read(model: object) -> None:
    asked = ask(CHAT, model=model, stream=True, max_tokens="many", metadata="none", user=7, n=3.0, stream_options=[])
    assert asked.model is None
    assert asked.stream
    assert asked.max_output_tokens is None
    assert asked.choices == 3


def test_text_that_is_not_unicode_does_not_hide_the_model() -> None:
    assert read_ask(CHAT, b'{"user":"\xff","model":"m","messages":"\xfe"}').model == "m"


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"model":"m"', b'{"model":"m"} x', b'{"messages":[1,}', b"\xff"])
def test_what_is_no_json_raises(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_ask(CHAT, body)


def test_json_that_is_no_object_asks_nothing() -> None:
    assert read_ask(CHAT, b"[1]") == Ask(prompt_bytes=3)


def test_json_nested_too_deeply_is_left_unread() -> None:
    body = b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert read_ask(CHAT, body) == Ask(prompt_bytes=len(body), unbounded=("unread",))


def test_bodies_of_other_endpoints_ask_what_can_be_read_of_them() -> None:
    files = recognise("PUT", "/v1/any", "", "openai")
    assert read_ask(files, b"\x00\xff") == Ask(prompt_bytes=2, unbounded=("unread",))
    assert read_ask(files, b"") == Ask()
    assert read_ask(recognise("POST", "/v1/images/edits", "", "openai"), b'{"model":"m","prompt"').model is None
    assert read_ask(recognise("POST", "/v1/images/edits", "", "openai"), b'{"model":"m"}', "application/json").model == "m"


def test_a_hostile_form_takes_no_time() -> None:
    body = b'name="model"\r\n' * 20_000
    assert read_ask(recognise("POST", "/v1/files", "", "openai"), body, "multipart/form-data").model is None


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n\x00\xff\r\n\r\n\x01\r\n'
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b"--b\r\nContent-Disposition: form-data; name=stream\r\nContent-Type: text/plain\r\n\r\ntrue\r\n"
    b'--b\r\nContent-Disposition: form-data; name="response_format"\r\n\r\nverbose_json\r\n--b--\r\n'
)


@pytest.mark.parametrize("body", [FORM, FORM[60:], b"\x00" * 1000 + FORM])
def test_forms(body: bytes) -> None:
    asked = read_ask(recognise("POST", "/v1/audio/transcriptions", "", "openai"), body, "multipart/form-data; boundary=b")
    assert asked == Ask(model="whisper-1", stream=True, json_asked=True, prompt_bytes=len(body), unbounded=("audio",))


NAMES = ["model", "stream", "n", "metadata", "user", "text", "conversation", "generationConfig", "stream_options", "format"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6))
def test_no_json_object_raises(fields: dict) -> None:
    body = msgspec.json.encode(fields)
    for kind in (CHAT, RESPONSES, OLLAMA, GEMINI):
        assert read_ask(kind, body).prompt_bytes == len(body)


PAGES = [{"content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}, {"type": "document"}]}]
THINKING = {"budget_tokens": 5}
UNWEIGHED = {
    "/v1/chat/completions": {"messages": PAGES, "n": 3, "max_tokens": 9, "tools": [{"type": "web_search"}], "reasoning": {"max_tokens": 4}},
    "/v1/completions": {"prompt": ["a", "b"], "best_of": 2, "max_tokens": 9},
    "/v1/responses": {"input": PAGES, "max_output_tokens": 9, "background": True, "text": {"format": {"type": "json_schema"}}},
    "/v1/messages": {"messages": PAGES, "max_tokens": 9, "mcp_servers": [{}], "thinking": THINKING, "metadata": {"user_id": "u_session_012345"}},
    "/v1/models/g:generateContent": {"contents": [{"parts": [{"fileData": {}}]}], "generationConfig": {"maxOutputTokens": 9, "candidateCount": 2}},
    "/model/m/converse": {"messages": PAGES, "inferenceConfig": {"maxTokens": 9}, "additionalModelRequestFields": {"thinking": THINKING}},
    "/api/chat": {"messages": [{"content": "x", "images": ["aaaa"]}], "options": {"num_predict": 9}, "format": "json"},
    "/v1/embed": {"images": ["data:image/png;base64,aaaa"]},
}


@pytest.mark.parametrize("path", UNWEIGHED)
@pytest.mark.parametrize("wrong", [{}, {"user": 7, "n": "x"}])
def test_what_nobody_weighs_is_read_but_for_its_media_and_counts_as_unbounded(path: str, wrong: dict) -> None:
    kind = recognise("POST", path, "", "cohere" if path == "/v1/embed" else "openai")
    body = json.dumps({"model": "m", "stream": True} | UNWEIGHED[path] | wrong).encode()
    whole, bare = read_ask(kind, body), read_ask(kind, body, weighed=False)
    assert bare == msgspec.structs.replace(whole, media_bytes=0, media_pieces=0, unbounded=("unread",))
    assert bare != whole


def test_what_nobody_weighs_is_refused_all_the_same_where_it_is_no_json() -> None:
    with pytest.raises(msgspec.DecodeError):
        read_ask(CHAT, b'{"model":"m","messages":[{', weighed=False)


def test_what_only_its_content_type_calls_a_form_is_read_as_the_json_that_its_endpoint_takes() -> None:
    body = b'{"model":"m","n":100,"tools":[{"type":"web_search"}],\n"user":"name=n",\n\n"max_tokens":5}'
    asked = read_ask(CHAT, body, "multipart/form-data; boundary=x")
    assert (asked.model, asked.choices, asked.max_output_tokens, asked.unbounded) == ("m", 100, 5, ("web_search",))
    with pytest.raises(msgspec.DecodeError):
        read_ask(CHAT, b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--x--', "multipart/form-data; boundary=x")


def test_how_many_answers_are_asked_for_counts_also_where_it_is_written_as_a_text() -> None:
    assert ask(CHAT, model="m", n="8", max_tokens="20") == ask(CHAT, model="m", n=8.0, max_tokens=20.00)
    assert ask(CHAT, model="m", n="8", max_tokens="20").choices == 8
    assert ask(GEMINI, generationConfig={"candidateCount": "8", "maxOutputTokens": "20"}).choices == 8


@pytest.mark.parametrize(("speed", "tier"), [("fast", "fast"), ("standard", "auto"), (None, "auto")])
def test_the_fast_mode_is_a_tier(speed: str | None, tier: str) -> None:
    assert ask(MESSAGES, model="m", service_tier="auto", speed=speed).service_tier == tier


@pytest.mark.parametrize(("written", "stream"), [("True", True), ("1", True), (1, True), (1.0, True), ("no", False), (0, False), ([], False)])
def test_a_stream_is_one_however_it_is_asked_for(written: object, stream: bool) -> None:
    assert ask(CHAT, model="m", stream=written).stream is stream
