"""The database's tables, derived from the structs of `proxy.record`, and the statements that fill them.

`calls` has the fields of `Record` in their order; `calls_now` is `calls` with the corrections applied, and is what reports
read: what an operator has said of a call's tokens or cost has the source `settled` there. `orders`, `tasks`, `reviews` and `quarantines` hold what
was ordered and decided, `alarms` what drift has found, one row an event. Times are integers (nanoseconds since the Unix epoch, as in the
journal); `started` is the same instant as a naive UTC TIMESTAMP, computed when it is read. There are no keys and no indexes: rows are
appended, and exactly once because the position in the journal is committed together with them.
"""

from __future__ import annotations

import types
import typing

import msgspec

from proxy.record import AlarmEvent, Attempted, Correction, OrderEvent, Record, TaskEvent
from proxy.reviewed import QuarantineEvent, ReviewEvent

VERSION = 1  # of what the tables mean; a new column needs no new version, it is added to an older file
_SQL_TYPES = {
    str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN",
    dict[str, int]: "MAP(VARCHAR, BIGINT)", dict[str, str]: "MAP(VARCHAR, VARCHAR)",
    list[Attempted]: "JSON", list[str]: "JSON", list[tuple[str, float, float]]: "JSON", list[tuple[str, str, str]]: "JSON",
}  # fmt: skip
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "calls": Record, "corrections": Correction, "orders": OrderEvent, "tasks": TaskEvent, "alarms": AlarmEvent, "reviews": ReviewEvent,
    "quarantines": QuarantineEvent,
}  # fmt: skip
TOKENIZER = "tokenizer"  # the one that corrects estimates by itself; every other name is an operator's, whose word holds
_CORRECTED = ("input_tokens", "output_tokens", "cost_nano_usd", "price_version")


