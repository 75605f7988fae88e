"""What leaves the data plane of calls: the lines of the journal and the samples of the sample socket, flat and frozen.

Journal keys, DuckDB columns, report columns and API fields derive from `Record`, in its order. Units are in the names, as in
`proxy.call`.
"""

from __future__ import annotations

import msgspec


class Attempted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One attempt at an upstream, as an array in the journal."""

    number: int  # of this call's attempts; with the call's id it makes the id of the attempt's span
    upstream: str
    model: str | None
    key: str | None  # as `Record.upstream_key`
    start_ns: int  # a span from the call's `started_ns`
    duration_ns: int
    outcome: str  # the condition that another attempt followed on, or the call's outcome
    status: int | None


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One finished call, flat. The journal's `call` line and a row of the table `calls`."""

    id: str
    started_ns: int
    duration_ns: int
    # who
    agent: str
    rung: str
    task: str | None = None
    session: str | None = None
    parent_agent: str | None = None
    team: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    key_hash: str | None = None
    key: str | None = None  # the name of the virtual key
    tags: dict[str, str] = {}
    user_agent: str | None = None
    # what
    upstream: str
    dialect: str
    format: str
    operation: str
    transport: str = "http"  # http | websocket
    method: str
    path: str  # without the query
    model_asked: str | None = None
    model: str | None = None
    stream: bool = False
    service_tier: str | None = None
    max_output_tokens: int | None = None
    retry: int = 0  # the SDK's own x-stainless-retry-count
    tier: str | None = None  # the rule that had another model answer than `model_asked`
    attempts: int = 1  # at upstreams; 0: none was made
    tried: str | None = None  # the attempts that failed and were followed by another: `openai overloaded, azure unreachable`
    upstream_key: str | None = None  # which of several provider keys of ours, by the name of its environment variable
    attempt_of: str | None = None  # the call that this was a given-up attempt of, which the provider may bill
    trail: list[Attempted] | None = None  # the attempts, but for those with records of their own; None: at most one, which the fields above tell
    # how it ended
    outcome: str  # "ok" or a name from proxy.errors
    status: int | None = None  # what the client saw; None: nothing was sent
    finish: str | None = None
    error: str | None = None  # the provider's words, redacted and cut to 300 characters
    error_type: str | None = None
    response_id: str | None = None
    request_id: str | None = None  # the upstream's
    system_fingerprint: str | None = None  # what the provider says its backend is configured as
    # tokens
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    web_searches: int | None = None
    usage_source: str = "none"  # reported | estimated | raised (an estimate on the safe side, under a hard budget) | none
    # money
    cost_nano_usd: int | None = None  # None: unknown, never zero by default
    cost_source: str = "none"  # book | override | upstream | unbilled | reserved (unknown, so charged as reserved) | presumed (crashed) | none
    price_version: str | None = None
    # budgets and limits
    reserved_nano_usd: int | None = None
    charged: dict[str, int] = {}  # cell of the ledger → amount in the cell's unit: nano-USD, tokens or calls
    budget: str | None = None  # the budget that acted, or would have (mode observe)
    act: str | None = None  # refused | clamped | downgraded | cut | warned | observed
    capped_tokens: int | None = None  # the maximum that was written into the request
    waited_ns: int = 0  # in a queue, part of duration_ns
    gate: str | None = None  # that held its answer until it was reviewed
    held_ns: int = 0  # for so long, part of duration_ns
    # time, all spans from started_ns
    first_byte_ns: int | None = None
    first_token_ns: int | None = None
    output_token_ns: int | None = None  # (last byte − first token) / (output tokens − 1), streams only
    added_ns: int | None = None  # the proxy's own time before sending: request fully read → sent, without connecting
    # size
    request_bytes: int = 0
    response_bytes: int = 0
    chunks: int = 0
    output_bytes: int = 0
    tools: int = 0
    unread: int = 0
    # the provider's own limits, as its headers said
    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float | None = None
    retry_after_s: float | None = None


