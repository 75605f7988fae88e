"""The AWS SDK: Bedrock Converse and InvokeModel, both also as binary event streams, and what goes wrong."""

from __future__ import annotations

import json

import boto3
from botocore.config import Config
from outcome import At, first, hold, see, serve

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
ASK = [{"role": "user", "content": [{"text": "Tell me in a few sentences how rivers find the sea."}]}]
USE_TOOL = [{"role": "user", "content": [{"text": "Use get_weather for Paris."}]}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = {"tools": [{"toolSpec": {"name": "get_weather", "description": "The weather of a city", "inputSchema": {"json": SCHEMA}}}]}
MESSAGES = [{"role": "user", "content": ASK[0]["content"][0]["text"]}]
BODY = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 400, "messages": MESSAGES})
FAULTS = ("status-400", "status-403", "status-429", "status-500", "status-503")


def connect(at: At, timeout: float = 20, attempts: int = 1):
    config = Config(read_timeout=timeout, retries={"total_max_attempts": attempts, "mode": "standard"})
    return boto3.Session().client("bedrock-runtime", endpoint_url=at("bedrock"), region_name="us-east-1", config=config)


def tell_answer(done: dict) -> dict:
    content = done["output"]["message"]["content"]
    text = "".join(part.get("text", "") for part in content)
    calls = [(part["toolUse"]["name"], json.dumps(part["toolUse"]["input"])) for part in content if "toolUse" in part]
    return see(text=text, tools=calls, usage=(done["usage"]["inputTokens"], done["usage"]["outputTokens"]), finish=done["stopReason"])


def tell_events(events, *, early: bool = False) -> dict:
    text, usage, finish = "", None, None
    for number, event in enumerate(events):
        if early and number == 0:
            first()
        text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
        finish = event.get("messageStop", {}).get("stopReason", finish)
        if "metadata" in event:
            usage = (event["metadata"]["usage"]["inputTokens"], event["metadata"]["usage"]["outputTokens"])
    return see(text=text, usage=usage, finish=finish)


def ask_for(at: At, fault: str, **options) -> dict:
    return tell_answer(connect(at, **options).converse(modelId=f"{MODEL}-{fault}", messages=ASK))


def case_converse(at: At) -> dict:
    return tell_answer(connect(at).converse(modelId=MODEL, messages=ASK))


def case_converse_tools(at: At) -> dict:
    return tell_answer(connect(at).converse(modelId=MODEL, messages=USE_TOOL, toolConfig=TOOLS))


def case_converse_stream(at: At) -> dict:
    hold(1)
    return tell_events(connect(at).converse_stream(modelId=MODEL, messages=ASK)["stream"], early=True)


def case_invoke(at: At) -> dict:
    done = json.loads(connect(at).invoke_model(modelId=MODEL, body=BODY)["body"].read())
    return see(text=done["content"][0]["text"], usage=(done["usage"]["input_tokens"], done["usage"]["output_tokens"]), finish=done["stop_reason"])


def case_invoke_stream(at: At) -> dict:
    hold(1)
    pieces = []
    for event in connect(at).invoke_model_with_response_stream(modelId=MODEL, body=BODY)["body"]:
        if not pieces:
            first()
        pieces.append(json.loads(event["chunk"]["bytes"]))
    return see(text="".join(piece.get("delta", {}).get("text", "") for piece in pieces))


def case_stream_cut(at: At) -> dict:
    return tell_events(connect(at).converse_stream(modelId=f"{MODEL}-cut", messages=ASK)["stream"])


def case_stream_error(at: At) -> dict:
    return tell_events(connect(at).converse_stream(modelId=f"{MODEL}-error-in-stream", messages=ASK)["stream"])


def case_retries(at: At) -> dict:
    return ask_for(at, "status-500", attempts=2)


def case_timeout(at: At) -> dict:
    return ask_for(at, "slow-first-byte", timeout=0.3)


if __name__ == "__main__":
    serve(globals())
