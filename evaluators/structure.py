"""Whether an answer that had to be JSON is JSON, and keeps to the schema that was asked for."""

from __future__ import annotations

import msgspec

from evaluators.sample import Sample
from evaluators.schema import MOST_ANSWER_BYTES, Unusable, check
from evaluators.verdict import Verdict

NAME = "json"
_PASSED = Verdict(NAME)
_UNCHECKED = Verdict(NAME, "unchecked", 1.0, "info", "the answer is JSON; its schema or its size does not allow to check more")
_CUT = "truncated"  # msgspec's word for JSON that ends too early
_scan = msgspec.json.Decoder(msgspec.Raw).decode
_decode = msgspec.json.Decoder().decode


def judge(sample: Sample) -> Verdict | None:
    """None where no JSON was asked for, where there is no text to judge, and where only its beginning is here."""
    if (sample.asked != "json" and sample.schema is None) or sample.is_cut:
        return None
    text = sample.stripped
    if not text:
        return None
    body = text.encode("utf-8", "replace")
    fault = find_fault(body)
    if fault == "invalid" and body.startswith(b"```"):
        inner = body.partition(b"\n")[2].rpartition(b"```")[0]
        if find_fault(inner) is None:
            return Verdict(NAME, "fenced", 0.5, "warning", "JSON was asked for; it stands in a code fence and does not parse as it is")
    if fault is not None:
        told = {"cut": "JSON was asked for and ends before it is closed", "too_deep": "JSON was asked for and is nested too deep to read"}
        return Verdict(NAME, fault, 0.0, "error", told.get(fault, "JSON was asked for and the answer is none"))
    return _PASSED if sample.schema is None else _keep_to_schema(sample, body)


def find_fault(body: bytes) -> str | None:
    """`invalid`, `cut` or `too_deep`; None for JSON. Keeps nothing of it, so that length costs time only."""
    try:
        _scan(body)
    except RecursionError:
        return "too_deep"
    except (msgspec.MsgspecError, UnicodeError) as error:
        return "cut" if _CUT in str(error) and body[:1] in b"{[" else "invalid"
    return None


def _keep_to_schema(sample: Sample, body: bytes) -> Verdict:
    if len(body) > MOST_ANSWER_BYTES:
        return _UNCHECKED
    try:
        word = check(sample.schema, _decode(body), len(body))
    except (Unusable, msgspec.MsgspecError, UnicodeError, RecursionError):
        return _UNCHECKED
    return _PASSED if word is None else Verdict(NAME, "schema", 0.0, "error", f"the answer is JSON and goes against `{word[:40]}` of the schema")
