"""What lets the processes of tests start sooner: no extras that they do not need, and a price book that is compiled already."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# As most installations are, and quicker to start: the tests' own environment has every extra.
WITHOUT_EXTRAS = os.pathsep.join([str(Path(__file__).parent / "without_extras"), *filter(None, [os.environ.get("PYTHONPATH")])])


@functools.cache
def make_book() -> Path:
    """The price book, compiled once for all that are started here."""
    path = Path(tempfile.mkdtemp(prefix="prices-"), "prices.json")
    atexit.register(shutil.rmtree, path.parent)
    subprocess.run([sys.executable, "-m", "proxy.pricing.compile", str(path)], check=True)
    return path


def give_book(folder: Path) -> None:
    """Let the state below `folder` have its price book, if there is no state yet."""
    if not (folder / "state").exists():
        (folder / "state").mkdir(mode=0o700)
        shutil.copy(make_book(), folder / "state" / "prices.json")
