"""The refusals: everything Weighbridge itself decides, each with one stable, low-cardinality name.

    Refusal
    ├── caller_*       the request is at fault
    │   ├── caller_bad_request      400  not a request we can forward (path, header, framing)
    │   ├── caller_invalid_json     400  the body of a JSON endpoint is not JSON
    │   ├── caller_model_absent     400  the body names no model
    │   ├── caller_unknown_upstream 404  the path names no configured upstream
    │   └── caller_body_too_large   413  the body is over limits.body_bytes or limits.upload_bytes
    ├── policy_*       a rule of the operator
    │   └── policy_no_upstream_key  403  a Weighbridge key was presented, and no provider key is configured
    ├── upstream_*     the provider, or the way to it
    │   ├── upstream_unreachable    502  no connection
    │   ├── upstream_malformed      502  an answer whose framing is ambiguous
    │   ├── upstream_cut            502  the connection ended before the answer began
    │   └── upstream_timeout        504  no answer in time
    └── weighbridge_*  ourselves
        ├── weighbridge_internal    500  a defect of ours
        └── weighbridge_stopping    503  shutting down

Endings that are no refusal but an outcome of a record: `ok`; `upstream_error` (the provider answered 4xx or 5xx,
passed on as it came); `upstream_stream_error` (an error inside a 200); `upstream_cut` (broken off in the middle);
`caller_gone` (the client left); `weighbridge_crashed` (opened, and no end in the journal).
The names are metric labels, the response header `x-weighbridge-error`, the column `outcome` and README headings alike.
"""

from __future__ import annotations

import msgspec

STATUSES = {
    "caller_bad_request": 400,
    "caller_invalid_json": 400,
    "caller_model_absent": 400,
    "caller_unknown_upstream": 404,
    "caller_body_too_large": 413,
    "policy_no_upstream_key": 403,
    "upstream_unreachable": 502,
    "upstream_malformed": 502,
    "upstream_cut": 502,
    "upstream_timeout": 504,
    "weighbridge_internal": 500,
    "weighbridge_stopping": 503,
}
ENDINGS = ("ok", "upstream_error", "upstream_stream_error", "caller_gone", "weighbridge_crashed")
OUTCOMES = frozenset(STATUSES) | frozenset(ENDINGS)


class Refusal(Exception):
    """A call that we end ourselves. `message` is for the caller and says what to do; it never echoes input."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name)
        self.name = name
        self.message = message
        self.status = STATUSES[name]

    @property
    def retryable(self) -> bool:
        """Whether waiting may help: only then may an SDK try again."""
        return self.status >= 500


# https://docs.anthropic.com/en/api/errors and the SDKs' own status maps
_ANTHROPIC = {
    400: "invalid_request_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
# https://cloud.google.com/apis/design/errors#handling_errors
_GOOGLE = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_BEDROCK = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    413: "ValidationException",
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
    if not refusal.retryable:
        headers.append(("x-should-retry", "false"))
    if dialect == "anthropic":
        shape: dict = {"type": "error", "error": {"type": _ANTHROPIC[status], "message": text, "code": name}, "request_id": call_id}
    elif dialect == "gemini":
        shape = {"error": {"code": status, "message": text, "status": _GOOGLE[status], "details": [{"reason": name, "domain": "weighbridge"}]}}
    elif dialect == "bedrock":
        headers.append(("x-amzn-ErrorType", _BEDROCK[status]))
        shape = {"message": text, "code": name}
    elif dialect == "cohere":
        shape = {"id": call_id, "message": text, "code": name}
    elif dialect == "ollama":
        shape = {"error": text, "code": name}
    else:
        kind = "invalid_request_error" if status < 500 else "server_error"
        shape = {"error": {"message": text, "type": kind, "param": None, "code": name}}
    return msgspec.json.encode(shape), headers
