"""Everything that the notifier knows to be wrong: the conditions of the alert rules in dashboards/rules, as functions of the figures.

They have the names, severities, times and summaries of the rules, and a test holds them to it. The rules know more: what needs a day of
history, quantiles, or the scrape itself is left to Prometheus.
"""

from __future__ import annotations

from proxy.controlplane.notices.conditions import agents, planes, quality, records, spend, upstreams

_MODULES = (agents, upstreams, spend, quality, records, planes)
FIGURES = tuple(figure for module in _MODULES for figure in module.FIGURES)
CONDITIONS = tuple(condition for module in _MODULES for condition in module.CONDITIONS)