def derive_columns(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Column name → SQL type, for each field of a flat struct."""
    columns = {}
    for name, hint in typing.get_type_hints(struct).items():
        parts = [part for part in typing.get_args(hint) if part is not types.NoneType] if isinstance(hint, types.UnionType) else [hint]
        columns[name] = _SQL_TYPES[parts[0]]
    return columns


CALLS = derive_columns(Record)
TABLES: dict[str, dict[str, str]] = {
    **{table: derive_columns(struct) for table, struct in STRUCTS.items()},
    "content": {"id": "VARCHAR", "at_ns": "BIGINT", "prompt": "VARCHAR", "output": "VARCHAR", "tools": "VARCHAR"},
    # What the evaluators found: a row for each inspected call (evaluator `any`, the worst verdict) and for each verdict but those that say `pass`.
    "verdicts": {
        "id": "VARCHAR", "at_ns": "BIGINT", "evaluator": "VARCHAR", "label": "VARCHAR", "severity": "VARCHAR", "score": "DOUBLE",
        "explanation": "VARCHAR",
    },
    "segments": {
        "name": "VARCHAR",
        "position": "BIGINT",  # bytes loaded
        "lines": "BIGINT",  # events loaded, calls and others
        "garbage": "BIGINT",  # lines that are no event
        "open_calls": "BIGINT",  # opened here and not known to have ended
        "state": "VARCHAR",  # live | closed (its last line was seen) | torn | ended (its writer is gone) | deleted
    },
    "meta": {"name": "VARCHAR", "value": "VARCHAR"},
}


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(value: object) -> str:
    return _quote(value) if isinstance(value, str) else str(value)


def create_statements(present: set[tuple[str, str]]) -> list[str]:
    """What makes an empty or older database ready, given the (table, column) pairs that it has."""
    statements = []
    for table, columns in TABLES.items():
        if not any(name == table for name, _ in present):
            statements.append(f"CREATE TABLE {table} (" + ", ".join(f'"{name}" {kind}' for name, kind in columns.items()) + ")")
        else:
            statements += [f'ALTER TABLE {table} ADD COLUMN "{name}" {kind}' for name, kind in columns.items() if (table, name) not in present]
    return [*statements, _view()]


def _view() -> str:
    """`calls_now`. Of several corrections of a call the last one that names a figure gives that figure, an operator's before any other."""
    replaced = {name: f"coalesce(k.{name}, c.{name})" for name in _CORRECTED}
    replaced |= {
        "cost_source": "CASE WHEN k.cost_settled THEN 'settled' ELSE c.cost_source END",
        "usage_source": "CASE WHEN k.usage_settled THEN 'settled' ELSE c.usage_source END",
        "charged": _CHARGED,
    }
    names = [f'{replaced[name]} AS "{name}"' if name in replaced else f'c."{name}"' for name in CALLS]
    operator = f"\"by\" <> '{TOKENIZER}'"
    last = ", ".join(f'arg_max("{name}", ({operator}, at_ns)) AS "{name}"' for name in (*_CORRECTED, "by"))
    return (
        "CREATE OR REPLACE VIEW calls_now AS SELECT "
        + ", ".join(names)
        + f', make_timestamp(c.started_ns // 1000) AS started, k."by" AS corrected_by, {_QUARANTINED} AS quarantined'
        + f" FROM calls c LEFT JOIN (SELECT id, {last}, list(adjusted) FILTER (WHERE cardinality(adjusted) > 0) AS adjusted, "
        + f"bool_or({operator} AND cost_nano_usd IS NOT NULL) AS cost_settled, bool_or({operator} AND input_tokens IS NOT NULL) AS usage_settled "
        + "FROM corrections GROUP BY id) k ON c.id = k.id"
    )


# What a call is charged now: cell by cell what was charged when it ended and what every correction added.
_CELLS = "list_sort(list_distinct(list_concat(coalesce(map_keys(c.charged), []), flatten(list_transform(k.adjusted, lambda one: map_keys(one))))))"
_ADDED = "list_sum(list_transform(k.adjusted, lambda one: coalesce(one[cell], 0)))"
_CHARGED = (
    "CASE WHEN k.adjusted IS NULL THEN coalesce(c.charged, MAP {}) ELSE map_from_entries(list_transform("
    f"{_CELLS}, lambda cell: {{'k': cell, 'v': (coalesce(c.charged[cell], 0) + {_ADDED})::BIGINT}})) END"
)

# Whether a call is in quarantine: the few that hold are looked at together for each call, which costs nothing where there are none.
_SINGLED = " AND ".join(
    f"(q.{name} IS NULL OR q.{name} IS NOT DISTINCT FROM {figure})"
    for name, figure in (("agent", "c.agent"), ("task", "c.task"), ("model", "coalesce(c.model, c.model_asked)"), ("upstream", "c.upstream"))
)
_QUARANTINED = (
    "coalesce(len(list_filter((SELECT list(h) FROM quarantines h WHERE NOT h.lifted AND h.name NOT IN (SELECT name FROM quarantines WHERE lifted)), "
    "lambda q: (q.since_ns IS NULL OR c.started_ns >= q.since_ns) AND (q.until_ns IS NULL OR c.started_ns < q.until_ns) "
    f"AND {_SINGLED})) > 0, false)"
)


def _fill(field: msgspec.structs.FieldInfo) -> str:
    """A column as it is read from JSON: what was left out has the struct's default."""
    if field.default_factory is not msgspec.NODEFAULT:
        return f'coalesce("{field.name}", MAP {{}})'
    if isinstance(field.default, (str, int, float)):
        return f'coalesce("{field.name}", {_literal(field.default)})'
    return f'"{field.name}"'


def _select(table: str, path: str) -> str:
    """Rows from a file of JSON lines."""
    names = [_fill(field) for field in msgspec.structs.fields(STRUCTS[table])]
    kinds = "{" + ", ".join(f"{_quote(name)}: {_quote(kind)}" for name, kind in TABLES[table].items()) + "}"
    return "SELECT " + ", ".join(names) + f" FROM read_ndjson({_quote(path)}, columns={kinds})"


def load_statement(table: str, path: str) -> str:
    """Append a file of JSON lines to one of the tables that are structs."""
    names = ", ".join(f'"{name}"' for name in TABLES[table])
    return f"INSERT INTO {table} ({names}) " + _select(table, path)


def prepare_statement(table: str, path: str) -> str:
    """Have a connection read and plan `load_statement` once; `execute_statement` runs it on what the file holds then."""
    return f"PREPARE load_{table} AS " + load_statement(table, path)


def execute_statement(table: str) -> str:
    return f"EXECUTE load_{table}"


def probe_statement(table: str, path: str) -> str:
    """Read the same file to the same types and keep nothing; fails where `load_statement` would."""
    return "CREATE OR REPLACE TEMP TABLE probe AS " + _select(table, path)
