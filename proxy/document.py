"""A YAML text becomes frozen structs, and what is wrong with it becomes faults: all at once, in file order, in plain words.

The structs say what may stand in the text: each field is a key, its default holds where the key is absent. Where a value
is wrong its default stands in (None for a key that has none), so that what was right can still be checked further;
whoever reads a document must therefore look at its faults before using the structs.
"""

from __future__ import annotations

import difflib
import math
import re
import types
import typing
from typing import Any

import msgspec
import yaml

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")  # of what an operator names
NAME_SAYS = "a name is lower-case letters, digits, `-` and `_`, and starts with a letter or digit"


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong: where (`upstreams.openai.url`, and its line where it stands in the text) and what to do."""

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (f"line {self.line}" if self.line else "", self.path, self.message) if part)


class Faults:
    """The faults found so far."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self._found: list[Fault] = []
        self._spoiled: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: str, message: str) -> None:
        """Note that what stands at `path` is wrong; nothing is added where it, or what it stands in, could not even be read."""
        if not any(above in self._spoiled for above in _upwards(path)):
            line = next((self.lines[above] for above in _upwards(path) if above in self.lines), None)
            self._found.append(Fault(path, message, line))

    def spoil(self, path: str, message: str) -> None:
        """Note that what stands at `path` could not be read, so that no more is to be said of it."""
        self.add(path, message)
        self._spoiled.add(path)

    def is_spoiled(self, path: str) -> bool:
        """Whether what stands at `path` could not be read."""
        return path in self._spoiled

    def in_file_order(self) -> list[Fault]:
        """All of them; those that stand nowhere in the file come first."""
        return sorted(self._found, key=lambda fault: fault.line or 0)


def check_name(name: str | None, seen: set[str], path: str, faults: Faults) -> None:
    """Add what is wrong with the name of what stands at `path`, and put it to those `seen` before, which it must differ from."""
    if not NAME.match(name or ""):
        faults.add(path, NAME_SAYS)
    elif name in seen:
        faults.add(path, "is also the name of another one; give each its own")
    seen.add(name or "")


def read(text: str, kind: type[msgspec.Struct]) -> tuple[Any, Faults]:
    """The YAML `text` as a `kind`, and its faults."""
    faults = Faults()
    try:
        tree = _parse(text, faults)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "problem", None) or str(error).partition("\n")[0]
        faults.spoil(where, f"not valid YAML: {reason}")
        return None, faults
    return _build_section(kind, tree, "", faults), faults


def _parse(text: str, faults: Faults) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _mark(node, "", faults, set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _upwards(path: str) -> typing.Iterator[str]:
    """`a.b[0]`, `a.b`, `a`, and the empty path of the whole."""
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    yield ""


def _mark(node: yaml.Node, path: str, faults: Faults, seen: set[int]) -> None:
    """Note the line of every path, and the keys that are given twice; YAML itself would silently take the last."""
    if id(node) in seen:
        return  # an alias: marked where it is defined
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            faults.lines[f"{path}[{index}]"] = item.start_mark.line + 1
            _mark(item, f"{path}[{index}]", faults, seen)
    elif isinstance(node, yaml.MappingNode):
        names = set()
        for key, item in node.value:
            below = _join(path, key.value if isinstance(key, yaml.ScalarNode) else "?")
            faults.lines[below] = key.start_mark.line + 1
            if below in names:
                faults.add(below, "is given twice; keep one")
            names.add(below)
            _mark(item, below, faults, seen)


def _build(kind: Any, value: Any, path: str, faults: Faults, default: Any = None) -> Any:
    """`value` as a `kind`; the `default` after noting that it cannot be."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _build_section(kind, value, path, faults)
    if origin is dict and isinstance(value, dict):
        return {str(name): _build(arguments[1], item, _join(path, name), faults) for name, item in value.items()}
    if origin is list and isinstance(value, list):
        return [_build(arguments[0], item, f"{path}[{index}]", faults) for index, item in enumerate(value)]
    try:
        built = msgspec.convert(value, kind)
    except msgspec.ValidationError:
        faults.spoil(path, f"expected {_expected(kind)}, got {_got(value, kind)}")
        return default
    if isinstance(built, float) and not math.isfinite(built):
        faults.spoil(path, f"expected {_expected(kind)}, got no finite one")
        return default
    return built


def _build_section(kind: type[msgspec.Struct], value: Any, path: str, faults: Faults) -> Any:
    """A mapping as a struct; a key that is absent, or at fault, has its default (None where it has none)."""
    if value is None:
        value = {}
    elif not isinstance(value, dict):
        faults.spoil(path, f"expected a mapping (`key: value` lines), got {_got(value, kind)}")
        value = {}
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in value:
        if name not in fields:
            close = difflib.get_close_matches(str(name), fields, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(fields)}"
            faults.add(_join(path, name), f"unknown key; {hint}")
    built = {}
    for name, field in fields.items():
        if name in value:
            built[name] = _build(field.type, value[name], _join(path, name), faults, _default(field))
        elif field.required:
            faults.spoil(_join(path, name), f"is missing; expected {_expected(field.type)}")
            built[name] = None
    return kind(**built)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None if field.required else field.default


_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}


def _expected(kind: Any) -> str:
    """What may stand there, in words."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return f"one of {', '.join(arguments)}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_expected(each) for each in arguments)
    if origin is dict:
        return "a mapping (`name: value` lines)"
    if origin is list:
        return "a list (`- value` lines)"
    return _WORDS.get(kind, "a mapping (`key: value` lines)")


def _got(value: Any, kind: Any) -> str:
    """What stands there, in words, and how to mend it. Text is not repeated: it may be a secret in the wrong place."""
    wanted = {kind} if typing.get_origin(kind) in (None, dict, list) else set(typing.get_args(kind))
    wants_number, wants_text = bool({int, float} & wanted), str in wanted
    if isinstance(value, str):
        return "text; write the number in digits and without quotes, such as 30" if wants_number else "text"
    if isinstance(value, bool):
        shown = "true" if value else "false"
    elif isinstance(value, int | float):
        shown = str(value)
    elif value is None:
        return "nothing; give it a value, or remove the line"
    else:
        shown = {dict: "a mapping", list: "a list"}.get(type(value), f"a {type(value).__name__}")
    return f"{shown}; put it in quotes" if wants_text and not isinstance(value, dict | list) else shown
