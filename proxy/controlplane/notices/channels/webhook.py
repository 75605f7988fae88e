"""Notices as Alertmanager's webhook sends them, so that whatever reads those reads ours; each alert also says its figure (`cause`).

Shape: version 4 of https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Where the channel has a secret, the header
`X-Weighbridge-Signature: sha256=<hex>` is the HMAC-SHA256 of the body.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from proxy.controlplane import show
from proxy.controlplane.notices.board import Alert
from proxy.controlplane.notices.channels.post import post
from proxy.controlplane.notices.channels.wording import write_runbook
from proxy.controlplane.notices.told import Notice
from proxy.notify import Channel, find_value

_MOST_ALERTS = 200
_NEVER = "0001-01-01T00:00:00Z"  # how Go writes a time that is not set, which is what Alertmanager sends of what has not ended
SIGNATURE = "X-Weighbridge-Signature"


def make_send(channel: Channel, link: str, environment: Mapping[str, str]) -> Callable[[Notice], None]:
    url, secret = find_value(channel.url, environment) or "", find_value(channel.secret, environment)

    def send(notice: Notice) -> None:
        body = msgspec.json.encode(write_body(notice, channel.name, link))
        headers = {} if secret is None else {SIGNATURE: f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"}
        post(url, body, headers, channel.ca_file)

    return send


def write_body(notice: Notice, receiver: str, link: str) -> dict[str, Any]:
    """The document that is sent."""
    everything = [*notice.firing, *notice.resolved]
    alerts = [_write_alert(alert, link) for alert in everything[:_MOST_ALERTS]]
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{notice.name}"}}',
        "truncatedAlerts": len(everything) - len(alerts),
        "status": "resolved" if notice.is_over else "firing",
        "receiver": receiver,
        "groupLabels": {"alertname": notice.name},
        "commonLabels": _share([alert["labels"] for alert in alerts]),
        "commonAnnotations": _share([alert["annotations"] for alert in alerts]),
        "externalURL": link,
        "alerts": alerts,
    }


def _write_alert(alert: Alert, link: str) -> dict[str, Any]:
    return {
        "status": "firing" if alert.ended_s is None else "resolved",
        "labels": {**alert.labels, "alertname": alert.name, "severity": alert.severity},
        "annotations": {"summary": alert.summary, "description": alert.description, "runbook_url": write_runbook(alert)},
        "startsAt": _write_moment(alert.since_s),
        "endsAt": _NEVER if alert.ended_s is None else _write_moment(alert.ended_s),
        "generatorURL": f"{link}/api/alerts" if link else "",
        "fingerprint": hashlib.sha256(alert.key.encode()).hexdigest()[:16],
        "cause": {"value": alert.value, "fired_at": None if alert.fired_s is None else _write_moment(alert.fired_s)},
    }


def _write_moment(at_s: float) -> str:
    return show.write_moment(int(at_s * 1e9))


def _share(parts: list[dict[str, str]]) -> dict[str, str]:
    """What is the same in all of them."""
    return {name: value for name, value in parts[0].items() if all(part.get(name) == value for part in parts)}
