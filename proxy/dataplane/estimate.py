"""Token estimates from byte counts alone, for calls whose provider reported none; no tokenizer in this plane.

Bytes a token are learned per model from the calls that do report: an exponentially weighted mean over the last
few dozen, bounded in number of models. The control plane refines an estimate with a tokenizer where it has the text.
"""

from __future__ import annotations

from proxy.call import Usage

_MAX_MODELS = 2000
_WEIGHT = 0.05
_MIN_TOKENS = 16
_START = (4.6, 4.2)  # request JSON bytes an input token, output bytes an output token; English prose over o200k


class ByteRatios:
    """Bytes a token, input and output, per model."""

    def __init__(self) -> None:
        self._ratios: dict[str, tuple[float, float]] = {}

    def learn(self, model: str, prompt_bytes: int, output_bytes: int, usage: Usage) -> None:
        """Take a reported usage in. Small calls and absurd ratios teach nothing."""
        old_input, old_output = self._ratios.get(model, _START)
        new_input = _mix(old_input, prompt_bytes, usage.input_tokens)
        new_output = _mix(old_output, output_bytes, usage.output_tokens - usage.reasoning_tokens)
        if len(self._ratios) < _MAX_MODELS or model in self._ratios:
            self._ratios[model] = (new_input, new_output)

    def estimate(self, model: str, prompt_bytes: int, output_bytes: int) -> Usage:
        """The usage of a call by its sizes."""
        per_input, per_output = self._ratios.get(model, _START)
        return Usage(input_tokens=round(prompt_bytes / per_input), output_tokens=round(output_bytes / per_output))


def _mix(old: float, size: int, tokens: int) -> float:
    if tokens < _MIN_TOKENS:
        return old
    seen = size / tokens
    return old + _WEIGHT * (seen - old) if 0.5 <= seen <= 40 else old
