"""The house rules, held by walking the source: floors, sizes, names, guards, tasks and SQL."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest

from tests.cases import find_reason
from tests.source import (
    NAMES,
    OTHERS,
    OUR_PACKAGES,
    OURS,
    ROOT,
    files_below,
    functions,
    imports_of,
    name_of,
    nodes_with_owner,
    sources,
    tree_of,
    within,
)

MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 60
LONGER: dict[str, int] = {}

_SHARED = (
    "proxy.call", "proxy.record", "proxy.pulse", "proxy.errors", "proxy.config", "proxy.rules", "proxy.routes", "proxy.orders", "proxy.wire",
    "proxy.pricing", "proxy.tiers", "proxy.toll", "proxy.reload", "proxy.token", "proxy.document", "proxy.log", "proxy.upstream", "proxy.redact",
    "proxy.hosts", "proxy.notify", "proxy.otlp", "proxy.trace", "proxy.inspecting", "proxy.footprint", "proxy.reviewing", "proxy.reviewed",
    "proxy.observing", "proxy.controls", "proxy.judging", "proxy.prices", "proxy.samplesocket",
)  # fmt: skip
# What each part may import of ours, itself aside; the longest matching name decides.
FLOORS: dict[str, tuple[str, ...]] = {
    "proxy.call": ("proxy.record",),
    "proxy.record": (),
    "proxy.pulse": (),
    "proxy.errors": (),
    "proxy.document": (),
    "proxy.rules": ("proxy.document",),
    "proxy.routes": ("proxy.document",),
    "proxy.tiers": ("proxy.document", "proxy.rules"),
    "proxy.upstream": ("proxy.document", "proxy.routes"),
    "proxy.notify": ("proxy.document",),
    "proxy.otlp": ("proxy.document",),
    "proxy.inspecting": ("proxy.document",),
    "proxy.observing": ("proxy.document",),
    "proxy.reviewed": (),
    "proxy.reviewing": ("proxy.document", "proxy.rules"),
    "proxy.controls": ("proxy.document", "proxy.routes", "proxy.tiers"),
    "proxy.judging": ("proxy.document", "proxy.rules"),
    "proxy.prices": ("proxy.document",),
    "proxy.trace": (),
    "proxy.samplesocket": (),
    "proxy.footprint": (),
    "proxy.config": (
        "proxy.hosts", "proxy.document", "proxy.rules", "proxy.routes", "proxy.tiers", "proxy.upstream", "proxy.notify", "proxy.otlp",
        "proxy.inspecting", "proxy.reviewing", "proxy.observing", "proxy.controls", "proxy.judging", "proxy.prices",
    ),  # fmt: skip
    "proxy.token": (),
    "proxy.redact": (),
    "proxy.hosts": ("proxy.document",),
    "proxy.log": ("proxy.redact",),
    "proxy.reload": ("proxy.document", "proxy.config"),
    "proxy.orders": ("proxy.rules", "proxy.record", "proxy.errors"),
    "proxy.wire": ("proxy.call", "proxy.errors"),
    "proxy.pricing": ("proxy.call", "proxy.errors", "proxy.config", "proxy.rules"),
    "proxy.toll": ("proxy.call", "proxy.record", "proxy.pulse", "proxy.errors", "proxy.config", "proxy.rules", "proxy.orders"),
    "proxy.demo": ("proxy.call", "proxy.errors"),
    "proxy.dataplane": _SHARED,
    "proxy.controlplane": (*_SHARED, "evaluators"),
    "proxy.supervise": _SHARED,
    "proxy.commands": ("proxy", "evaluators"),
    "proxy.cli": ("proxy",),
    "evaluators": (),
    "dashboards": (),
    "proxy": (),
}
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}

# The named guards: the only places that may catch whatever comes; each counts or reports what it caught.
GUARDS: dict[str, set[str]] = {
    "proxy/controlplane/notices/board.py": {"Board._find"},
    "proxy/controlplane/notices/notifier.py": {"Notifier.look"},
    "proxy/controlplane/notices/outbox.py": {"Outbox._try"},
    "evaluators/host.py": {"ask"},
    "proxy/controlplane/inspection/inspector.py": {"Inspector._judge", "Inspector._tell"},
    "proxy/controlplane/streams/streams.py": {"Streams.restore", "Streams.judge_waiting"},
    "proxy/controlplane/tokens.py": {"_count_window"},
    "proxy/controlplane/metrics/registry.py": {"Metrics._gather"},
    "proxy/controlplane/traces/export.py": {"Exporter._send", "Exporter._send_calls"},
    "proxy/dataplane/attempt.py": {"Attempt._ask"},
    "proxy/dataplane/edge.py": {"Edge._answer", "Edge.start"},
    "proxy/dataplane/meter.py": {"MeteredRelay._weigh", "MeteredRelay._hear"},
    "proxy/dataplane/relay.py": {"Relay.head_came", "Relay.body_came", "Relay._finish_reading", "Relay._make_last", "Relay.count_output"},
    "proxy/dataplane/settle.py": {"Settler.settle"},
    "proxy/dataplane/tunnel.py": {"Tunnel.body_came", "Tunnel._send_up"},
    "proxy/toll/arbiter.py": {"Arbiter._run"},
}
# The named exceptions to "values are bound": statements of DuckDB that take no bound values.
UNBINDABLE: dict[str, set[str]] = {
    "proxy/controlplane/store.py": {"Store._prepare"},  # SET
}
# Modules without a test file of their own name that no test imports either: the tests that drive them through sockets or processes.
DRIVEN_BY: dict[str, str] = {
    "proxy.dataplane.forward": "tests/dataplane/test_path.py",
    "proxy.dataplane.relay": "tests/dataplane/test_path.py",
    "proxy.dataplane.upstream": "tests/dataplane/test_path.py",
    "proxy.controlplane.plane": "tests/test_supervise.py",
    "proxy.controlplane.traced": "tests/test_traces.py",
    "proxy.demo": "tests/demo",
    "dashboards": "tests/dashboards/test_main.py",
}


def test_there_is_something_to_look_at() -> None:
    assert {"proxy.call", "proxy.config", "proxy.dataplane.plane", "proxy.controlplane.plane"} <= NAMES


def imports_go_down_only(path: Path) -> None:
    name = name_of(path)
    part = max((floor for floor in FLOORS if within(name, floor)), key=len)
    for imported in imports_of(path):
        allowed = within(imported, part) if part != "proxy" else False
        assert allowed or any(within(imported, floor) for floor in FLOORS[part]), f"{name} stands below {imported}"


def imports_stand_at_the_top_and_are_absolute(path: Path) -> None:
    extras = [node for node in tree_of(path).body if isinstance(node, ast.Try) and [handler.type.id for handler in node.handlers] == ["ImportError"]]
    top = [*tree_of(path).body, *(node for extra in extras for node in extra.body)]  # an extra may be missing
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"line {node.lineno}: a relative import"
            assert node in top, f"line {node.lineno}: a deferred import"
        called = node.func if isinstance(node, ast.Call) else None
        assert getattr(called, "id", getattr(called, "attr", "")) not in ("__import__", "import_module"), f"line {node.lineno}: a deferred import"


def test_imports_make_no_circle() -> None:
    graph = {name_of(path): set(imports_of(path)) - {name_of(path)} for path in OURS}
    while free := {name for name, imported in graph.items() if not imported & graph.keys()}:
        graph = {name: imported for name, imported in graph.items() if name not in free}
    assert not graph, f"these import each other: {sorted(graph)}"


def test_scripts_stay_small() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files_below("proxy") if path.suffix in (".lua", ".js")}
    assert lines and not [path for path, number in lines.items() if number > MOST_LINES_OF_A_FILE]


def files_and_functions_stay_small(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGER.get(str(path.relative_to(ROOT)), MOST_LINES_OF_A_FILE), f"{lines} lines"
    for name, node in functions(tree_of(path)):
        length = node.end_lineno - node.lineno + 1
        assert length <= MOST_LINES_OF_A_FUNCTION, f"{name}: {length} lines"


def modules_have_names_that_say_something_and_open_with_a_sentence(path: Path) -> None:
    assert not BANNED_NAMES & {part.lower() for part in path.relative_to(ROOT).with_suffix("").parts}
    if path in OURS and tree_of(path).body:
        opening = (ast.get_docstring(tree_of(path)) or "").split("\n\n")[0]
        assert re.search(r"[.:]\s*$", opening), "the module opens with one sentence that says what it is"


def tasks_are_kept(path: Path) -> None:
    """A task that nobody holds may be collected in the middle, and its error is never seen."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            assert getattr(called, "attr", getattr(called, "id", "")) not in ("create_task", "ensure_future"), f"line {node.lineno}"


