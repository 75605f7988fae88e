"""The litellm SDK on OpenAI, Anthropic and Gemini; it speaks HTTP of its own to the latter two."""

from __future__ import annotations

import litellm
from outcome import At, first, hold, see, serve

ASK = [{"role": "user", "content": "Tell me in a few sentences how rivers find the sea."}]
USE_TOOL = [{"role": "user", "content": "Use get_weather for Paris."}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather of a city", "parameters": PARAMETERS}}]
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503")
litellm.telemetry = False
litellm.suppress_debug_info = True


def ask(at: At, model: str, messages=ASK, **options):
    upstream = model.partition("/")[0]
    base = at(upstream) + ("/v1" if upstream == "openai" else "")
    return litellm.completion(model=model, messages=messages, api_base=base, api_key="sk-test-1", num_retries=0, max_retries=0, **options)


def tell_completion(done) -> dict:
    choice = done.choices[0]
    calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
    usage = (done.usage.prompt_tokens, done.usage.completion_tokens)
    return see(text=choice.message.content, tools=calls, usage=usage, finish=choice.finish_reason)


def tell_stream(chunks) -> dict:
    text, usage, finish, begun = "", None, None, False
    for chunk in chunks:
        if not begun:
            begun = True
            first()
        used = getattr(chunk, "usage", None)
        usage = (used.prompt_tokens, used.completion_tokens) if used else usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return see(text=text, usage=usage, finish=finish)


def ask_for(at: At, fault: str) -> dict:
    """The same fault with all three; the case fails as the last one does, and tells how the others did."""
    told = []
    for model in ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5"):
        try:
            ask(at, f"{model}-{fault}")
        except Exception as error:  # what is compared
            told.append(f"{type(error).__qualname__} {error}")
    return {**tell_completion(ask(at, f"gemini/gemini-2.5-flash-{fault}")), "others": told}


def case_openai(at: At) -> dict:
    return tell_completion(ask(at, "openai/gpt-4o-mini"))


def case_openai_tools(at: At) -> dict:
    return tell_completion(ask(at, "openai/gpt-4o-mini", USE_TOOL, tools=TOOLS))


def case_openai_stream(at: At) -> dict:
    hold(3)
    return tell_stream(ask(at, "openai/gpt-4o-mini", stream=True, stream_options={"include_usage": True}))


def case_anthropic(at: At) -> dict:
    return tell_completion(ask(at, "anthropic/claude-sonnet-4-5"))


def case_anthropic_tools(at: At) -> dict:
    return tell_completion(ask(at, "anthropic/claude-sonnet-4-5", USE_TOOL, tools=TOOLS))


def case_anthropic_stream(at: At) -> dict:
    hold(6)
    return tell_stream(ask(at, "anthropic/claude-sonnet-4-5", stream=True, stream_options={"include_usage": True}))


def case_gemini(at: At) -> dict:
    return tell_completion(ask(at, "gemini/gemini-2.5-flash"))


def case_gemini_stream(at: At) -> dict:
    hold(3)
    return tell_stream(ask(at, "gemini/gemini-2.5-flash", stream=True, stream_options={"include_usage": True}))


def case_timeout(at: At) -> dict:
    return tell_completion(ask(at, "openai/gpt-4o-mini-slow-first-byte", timeout=0.3))


if __name__ == "__main__":
    serve(globals())
