"""JSON Schemas from callers, checked within bounds: no reference leaves the schema, no pattern goes back, and the work is known beforehand.

jsonschema-rs recurses natively and follows what a schema says, so that a hostile one could take for ever or end the process. What could is
therefore not compiled at all: `_Survey` walks a schema as the validator would, counts what one value of an answer can cost, and gives up at
a bound. An answer is checked where its own size times that cost is bounded too; else its schema counts as unchecked, which is no fault.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import msgspec

MOST_SCHEMA_BYTES = 256 * 1024
MOST_ANSWER_BYTES = 1024 * 1024
_MOST_PLACES = 20_000  # of a schema, each reference followed
_MOST_NESTING = 40  # of a schema, each reference followed; times the depth of an answer this is how deep the validator stands on its stack
_MOST_DEPTH = 50  # of an answer
_MOST_WORK = 20_000_000  # places of the schema times values of the answer: below a second
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=1_000_000, dfa_size_limit=1_000_000)  # linear in time, whatever the pattern
# Where the schema that stands there judges the same value, and not one inside it.
_SAME_VALUE = frozenset(("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"))
_MAPPINGS = frozenset(("dependentSchemas", "dependencies"))
_DATA = frozenset(("enum", "const", "default", "examples", "required", "type"))
_ASIDE = frozenset(("$defs", "definitions"))
_MOVING = frozenset(("$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor", "$recursiveAnchor"))


class Unusable(Exception):
    """A schema that is not one, or that nothing can be promised of."""


class _Survey:
    """What checking can cost: places of the schema for one value, and how often a value within may come back to the same place."""

    def __init__(self, root: Any) -> None:
        self.places = 0
        self.returns = 0
        self._root = root
        self._open: dict[str, int] = {}  # references being followed → how deep in the answer they were met
        self._visit(root, 0, 0, True)
        if self.places > _MOST_PLACES:
            raise Unusable("it is too large")

    def _visit(self, schema: Any, nesting: int, depth: int, is_root: bool = False) -> None:
        self.places += 1
        if self.places > _MOST_PLACES or nesting > _MOST_NESTING:
            raise Unusable("it is too large or too deep")
        if isinstance(schema, list):
            for each in schema:
                self._visit(each, nesting + 1, depth)
            return
        if not isinstance(schema, dict):
            return
        if _MOVING & schema.keys() or ("$id" in schema and not is_root) or ("id" in schema and isinstance(schema["id"], str) and not is_root):
            raise Unusable("its references move")
        for word, below in schema.items():
            if word == "$ref":
                self._follow(below, nesting, depth)
            elif word in _DATA:
                self.places += len(below) if isinstance(below, list | dict) else 0
            elif word not in _ASIDE:
                inner = depth if word in _SAME_VALUE else depth + 1
                if word in ("properties", "patternProperties") or word in _MAPPINGS:
                    for each in below.values() if isinstance(below, dict) else ():
                        self._visit(each, nesting + 1, inner)
                else:
                    self._visit(below, nesting + 1, inner)

    def _follow(self, reference: Any, nesting: int, depth: int) -> None:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise Unusable("it refers to what stands elsewhere")
        if reference == "#":
            met = 0
        elif reference in self._open:
            met = self._open[reference]
        else:
            self._open[reference] = depth
            self._visit(find(self._root, reference), nesting + 1, depth)
            del self._open[reference]
            return
        if met == depth:
            raise Unusable("it refers to itself without an end")
        self.returns += 1


def find(root: Any, reference: str) -> Any:
    """What a JSON pointer such as `#/$defs/item` points to. Raises `Unusable`."""
    place = root
    for part in reference[2:].split("/"):
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict) and name in place:
            place = place[name]
        elif isinstance(place, list) and name.isascii() and name.isdigit() and len(name) < 6 and int(name) < len(place):
            place = place[int(name)]
        else:
            raise Unusable("it refers to what is not there")
    return place


class Checker:
    """One schema, compiled."""

    def __init__(self, schema: Any) -> None:
        if not isinstance(schema, dict | bool):
            raise Unusable("it is no schema")
        survey = _Survey(schema)
        self._places = survey.places
        self._returns = survey.returns
        try:
            self._validator = jsonschema_rs.validator_for(schema, pattern_options=_PATTERNS, offline=True, validate_formats=False)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, RecursionError) as error:
            raise Unusable("it is no schema") from error

    def check(self, answer: Any, size: int) -> str | None:
        """The schema's word that an answer of `size` bytes goes against (`required`, `type`, …); None: it keeps to all. Raises `Unusable`."""
        depth = measure_depth(answer, _MOST_DEPTH)
        work = self._places * max(1, size // 2) * max(1, self._returns) ** (depth if self._returns > 1 else 0)
        if depth > _MOST_DEPTH or size > MOST_ANSWER_BYTES or work > _MOST_WORK:
            raise Unusable("checking it would take too long")
        try:
            if self._validator.is_valid(answer):
                return None
            fault = next(self._validator.iter_errors(answer))
        except (ValueError, RecursionError, StopIteration) as error:
            raise Unusable("it could not be checked") from error
        return next((str(word) for word in reversed(fault.schema_path) if isinstance(word, str)), "false")


def measure_depth(answer: Any, most: int) -> int:
    """How deep lists and objects stand in one another; `most` + 1 for whatever is deeper."""
    level, depth = [answer], 0
    while level and depth <= most:
        level = [each for one in level for each in _look_in(one)]
        depth += bool(level)
    return depth


def _look_in(value: Any) -> Any:
    if isinstance(value, dict):
        return [each for each in value.values() if isinstance(each, dict | list)] or [None]
    if isinstance(value, list):
        return [each for each in value if isinstance(each, dict | list)] or [None]
    return ()


@lru_cache(maxsize=256)
def _compile(written: bytes) -> Checker | None:
    try:
        return Checker(msgspec.json.decode(written))
    except (Unusable, RecursionError, msgspec.MsgspecError):
        return None


def check(schema: Any, answer: Any, size: int) -> str | None:
    """As `Checker.check`, of a schema that is compiled once and remembered. Raises `Unusable`."""
    try:
        written = msgspec.json.encode(schema)
    except (RecursionError, TypeError, ValueError, msgspec.MsgspecError):
        raise Unusable("it is no schema") from None
    checker = _compile(written) if len(written) <= MOST_SCHEMA_BYTES else None
    if checker is None:
        raise Unusable("it is no schema that can be checked")
    return checker.check(answer, size)
