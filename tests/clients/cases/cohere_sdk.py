"""The Cohere SDK, version 2 of its API: chat, tools, streams, embeddings, and what goes wrong."""

from __future__ import annotations

import json

import cohere
from outcome import At, first, hold, see, serve

MODEL = "command-a-03-2025"
ASK = [{"role": "user", "content": "Tell me in a few sentences how rivers find the sea."}]
USE_TOOL = [{"role": "user", "content": "Use get_weather for Paris."}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather of a city", "parameters": PARAMETERS}}]
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503", "garbage")
ONCE = {"max_retries": 0}


def connect(at: At, timeout: float = 20) -> cohere.ClientV2:
    return cohere.ClientV2(base_url=at("cohere"), api_key="test-1", timeout=timeout, log_warning_experimental_features=False)


def read_usage(usage) -> tuple[int, int]:
    return int(usage.tokens.input_tokens), int(usage.tokens.output_tokens)


def tell_answer(done) -> dict:
    text = "".join(part.text for part in done.message.content or [] if part.type == "text")
    calls = [(call.function.name, call.function.arguments) for call in done.message.tool_calls or []]
    return see(text=text, tools=calls, usage=read_usage(done.usage), finish=done.finish_reason)


def tell_events(events, *, early: bool = False) -> dict:
    text, usage, finish = "", None, None
    for number, event in enumerate(events):
        if early and number == 0:
            first()
        if event.type == "content-delta":
            text += event.delta.message.content.text
        elif event.type == "message-end":
            usage, finish = read_usage(event.delta.usage), event.delta.finish_reason
    return see(text=text, usage=usage, finish=finish)


def ask_for(at: At, fault: str, **options) -> dict:
    return tell_answer(connect(at, **options).chat(model=f"{MODEL}-{fault}", messages=ASK, request_options=ONCE))


def case_chat(at: At) -> dict:
    return tell_answer(connect(at).chat(model=MODEL, messages=ASK))


def case_chat_tools(at: At) -> dict:
    return tell_answer(connect(at).chat(model=MODEL, messages=USE_TOOL, tools=TOOLS))


def case_stream(at: At) -> dict:
    hold(1)
    return tell_events(connect(at).chat_stream(model=MODEL, messages=ASK), early=True)


def case_stream_cut(at: At) -> dict:
    return tell_events(connect(at).chat_stream(model=f"{MODEL}-cut", messages=ASK, request_options=ONCE))


def case_embeddings(at: At) -> dict:
    done = connect(at).embed(model="embed-v4.0", texts=["one river"], input_type="search_query", embedding_types=["float"])
    return see(text=json.dumps(done.embeddings.float_[0][:4]))


def case_timeout(at: At) -> dict:
    return ask_for(at, "slow-first-byte", timeout=0.3)


if __name__ == "__main__":
    serve(globals())
