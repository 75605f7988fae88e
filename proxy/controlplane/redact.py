"""Takes secrets out of text before it is kept: by the shape of well-known credentials, and by value where we know them.

Shapes change and values do not, so what this process itself holds (`Config.secrets`) is looked for first. E-mail addresses and
other personal data are not credentials: name them under `capture.redact` if they must go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

MARK = "[redacted]"
_LEAST_VALUE = 6  # a shorter secret would take ordinary words with it
# Published prefixes of the issuers: OpenAI and Anthropic, Google, AWS, GitHub, GitLab, Slack, Groq, Hugging Face, xAI, Perplexity, npm, Stripe.
_SHAPES = (
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
    r"\b(?:sk|rk|pk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9_-]{16,}",
    r"\bAIza[0-9A-Za-z_-]{30,}",
    r"\bya29\.[0-9A-Za-z_-]{20,}",
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b",
    r"\b(?:gh[pousr]_|github_pat_|glpat-|gsk_|hf_|xai-|pplx-|npm_|whsec_|wb_key_)[0-9A-Za-z_-]{16,}",
    r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
    r"\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}",
    r"(?i:(?<=bearer )|(?<=basic ))[0-9A-Za-z+/._~-]{16,}={0,2}",
    r"""(?i:(?:aws_secret_access_key|api[_-]?key|client_secret|password)["']?\s*[:=]\s*["']?)[^\s"',;]{8,}""",
)


def make_redactor(secrets: Iterable[str], patterns: Iterable[str] = ()) -> Callable[[str], str]:
    """A function that replaces every known secret and everything of a known or given shape with `[redacted]`."""
    values = sorted({value for value in secrets if len(value) >= _LEAST_VALUE}, key=len, reverse=True)
    shapes = [*map(re.escape, values), *(f"(?s:{shape})" for shape in _SHAPES)]
    known = re.compile("|".join(shapes))
    given = [re.compile(pattern) for pattern in patterns]

    def redact(text: str) -> str:
        text = known.sub(MARK, text)
        for pattern in given:
            text = pattern.sub(MARK, text)
        return text

    return redact
