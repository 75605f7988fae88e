"""The words of a call that its record keeps, and how secrets go from them: callers and providers write keys where none belong."""

from __future__ import annotations

import msgspec

from proxy.call import Call
from proxy.redact import MARK, Redactor


def redact_words(call: Call, redact: Redactor) -> None:
    """Take secrets out of the words that were read from either side and are kept; providers' errors repeat keys."""
    reading, answer, keys = call.reading, call.answer, call.presented
    if reading.error:
        reading.error = redact(reading.error, keys)
    words = (reading.error_type, reading.finish, reading.model, reading.service_tier, reading.system_fingerprint)
    words = redact.clean_all(words, keys)
    reading.error_type, reading.finish, reading.model, reading.service_tier, reading.system_fingerprint = words
    # They come once, so nothing is remembered of them; each by itself, for half a secret is known only where its text ends with it.
    if reading.response_id:
        reading.response_id = redact(reading.response_id, keys)
    if answer.request_id:
        answer.request_id = redact(answer.request_id, keys)
    if call.transport == "http" and call.kind.json_body:  # there it was done when the request was read
        return
    for name in ("model", "service_tier"):  # frozen, and read in several places
        word = getattr(call.ask, name)
        if word and (clean := redact.clean(word, keys)) != word:
            call.ask = msgspec.structs.replace(call.ask, **{name: clean})


def drop_words(call: Call) -> None:
    """Nothing that a provider wrote is kept of a call, but that there was an error."""
    reading = call.reading
    reading.error = MARK if reading.error else None
    reading.response_id = call.answer.request_id = None
    reading.error_type = reading.finish = reading.model = reading.service_tier = reading.system_fingerprint = None


def hide(text: str, keys: tuple[str, ...]) -> str:
    """The text without the presented credentials."""
    for key in keys:
        if len(key) >= 6 and key in text:
            text = text.replace(key, MARK)
    return text
