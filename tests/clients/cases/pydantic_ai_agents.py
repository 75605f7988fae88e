"""pydantic-ai agents on OpenAI, Anthropic and Google (whose requests carry two User-Agent headers)."""

from __future__ import annotations

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from outcome import At, first, hold, see, serve
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

ASK = "Tell me in a few sentences how rivers find the sea."
USE_TOOL = "Use get_weather for Paris."
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503")


def openai(at: At, model: str = "gpt-4o-mini", kind=OpenAIChatModel, **options):
    client = AsyncOpenAI(base_url=at("openai") + "/v1", api_key="sk-test-1", max_retries=0, **options)
    return kind(model, provider=OpenAIProvider(openai_client=client))


def anthropic(at: At, model: str = "claude-sonnet-4-5", **options):
    client = AsyncAnthropic(base_url=at("anthropic"), api_key="sk-ant-test-1", max_retries=0, **options)
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))


def google(at: At, model: str = "gemini-2.5-flash"):
    return GoogleModel(model, provider=GoogleProvider(api_key="AIza-test-1", base_url=at("gemini")))


async def run(model, prompt: str = ASK) -> dict:
    calls = []
    agent = Agent(model)

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """The weather of a city."""
        calls.append(("get_weather", city))
        return f"It rains in {city}."

    done = await agent.run(prompt)
    usage = done.usage if not callable(done.usage) else done.usage()
    return see(text=done.output, tools=calls, usage=(usage.input_tokens, usage.output_tokens), requests=usage.requests)


async def stream(model) -> dict:
    text = ""
    async with Agent(model).run_stream(ASK) as done:
        async for piece in done.stream_text(delta=True, debounce_by=None):
            if not text:
                first()
            text += piece
        usage = done.usage if not callable(done.usage) else done.usage()
    return see(text=text, usage=(usage.input_tokens, usage.output_tokens))


async def case_openai(at: At) -> dict:
    return await run(openai(at))


async def case_openai_tools(at: At) -> dict:
    return await run(openai(at), USE_TOOL)


async def case_openai_responses(at: At) -> dict:
    return await run(openai(at, kind=OpenAIResponsesModel), USE_TOOL)


async def case_openai_stream(at: At) -> dict:
    hold(4)
    return await stream(openai(at))


async def case_anthropic(at: At) -> dict:
    return await run(anthropic(at))


async def case_anthropic_tools(at: At) -> dict:
    return await run(anthropic(at), USE_TOOL)


async def case_anthropic_stream(at: At) -> dict:
    hold(6)
    return await stream(anthropic(at))


async def case_google(at: At) -> dict:
    return await run(google(at))


async def case_google_tools(at: At) -> dict:
    return await run(google(at), USE_TOOL)


async def case_google_stream(at: At) -> dict:
    hold(2)
    return await stream(google(at))


async def case_openai_timeout(at: At) -> dict:
    return await run(openai(at, "gpt-4o-mini-slow-first-byte", timeout=0.3))


async def ask_for(at: At, fault: str) -> dict:
    """The same fault with all three; the case fails as the last one does, and tells how the others did."""
    told = []
    for model in (openai(at, f"gpt-4o-mini-{fault}"), anthropic(at, f"claude-sonnet-4-5-{fault}")):
        try:
            await run(model)
        except Exception as error:  # what is compared
            told.append(f"{type(error).__qualname__} {error}")
    return {**await run(google(at, f"gemini-2.5-flash-{fault}")), "others": told}


if __name__ == "__main__":
    serve(globals())
