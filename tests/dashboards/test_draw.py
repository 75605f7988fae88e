"""Pictures are drawn of whatever comes: lines, bars, states, tables, figures, and nothing at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from PIL import Image

from dashboards.answers import Source
from dashboards.draw import draw_board
from tests.dashboards.conftest import BOARDS

NOW_S = 1_790_000_000.0
LABELS = {"agent": "a", "team": "t", "upstream": "u", "key": "k", "result": "ok"}


def answer_all(address: str) -> dict[str, Any]:
    if "query_range" in address:
        return {"data": {"result": [{"metric": LABELS, "values": [[NOW_S - 60, "1"], [NOW_S, "2"]]}]}}
    return {"data": {"result": [{"metric": LABELS, "value": [NOW_S, "2"]}]}}


def answer_nothing(address: str) -> dict[str, Any]:
    return {"data": {"result": []}, "rows": []}


@pytest.mark.parametrize(("uid", "fetch"), [("weighbridge-upstreams", answer_all), ("weighbridge-spend", answer_nothing)])
def test_a_board_becomes_a_picture_of_its_shape(tmp_path: Path, uid: str, fetch: Any) -> None:
    matplotlib.use("Agg")
    path = draw_board(BOARDS[uid], Source("", "", NOW_S - 600, NOW_S, {}, fetch), tmp_path)
    with Image.open(path) as picture:
        assert picture.width == 1260 and picture.height > 700 and len(picture.getcolors()) > 10
    assert path.stat().st_size < 200_000


def test_the_pictures_that_are_shown_are_there_and_are_small() -> None:
    folder = Path(__file__).resolve().parents[2] / "docs"
    shown = re.findall(r"!\[.+\]\((pictures/\w+\.png)\)", (folder / "dashboards.md").read_text(encoding="utf-8"))
    assert {f"pictures/{path.name}" for path in (folder / "pictures").iterdir()} == set(shown)
    assert all((folder / path).stat().st_size < 200_000 for path in shown)
