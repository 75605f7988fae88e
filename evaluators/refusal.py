"""Whether an answer is a refusal, or opens with the boilerplate of one: by the provider's own word, or by how it begins."""

from __future__ import annotations

import re

from evaluators.sample import Sample
from evaluators.verdict import Verdict

NAME = "refusal"
_PASSED = Verdict(NAME)
_READ = 220  # characters of the beginning: what is refused is refused at once
_FINISHES = frozenset((
    "refusal", "content_filter", "content_filtered", "safety", "prohibited_content", "blocklist", "spii", "recitation", "image_safety",
    "guardrail_intervened", "error_toxic",
))  # fmt: skip
_CANNOT = (
    r"(?:can(?:no|['’]?)t|can not|could ?n[o'’]?t|(?:am|['’]m) (?:not able|unable|not allowed|not permitted|not programmed)(?: to)?"
    r"|won['’]?t|will not|do not|don['’]t|must decline(?: to)?|have to decline(?: to)?|refuse to)"
)
_DOING = (
    r"(?:assist|help|provide|fulfill|comply|support|create|generate|write|produce|offer|give|answer|engage|discuss|do that|share|recommend|endorse"
    r"|condone|promote|participate|encourage|suggest|advise|carry out|complete|continue|respond|process|facilitate|disclose|tell you|instruct|guide"
    r"|feel comfortable|be able to)"
)
_REFUSED = re.compile(
    rf"\b(?:I|we) (?:\w{{1,12}},? ){{0,2}}?{_CANNOT}\b(?: (?!worry|have any)\w{{1,12}}){{0,3}}? {_DOING}"
    rf"|\bI['’]m (?:\w{{1,10}} ){{0,2}}?(?:unable|not able) to\b"
    r"|\b(?:I am|I['’]m) (?:not able|unable) to\b|\bI must (?:decline|refuse|emphasi[sz]e that I)\b|\bunable to (?:assist|help|comply|fulfill)\b"
    r"|\bI (?:strongly )?(?:advise|urge|discourage|recommend) (?:you )?against\b"
    r"|\b(?:it|this) is (?:not|never) (?:appropriate|ethical|acceptable) (?:or \w{1,12} )?(?:for me )?to\b"
    r"|\bgoes against my\b|\bagainst my (?:programming|guidelines|principles|policy)\b|\bviolates? (?:\w{1,12} ){0,3}(?:polic|guidelines)",
    re.IGNORECASE,
)
_SIGNS = ("n't", "n’t", "cant ", "wont ", "not", "unable", "sorry", "apolog", "afraid", "decline", "refuse", "against", "violat", "must ", "never")
_SORRY = re.compile(r"(?:i['’]m|i am|we['’]re|my)? ?(?:very |so |truly |really )?(?:sorry|apologies|apologize|afraid)\b", re.IGNORECASE)
_ABOUT = re.compile(r"\b(?:can(?:no|['’])t|can not|unable|not able|won['’]t|but I|inappropriate|against|illegal|unethical)\b", re.IGNORECASE)
_BOILERPLATE = re.compile(r"\bas an? (?:\w{1,12} ){0,2}(?:AI|artificial intelligence|language model|LLM)\b", re.IGNORECASE)


def judge(sample: Sample) -> Verdict | None:
    """None where there is neither text nor a provider's word."""
    if (sample.finish or "").lower() in _FINISHES:
        return Verdict(NAME, "filtered", 0.0, "warning", "the provider says that it was refused or filtered")
    begun = sample.stripped[:_READ]
    if not begun:
        return None
    lower = begun.lower()
    if any(sign in lower for sign in _SIGNS) and (_REFUSED.search(begun) or _is_sorry(begun)):
        return Verdict(NAME, "refused", 0.1, "warning", "the answer begins as a refusal")
    if "as a" in lower and _BOILERPLATE.search(begun):
        return Verdict(NAME, "boilerplate", 0.7, "info", "the answer begins by saying that an AI gives it")
    return _PASSED


def _is_sorry(begun: str) -> bool:
    return _SORRY.match(begun) is not None and _ABOUT.search(begun) is not None
