"""Responses: whole, streamed, in the background and fetched again."""

from __future__ import annotations

import pytest

from tests.demo.client import Client

PATH = "/v1/responses"
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
CUSTOM = {"type": "custom", "name": "apply_patch"}


def ask(last: str = "Which invoices are overdue?", **fields: object) -> dict:
    return {"model": "gpt-5-mini", "input": last, **fields}


@pytest.mark.parametrize(
    "fields",
    [{}, {"tools": [TOOL], "input": "use get_weather"}, {"tools": [CUSTOM], "input": "use apply_patch"}, {"max_output_tokens": 5}],
)
def test_the_stream_ends_with_the_whole_answer(provider: Client, fields: dict) -> None:
    headers = {"x-demo-seed": "1"}
    events = provider.ask(PATH, ask(**fields, stream=True), headers).events
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"] and events[0]["response"]["usage"] is None
    done = events[-1]["response"]
    assert events[-1]["type"] == f"response.{done['status']}" == ("response.incomplete" if "max_output_tokens" in fields else "response.completed")
    whole = provider.ask(PATH, ask(**fields), headers).document
    assert whole["usage"] == done["usage"] and [item["type"] for item in whole["output"]] == [item["type"] for item in done["output"]]
    said = done["output"][-1]
    deltas = "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
    assert deltas == (said["content"][0]["text"] if said["type"] == "message" else said.get("arguments") or said["input"])
    assert done["output"][0]["type"] == "reasoning" and done["usage"]["output_tokens_details"]["reasoning_tokens"] > 0


def test_a_background_answer_is_polled(provider: Client) -> None:
    queued = provider.ask(PATH, ask(background=True)).document
    assert queued["status"] == "queued" and queued["usage"] is None
    path = f"{PATH}/{queued['id']}"
    assert [provider.ask(path).document["status"] for _ in range(3)] == ["in_progress", "completed", "completed"]
    events = provider.ask(path + "?stream=true&starting_after=3").events
    assert events[0]["sequence_number"] == 4 and events[-1]["response"]["id"] == queued["id"]


def test_cancel_and_delete(provider: Client) -> None:
    path = f"{PATH}/{provider.ask(PATH, ask(background=True)).document['id']}"
    assert provider.ask(path + "/cancel", b"").document["status"] == "cancelled"
    assert provider.ask(path).document["status"] == "cancelled"
    assert provider.ask(path, method="DELETE").document["deleted"] and provider.ask(path).status == 404
    foreground = provider.ask(PATH, ask()).document["id"]
    assert provider.ask(f"{PATH}/{foreground}/cancel", b"").status == 400


def test_what_is_not_stored_cannot_be_fetched(provider: Client) -> None:
    assert provider.ask(f"{PATH}/{provider.ask(PATH, ask(store=False)).document['id']}").status == 404


def test_input_items_and_tokens(provider: Client) -> None:
    made = provider.ask(PATH, ask("hello")).document
    items = provider.ask(f"{PATH}/{made['id']}/input_items").document["data"]
    assert items[0]["content"] == [{"type": "input_text", "text": "hello"}]
    assert provider.ask(f"{PATH}/input_tokens", ask("hello")).document["input_tokens"] == made["usage"]["input_tokens"]


def test_a_tool_result_is_answered_with_text(provider: Client) -> None:
    call = provider.ask(PATH, ask("use get_weather", tools=[TOOL])).document["output"][-1]
    items = [{"role": "user", "content": "use get_weather"}, call, {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}]
    assert provider.ask(PATH, {"model": "gpt-4o", "input": items, "tools": [TOOL]}).document["output"][-1]["type"] == "message"


def test_an_error_in_the_stream_is_an_event(provider: Client) -> None:
    last = provider.ask(PATH, ask(stream=True), {"x-demo-fault": "error-in-stream"}).events[-1]
    assert last["type"] == "error" and last["code"] == "server_error"
