"""Chat Completions and Completions: whole and streamed say the same."""

from __future__ import annotations

import json

import pytest

from tests.demo.client import Client

PATH = "/v1/chat/completions"
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


def ask(last: str = "Which invoices are overdue?", **fields: object) -> dict:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": last}], **fields}


@pytest.mark.parametrize("fields", [{}, {"n": 3}, {"max_tokens": 6}, {"response_format": {"type": "json_object"}}])
def test_the_stream_says_what_the_whole_answer_says(provider: Client, fields: dict) -> None:
    whole = provider.ask(PATH, ask(**fields)).document
    stream = provider.ask(PATH, ask(stream=True, stream_options={"include_usage": True}, **fields))
    *chunks, last = stream.events
    for choice in whole["choices"]:
        mine = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == choice["index"]]
        assert "".join(each["delta"].get("content") or "" for each in mine) == choice["message"]["content"]
        assert mine[-1]["finish_reason"] == choice["finish_reason"] == ("length" if "max_tokens" in fields else "stop")
    assert last["choices"] == [] and last["usage"] == whole["usage"] and all(chunk["usage"] is None for chunk in chunks)
    assert stream.body.endswith(b"data: [DONE]\n\n") and stream.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_usage_in_the_stream_only_when_asked_for(provider: Client) -> None:
    assert not any("usage" in chunk for chunk in provider.ask(PATH, ask(stream=True)).events)
    assert provider.ask(PATH, ask(stream_options={})).status == 400
    assert "usage" not in provider.ask(PATH, ask(), {"x-demo-fault": "no-usage"}).document


def test_a_tool_loop(provider: Client) -> None:
    said = provider.ask(PATH, ask("use get_weather", tools=[TOOL])).document["choices"][0]
    assert said["finish_reason"] == "tool_calls" and said["message"]["content"] is None
    (call,) = said["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather" and "city" in json.loads(call["function"]["arguments"])
    stream = provider.ask(PATH, ask("use get_weather", tools=[TOOL], stream=True)).events
    pieces = [piece for chunk in stream for piece in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert (
        pieces[0]["function"]["name"] == "get_weather" and "".join(each["function"]["arguments"] for each in pieces) == call["function"]["arguments"]
    )
    question = ask("use get_weather", tools=[TOOL])
    question["messages"] += [said["message"], {"role": "tool", "tool_call_id": call["id"], "content": "rain"}]
    assert provider.ask(PATH, question).document["choices"][0]["finish_reason"] == "stop"


def test_a_schema_is_kept(provider: Client) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    content = provider.ask(PATH, ask(response_format=shape)).document["choices"][0]["message"]["content"]
    assert list(json.loads(content)) == ["total"]


def test_logprobs_cover_the_text(provider: Client) -> None:
    choice = provider.ask(PATH, ask(logprobs=True)).document["choices"][0]
    assert "".join(piece["token"] for piece in choice["logprobs"]["content"]) == choice["message"]["content"]


@pytest.mark.parametrize(
    "document",
    [{}, {"model": "m"}, {"model": "m", "messages": []}, {"model": "m", "messages": ["x"]}, {"model": 1, "messages": []}, ask(n=0.5), ask(n=1000)],
)
def test_wrong_fields_are_refused(provider: Client, document: dict) -> None:
    assert provider.ask(PATH, document).status == 400


def test_an_error_in_the_stream_ends_it_without_done(provider: Client) -> None:
    stream = provider.ask(PATH, ask(stream=True, model="gpt-4o-error-in-stream"))
    assert stream.status == 200 and stream.events[-1]["error"]["type"] == "server_error" and b"[DONE]" not in stream.body


def test_empty_is_an_answer_without_text(provider: Client) -> None:
    answer = provider.ask(PATH, ask(model="gpt-4o-empty")).document
    assert answer["choices"][0]["message"]["content"] == "" and answer["usage"]["completion_tokens"] == 0


def test_completions_continue_every_prompt(provider: Client) -> None:
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": ["one", "two"], "max_tokens": 9}
    whole = provider.ask("/v1/completions", asked).document
    assert [choice["index"] for choice in whole["choices"]] == [0, 1] and whole["usage"]["completion_tokens"] == 18
    stream = provider.ask("/v1/completions", {**asked, "stream": True, "stream_options": {"include_usage": True}}).events
    text = "".join(chunk["choices"][0]["text"] for chunk in stream if chunk["choices"] and chunk["choices"][0]["index"] == 1)
    assert text == whole["choices"][1]["text"] and stream[-1]["usage"] == whole["usage"]
