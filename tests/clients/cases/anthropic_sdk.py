"""The Anthropic SDK: Messages, tools, streams, token counting, and what goes wrong."""

from __future__ import annotations

import json

import anthropic
from outcome import At, first, hold, see, serve

MODEL = "claude-sonnet-4-5"
ASK = [{"role": "user", "content": "Tell me in a few sentences how rivers find the sea."}]
USE_TOOL = [{"role": "user", "content": "Use get_weather for Paris."}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"name": "get_weather", "description": "The weather of a city", "input_schema": SCHEMA}]
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503", "status-529", "garbage")


def connect(at: At, retries: int = 0, timeout: float = 20) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=at("anthropic"), api_key="sk-ant-test-1", max_retries=retries, timeout=timeout)


def tell_message(done) -> dict:
    text = "".join(block.text for block in done.content if block.type == "text")
    calls = [(block.name, json.dumps(block.input)) for block in done.content if block.type == "tool_use"]
    usage = done.usage
    taken = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return see(text=text, tools=calls, usage=(taken, usage.output_tokens), finish=done.stop_reason, model=done.model)


def ask_stream(client: anthropic.Anthropic, model: str = MODEL, messages=ASK, *, early: bool = False, **options) -> dict:
    with client.messages.stream(model=model, max_tokens=400, messages=messages, **options) as stream:
        for number, _ in enumerate(stream):
            if early and number == 0:
                first()
        return tell_message(stream.get_final_message())


def case_message(at: At) -> dict:
    return tell_message(connect(at).messages.create(model=MODEL, max_tokens=400, messages=ASK))


def case_message_tools(at: At) -> dict:
    return tell_message(connect(at).messages.create(model=MODEL, max_tokens=400, messages=USE_TOOL, tools=TOOLS))


def case_stream(at: At) -> dict:
    hold(1)
    return ask_stream(connect(at), early=True)


def case_stream_tools(at: At) -> dict:
    return ask_stream(connect(at), messages=USE_TOOL, tools=TOOLS)


def case_beta(at: At) -> dict:
    return tell_message(connect(at).beta.messages.create(model=MODEL, max_tokens=400, messages=ASK))


def case_thinking(at: At) -> dict:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    return tell_message(connect(at).messages.create(model=MODEL, max_tokens=2048, messages=ASK, thinking=thinking))


def case_batch(at: At) -> dict:
    """Not its results: for these the SDK goes to the absolute address that the provider names, past any proxy."""
    client = connect(at)
    requests = [{"custom_id": "one", "params": {"model": MODEL, "max_tokens": 400, "messages": ASK}}]
    batch = client.messages.batches.create(requests=requests)
    return see(text=client.messages.batches.retrieve(batch.id).id)


def case_count_tokens(at: At) -> dict:
    return see(text=connect(at).messages.count_tokens(model=MODEL, messages=ASK).input_tokens)


def ask_for(at: At, fault: str, **options) -> dict:
    return tell_message(connect(at, **options).messages.create(model=f"{MODEL}-{fault}", max_tokens=400, messages=ASK))


def case_retries(at: At) -> dict:
    return ask_for(at, "status-500", retries=1)


def case_timeout(at: At) -> dict:
    return ask_for(at, "slow-first-byte", timeout=0.3)


def case_stream_cut(at: At) -> dict:
    return ask_stream(connect(at), f"{MODEL}-cut")


def case_stream_stalls(at: At) -> dict:
    return ask_stream(connect(at, timeout=0.3), f"{MODEL}-stall")


def case_stream_error(at: At) -> dict:
    return ask_stream(connect(at), f"{MODEL}-error-in-stream")


if __name__ == "__main__":
    serve(globals())
