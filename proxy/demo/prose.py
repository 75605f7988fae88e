"""Sentences, JSON and token counts that depend on the text asked, and on nothing else.

The same prompt always gives the same words, so that what a client got through the proxy can be compared with what it
gets directly. A token here is a run of up to five letters or digits, or one sign: close to what real tokenizers give
for English, and cheap.
"""

from __future__ import annotations

import hashlib
import random
import re
from typing import Any

_TOKEN = re.compile(r"\w{1,5}|[^\w\s]")
_PIECE = re.compile(r"\s*\S+|\s+$")
_WORD = re.compile(r"[A-Za-z][A-Za-z-]{3,}")
_SPARSE_DEPTH, _MOST_DEPTH = 3, 8
_MOST_ITEMS, _MOST_LETTERS = 50, 1000
_PLAIN = frozenset(
    re.findall(
        r"\w+",
        "about above after again also and another answer anything because been before being between both could does doing each from give have having "
        "here into just like make more most must need only other over please said same should some such tell than that their them then there these "
        "they this those through under until upon very want were what when where which while will with would write your user assistant system",
    )
)
_OPENINGS = (
    "Looking at the {subject}, the picture is clear.",
    "The short answer: the {subject} is in order, with one exception.",
    "I went through the {subject} step by step.",
    "There are two things to know about the {subject}.",
    "Here is what the {subject} tells us.",
)
_MIDDLES = (
    "The {first} and the {second} agree within {number} percent, which is what one would expect.",
    "Most of the difference comes from the {first}; the {second} barely changed since {month}.",
    "In {number} of the cases the {first} came before the {second}, so the order matters.",
    "Compared with {month}, the {second} rose by {number} percent while the {first} stayed level.",
    "Without the {first}, the {second} would take about {number} minutes longer.",
    "The {first} was last checked in {month}; nothing in the {second} contradicts it.",
)
_ENDINGS = (
    "I would start with the {first} and leave the {second} for later.",
    "If the {second} is what you care about, the {first} is the place to look.",
    "Let me know if you want the {first} in more detail.",
    "Nothing else needs to be done before {month}.",
)
_MONTHS = ("January", "March", "April", "June", "September", "October", "December")
_NOUNS = ("summary", "schedule", "request", "estimate", "record", "invoice", "report", "change", "ticket", "result", "document", "plan")


def count_tokens(text: str) -> int:
    """How many tokens a text has, by this provider's own reckoning."""
    return sum(1 for _ in _TOKEN.finditer(text))


def digest(*parts: str | bytes) -> bytes:
    """32 bytes that depend on all the parts and on where one ends and the next begins."""
    whole = hashlib.sha256()
    for part in parts:
        raw = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        whole.update(len(raw).to_bytes(8, "big") + raw)
    return whole.digest()


def generator(*parts: str | bytes) -> random.Random:
    """A random generator seeded by the parts alone."""
    return random.Random(digest(*parts))


def write_text(prompt: str, variant: str = "") -> str:
    """Two to five plausible sentences about what the prompt speaks of."""
    dice = generator("text", prompt, variant)
    words = [word for word in dict.fromkeys(_WORD.findall(prompt[-4000:].lower())) if word not in _PLAIN]
    subjects = words[-8:] or list(dice.sample(_NOUNS, 3))

    def fill(template: str) -> str:
        first, second = dice.choice(subjects), dice.choice(_NOUNS)
        return template.format(subject=dice.choice(subjects), first=first, second=second, number=dice.randint(2, 48), month=dice.choice(_MONTHS))

    middles = [fill(template) for template in dice.sample(_MIDDLES, dice.randint(1, 3))]
    return " ".join([fill(dice.choice(_OPENINGS)), *middles, fill(dice.choice(_ENDINGS))])


def split_text(text: str) -> list[str]:
    """The text in the pieces it is streamed in: one word each, with the blank before it."""
    return _PIECE.findall(text)


def cut_text(text: str, most_tokens: int) -> tuple[str, bool]:
    """(the beginning of the text within so many tokens, whether something was cut off)."""
    for number, match in enumerate(_TOKEN.finditer(text)):
        if number == most_tokens:
            return text[: match.start()].rstrip(), True
    return text, False


def make_instance(schema: dict[str, Any] | None, dice: random.Random, root: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """A value that the JSON schema allows: the first choice of every union, the least of every range.

    Gemini's upper-case type names are understood. Below a depth of 3 it holds only what is required, so that a schema that
    contains itself comes to an end; one that requires itself ends with None.
    """
    schema, root = schema if isinstance(schema, dict) else {}, root or (schema if isinstance(schema, dict) else {})
    if "$ref" in schema:
        schema = _follow(str(schema["$ref"]), root)
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return make_instance(schema[union][0], dice, root, depth + 1)
    if depth > _MOST_DEPTH:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return dice.choice(schema["enum"])
    kind = schema.get("type")
    kind = str(kind[0] if isinstance(kind, list) and kind else kind or ("object" if "properties" in schema else "string")).lower()
    if kind == "object":
        properties = schema.get("properties") or {}
        names = [name for name in properties if depth <= _SPARSE_DEPTH or name in schema.get("required", ())]
        return {name: make_instance(properties[name], dice, root, depth + 1) for name in names}
    if kind == "array":
        count = min(int(schema.get("minItems") or (2 if depth <= _SPARSE_DEPTH else 0)), _MOST_ITEMS)
        return [make_instance(schema.get("items"), dice, root, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        least = int(schema.get("minimum", schema.get("exclusiveMinimum", 0))) + 1
        number = min(dice.randint(least, least + 40), int(schema.get("maximum", least + 40)))
        return number if kind == "integer" else float(number)
    if kind in ("boolean", "null"):
        return None if kind == "null" else dice.random() < 0.5
    return _make_string(schema, dice)


def _make_string(schema: dict[str, Any], dice: random.Random) -> str:
    shape = schema.get("format")
    if shape in ("date", "date-time"):
        return "2026-03-14" if shape == "date" else "2026-03-14T09:26:53Z"
    if shape in ("email", "uri", "uuid"):
        return {"email": "mara.lind@example.com", "uri": "https://example.com/records/17", "uuid": "5f0c3a52-8d9e-4a7b-9c11-2e64d7a0b3f8"}[shape]
    text = f"{dice.choice(_NOUNS)} {dice.choice(_NOUNS)}"
    return text.ljust(min(int(schema.get("minLength") or 0), _MOST_LETTERS), "n")[: int(schema.get("maxLength") or _MOST_LETTERS)]


def _follow(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    """The schema that a local reference such as `#/$defs/Item` names; an empty one where it names none."""
    found: Any = root
    for step in filter(None, reference.removeprefix("#").split("/")):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
