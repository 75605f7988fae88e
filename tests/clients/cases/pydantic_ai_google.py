"""An older pydantic-ai on Google, whose requests carry two User-Agent headers."""

from __future__ import annotations

from outcome import At, first, hold, see, serve
from pydantic_ai import Agent
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider

ASK = "Tell me in a few sentences how rivers find the sea."


def make_agent(at: At, model: str = "gemini-2.5-flash") -> Agent:
    return Agent(GoogleModel(model, provider=GoogleProvider(api_key="AIza-test-1", base_url=at("gemini"))))


async def ask_for(at: At, fault: str) -> dict:
    return see(text=(await make_agent(at, f"gemini-2.5-flash-{fault}").run(ASK)).output)


FAULTS = ("status-401", "status-500")


async def case_generate(at: At) -> dict:
    return see(text=(await make_agent(at).run(ASK)).output)


async def case_stream(at: At) -> dict:
    hold(2)
    text = ""
    async with make_agent(at).run_stream(ASK) as done:
        async for piece in done.stream_text(delta=True, debounce_by=None):
            if not text:
                first()
            text += piece
    return see(text=text)


if __name__ == "__main__":
    serve(globals())
