"""How many tokens a provider bills for each token that we count, per model, learned from the calls that report both.

Providers other than OpenAI use tokenizers of their own, which they do not publish. Each model starts at the ratio of its family
and moves towards the median of what its own calls showed. A median, because single calls may be far off (hidden prompts,
reasoning, a cut text) and one of them must not move the ratio.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from statistics import median
from typing import Literal

Part = Literal["input", "output"]

_MODELS = 1000  # models remembered; the one not used longest goes first
_SEEN = 31  # calls remembered for each model and part
_NAME_CHARACTERS = 512
_LEAST_TOKENS = 24  # shorter texts say nothing about a ratio
_RANGE = (0.5, 4.0)  # what lies outside is no tokenizer's difference
_TRUST = 4  # the family's ratio weighs as much as this many calls
# Provider's tokens / o200k_base tokens of output text, measured on recorded calls; the first name contained in the model's wins.
_FAMILIES = (
    (("opus-4-7", "opus-4.7", "opus-4-8", "opus-4.8"), 1.4),
    (("claude-opus-5", "claude-sonnet-5", "claude-haiku-5", "claude-fable", "claude-mythos"), 1.4),
    (("claude",), 1.15),
    (("gemini", "gemma"), 1.05),
    (("qwen",), 1.05),
    (("llama",), 1.03),
    (("mistral", "mixtral", "magistral", "ministral", "codestral", "devstral", "pixtral"), 1.04),
    (("deepseek",), 1.04),
    (("nova",), 0.98),
)


class Ratios:
    """The ratios of all models seen. Not thread-safe: one owner."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def learn(self, model: str, reported: int, counted: int, part: Part = "output") -> bool:
        """Takes in a finished call: tokens that the provider reported for a text, and those counted. False: it teaches nothing.

        Leave out of `reported` what is not in the text (reasoning), and calls with images or audio altogether.
        """
        if min(reported, counted) < _LEAST_TOKENS or not 0 < len(model) <= _NAME_CHARACTERS:
            return False
        ratio = reported / counted
        if not _RANGE[0] <= ratio <= _RANGE[1]:
            return False
        key = (model, part)
        if key not in self._seen and len(self._seen) >= 2 * _MODELS:
            self._seen.popitem(last=False)
        self._seen.setdefault(key, deque(maxlen=_SEEN)).append(ratio)
        self._seen.move_to_end(key)
        return True

    def ratio(self, model: str | None, part: Part = "output") -> float:
        """What to multiply a count with: the family's ratio, drawn to the median of the model's own calls as there are more."""
        start = start_ratio(model)
        seen = self._seen.get((model or "", part))
        if not seen:
            return start
        return (start * _TRUST + median(seen) * len(seen)) / (_TRUST + len(seen))

    def dump(self) -> dict[str, dict[str, list[float]]]:
        """The state as plain JSON values: part → model → ratios, oldest first."""
        state: dict[str, dict[str, list[float]]] = {"input": {}, "output": {}}
        for (model, part), seen in self._seen.items():
            state[part][model] = [round(ratio, 4) for ratio in seen]
        return state

    def load(self, state: object) -> None:
        """Takes a dumped state in; what is not of its shape is left out, so that a damaged file costs what was learned, not the start."""
        if not isinstance(state, dict):
            return
        for part in ("input", "output"):
            models = state.get(part)
            for model, seen in models.items() if isinstance(models, dict) else ():
                for ratio in seen[-_SEEN:] if isinstance(seen, list) else ():
                    if isinstance(ratio, int | float) and _RANGE[0] <= ratio <= _RANGE[1]:
                        self.learn(str(model), round(ratio * 10**6), 10**6, part)


def start_ratio(model: str | None) -> float:
    """The ratio of a model's family before anything was learned; 1 for OpenAI's own and for unknown ones."""
    name = (model or "").lower()
    return next((ratio for names, ratio in _FAMILIES if any(one in name for one in names)), 1.0)
