"""The OpenAI Agents SDK: an agent's run with a tool, on Responses and on Chat Completions, also streamed."""

from __future__ import annotations

from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from outcome import At, first, hold, see, serve

MODEL = "gpt-4o-mini"
ASK = "Tell me in a few sentences how rivers find the sea."
USE_TOOL = "Use get_weather for Paris."
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503")
set_tracing_disabled(True)


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"It rains in {city}."


def make_agent(at: At, model: str = MODEL, kind=OpenAIResponsesModel, **options) -> Agent:
    client = AsyncOpenAI(base_url=at("openai") + "/v1", api_key="sk-test-1", max_retries=0, **options)
    return Agent(name="Guide", instructions="Answer briefly.", tools=[get_weather], model=kind(model=model, openai_client=client))


def tell_run(done) -> dict:
    usage = done.context_wrapper.usage
    calls = [item.raw_item.name for item in done.new_items if item.type == "tool_call_item"]
    return see(text=done.final_output, tools=calls, usage=(usage.input_tokens, usage.output_tokens), requests=usage.requests)


async def ask_for(at: At, fault: str, **options) -> dict:
    return tell_run(await Runner.run(make_agent(at, f"{MODEL}-{fault}", **options), ASK))


async def case_responses(at: At) -> dict:
    return tell_run(await Runner.run(make_agent(at), ASK))


async def case_responses_tools(at: At) -> dict:
    return tell_run(await Runner.run(make_agent(at), USE_TOOL))


async def case_chat_tools(at: At) -> dict:
    return tell_run(await Runner.run(make_agent(at, kind=OpenAIChatCompletionsModel), USE_TOOL))


async def case_responses_stream(at: At) -> dict:
    hold(1)
    done = Runner.run_streamed(make_agent(at), ASK)
    early = False
    async for event in done.stream_events():
        if event.type == "raw_response_event" and not early:
            early = True
            first()
    return tell_run(done)


async def case_timeout(at: At) -> dict:
    return await ask_for(at, "slow-first-byte", timeout=0.3)


if __name__ == "__main__":
    serve(globals())
