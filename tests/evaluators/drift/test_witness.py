"""The witness: which facts of the wire changed and when, in bounded memory."""

from __future__ import annotations

from evaluators.drift.witness import EXAMPLE_CHARACTERS, EXAMPLES, OTHER, Witness


def test_a_new_value_is_named_with_its_first_answer() -> None:
    witness = Witness()
    for at in range(1, 61):
        witness.note("text", {"model_answered": "new" if at > 50 else "old", "upstream": "one"}, at, at <= 30)
    (change,) = witness.find_changes(45)
    assert (change.name, change.before, change.after, change.first_seen) == ("model_answered", "old", "new", 51)


def test_the_same_mixture_as_before_is_no_change() -> None:
    witness = Witness()
    for at in range(1, 101):
        witness.note("text", {"finish_reason": "length" if at % 9 == 0 else "stop"}, at, at <= 30)
    assert witness.find_changes(60) == ()


def test_it_holds_so_many_values_and_so_much_text() -> None:
    witness = Witness()
    for at in range(1, 2001):
        witness.note("x" * 5000, {"system_fingerprint": f"fp_{at}", "id": f"call-{at}"}, at, at <= 100)
    assert len(witness.seen["system_fingerprint"]) <= 33 and OTHER in witness.seen["system_fingerprint"]
    before, after = witness.show(1990)
    assert len(before) == len(after) == EXAMPLES and all(len(text) == EXAMPLE_CHARACTERS for _, text in (*before, *after))
    assert after[-1][0] == "call-2000"
