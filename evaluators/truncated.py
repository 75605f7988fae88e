"""Whether an answer stops before its end: by the provider's own word, or by what is left open: a code fence, JSON, a tag, a sentence.

That a text ends within a sentence is worth knowing and no fault: one in some thirty good answers does (a list, a heading, a line of code).
"""

from __future__ import annotations

import re

from evaluators.sample import Sample
from evaluators.verdict import Verdict

NAME = "truncated"
_PASSED = Verdict(NAME)
# OpenAI and most, Responses, Anthropic, Gemini, Cohere, Bedrock, Ollama
_FINISHES = frozenset(("length", "max_tokens", "max_output_tokens", "incomplete", "model_length", "model_context_window_exceeded", "token_limit"))
_FENCE = re.compile(r"\n[ \t>]{0,12}(?:[-*] {1,4}|\d{1,3}\. {1,4})?```")  # a line break is found faster than the beginning of a line
_TAG = re.compile(r"<(/?)([a-zA-Z][\w-]{1,30})>")
# What a model is asked to wrap its answer in; the tags of HTML may stay open.
_WRAPPERS = frozenset(("answer", "thinking", "think", "output", "result", "response", "solution", "json", "analysis", "reasoning", "final"))
_PROSE = 200  # characters; a shorter text may end as it likes
_MOST_TAGS = 2000
_SENTENCE = re.compile(r"[.!?。！？](?:[\"')\]]{0,2})(?:\s|\Z)")
_WITHIN = re.compile(r"[A-Za-z\u00c0-\u024f,;:(\-]\Z")
_CLAUSE = re.compile(r"[,;(]\Z|\b(?:the|a|an|of|to|and|or|in|with|for|that|is|are|was|as|by|on|from|at|which|this|their|its|be|can|will|has)\Z")
_EXPLAINED = {
    "length": "the provider says that the limit of output was reached",
    "open_fence": "a code fence is not closed",
    "open_json": "the answer is JSON and ends before it is closed",
    "open_tag": "a tag around the answer is not closed",
    "mid_clause": "the text ends within a clause",
    "mid_sentence": "the text ends without the end of a sentence",
}


def judge(sample: Sample) -> Verdict | None:
    """None where only the beginning of the answer is here and the provider says nothing."""
    if (sample.finish or "").lower() in _FINISHES:
        return Verdict(NAME, "length", 0.0, "warning", _EXPLAINED["length"])
    if sample.is_cut or not sample.stripped:
        return None
    label = _find_open(sample) or (None if sample.calls else _find_ending(sample.tail.rstrip()))
    if label is None:
        return _PASSED
    if label == "mid_sentence":
        return Verdict(NAME, label, 0.7, "info", _EXPLAINED[label])
    return Verdict(NAME, label, 0.2, "warning", _EXPLAINED[label])


def _find_open(sample: Sample) -> str | None:
    text = sample.text if len(sample.text) <= len(sample.ends) else ""  # of a very long one, what is open cannot be told by its ends
    if "`" in text and "```" in text and len(_FENCE.findall(f"\n{text}")) % 2 and not text.rstrip().endswith("```"):
        return "open_fence"
    stripped = sample.stripped
    if stripped[0] in "{[" and stripped[-1] not in "}]" and _opens_json(stripped):
        return "open_json"
    if "<" in text:
        depth: dict[str, int] = {}
        for count, tag in enumerate(_TAG.finditer(text)):
            name = tag[2].lower()
            if name in _WRAPPERS:
                depth[name] = depth.get(name, 0) + (-1 if tag[1] else 1)
            if count > _MOST_TAGS:
                return None
        if any(count > 0 for count in depth.values()):
            return "open_tag"
    return None


def _opens_json(text: str) -> bool:
    """Whether a text begins as an object or a list of JSON does, and not as `[1] a footnote` or `{placeholder}`."""
    begun = text[1:200].lstrip()
    return begun.startswith(('"', "}")) if text[0] == "{" else begun.startswith(('"', "{", "["))


def _find_ending(tail: str) -> str | None:
    if not _WITHIN.match(tail[-1:]):
        return None
    line = tail.rpartition("\n")[2].lstrip()
    is_prose = len(tail) >= _PROSE and len(_SENTENCE.findall(tail[-2000:])) >= 2 and not line.startswith(("|", "#", "`", "http", "<"))
    if not is_prose or "```" in tail[-20:]:
        return None
    if _CLAUSE.search(tail[-12:]) and len(line) > 12:
        return "mid_clause"
    return "mid_sentence"
