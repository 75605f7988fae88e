"""instructor: a typed answer out of tool calls and of JSON mode, and what goes wrong."""

from __future__ import annotations

import instructor
import openai
from outcome import At, see, serve
from pydantic import BaseModel

MODEL = "gpt-4o-mini"
ASK = [{"role": "user", "content": "Name a place and say how warm it is."}]
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503")


class Place(BaseModel):
    name: str
    warm: bool


def connect(at: At, mode: instructor.Mode = instructor.Mode.TOOLS, timeout: float = 20) -> instructor.Instructor:
    client = openai.OpenAI(base_url=at("openai") + "/v1", api_key="sk-test-1", max_retries=0, timeout=timeout)
    return instructor.from_openai(client, mode=mode)


def ask(client: instructor.Instructor, model: str = MODEL) -> dict:
    place, done = client.chat.completions.create_with_completion(model=model, messages=ASK, response_model=Place, max_retries=0)
    return see(text=place.model_dump_json(), usage=(done.usage.prompt_tokens, done.usage.completion_tokens), model=done.model)


def ask_for(at: At, fault: str, **options) -> dict:
    return ask(connect(at, **options), f"{MODEL}-{fault}")


def case_tools(at: At) -> dict:
    return ask(connect(at))


def case_json(at: At) -> dict:
    return ask(connect(at, instructor.Mode.JSON_SCHEMA))


def case_timeout(at: At) -> dict:
    return ask_for(at, "slow-first-byte", timeout=0.3)


if __name__ == "__main__":
    serve(globals())
