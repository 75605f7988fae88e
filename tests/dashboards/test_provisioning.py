"""The files that Grafana is provisioned with fit the dashboards."""

from __future__ import annotations

from pathlib import Path

import yaml

from dashboards.infinity import PLUGIN

FOLDER = Path(__file__).resolve().parents[2] / "dashboards" / "provisioning"


def read(path: str) -> dict:
    return yaml.safe_load((FOLDER / path).read_text(encoding="utf-8"))


def test_there_is_a_source_for_each_kind_that_dashboards_choose_from() -> None:
    sources = {source["type"]: source for source in read("datasources/weighbridge.yaml")["datasources"]}
    assert set(sources) == {"prometheus", PLUGIN}
    assert sources[PLUGIN]["url"] in sources[PLUGIN]["jsonData"]["allowedHosts"]
    (trace,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert trace["name"] == "trace_id" and trace["url"].endswith("$${__value.raw}"), "Grafana's own variable, not the environment's"


def test_dashboards_cannot_be_saved_over() -> None:
    (provider,) = read("dashboards/weighbridge.yaml")["providers"]
    assert provider["type"] == "file" and provider["allowUiUpdates"] is False and provider["options"]["path"]
