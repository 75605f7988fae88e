"""The words: a call and its parts.

`Call` is mutable and owned by one coroutine; each stage of the path fills exactly one of its parts.
Units are in the names: `_ns` nanoseconds since the Unix epoch (points) or nanoseconds (spans), `_tokens` tokens,
`_bytes` bytes, `_nano_usd` 1e-9 US dollars.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from proxy.record import Attempted


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What a call consumed, normalised over all providers.

    `input_tokens` holds *all* input (cached, audio and images included) and `output_tokens` *all* output
    (reasoning included); the other token fields are parts of these two.
    `cost_nano_usd` is a price the upstream itself put on the call (OpenRouter), None where it says nothing.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0  # the part of cache_write_tokens kept an hour or longer
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    cache_read_audio_tokens: int = 0
    web_searches: int = 0  # server-side tool requests that are billed by the piece
    audio_seconds: float = 0.0  # transcription billed by duration
    cost_nano_usd: int | None = None


class Kind(msgspec.Struct, frozen=True, gc=False):
    """What a request is, as far as its method and path tell.

    `format` names the reader in `proxy.wire` (`opaque` where there is none), `operation` is the
    OpenTelemetry `gen_ai.operation.name` where one exists, else a plain noun such as `files`.
    `model` and `stream` are set where the path alone decides them (Gemini, Bedrock, Azure).
    """

    format: str
    operation: str
    model: str | None = None
    stream: bool | None = None
    json_body: bool = False  # the request body is one JSON object that must be read before forwarding
    needs_model: bool = False  # without a model in the body no provider can answer
    output_maximum: bool = True  # False: this endpoint takes no maximum of output tokens, though its format has one


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What the caller asked for, read from the request body. Unknown is None, never a guess."""

    model: str | None = None
    stream: bool = False
    max_output_tokens: int | None = None
    choices: int = 1
    service_tier: str | None = None
    usage_expected: bool = True  # False: the upstream sends no usage (chat stream without include_usage)
    json_asked: bool = False  # the caller asked for JSON output
    prompt_bytes: int = 0  # bytes of the request body: the raw bound for estimates
    media_bytes: int = 0  # the part of them that is pictures, sound and files in base64, which say nothing of tokens
    media_pieces: int = 0  # how many pictures, sounds and files these are
    reasoning_budget_tokens: int | None = None  # Anthropic's thinking.budget_tokens: max_tokens may not be below it
    unbounded: tuple[str, ...] = ()  # why no upper bound of the cost can be told: names of `proxy.wire.UNBOUNDED`
    agent: str | None = None  # native marks in the body, weakest rung but the key
    task: str | None = None
    session: str | None = None


class Reading(msgspec.Struct):
    """What came back, read from a copy of the response bytes. Unknown is None, never a guess."""

    model: str | None = None
    response_id: str | None = None
    usage: Usage | None = None
    finish: str | None = None  # the provider's own word
    error: str | None = None  # an error the provider reported, also inside a 200 stream
    error_type: str | None = None  # the provider's own code or type of that error
    service_tier: str | None = None
    system_fingerprint: str | None = None  # what the provider says its backend is configured as
    complete: bool = False  # the format's own end was seen
    text: str = ""
    tools: list[tuple[str, str]] = []  # (name, arguments as JSON text)
    output_bytes: int = 0  # UTF-8 bytes of text, reasoning and tool arguments seen, also past the cap
    unread: int = 0  # pieces that could not be understood
    is_oversized: bool = False  # the body, or an event of it, was too large to be read: not all that it said is known


Rung = Literal["path", "key", "header", "baggage", "native", "key_hash", "unknown"]


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Who calls: agent, task and session, and the rung of the ladder that named the agent (DESIGN §6)."""

    agent: str
    rung: Rung
    task: str | None = None
    session: str | None = None
    parent_agent: str | None = None
    team: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    key_hash: str | None = None
    key: str | None = None  # the name of the virtual key that was presented
    tags: dict[str, str] = {}


class RateLimits(msgspec.Struct, frozen=True, gc=False):
    """What a provider's headers say of its own limits; resets and waits in seconds from now."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float | None = None
    retry_after_s: float | None = None


