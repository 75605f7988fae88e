"""Writes the dashboards to `dashboards/grafana/`: `python -m dashboards`, or `make dashboards`."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.agent import make_agent_board
from dashboards.board import finish
from dashboards.itself import make_itself
from dashboards.overview import make_overview
from dashboards.quality import make_quality
from dashboards.spend import make_spend
from dashboards.upstreams import make_upstreams

FOLDER = Path(__file__).parent / "grafana"
DASHBOARDS = (make_overview, make_agent_board, make_spend, make_quality, make_upstreams, make_itself)


def write(board: Dashboard) -> str:
    """A dashboard as Grafana reads it."""
    return JSONEncoder(sort_keys=True, indent=2).encode(finish(board.build())) + "\n"


def write_all(folder: Path) -> None:
    """One file a dashboard, named by its uid; none that is not made here any more."""
    made = {f"{board.build().uid}.json": write(board) for board in (make() for make in DASHBOARDS)}
    for path in folder.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_all(FOLDER)
