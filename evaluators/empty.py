"""Whether an answer holds anything: no text and no tool call, white space, invisible characters, only reasoning, empty JSON, a placeholder."""

from __future__ import annotations

import re

from evaluators.sample import Sample
from evaluators.verdict import Verdict

NAME = "empty"
_PASSED = Verdict(NAME)
_SHORT = 200  # characters; whatever is longer is no placeholder
# White space, and what has no shape: zero-width and joining characters, direction marks, soft hyphens, Hangul fillers, Braille's blank.
_NOTHING = re.compile(
    r"[\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0]*\Z"
)
_EMPTY_JSON = frozenset(("{}", "[]", "null", '""', "''", "[{}]", "[null]", "{ }", "[ ]"))
_PLACEHOLDERS = frozenset((
    "...", "…", "undefined", "nan", "todo", "tbd", "placeholder", "string", "[object object]", "<answer>", "<response>", "<output>", "(empty)",
    "(no content)", "(no response)", "no response", "[no response]", "no content", "[blank]", "(blank)", "your answer here", "[your answer here]",
    "<your answer here>", "[insert answer here]", "insert text here", "[insert text here]", "[content]", "[text]", "[response]", "[answer]",
))  # fmt: skip
_TEMPLATE = re.compile(r"\{\{[^{}]{1,80}\}\}\Z|\$\{[^{}]{1,80}\}\Z|%[sd]\Z")
_FENCE = re.compile(r"```[a-z]{0,10}\s*|\s*```\Z")
_EXPLAINED = {
    "empty": "there is no text and no tool call",
    "whitespace": "the text is white space only",
    "invisible": "the text has invisible characters only",
    "only_reasoning": "the model reasoned and gave no answer",
    "empty_json": "the answer is JSON without content",
    "placeholder": "the answer is a placeholder",
}


def judge(sample: Sample) -> Verdict | None:
    """A turn that calls a tool may be without text; an answer that was cut before its text says nothing."""
    if sample.calls:
        return _PASSED
    stripped = sample.stripped
    if not stripped:
        label = "only_reasoning" if sample.reasoning or sample.reasoning_tokens else "whitespace" if sample.text else "empty"
    elif _NOTHING.match(stripped):
        label = "invisible"
    elif len(stripped) > _SHORT:
        return _PASSED
    else:
        core = _FENCE.sub("", stripped).lower() or "..."
        if core in _EMPTY_JSON:
            label = "empty_json"
        elif core in _PLACEHOLDERS or core.startswith("lorem ipsum") or _TEMPLATE.match(core):
            label = "placeholder"
        else:
            return _PASSED
    return Verdict(NAME, label, 0.0, "error", _EXPLAINED[label])
