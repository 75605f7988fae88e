"""Streams that are cut by a budget, read by the providers' own SDKs, as far as they gather an answer by themselves."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cases"))

import anthropic
import boto3
import cohere
import ollama
import openai
from google import genai
from outcome import At, see, serve

TEXT = [{"role": "user", "content": "Tell me in a few sentences how rivers find the sea."}]
USE_TOOL = [{"role": "user", "content": "Use get_weather for Paris."}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "The weather of a city", "parameters": SCHEMA}


def ask_openai(at: At) -> openai.OpenAI:
    return openai.OpenAI(base_url=at("openai") + "/v1", api_key="sk-test-1", max_retries=0, timeout=20)


def tell_chat(at: At, messages: list, **options) -> dict:
    with ask_openai(at).chat.completions.stream(model="gpt-4o-mini", messages=messages, **options) as events:
        for _ in events:
            continue
        choice = events.current_completion_snapshot.choices[0]  # the final one raises on any finish of `length`, whoever says it
    calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
    return see(text=choice.message.content, tools=calls, finish=choice.finish_reason)


def case_openai_chat(at: At) -> dict:
    return tell_chat(at, TEXT)


def case_openai_chat_tool(at: At) -> dict:
    return tell_chat(at, USE_TOOL, tools=[{"type": "function", "function": FUNCTION}])


def tell_response(at: At, question: str, **options) -> dict:
    seen, done = [], None
    for event in ask_openai(at).responses.create(model="gpt-4o-mini", input=question, stream=True, **options):
        seen.append(event.type)
        done = getattr(event, "response", None) or done
    calls = [(item.name, item.arguments) for item in done.output if item.type == "function_call"]
    states = [item.status for item in done.output]
    return see(text=done.output_text, tools=calls, finish=done.incomplete_details.reason, status=done.status, seen=seen, states=states)


def case_openai_responses(at: At) -> dict:
    return tell_response(at, TEXT[0]["content"])


def case_openai_responses_tool(at: At) -> dict:
    return tell_response(at, USE_TOOL[0]["content"], tools=[{"type": "function", **FUNCTION}])


def tell_message(at: At, messages: list, **options) -> dict:
    client = anthropic.Anthropic(base_url=at("anthropic"), api_key="sk-ant-test-1", max_retries=0, timeout=20)
    with client.messages.stream(model="claude-sonnet-4-5", max_tokens=400, messages=messages, **options) as stream:
        ends = [event.type for event in stream]
        done = stream.get_final_message()
    text = "".join(block.text for block in done.content if block.type == "text")
    calls = [(block.name, json.dumps(block.input)) for block in done.content if block.type == "tool_use"]
    return see(text=text, tools=calls, finish=done.stop_reason, seen=ends, usage=(done.usage.input_tokens, done.usage.output_tokens))


def case_anthropic(at: At) -> dict:
    return tell_message(at, TEXT)


def case_anthropic_tool(at: At) -> dict:
    return tell_message(at, USE_TOOL, tools=[{"name": "get_weather", "description": "The weather of a city", "input_schema": SCHEMA}])


def case_gemini(at: At) -> dict:
    client = genai.Client(api_key="AIza-test-1", http_options={"base_url": at("gemini"), "timeout": 20_000})
    text, last = "", None
    for last in client.models.generate_content_stream(model="gemini-2.5-flash", contents=TEXT[0]["content"]):
        text += last.text or ""
    return see(text=text, finish=last.candidates[0].finish_reason.value)


def case_cohere(at: At) -> dict:
    client = cohere.ClientV2(base_url=at("cohere"), api_key="test-1", timeout=20, log_warning_experimental_features=False)
    text, finish, seen = "", None, []
    for event in client.chat_stream(model="command-a-03-2025", messages=TEXT, request_options={"max_retries": 0}):
        seen.append(event.type)
        if event.type == "content-delta":
            text += event.delta.message.content.text
        elif event.type == "message-end":
            finish = event.delta.finish_reason
    return see(text=text, finish=finish, seen=seen)


def case_ollama(at: At) -> dict:
    text, finish = "", None
    for line in ollama.Client(host=at("ollama"), timeout=20).chat(model="llama3.2", messages=TEXT, stream=True):
        text += line.message.content or ""
        finish = line.done_reason or finish
    return see(text=text, finish=finish)


def case_bedrock(at: At) -> dict:
    client = boto3.Session().client("bedrock-runtime", endpoint_url=at("bedrock"), region_name="us-east-1")
    messages = [{"role": "user", "content": [{"text": TEXT[0]["content"]}]}]
    text, finish, seen = "", None, []
    for event in client.converse_stream(modelId="anthropic.claude-sonnet-4-5-20250929-v1:0", messages=messages)["stream"]:
        seen += event
        text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
        finish = event.get("messageStop", {}).get("stopReason", finish)
    return see(text=text, finish=finish, seen=seen)


if __name__ == "__main__":
    serve(globals())
