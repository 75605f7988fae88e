"""The refusals: everything Weighbridge itself decides, each with one stable, low-cardinality name.

    Refusal
    ├── caller_*       the request is at fault
    │   ├── caller_bad_request      400  not a request we can forward (path, header, framing)
    │   ├── caller_invalid_json     400  the body of a JSON endpoint is not JSON
    │   ├── caller_model_absent     400  the body names no model
    │   ├── caller_unknown_upstream 404  the path names no configured upstream
    │   ├── caller_body_too_large   413  the body is over limits.body_bytes or limits.upload_bytes
    │   ├── caller_too_slow         408  the request did not come within limits.head_s or limits.body_s
    │   ├── caller_key_absent       401  auth is required, and no virtual key was presented
    │   └── caller_key_unknown      401  the virtual key is not known, expired or revoked
    ├── policy_*       a rule of the operator
    │   ├── policy_no_upstream_key  403  a virtual key was presented, and no provider key is configured
    │   ├── policy_budget_exhausted 402  a budget is used up
    │   ├── policy_budget_busy      429  what is left of a budget is reserved by running calls
    │   ├── policy_call_too_costly  402  the call alone is more than a budget allows
    │   ├── policy_call_unbounded   403  a strict budget, and a call whose cost has no upper bound
    │   ├── policy_call_unpriced    403  a money budget, and a model whose price is unknown
    │   ├── policy_rate_limited     429  over a limit a minute
    │   ├── policy_too_many_running 429  over a limit of calls at once
    │   ├── policy_upstream_limited 429  the provider's own limit is used up
    │   ├── policy_paused           403  paused by order
    │   ├── policy_killed           403  ended by order
    │   ├── policy_review_stream    403  a stream, and a gate that holds answers until they are reviewed
    │   ├── policy_review_rejected  403  a reviewer has rejected the answer
    │   ├── policy_review_timeout   403  nobody has reviewed the answer in time
    │   └── policy_review_full      403  there is no room to hold another answer
    ├── upstream_*     the provider, or the way to it
    │   ├── upstream_unreachable    502  no connection
    │   ├── upstream_malformed      502  an answer whose framing is ambiguous
    │   ├── upstream_cut            502  the connection ended before the answer began
    │   ├── upstream_timeout        504  no answer in time
    │   ├── upstream_stalled        504  an answer that began, and came too slowly or not at all any more
    │   └── upstream_open           503  it failed again and again, and is left alone for a while
    └── weighbridge_*  ourselves
        ├── weighbridge_internal    500  a defect of ours
        ├── weighbridge_ledger_away 503  the shared ledger does not answer, and a budget must hold
        ├── weighbridge_journal_away 503 the journal cannot be written, and a budget must hold
        └── weighbridge_stopping    503  shutting down

Endings that are no refusal but an outcome of a record: `ok`; `upstream_error` (the provider answered 4xx or 5xx,
passed on as it came); `upstream_stream_error` (an error inside a 200); `upstream_cut` (broken off in the middle);
`upstream_discarded` (an answer that was given up for another attempt, and may be billed);
`policy_budget_cut` (an answer ended early because its budget was used up); `caller_gone` (the client left);
`weighbridge_crashed` (opened, and no end in the journal).
The names are metric labels, the response header `x-weighbridge-error`, the column `outcome` and README headings alike.
"""

from __future__ import annotations

import math

import msgspec

