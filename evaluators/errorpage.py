"""Whether a page or message of error of some machine on the way stands where a model's answer should: a 200 that is none."""

from __future__ import annotations

import re

from evaluators.sample import Sample
from evaluators.verdict import Verdict

NAME = "error_page"
_PASSED = Verdict(NAME)
_READ = 2_000  # characters of the beginning
_MOST_OF_A_MESSAGE = 400
_MOST_OF_JSON = 4_000
_TITLE = re.compile(r"<(?:title|h1)[^>]{0,100}>([^<]{0,200})", re.IGNORECASE)
_PAGE = re.compile(
    r"\b(?:4\d\d|5\d\d) |bad gateway|gateway time-?out|service (?:temporarily )?unavailable|internal server error|access denied|attention required"
    r"|just a moment|forbidden|too many requests|not found|unauthorized|\berror\b",
    re.IGNORECASE,
)
_JSON = re.compile(r'\{\s{0,20}"(?:error|errors|detail|fault|exception)"\s{0,20}:\s{0,20}(?:"|\{|\[)', re.IGNORECASE)
_JSON_TYPED = re.compile(r'\{\s{0,20}"(?:type|object|status)"\s{0,20}:\s{0,20}"error"', re.IGNORECASE)
_MESSAGE = re.compile(
    r"(?:error[: ]{1,2})?(?:internal server error|bad gateway|service unavailable|gateway time-?out|upstream connect error|upstream request timeout|"
    r"too many requests|rate limit (?:exceeded|reached)|request timed out|the server (?:is overloaded|had an error)|no healthy upstream|"
    r"(?:http|error code)[: /]{1,3}[45]\d\d\b|[45]\d\d (?:[a-z]+ ){1,3}error|traceback \(most recent call last\)|connection (?:refused|reset)|"
    r"invalid api key|context length exceeded|default backend|failed to generate|an error occurred)",
    re.IGNORECASE,
)


def judge(sample: Sample) -> Verdict | None:
    """None where there is no text; what was asked to be JSON may well hold an `error` of its own."""
    stripped = sample.stripped
    if not stripped:
        return None
    begun = stripped[:_READ]
    if begun.startswith("<") and begun[:15].lower().startswith(("<!doctype html", "<html", "<head", "<title", "<h1", "<?xml")):
        title = _TITLE.search(begun)
        if (title and _PAGE.search(title[1])) or (title is None and begun.startswith("<?xml") and "<Error>" in begun):
            return Verdict(NAME, "page", 0.0, "error", "the answer is a web page that tells of an error")
    elif begun.startswith("{"):
        if len(stripped) <= _MOST_OF_JSON and sample.schema is None and (_JSON.match(begun) or _JSON_TYPED.match(begun)):
            return Verdict(NAME, "json", 0.0, "error", "the answer is JSON that tells of an error")
    elif len(stripped) <= _MOST_OF_A_MESSAGE and _MESSAGE.match(begun):
        return Verdict(NAME, "message", 0.1, "error", "the answer is the message of an error")
    return _PASSED
