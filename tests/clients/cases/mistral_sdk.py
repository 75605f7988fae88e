"""The Mistral SDK: chat, tools, streams, and what goes wrong."""

from __future__ import annotations

from mistralai.client import Mistral
from outcome import At, first, hold, see, serve

MODEL = "mistral-small-latest"
ASK = [{"role": "user", "content": "Tell me in a few sentences how rivers find the sea."}]
USE_TOOL = [{"role": "user", "content": "Use get_weather for Paris."}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather of a city", "parameters": PARAMETERS}}]
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503", "garbage")


def connect(at: At, timeout: float = 20) -> Mistral:
    return Mistral(server_url=at("mistral"), api_key="test-1", timeout_ms=int(timeout * 1000))


def tell_chunks(chunks, *, early: bool = False) -> dict:
    text, calls, usage, finish, model = "", [], None, None, None
    for number, event in enumerate(chunks):
        if early and number == 0:
            first()
        chunk = event.data
        model = chunk.model
        usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens) if chunk.usage else usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            calls += [(call.function.name, call.function.arguments) for call in choice.delta.tool_calls or []]
    return see(text=text, tools=calls, usage=usage, finish=finish, model=model)


def tell_completion(done) -> dict:
    choice = done.choices[0]
    calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
    usage = (done.usage.prompt_tokens, done.usage.completion_tokens)
    return see(text=choice.message.content, tools=calls, usage=usage, finish=choice.finish_reason, model=done.model)


def ask_for(at: At, fault: str, **options) -> dict:
    return tell_completion(connect(at, **options).chat.complete(model=f"{MODEL}-{fault}", messages=ASK))


def case_chat(at: At) -> dict:
    return tell_completion(connect(at).chat.complete(model=MODEL, messages=ASK))


def case_chat_tools(at: At) -> dict:
    return tell_completion(connect(at).chat.complete(model=MODEL, messages=USE_TOOL, tools=TOOLS))


def case_stream(at: At) -> dict:
    hold(1)
    return tell_chunks(connect(at).chat.stream(model=MODEL, messages=ASK), early=True)


def case_stream_cut(at: At) -> dict:
    return tell_chunks(connect(at).chat.stream(model=f"{MODEL}-cut", messages=ASK))


def case_timeout(at: At) -> dict:
    return ask_for(at, "slow-first-byte", timeout=0.3)


if __name__ == "__main__":
    serve(globals())
