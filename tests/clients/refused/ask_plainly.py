"""Plain questions with an SDK's own defaults, retries included: `ask_plainly.py CLIENT` reads a root a line and says what became of each, as JSON."""

import json
import sys
from importlib import import_module

MODULES = {
    "openai": "openai", "openai_responses": "openai", "anthropic": "anthropic", "gemini": "google.genai", "mistral": "mistralai.client",
    "cohere": "cohere", "bedrock": "boto3", "ollama": "ollama",
}  # fmt: skip
sdk = import_module(MODULES[sys.argv[1]])  # this one alone: all of them take seconds
TEXT = "Tell me in a few words how rivers find the sea."
ASK = [{"role": "user", "content": TEXT}]


def ask_openai(root: str) -> str:
    client = sdk.OpenAI(base_url=f"{root}/openai/v1", api_key="sk-test-1")
    return client.chat.completions.create(model="gpt-4o-mini", messages=ASK).choices[0].message.content


def ask_openai_responses(root: str) -> str:
    return sdk.OpenAI(base_url=f"{root}/openai/v1", api_key="sk-test-1").responses.create(model="gpt-4o-mini", input=TEXT).output_text


def ask_anthropic(root: str) -> str:
    client = sdk.Anthropic(base_url=f"{root}/anthropic", api_key="sk-ant-test-1")
    return client.messages.create(model="claude-sonnet-4-5", max_tokens=100, messages=ASK).content[0].text


def ask_gemini(root: str) -> str:
    client = sdk.Client(api_key="AIza-test-1", http_options={"base_url": f"{root}/gemini"})
    return client.models.generate_content(model="gemini-2.5-flash", contents=TEXT).text


def ask_mistral(root: str) -> str:
    client = sdk.Mistral(api_key="test-1", server_url=f"{root}/mistral")
    return client.chat.complete(model="mistral-small-latest", messages=ASK).choices[0].message.content


def ask_cohere(root: str) -> str:
    client = sdk.ClientV2(base_url=f"{root}/cohere", api_key="test-1", log_warning_experimental_features=False)
    return client.chat(model="command-r-08-2024", messages=ASK).message.content[0].text


def ask_bedrock(root: str) -> str:
    client = sdk.Session().client("bedrock-runtime", endpoint_url=f"{root}/bedrock", region_name="us-east-1")
    done = client.converse(modelId="us.amazon.nova-micro-v1:0", messages=[{"role": "user", "content": [{"text": TEXT}]}])
    return done["output"]["message"]["content"][0]["text"]


def ask_ollama(root: str) -> str:
    return sdk.Client(host=f"{root}/ollama").chat(model="llama3.2", messages=ASK).message.content


def tell(line: str) -> dict:
    """What became of one question, asked by a client of its own."""
    try:
        return {"text": globals()[f"ask_{sys.argv[1]}"](json.loads(line)["root"])}
    except Exception as error:  # whatever an SDK raises is what is looked at
        return {"error": type(error).__name__, "message": str(error)}


print(json.dumps({"ready": True}))
for line in sys.stdin:
    print(json.dumps({"outcome": tell(line)}))
