"""Secrets go from the words that a record keeps."""

from proxy.call import Answer, Ask, Call, Kind, Reading
from proxy.dataplane.words import drop_words, hide, redact_words
from proxy.redact import Redactor

KEY = "own-" + "a1b2c3d4" * 4  # of no issuer's shape: it is known by its value alone


def make(**parts) -> Call:
    reading = Reading(model="m", error=f"no such key: {KEY}", finish="stop", response_id="r-1")
    answer = Answer(status=401, request_id=f"q-{KEY}")
    return Call(id="1", started_ns=1, method="POST", path="/", ask=Ask(model=KEY), reading=reading, answer=answer, presented=(KEY,), **parts)


def test_what_either_side_wrote_loses_its_secrets_and_nothing_else():
    call = make(kind=Kind("openai.files", "files"))
    redact_words(call, Redactor())
    assert (call.reading.error, call.reading.finish, call.reading.model) == ("no such key: [redacted]", "stop", "m")
    assert (call.reading.response_id, call.answer.request_id, call.ask.model) == ("r-1", "q-[redacted]", "[redacted]")


def test_an_id_that_was_cut_within_a_secret_or_holds_a_line_break_loses_the_secret_and_nothing_of_the_other_id():
    call = make(kind=Kind("openai.files", "files"))
    call.reading.response_id = f"first\nsecond {KEY[:20]}"
    redact_words(call, Redactor())
    assert (call.reading.response_id, call.answer.request_id) == ("first\nsecond [redacted]", "q-[redacted]")


def test_where_they_cannot_be_looked_through_none_are_kept():
    call = make()
    drop_words(call)
    reading = call.reading
    assert (reading.error, reading.error_type, reading.finish, reading.model, reading.service_tier) == ("[redacted]", None, None, None, None)
    assert reading.response_id is None and call.answer.request_id is None


def test_a_credential_goes_and_a_short_word_stays():
    assert hide(f"{KEY} ollama", (KEY, "ola")) == "[redacted] ollama"
