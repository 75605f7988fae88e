"""The OpenAI SDK: Chat Completions, Responses (also over a WebSocket), Embeddings, files, audio, and what goes wrong."""

from __future__ import annotations

import json

import openai
from outcome import At, first, hold, see, serve

MODEL = "gpt-4o-mini"
ASK = [{"role": "user", "content": "Tell me in a few sentences how rivers find the sea."}]
USE_TOOL = [{"role": "user", "content": "Use get_weather for Paris."}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather of a city", "parameters": PARAMETERS}}]
RESPONSES_TOOLS = [{"type": "function", "name": "get_weather", "description": "The weather of a city", "parameters": PARAMETERS}]
FAULTS = ("status-401", "status-402", "status-403", "status-429", "status-500", "status-503", "garbage", "empty")


def connect(at: At, retries: int = 0, timeout: float = 20) -> openai.OpenAI:
    return openai.OpenAI(base_url=at("openai") + "/v1", api_key="sk-test-1", max_retries=retries, timeout=timeout)


def tell_completion(done) -> dict:
    choice = done.choices[0]
    calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
    usage = (done.usage.prompt_tokens, done.usage.completion_tokens)
    return see(text=choice.message.content, tools=calls, usage=usage, finish=choice.finish_reason, model=done.model)


def tell_chunks(chunks, *, early: bool = False) -> dict:
    text, calls, usage, finish, model = "", {}, None, None, None
    for number, chunk in enumerate(chunks):
        if early and number == 0:
            first()
        model = chunk.model
        usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens) if chunk.usage else usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                name, arguments = calls.get(call.index, ("", ""))
                calls[call.index] = (name + (call.function.name or ""), arguments + (call.function.arguments or ""))
    return see(text=text, tools=list(calls.values()), usage=usage, finish=finish, model=model)


def tell_response(done) -> dict:
    calls = [(item.name, item.arguments) for item in done.output if item.type == "function_call"]
    return see(text=done.output_text, tools=calls, usage=(done.usage.input_tokens, done.usage.output_tokens), finish=done.status, model=done.model)


def case_chat(at: At) -> dict:
    return tell_completion(connect(at).chat.completions.create(model=MODEL, messages=ASK))


def case_chat_tools(at: At) -> dict:
    return tell_completion(connect(at).chat.completions.create(model=MODEL, messages=USE_TOOL, tools=TOOLS))


def case_chat_stream(at: At) -> dict:
    hold(1)
    return tell_chunks(connect(at).chat.completions.create(model=MODEL, messages=ASK, stream=True), early=True)


def case_chat_stream_usage(at: At) -> dict:
    return tell_chunks(connect(at).chat.completions.create(model=MODEL, messages=ASK, stream=True, stream_options={"include_usage": True}))


def case_chat_stream_tools(at: At) -> dict:
    chunks = connect(at).chat.completions.create(model=MODEL, messages=USE_TOOL, tools=TOOLS, stream=True, stream_options={"include_usage": True})
    return tell_chunks(chunks)


