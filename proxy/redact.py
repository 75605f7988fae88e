"""Takes secrets out of text before it is kept or shown: by the shape of well-known credentials, and by value where we know them.

Shapes change and values do not, so what this process itself holds (`Config.secrets`) and what callers present is looked for first.
E-mail addresses and other personal data are not credentials: name them under `capture.redact` if they must go.

Most text holds none, and every call asks: a shape is only looked for where one of its marks stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Names = tuple[str | None, ...]
MARK = "[redacted]"
_LEAST_VALUE = 6  # a shorter secret would take ordinary words with it
_LEAST_PRESENTED = 16  # what callers without a key present instead of one (`ollama`, `not-needed`) is a word, and no secret
_LEAST_PART = 8  # of a secret at the end of a text that was cut
_MOST_KNOWN = 4096  # keys and names that are remembered
# (what stands in every text of the shape, in lower case; the shape). The prefixes are those that the issuers publish: OpenAI and Anthropic,
# Google, AWS, GitHub, GitLab, Slack, Groq, Hugging Face, xAI, Perplexity, npm, Stripe; `wbk_` is our own.
_SHAPES = tuple(
    (marks, re.compile(f"(?s:{shape})"))
    for marks, shape in (
        (("private key-----",), r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)"),
        (("://",), r"(?<=://)[^/\s:@\"']*:[^/\s@\"']+(?=@)"),
        (("sk-", "sk_", "rk-", "rk_", "pk-", "pk_"), r"\b(?:sk|rk|pk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9_-]{16,}"),
        (("aiza",), r"\bAIza[0-9A-Za-z_-]{30,}"),
        (("ya29.",), r"\bya29\.[0-9A-Za-z_-]{20,}"),
        (("akia", "asia", "abia", "acca"), r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"),
        (("iqojb3jpz2lu", "fwogzxivyxdz"), r"\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz)[0-9A-Za-z+/=%]{20,}"),
        (
            ("gh", "glpat-", "gsk_", "hf_", "xai-", "pplx-", "npm_", "whsec_", "wb"),
            r"\b(?:gh[pousr]_|github_pat_|glpat-|gsk_|hf_|xai-|pplx-|npm_|whsec_|wbk_|wb_key_)[0-9A-Za-z_-]{16,}",
        ),
        (("xox",), r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}"),
        (("eyj",), r"\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}"),
        (("bearer ", "basic "), r"(?i:(?<=bearer )|(?<=basic ))[0-9A-Za-z+/._~-]{16,}={0,2}"),
        (("signature=",), r"(?i:(?<=signature=))[0-9A-Za-z%+/=_-]{16,}"),
        (("key=",), r"(?i:(?<=[?&]key=))[^&\s\"'#]{8,}"),
        (
            ("secret", "key", "password"),
            r"""(?i:(?:aws_secret_access_key|api[_-]?key|client_secret|password)["']?\s*(?:[:=]\s*b?["']?|,\s*b?["']))[^\s"',;]{8,}""",
        ),
    )
)


class Redactor:
    """Replaces every secret that it knows, and everything of a known or given shape, by `[redacted]`."""

    def __init__(self, secrets: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        self._given = [re.compile(pattern) for pattern in patterns]
        self._presented: dict[str, None] = {}
        self._clean: dict[str, str] = {}
        self._together: dict[tuple[Names, tuple[str, ...]], Names] = {}
        self.configure(secrets)

    def configure(self, secrets: Iterable[str]) -> None:
        """Know these secrets instead of those before."""
        values = sorted({value for value in secrets if len(value) >= _LEAST_VALUE}, key=len, reverse=True)
        self._long = [value for value in values if len(value) >= _LEAST_PRESENTED]
        self._values = re.compile("|".join(map(re.escape, values))) if values else None
        self._clean.clear()
        self._together.clear()

    def note(self, keys: Iterable[str]) -> None:
        """Remember what a caller presented, for `redact_line`."""
        for key in keys:
            if key not in self._presented and len(key) >= _LEAST_PRESENTED:
                if len(self._presented) >= _MOST_KNOWN:
                    self._presented.clear()
                self._presented[key] = None

    def __call__(self, text: str, presented: Sequence[str] = ()) -> str:
        """The text without secrets; `presented` are the caller's own."""
        text = _hide(text, presented)
        if self._values is not None:
            text = _hide(self._values.sub(MARK, text), self._long)
        lower = text.lower()
        for marks, shape in _SHAPES:
            for mark in marks:
                if mark in lower:
                    text = shape.sub(MARK, text)
                    break
        for pattern in self._given:
            text = pattern.sub(MARK, text)
        return text

    def clean(self, name: str, presented: Sequence[str] = ()) -> str:
        """The same of a name, which is likely to come again."""
        name = _hide(name, presented)
        found = self._clean.get(name)
        if found is None:
            if len(self._clean) >= _MOST_KNOWN:
                self._clean.clear()
            found = self._clean[name] = self(name)
        return found

    def clean_all(self, names: Names, presented: tuple[str, ...]) -> Names:
        """The same of names, or of none, that are likely to come together again."""
        found = self._together.get((names, presented))
        if found is None:
            if len(self._together) >= _MOST_KNOWN:
                self._together.clear()
            found = self._together[names, presented] = tuple([name and self.clean(name, presented) for name in names])
        return found

    def redact_line(self, line: str) -> str:
        """A line of the log without secrets, those included that any caller has presented lately. May be called from any thread."""
        return self(line, list(self._presented))


def _hide(text: str, keys: Sequence[str]) -> str:
    """The text without these keys; one of which only the beginning is there, for the text was cut, goes as well."""
    for key in keys:
        if len(key) < _LEAST_PRESENTED or key[:_LEAST_PART] not in text:
            continue
        text = text.replace(key, MARK)
        start = text.rfind(key[:_LEAST_PART], -len(key))
        if start >= 0 and key.startswith(text[start:]):
            text = text[:start] + MARK
    return text