class Opened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A call that has been let through; written before its first byte goes upstream.

    After a crash the opened calls without a `Record` are closed as `weighbridge_crashed`.
    """

    id: str
    started_ns: int
    agent: str
    rung: str
    task: str | None = None
    session: str | None = None
    team: str | None = None
    upstream: str
    dialect: str
    format: str
    operation: str
    method: str
    path: str
    model_asked: str | None = None
    stream: bool = False
    request_bytes: int = 0
    key: str | None = None
    tags: dict[str, str] = {}
    reserved_nano_usd: int | None = None
    reserved: dict[str, int] = {}  # cell of the ledger → amount in the cell's unit


class Extended(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A running call reserves more; written before what it covers is passed on. The amounts are the new whole, not the difference."""

    id: str
    reserved_nano_usd: int | None = None
    reserved: dict[str, int]


class Correction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A better figure for a call already recorded, written by the control plane; the last one wins."""

    id: str
    at_ns: int
    by: str  # "tokenizer" or the name of an operator
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano_usd: int | None = None
    price_version: str | None = None
    adjusted: dict[str, int] = {}  # cell of the ledger → what is to be added to what was charged, by this correction alone


class TaskEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A task was made, changed or closed by order; the last word on each field wins. The journal's `task` line."""

    task: str
    at_ns: int
    by: str
    agent: str | None = None
    usd: float | None = None  # its budget: US dollars, tokens, calls
    tokens: int | None = None
    calls: int | None = None
    outcome: str | None = None  # closed: succeeded | failed | abandoned, or a word of the operator's own


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An order was given: the journal's `order` line, kept for who did what and why."""

    at_ns: int
    by: str
    verb: str  # pause | resume | kill | tier | inspect | issue_key | revoke_key | reload | accept_drift | dismiss_drift
    dimension: str | None = None  # agent, task, … ; None: everything
    value: str | None = None
    running: bool = False  # also the calls that are running
    reason: str | None = None
    until_ns: int | None = None  # when it is to end by itself
    tier: str | None = None  # the rule of `tiers` that holds meanwhile


class AlarmEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The answers of a stream are no longer what they were: the journal's `alarm` line. Nothing of any answer's text is in it."""

    at_ns: int
    call: str  # whose answer was the last that it took
    agent: str
    team: str | None = None
    task: str | None = None  # the type of task, the model asked for, the upstream: where streams are told apart by them
    model: str | None = None
    upstream: str | None = None
    severity: str  # certain | likely
    kind: str  # output | input: the prompts have changed as well
    answer: int  # raised at this answer of the stream …
    began: int  # … and the change began about at this one
    evidence: float
    alpha: float
    baseline: int
    cause: str  # in words
    moves: list[tuple[str, float, float]] | None = None  # what moved: its name, how it was, how it is
    wire: list[tuple[str, str, str]] | None = None  # what changed around it: its name, what it was, what it is
    before: list[str] | None = None  # calls whose answers show how it was …
    after: list[str] | None = None  # … and how it is


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an evaluator or the estimator sees of a call. Sent over a local socket; may be dropped, and is counted then."""

    id: str
    agent: str
    task: str | None = None
    model: str | None = None
    format: str
    usage_source: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    finish: str | None = None
    text: str = ""
    tools: list[tuple[str, str]] = []
    request: bytes | None = None  # the request body (decoded), only where it is needed
    request_bytes: int = 0  # its whole length, also where `request` was cut
    outline: bytes | None = None  # of one that was cut: what it asks of its answer, in its own words (`proxy.wire.outline`)
    left_out: list[str] = []  # what of that did not fit: format, tools, rules, turn, all
    output_bytes: int = 0
    is_lesson: bool = False  # whether the estimator is to learn from it
    is_inspected: bool = False  # whether the evaluators are to judge it: a whole answer, of an operation that makes one
    team: str | None = None
    trace_id: str | None = None
    upstream: str | None = None
    model_asked: str | None = None
    system_fingerprint: str | None = None
    reasoning_tokens: int | None = None
    duration_ns: int | None = None
    first_token_ns: int | None = None