class Answer(msgspec.Struct):
    """What the relay saw of a response: sizes and times; all times are `time.time_ns()`."""

    status: int | None = None
    request_id: str | None = None
    sent_ns: int | None = None  # the request went upstream
    added_ns: int | None = None  # request fully read → sent on a connection, without the time to connect
    first_byte_ns: int | None = None
    first_token_ns: int | None = None
    last_byte_ns: int | None = None
    response_bytes: int = 0
    chunks: int = 0
    limits: RateLimits = RateLimits()


class Toll(msgspec.Struct):
    """What admission decided about a call under a budget, a limit or an order; empty where none of them concerns it."""

    reserved: dict[str, int] = {}  # cell of the ledger → amount in the cell's unit (nano-USD, tokens or calls)
    reserved_nano_usd: int | None = None
    reserved_input_tokens: int = 0
    reserved_output_tokens: int | None = None  # what the reservation covers; metering extends it
    budget: str | None = None  # the budget that acted, or would have (mode observe)
    act: str | None = None  # refused | clamped | downgraded | cut | warned | observed
    asked_model: str | None = None  # before a downgrade
    capped_tokens: int | None = None  # the maximum that was written into the request
    warnings: tuple[str, ...] = ()  # for the response header: `agent-day 80%`
    waited_ns: int = 0  # in a queue
    is_hard: bool = False  # under a budget that must hold: what is not reported is charged on the safe side
    is_strict: bool = False  # … as reserved
    is_metered: bool = False  # its output may be cut: it is read as it flows, and asked for uncompressed


class Hold(msgspec.Struct, frozen=True, gc=False):
    """The gate that an answer must pass: a person approves it first."""

    gate: str
    wait_s: float  # for a decision
    releases: bool  # where nobody decides in time


class Call(msgspec.Struct, kw_only=True):
    """One request on its way: owned by one coroutine, each part filled by exactly one stage."""

    id: str
    started_ns: int
    method: str
    path: str  # without the prefix of the caller's identity, the upstream's name and the query
    upstream: str = ""
    dialect: str = "openai"
    identity: Identity | None = None
    kind: Kind = Kind("opaque", "other")
    ask: Ask = Ask()
    user_agent: str | None = None
    retry: int = 0
    transport: str = "http"
    secret: str | None = None  # the presented credential
    presented: tuple[str, ...] = ()  # all that were: to be kept out of everything that is kept
    body: bytes | None = None  # the request body, decoded; kept only where a sample may need it
    outline: bytes | None = None  # what a longer body asks of its answer …
    left_out: list[str] = []  # … and what of that did not fit
    is_lesson: bool = False  # whether its texts teach the estimator what tokens the provider counts
    is_inspected: bool = False  # whether the evaluators are to see it
    hold: Hold | None = None  # what its answer waits for
    held_ns: int = 0  # how long it did
    request_bytes: int = 0
    answer: Answer = msgspec.field(default_factory=Answer)
    reading: Reading = msgspec.field(default_factory=Reading)
    outcome: str | None = None  # set once, by whatever ended the call
    refused_status: int | None = None  # the status of our own answer, where we gave one
    toll: Toll = msgspec.field(default_factory=Toll)
    is_open: bool = False  # it stands in the journal as let through
    settled: bool = False
    tier: str | None = None  # the rule of `tiers` that put another model in the place of the one asked for
    attempts: int = 0  # at upstreams, those included that failed and were followed by another
    tried: str | None = None  # the failed ones that others followed on: `openai overloaded, azure unreachable`
    upstream_key: str | None = None  # which of several provider keys of ours, by the name of its environment variable
    attempt_of: str | None = None  # of an attempt that was given up, and has a record of its own: its call
    attempt_number: int = 0  # of the newest attempt
    attempt_ns: int = 0  # when it began; 0: it has a record of its own
    trail: tuple[Attempted, ...] = ()  # the attempts before it, but for those with records of their own