def case_chat_beside_others(at: At) -> dict:
    """Unusual fields and header values, which nobody on the way may touch."""
    odd = {"X-Odd": 'a, b;c="d"', "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    client = connect(at).with_options(default_headers=odd)
    return tell_completion(client.chat.completions.create(model=MODEL, messages=ASK, extra_body={"x_new": {"é": [1.0, None, 1e-9]}}))


def case_chat_gzip(at: At) -> dict:
    client = connect(at).with_options(default_headers={"x-demo-encoding": "gzip"})
    return tell_completion(client.chat.completions.create(model=MODEL, messages=ASK))


def case_chat_stream_zipped(at: At) -> dict:
    client = connect(at).with_options(default_headers={"x-demo-encoding": "gzip"})
    return tell_chunks(client.chat.completions.create(model=MODEL, messages=ASK, stream=True, stream_options={"include_usage": True}))


def case_azure(at: At) -> dict:
    place = {"azure_endpoint": at("openai"), "azure_deployment": MODEL, "api_version": "2025-04-01-preview"}
    client = openai.AzureOpenAI(**place, api_key="test-1", max_retries=0)
    return tell_completion(client.chat.completions.create(model=MODEL, messages=ASK))


def case_realtime(at: At) -> dict:
    text, usage = "", None
    with connect(at).realtime.connect(model="gpt-realtime", max_retries=0) as connection:
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": ASK[0]["content"]}]}
        connection.conversation.item.create(item=message)
        connection.response.create()
        for event in connection:
            text += event.delta if event.type == "response.output_text.delta" else ""
            if event.type == "response.done":
                usage = (event.response.usage.input_tokens, event.response.usage.output_tokens)
                break
    return see(text=text, usage=usage)


def case_response(at: At) -> dict:
    return tell_response(connect(at).responses.create(model=MODEL, input=ASK[0]["content"]))


def case_response_tools(at: At) -> dict:
    return tell_response(connect(at).responses.create(model=MODEL, input=USE_TOOL[0]["content"], tools=RESPONSES_TOOLS))


def case_response_stream(at: At) -> dict:
    hold(1)
    done = None
    for number, event in enumerate(connect(at).responses.create(model=MODEL, input=ASK[0]["content"], stream=True)):
        if number == 0:
            first()
        done = event.response if event.type == "response.completed" else done
    return tell_response(done)


def case_response_websocket(at: At) -> dict:
    hold(1)
    with connect(at).responses.connect(max_retries=0) as connection:
        connection.response.create(model=MODEL, input=ASK[0]["content"])
        for number, event in enumerate(connection):
            if number == 0:
                first()
            if event.type == "response.completed":
                return tell_response(event.response)
    return see(text=None)


def case_response_background(at: At) -> dict:
    client = connect(at)
    done = client.responses.create(model=MODEL, input=ASK[0]["content"], background=True)
    seen = [done.status]
    while done.status in ("queued", "in_progress") and len(seen) < 200:
        done = client.responses.retrieve(done.id)
        seen.append(done.status)
    return {**tell_response(done), "begins": seen[0]}


def case_embeddings(at: At) -> dict:
    done = connect(at).embeddings.create(model="text-embedding-3-small", input=["one river", "another sea"])
    return see(text=json.dumps([each.embedding[:4] for each in done.data]), usage=(done.usage.prompt_tokens, 0), model=done.model)


def case_completion(at: At) -> dict:
    done = connect(at).completions.create(model="gpt-3.5-turbo-instruct", prompt="Rivers run")
    choice = done.choices[0]
    return see(text=choice.text, usage=(done.usage.prompt_tokens, done.usage.completion_tokens), finish=choice.finish_reason, model=done.model)


def case_models(at: At) -> dict:
    return see(text=",".join(sorted(each.id for each in connect(at).models.list())))


def case_speech(at: At) -> dict:
    return see(text=connect(at).audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="Hello.").content.hex())


def case_transcription(at: At) -> dict:
    return see(text=connect(at).audio.transcriptions.create(model="gpt-4o-mini-transcribe", file=("a.wav", bytes(range(256)) * 40)).text)


def case_image(at: At) -> dict:
    return see(text=connect(at).images.generate(model="gpt-image-1", prompt="A river").data[0].b64_json)


def case_file(at: At) -> dict:
    done = connect(at).files.create(file=("lines.jsonl", b'{"a": 1}\n' * 2000), purpose="batch")
    return see(text=f"{done.filename} {done.bytes} {done.purpose}")


def ask_for(at: At, fault: str, **options) -> dict:
    return tell_completion(connect(at, **options).chat.completions.create(model=f"{MODEL}-{fault}", messages=ASK))


def case_retries(at: At) -> dict:
    return ask_for(at, "status-500", retries=1)


def case_timeout(at: At) -> dict:
    return ask_for(at, "slow-first-byte", timeout=0.3)


def case_stream_cut(at: At) -> dict:
    return tell_chunks(connect(at).chat.completions.create(model=f"{MODEL}-cut", messages=ASK, stream=True))


def case_stream_stalls(at: At) -> dict:
    return tell_chunks(connect(at, timeout=0.3).chat.completions.create(model=f"{MODEL}-stall", messages=ASK, stream=True))


def case_stream_error(at: At) -> dict:
    return tell_chunks(connect(at).chat.completions.create(model=f"{MODEL}-error-in-stream", messages=ASK, stream=True))


if __name__ == "__main__":
    serve(globals())