def whatever_comes_is_caught_only_at_named_guards(path: Path) -> None:
    guards = {name for name, node in nodes_with_owner(path) if isinstance(node, ast.ExceptHandler) and swallows_everything(node)}
    assert guards == GUARDS.get(str(path.relative_to(ROOT)), set())


def swallows_everything(handler: ast.ExceptHandler) -> bool:
    """Whether it catches whatever comes and does not end by raising it again."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    everything = any(one is None or getattr(one, "id", "") in ("Exception", "BaseException") for one in caught)
    last = handler.body[-1]
    return everything and not (isinstance(last, ast.Raise) and last.exc is None)


def sql_is_never_put_together_from_values(path: Path) -> None:
    """Names of tables and columns come from our structs, as constants made beforehand; values are always bound."""
    for owner, node in nodes_with_owner(path):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("execute", "executemany", "sql", "query") and node.args:
            statement = node.args[0]
            put_together = isinstance(statement, ast.JoinedStr | ast.BinOp) or (
                isinstance(statement, ast.Call) and getattr(statement.func, "attr", "") in ("format", "replace", "join")
            )
            assert not put_together or owner in UNBINDABLE.get(str(path.relative_to(ROOT)), set()), f"line {node.lineno}"


OF_ALL = (files_and_functions_stay_small, modules_have_names_that_say_something_and_open_with_a_sentence, tasks_are_kept)
OF_OURS = (
    *OF_ALL, imports_go_down_only, imports_stand_at_the_top_and_are_absolute, whatever_comes_is_caught_only_at_named_guards,
    sql_is_never_put_together_from_values,
)  # fmt: skip


@pytest.mark.parametrize("top", [*OUR_PACKAGES, *OTHERS])
def test_every_file_keeps_every_rule(top: str) -> None:
    kept = itertools.product(sources(top), OF_OURS if top in OUR_PACKAGES else OF_ALL)
    broken = [f"{path.relative_to(ROOT)}: {rule.__name__.replace('_', ' ')}: {why}" for path, rule in kept if (why := find_reason(rule, (path,)))]
    assert not broken, "\n".join(broken)


# Put together here, so that this file does not hold what it looks for.
PLACES = ("/" + "work/", "/" + r"root/\.", "/" + "home/[a-z]", "pypi" + r"\.org", "python" + "hosted", "npm" + "js", "/opt/" + "pypi")
MACHINE = re.compile("|".join(PLACES))


def text_files() -> list[Path]:
    tops = ("proxy", "evaluators", "tests", "benchmarks", "requirements", "deploy", "dashboards", "docs", ".ci")
    found = [path for path in files_below(*tops) if path.suffix in (".py", ".txt", ".in", ".md", ".yaml", ".sh", ".toml", ".js", ".mjs", ".json", "")]
    return [*found, *(path for path in ROOT.glob("*.*") if path.is_file()), ROOT / "Makefile"]


def test_nothing_names_a_machine_or_a_registry() -> None:
    for path in text_files():
        if match := MACHINE.search(path.read_text(encoding="utf-8", errors="replace")):
            pytest.fail(f"{path.relative_to(ROOT)} names {match[0]}")


def test_every_source_file_has_its_test() -> None:
    """A test file of its own name, or a test that imports it, or an entry above."""
    tests = set(sources("tests"))
    imported = {name for path in tests for name in imports_of(path)}
    missing = []
    for path in OURS:
        name = name_of(path)
        own = ROOT / "tests" / Path(*name.split(".")[1:-1], f"test_{path.name}")
        driven = next((ROOT / test for module, test in DRIVEN_BY.items() if within(name, module)), None)
        if path.name != "__init__.py" and own not in tests and name not in imported and not (driven and driven.exists()):
            missing.append(name)
    assert not missing
