"""The Google GenAI SDK: generateContent, streams, embeddings, token counting, and what goes wrong."""

from __future__ import annotations

import json

from google import genai
from google.genai import types
from outcome import At, first, hold, see, serve

MODEL = "gemini-2.5-flash"
ASK = "Tell me in a few sentences how rivers find the sea."
USE_TOOL = "Use get_weather for Paris."
SCHEMA = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
TOOLS = [types.Tool(function_declarations=[types.FunctionDeclaration(name="get_weather", description="The weather of a city", parameters=SCHEMA)])]
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503", "garbage")
_open: list[genai.Client] = []  # a client that is collected closes its connections


def connect(at: At, timeout: float = 20, version: str | None = None) -> genai.Client:
    options = types.HttpOptions(base_url=at("gemini"), timeout=int(timeout * 1000), **({"api_version": version} if version else {}))
    client = genai.Client(api_key="AIza-test-1", http_options=options)
    _open.append(client)
    return client


def read_usage(usage) -> tuple[int, int]:
    taken = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    return taken, (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)


def tell_chunks(chunks, *, early: bool = False) -> dict:
    text, calls, last, finish = "", [], None, None
    for number, chunk in enumerate(chunks):
        if early and number == 0:
            first()
        last = chunk
        for part in chunk.candidates[0].content.parts or []:
            text += part.text or ""
            if part.function_call:
                calls.append((part.function_call.name, json.dumps(part.function_call.args)))
        finish = chunk.candidates[0].finish_reason or finish
    return see(text=text, tools=calls, usage=read_usage(last.usage_metadata), finish=getattr(finish, "value", None), model=last.model_version)


def ask_for(at: At, fault: str, **options) -> dict:
    return tell_chunks([connect(at, **options).models.generate_content(model=f"{MODEL}-{fault}", contents=ASK)])


def case_generate(at: At) -> dict:
    return tell_chunks([connect(at).models.generate_content(model=MODEL, contents=ASK)])


def case_generate_v1beta(at: At) -> dict:
    return tell_chunks([connect(at, version="v1beta").models.generate_content(model=MODEL, contents=ASK)])


def case_generate_tools(at: At) -> dict:
    config = types.GenerateContentConfig(tools=TOOLS)
    return tell_chunks([connect(at, version="v1beta").models.generate_content(model=MODEL, contents=USE_TOOL, config=config)])


def case_stream(at: At) -> dict:
    client = connect(at)
    hold(1)
    return tell_chunks(client.models.generate_content_stream(model=MODEL, contents=ASK), early=True)


def case_stream_tools(at: At) -> dict:
    client = connect(at, version="v1beta")
    return tell_chunks(client.models.generate_content_stream(model=MODEL, contents=USE_TOOL, config=types.GenerateContentConfig(tools=TOOLS)))


def case_embeddings(at: At) -> dict:
    done = connect(at, version="v1beta").models.embed_content(model="gemini-embedding-001", contents="one river")
    return see(text=json.dumps(done.embeddings[0].values[:4]))


def case_count_tokens(at: At) -> dict:
    return see(text=connect(at).models.count_tokens(model=MODEL, contents=ASK).total_tokens)


def case_timeout(at: At) -> dict:
    return ask_for(at, "slow-first-byte", timeout=0.3)


def case_stream_cut(at: At) -> dict:
    client = connect(at)
    return tell_chunks(client.models.generate_content_stream(model=f"{MODEL}-cut", contents=ASK))


def case_stream_stalls(at: At) -> dict:
    client = connect(at, timeout=0.3)
    return tell_chunks(client.models.generate_content_stream(model=f"{MODEL}-stall", contents=ASK))


def case_stream_error(at: At) -> dict:
    client = connect(at)
    return tell_chunks(client.models.generate_content_stream(model=f"{MODEL}-error-in-stream", contents=ASK))


if __name__ == "__main__":
    serve(globals())
