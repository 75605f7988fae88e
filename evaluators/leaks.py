"""Whether control tokens or pieces of a chat template leaked into an answer."""

from __future__ import annotations

import re

from evaluators.sample import Sample
from evaluators.signs import Signs
from evaluators.verdict import Verdict

NAME = "leaks"
_PASSED = Verdict(NAME)
# <|im_end|> and its like, <｜end▁of▁sentence｜> of DeepSeek, Llama's and Mistral's [INST] and <<SYS>>, Gemma's turns, sentence ends.
_TOKEN = re.compile(
    r"<\|[a-zA-Z_][\w.-]{0,40}\|>|<\uff5c[^\uff5c\n]{1,40}\uff5c>|\[/?INST\]|<</?SYS>>|\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|</?(?:start|end)_of_turn>|<(?:pad|eos|bos|unk)>"
)
_TEMPLATE = re.compile(
    r"^(?:#{2,3} ?(?:Human|Assistant|Instruction|Response|Input|User|System)|(?:Human|USER|ASSISTANT|SYSTEM))\s?:[ \n]", re.MULTILINE
)
_SIGNS = Signs("<|", "<\uff5c", "[INST", "[/INST", "<<", "_of_turn>", "</s>", "<pad>", "<eos>", "<bos>", "<unk>", "[TOOL", "[AVAIL")
_MARKS = Signs("##", "Human:", "Human :", "USER:", "USER :", "ASSISTANT:", "ASSISTANT :", "SYSTEM:", "SYSTEM :")
_MOST = 100  # that are counted


def judge(sample: Sample) -> Verdict | None:
    """None where there is no text."""
    text = sample.ends
    if not text:
        return None
    if ("<" in text or "[" in text) and _SIGNS.stand_in(text, sample.thinned) and (count := _count_tokens(text)):
        return Verdict(NAME, "control_token", 0.0, "error", f"control tokens of a chat template stand in the text; found: {count}")
    if _MARKS.stand_in(text, sample.thinned) and (count := _count(_TEMPLATE, text)):
        return Verdict(NAME, "template", 0.2, "warning", f"marks of a chat template begin a line; found: {count}")
    return _PASSED


def _count_tokens(text: str) -> int:
    """An end of a sentence is one only where no sentence is opened: HTML strikes words out with the same tags."""
    return _count(_TOKEN, text) + (text.count("</s>") if "<s>" not in text else 0)


def _count(pattern: re.Pattern[str], text: str) -> int:
    count = 0
    for _ in pattern.finditer(text):
        count += 1
        if count == _MOST:
            break
    return count
