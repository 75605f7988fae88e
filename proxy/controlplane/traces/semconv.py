"""Every name that leaves in spans, events and metrics by OTLP: one table, held in a test against OpenTelemetry's own packages.

`gen_ai.*`, `http.*`, `server.*` and `error.type` are OpenTelemetry's (https://github.com/open-telemetry/semantic-conventions-genai); what it has
no name for stands under `weighbridge.*`. `LEGACY` says what a name was called before it was renamed, for backends that read the old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

Vocabulary = Literal["current", "legacy", "both"]
SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/1.42.0"
SCOPE = "weighbridge"

# --- OpenTelemetry's ----------------------------------------------------------------------------------------------------
OPERATION, PROVIDER = "gen_ai.operation.name", "gen_ai.provider.name"
AGENT, CONVERSATION = "gen_ai.agent.name", "gen_ai.conversation.id"
REQUEST_MODEL, REQUEST_MAX_TOKENS, REQUEST_STREAM = "gen_ai.request.model", "gen_ai.request.max_tokens", "gen_ai.request.stream"
RESPONSE_MODEL, RESPONSE_ID, FINISH_REASONS = "gen_ai.response.model", "gen_ai.response.id", "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
SYSTEM_FINGERPRINT = "openai.response.system_fingerprint"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS, CACHE_WRITE_TOKENS = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
INPUT_AUDIO_TOKENS, OUTPUT_AUDIO_TOKENS = "gen_ai.usage.audio.input_tokens", "gen_ai.usage.audio.output_tokens"
INPUT_IMAGE_TOKENS, OUTPUT_IMAGE_TOKENS = "gen_ai.usage.image.input_tokens", "gen_ai.usage.image.output_tokens"
INPUT_MESSAGES, OUTPUT_MESSAGES, SYSTEM_INSTRUCTIONS = "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"
EVALUATION = "gen_ai.evaluation.result"  # an event
EVALUATION_NAME, EVALUATION_SCORE = "gen_ai.evaluation.name", "gen_ai.evaluation.score.value"
EVALUATION_LABEL, EVALUATION_EXPLANATION = "gen_ai.evaluation.score.label", "gen_ai.evaluation.explanation"
ERROR_TYPE = "error.type"
METHOD, STATUS, RESENDS, PATH = "http.request.method", "http.response.status_code", "http.request.resend_count", "url.path"
USER_AGENT, SERVER_ADDRESS, SERVER_PORT = "user_agent.original", "server.address", "server.port"
SERVICE_NAME, SERVICE_VERSION, HOST_NAME = "service.name", "service.version", "host.name"

# --- ours ---------------------------------------------------------------------------------------------------------------
CALL, OUTCOME, FAULT = "weighbridge.call.id", "weighbridge.outcome", "weighbridge.fault"
RUNG, PARENT_AGENT, TASK, TEAM, KEY = (
    "weighbridge.agent.rung", "weighbridge.agent.parent", "weighbridge.task.id", "weighbridge.team", "weighbridge.key",
)  # fmt: skip
TAG = "weighbridge.tag."  # and the tag's name
UPSTREAM, UPSTREAM_KEY = "weighbridge.upstream", "weighbridge.upstream.key"
ATTEMPT, ATTEMPTS, TRIED, TIER = "weighbridge.attempt", "weighbridge.attempts", "weighbridge.tried", "weighbridge.tier"
COST, COST_SOURCE, PRICE_VERSION = "weighbridge.cost.usd", "weighbridge.cost.source", "weighbridge.price.version"
USAGE_SOURCE = "weighbridge.usage.source"
BUDGET, ACT, RESERVED, CAPPED = "weighbridge.budget", "weighbridge.budget.act", "weighbridge.budget.reserved_usd", "weighbridge.max_tokens.capped"
WAITED, ADDED = "weighbridge.waited_seconds", "weighbridge.added_seconds"
PROVIDER_ERROR, ERROR_MESSAGE = "weighbridge.error.provider_type", "weighbridge.error.message"
REMAINING_REQUESTS, REMAINING_TOKENS = "weighbridge.upstream.remaining_requests", "weighbridge.upstream.remaining_tokens"
LINK = "weighbridge.link"  # of a link: parent_agent or previous_call
REFUSED, RETRIED = "weighbridge.refused", "weighbridge.retried"  # events

# --- renamed ------------------------------------------------------------------------------------------------------------
LEGACY: Mapping[str, str] = {
    PROVIDER: "gen_ai.system",
    INPUT_TOKENS: "gen_ai.usage.prompt_tokens",
    OUTPUT_TOKENS: "gen_ai.usage.completion_tokens",
    CACHE_WRITE_TOKENS: "gen_ai.usage.cache_creation.input_tokens",
    INPUT_MESSAGES: "gen_ai.prompt",
    OUTPUT_MESSAGES: "gen_ai.completion",
}
# What /metrics calls by its name in Prometheus → (OpenTelemetry's name, unit).
METRICS: Mapping[str, tuple[str, str]] = {
    "gen_ai_client_token_usage": ("gen_ai.client.token.usage", "{token}"),
    "gen_ai_client_operation_duration_seconds": ("gen_ai.client.operation.duration", "s"),
    "gen_ai_client_operation_time_to_first_chunk_seconds": ("gen_ai.client.operation.time_to_first_chunk", "s"),
    "gen_ai_client_operation_time_per_output_chunk_seconds": ("gen_ai.client.operation.time_per_output_chunk", "s"),
}
LABELS: Mapping[str, str] = {
    "gen_ai_provider_name": PROVIDER, "gen_ai_operation_name": OPERATION, "gen_ai_request_model": REQUEST_MODEL,
    "gen_ai_token_type": "gen_ai.token.type", "error_type": ERROR_TYPE,
}  # fmt: skip

# --- values -------------------------------------------------------------------------------------------------------------
_HOSTS = (  # the end of a provider's host → gen_ai.provider.name
    ("openai.azure.com", "azure.ai.openai"), ("models.ai.azure.com", "azure.ai.inference"), ("api.openai.com", "openai"),
    ("anthropic.com", "anthropic"), ("aiplatform.googleapis.com", "gcp.vertex_ai"), ("googleapis.com", "gcp.gemini"),
    ("amazonaws.com", "aws.bedrock"), ("cohere.com", "cohere"), ("cohere.ai", "cohere"), ("mistral.ai", "mistral_ai"), ("groq.com", "groq"),
    ("deepseek.com", "deepseek"), ("x.ai", "x_ai"), ("perplexity.ai", "perplexity"), ("moonshot.ai", "moonshot_ai"), ("moonshot.cn", "moonshot_ai"),
)  # fmt: skip
_DIALECTS = {"gemini": "gcp.gemini", "bedrock": "aws.bedrock"}  # every other one is called as its provider


def name_provider(url: str, dialect: str) -> str:
    """`gen_ai.provider.name`: by the provider's host, else by the dialect that is spoken with it."""
    host = urlsplit(url).hostname or ""
    return next((name for end, name in _HOSTS if host == end or host.endswith("." + end)), _DIALECTS.get(dialect, dialect))


def speak(attributes: dict[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """The attributes under the names that are wanted, without those that have no value."""
    known = {name: value for name, value in attributes.items() if value is not None}
    if vocabulary == "current":
        return known
    old = {LEGACY[name]: value for name, value in known.items() if name in LEGACY}
    if vocabulary == "both":
        return known | old
    return {name: value for name, value in known.items() if name not in LEGACY} | old
