"""Our own source as tests look at it: which files there are, what each is called, imports and defines."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def files_below(*tops: str) -> Iterator[Path]:
    """Every file of ours; not what tools installed or left behind."""
    for top in tops:
        for folder, folders, names in os.walk(ROOT / top):
            folders[:] = [each for each in folders if each not in ("__pycache__", "node_modules") and not each.startswith(".")]
            yield from (Path(folder, name) for name in names)


def sources(*tops: str) -> list[Path]:
    return sorted(path for path in files_below(*tops) if path.suffix == ".py")


OUR_PACKAGES = ("proxy", "evaluators", "dashboards")
OTHERS = ("tests", "benchmarks", "deploy")
OURS = sources(*OUR_PACKAGES)


@functools.lru_cache(maxsize=1)  # every rule is held against one file before the next is read; all together take 150 MB
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in OURS}


@functools.cache
def imports_of(path: Path) -> frozenset[str]:
    """The modules of ours that a file imports, by full name."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {below if (below := f"{node.module}.{each.name}") in NAMES else node.module for each in node.names}
    return frozenset(name for name in found if name.split(".")[0] in OUR_PACKAGES)


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def functions(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every function with its dotted name within the module."""

    def walk(node: ast.AST, above: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            name = f"{above}.{child.name}".lstrip(".") if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else above
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, child
            yield from walk(child, name)

    return walk(tree, "")


@functools.lru_cache(maxsize=1)
def nodes_with_owner(path: Path) -> list[tuple[str, ast.AST]]:
    """Every node, with the name of the innermost function around it; empty at the module's top."""
    owner = {id(below): name for name, function in functions(tree_of(path)) for below in ast.walk(function)}
    return [(owner.get(id(node), ""), node) for node in ast.walk(tree_of(path))]
