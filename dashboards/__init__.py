"""The Grafana dashboards as code: `python -m dashboards` writes `dashboards/grafana/*.json`, which are committed and what Grafana reads."""