STATUSES = {
    "caller_bad_request": 400,
    "caller_invalid_json": 400,
    "caller_model_absent": 400,
    "caller_unknown_upstream": 404,
    "caller_body_too_large": 413,
    "caller_too_slow": 408,
    "caller_key_absent": 401,
    "caller_key_unknown": 401,
    "policy_no_upstream_key": 403,
    "policy_budget_exhausted": 402,
    "policy_budget_busy": 429,
    "policy_call_too_costly": 402,
    "policy_call_unbounded": 403,
    "policy_call_unpriced": 403,
    "policy_rate_limited": 429,
    "policy_too_many_running": 429,
    "policy_upstream_limited": 429,
    "policy_paused": 403,
    "policy_killed": 403,
    "policy_review_stream": 403,
    "policy_review_rejected": 403,
    "policy_review_timeout": 403,
    "policy_review_full": 403,
    "upstream_unreachable": 502,
    "upstream_malformed": 502,
    "upstream_cut": 502,
    "upstream_timeout": 504,
    "upstream_stalled": 504,
    "upstream_open": 503,
    "weighbridge_internal": 500,
    "weighbridge_ledger_away": 503,
    "weighbridge_journal_away": 503,
    "weighbridge_stopping": 503,
}
ENDINGS = ("ok", "upstream_error", "upstream_stream_error", "upstream_discarded", "policy_budget_cut", "caller_gone", "weighbridge_crashed")
OUTCOMES = frozenset(STATUSES) | frozenset(ENDINGS)


class Refusal(Exception):
    """A call that we end ourselves. `message` is for the caller and says what to do; it never echoes input.

    `details` are for programs: of a budget {budget, scope, unit, limit, spent, reserved, asked, resets_at, affordable_max_tokens}, of a
    limit {limit, …}, of an order {reason, by}. `retry_after_s` is set where waiting that long helps; a 429 always has it.
    """

    def __init__(self, name: str, message: str, details: dict | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(name)
        self.name = name
        self.message = message
        self.status = STATUSES[name]
        self.details = details
        self.retry_after_s = retry_after_s

    @property
    def retryable(self) -> bool:
        """Whether waiting may help: only then may an SDK try again."""
        return self.status >= 500 or self.status == 429


# https://docs.anthropic.com/en/api/errors and the SDKs' own status maps
_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
# https://cloud.google.com/apis/design/errors#handling_errors
_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_OPENAI = {401: "authentication_error", 402: "insufficient_quota", 403: "permission_error", 429: "rate_limit_error"}
_BEDROCK = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    402: "ServiceQuotaExceededException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    413: "ValidationException",
    429: "ThrottlingException",
    500: "InternalServerException",
    502: "ServiceUnavailableException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}


def body(refusal: Refusal, dialect: str, call_id: str) -> tuple[bytes, list[tuple[str, str]]]:
    """A refusal in the shape that the dialect's SDKs read: (JSON body, headers, without length).

    The shapes are those that each SDK turns into its own exception with a readable message
    (openai-python, anthropic-python, google-genai, botocore, cohere, ollama).
    """
    name, status, text = refusal.name, refusal.status, refusal.message
    headers = [("Content-Type", "application/json"), ("x-weighbridge-error", name), ("x-weighbridge-call", call_id)]
    if refusal.retry_after_s is not None:
        headers.append(("Retry-After", str(max(1, math.ceil(refusal.retry_after_s)))))
    if not refusal.retryable:
        headers.append(("x-should-retry", "false"))
    facts = {"weighbridge": refusal.details} if refusal.details else {}
    if dialect == "anthropic":
        shape: dict = {"type": "error", "error": {"type": _ANTHROPIC[status], "message": text, "code": name, **facts}, "request_id": call_id}
    elif dialect == "gemini":  # google.rpc.ErrorInfo: its metadata are words
        metadata = {"metadata": {word: str(fact) for word, fact in (refusal.details or {}).items()}} if facts else {}
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": name, "domain": "weighbridge", **metadata}
        shape = {"error": {"code": status, "message": text, "status": _GOOGLE[status], "details": [detail]}}
    elif dialect == "bedrock":
        headers.append(("x-amzn-ErrorType", _BEDROCK[status]))
        shape = {"message": text, "code": name, **facts}
    elif dialect == "cohere":
        shape = {"id": call_id, "message": text, "code": name, **facts}
    elif dialect == "ollama":
        shape = {"error": text, "code": name, **facts}
    else:
        kind = _OPENAI.get(status, "invalid_request_error" if status < 500 else "server_error")
        shape = {"error": {"message": text, "type": kind, "param": None, "code": name, **facts}}
    return msgspec.json.encode(shape), headers
