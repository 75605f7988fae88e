"""The Ollama SDK: chat, tools, generate, NDJSON streams, embeddings, and what goes wrong."""

from __future__ import annotations

import json

import ollama
from outcome import At, first, hold, see, serve

MODEL = "llama3.2"
ASK = [{"role": "user", "content": "Tell me in a few sentences how rivers find the sea."}]
USE_TOOL = [{"role": "user", "content": "Use get_weather for Paris."}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather of a city", "parameters": PARAMETERS}}]
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503", "garbage")


def connect(at: At, timeout: float = 20) -> ollama.Client:
    return ollama.Client(host=at("ollama"), timeout=timeout)


def tell_lines(lines, *, early: bool = False) -> dict:
    text, calls, last = "", [], None
    for number, line in enumerate(lines):
        if early and number == 0:
            first()
        last = line
        text += line.message.content or ""
        calls += [(call.function.name, json.dumps(dict(call.function.arguments))) for call in line.message.tool_calls or []]
    return see(text=text, tools=calls, usage=(last.prompt_eval_count, last.eval_count), finish=last.done_reason, model=last.model)


def ask_for(at: At, fault: str, **options) -> dict:
    return tell_lines([connect(at, **options).chat(model=f"{MODEL}-{fault}", messages=ASK)])


def case_chat(at: At) -> dict:
    return tell_lines([connect(at).chat(model=MODEL, messages=ASK)])


def case_chat_tools(at: At) -> dict:
    return tell_lines([connect(at).chat(model=MODEL, messages=USE_TOOL, tools=TOOLS)])


def case_stream(at: At) -> dict:
    hold(1)
    return tell_lines(connect(at).chat(model=MODEL, messages=ASK, stream=True), early=True)


def case_generate(at: At) -> dict:
    done = connect(at).generate(model=MODEL, prompt=ASK[0]["content"])
    return see(text=done.response, usage=(done.prompt_eval_count, done.eval_count), finish=done.done_reason, model=done.model)


def case_embeddings(at: At) -> dict:
    return see(text=json.dumps(list(connect(at).embed(model="nomic-embed-text", input="one river").embeddings[0][:4])))


def case_stream_cut(at: At) -> dict:
    return tell_lines(connect(at).chat(model=f"{MODEL}-cut", messages=ASK, stream=True))


def case_timeout(at: At) -> dict:
    return ask_for(at, "slow-first-byte", timeout=0.3)


if __name__ == "__main__":
    serve(globals())
