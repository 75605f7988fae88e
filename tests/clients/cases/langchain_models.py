"""LangChain's chat models of OpenAI, Anthropic and Google: answers, tools, streams, and what goes wrong."""

from __future__ import annotations

import json

from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from outcome import At, first, hold, see, serve

ASK = "Tell me in a few sentences how rivers find the sea."
USE_TOOL = "Use get_weather for Paris."


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"It rains in {city}."


def openai(at: At, model: str = "gpt-4o-mini", **options) -> ChatOpenAI:
    return ChatOpenAI(base_url=at("openai") + "/v1", api_key="sk-test-1", model=model, max_retries=0, **options)


def anthropic(at: At, model: str = "claude-sonnet-4-5", **options) -> ChatAnthropic:
    return ChatAnthropic(base_url=at("anthropic"), api_key="sk-ant-test-1", model=model, max_retries=0, max_tokens=400, **options)


def google(at: At, model: str = "gemini-2.5-flash", **options) -> ChatGoogleGenerativeAI:
    return ChatGoogleGenerativeAI(base_url=at("gemini"), google_api_key="AIza-test-1", model=model, max_retries=1, **options)


def tell_message(message) -> dict:
    calls = [(call["name"], json.dumps(call["args"])) for call in message.tool_calls]
    usage = message.usage_metadata
    facts = message.response_metadata
    finish = facts.get("finish_reason") or facts.get("stop_reason")
    return see(text=message.text, tools=calls, usage=usage and (usage["input_tokens"], usage["output_tokens"]), finish=finish)


def tell_stream(chunks) -> dict:
    whole = None
    for chunk in chunks:
        if whole is None:
            first()
        whole = chunk if whole is None else whole + chunk
    return tell_message(whole)


def case_openai(at: At) -> dict:
    return tell_message(openai(at).invoke(ASK))


def case_openai_tools(at: At) -> dict:
    return tell_message(openai(at).bind_tools([get_weather]).invoke(USE_TOOL))


def case_openai_responses(at: At) -> dict:
    return tell_message(openai(at, use_responses_api=True).invoke(ASK))


def case_openai_stream(at: At) -> dict:
    hold(3)
    return tell_stream(openai(at, stream_usage=True).stream(ASK))


async def case_openai_async(at: At) -> dict:
    return tell_message(await openai(at).ainvoke(ASK))


def case_openai_json(at: At) -> dict:
    return see(text=json.dumps(openai(at).with_structured_output({"title": "Place", "description": "A place", **SCHEMA}).invoke("Name a place.")))


SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def case_openai_refused_error(at: At) -> dict:
    return tell_message(openai(at, "gpt-4o-mini-garbage").invoke(ASK))


def case_anthropic(at: At) -> dict:
    return tell_message(anthropic(at).invoke(ASK))


def case_anthropic_tools(at: At) -> dict:
    return tell_message(anthropic(at).bind_tools([get_weather]).invoke(USE_TOOL))


def case_anthropic_stream(at: At) -> dict:
    hold(3)
    return tell_stream(anthropic(at).stream(ASK))


def case_google(at: At) -> dict:
    return tell_message(google(at).invoke(ASK))


def case_google_tools(at: At) -> dict:
    return tell_message(google(at).bind_tools([get_weather]).invoke(USE_TOOL))


def case_google_stream(at: At) -> dict:
    model = google(at)
    hold(2)
    return tell_stream(model.stream(ASK))


def case_openai_stream_cut(at: At) -> dict:
    return tell_message(list(openai(at, "gpt-4o-mini-cut").stream(ASK))[-1])


def case_anthropic_timeout(at: At) -> dict:
    return tell_message(anthropic(at, "claude-sonnet-4-5-slow-first-byte", timeout=0.3).invoke(ASK))


FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503")


def ask_for(at: At, fault: str) -> dict:
    """The same fault with all three; the case fails as the last one does, and tells how the others did."""
    told = []
    for model in (openai(at, f"gpt-4o-mini-{fault}"), anthropic(at, f"claude-sonnet-4-5-{fault}")):
        try:
            model.invoke(ASK)
        except Exception as error:  # what is compared
            told.append(type(error).__qualname__)
    try:
        google(at, f"gemini-2.5-flash-{fault}").invoke(ASK)
    except Exception as error:  # what is compared
        return see(error=type(error).__qualname__, others=told)
    return see(others=told)


if __name__ == "__main__":
    serve(globals())
