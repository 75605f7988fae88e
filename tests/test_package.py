"""The wheel holds what the program needs at run time, and nothing that it does not; and each of its processes loads and is given what it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from proxy.supervise import Child

ROOT = Path(__file__).resolve().parent.parent


def test_the_wheel_is_the_program_whole(tmp_path: Path) -> None:
    leave_out = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(ROOT / "proxy", tmp_path / "proxy", ignore=leave_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    if (ROOT / "evaluators" / "__init__.py").exists():
        shutil.copytree(ROOT / "evaluators", tmp_path / "evaluators", ignore=leave_out)
    wanted = {str(path.relative_to(tmp_path)) for top in ("proxy", "evaluators") for path in (tmp_path / top).rglob("*") if path.is_file()}
    build = "import setuptools.build_meta as build; print(build.build_wheel('wheel'))"
    done = subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    [wheel] = (tmp_path / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        scripts = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert held == wanted
    assert "weighbridge = proxy.cli:main" in scripts


@pytest.mark.parametrize(
    ("module", "spared"), [("proxy.cli", ("numpy", "grpc")), ("proxy.controlplane.plane", ("grpc",)), ("proxy.dataplane.plane", ("numpy", "grpc"))]
)
def test_nobody_loads_what_only_others_need(module: str, spared: tuple[str, ...]) -> None:
    """Arrays are for whoever watches drift, gRPC for whoever sends traces: each takes some tens of MB and tenths of a second."""
    say = f"import sys, {module}; print([name for name in {spared!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT).stdout == "[]\n"


def test_a_plane_has_settings_of_its_own_unless_the_operator_has_others(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child("x", ["x"], [], {"MALLOC_MMAP_THRESHOLD_": "65536"})
    assert child._environment["MALLOC_MMAP_THRESHOLD_"] == "65536" and child._environment["PATH"] == os.environ["PATH"]
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "7")
    assert Child("x", ["x"], [], {"MALLOC_MMAP_THRESHOLD_": "65536"})._environment["MALLOC_MMAP_THRESHOLD_"] == "7"
