"""Every committed dashboard, panel and query, by name."""

from __future__ import annotations

from dashboards.expressions import read_boards, walk_panels

BOARDS = {board["uid"]: board for board in read_boards()}
PANELS = {f"{uid.removeprefix('weighbridge-')}: {panel['title']}": panel for uid, board in BOARDS.items() for panel in walk_panels(board)}
QUERIES = {f"{name} {target['refId']}": (panel, target) for name, panel in PANELS.items() for target in panel["targets"] if "expr" in target}
