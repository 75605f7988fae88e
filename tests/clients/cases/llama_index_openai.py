"""LlamaIndex with OpenAI: chat, tools, streams, and what goes wrong."""

from __future__ import annotations

import json

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from outcome import At, first, hold, see, serve

MODEL = "gpt-4o-mini"
ASK = [ChatMessage(role="user", content="Tell me in a few sentences how rivers find the sea.")]
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503")


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"It rains in {city}."


def connect(at: At, model: str = MODEL, timeout: float = 20) -> OpenAI:
    """The model's window is read from its name, so a fault is asked for in a header."""
    name, _, fault = model.partition("+")
    headers = {"x-demo-fault": fault} if fault else None
    return OpenAI(api_base=at("openai") + "/v1", api_key="sk-test-1", model=name, max_retries=0, timeout=timeout, default_headers=headers)


def tell_answer(done) -> dict:
    raw = done.raw
    usage = raw.usage and (raw.usage.prompt_tokens, raw.usage.completion_tokens)
    return see(text=done.message.content, usage=usage, finish=raw.choices[0].finish_reason, model=raw.model)


def ask_for(at: At, fault: str, **options) -> dict:
    return tell_answer(connect(at, f"{MODEL}+{fault}", **options).chat(ASK))


def case_chat(at: At) -> dict:
    return tell_answer(connect(at).chat(ASK))


async def case_chat_async(at: At) -> dict:
    return tell_answer(await connect(at).achat(ASK))


def case_chat_stream(at: At) -> dict:
    hold(2)
    text = ""
    for number, piece in enumerate(connect(at).stream_chat(ASK)):
        if number == 0:
            first()
        text += piece.delta or ""
    return see(text=text)


def case_tools(at: At) -> dict:
    model = connect(at)
    done = model.chat_with_tools([FunctionTool.from_defaults(get_weather)], user_msg="Use get_weather for Paris.")
    calls = model.get_tool_calls_from_response(done)
    return see(tools=[(call.tool_name, json.dumps(call.tool_kwargs)) for call in calls])


def case_timeout(at: At) -> dict:
    return ask_for(at, "slow-first-byte", timeout=0.3)


def case_stream_cut(at: At) -> dict:
    return see(text="".join(piece.delta or "" for piece in connect(at, f"{MODEL}+cut").stream_chat(ASK)))


if __name__ == "__main__":
    serve(globals())
