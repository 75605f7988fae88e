"""The webhook's document: Alertmanager's, with the cause; and its signature."""

from __future__ import annotations

import hashlib
import hmac
import json

from proxy.controlplane.notices.channels import make_send, webhook
from proxy.notify import Channel
from tests.controlplane.notices.channels.conftest import Receiver
from tests.controlplane.notices.conftest import START_S, make_alert, make_notice


def test_the_document_is_that_of_alertmanager() -> None:
    over = make_alert("b", ended_s=START_S + 500)
    body = webhook.write_body(make_notice([make_alert("a")], [over]), "ops", "https://bridge.test")
    firing, resolved = body.pop("alerts")
    assert body == {
        "version": "4",
        "groupKey": '{}:{alertname="WeighbridgeAgentSilent"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "ops",
        "groupLabels": {"alertname": "WeighbridgeAgentSilent"},
        "commonLabels": {"team": "", "alertname": "WeighbridgeAgentSilent", "severity": "critical"},
        "commonAnnotations": {"description": "It made no call for 3 min 20 s.", "runbook_url": "docs/runbooks.md#weighbridgeagentsilent"},
        "externalURL": "https://bridge.test",
    }
    assert firing == {
        "status": "firing",
        "labels": {"agent": "a", "team": "", "alertname": "WeighbridgeAgentSilent", "severity": "critical"},
        "annotations": {
            "summary": "Agent a is silent",
            "description": "It made no call for 3 min 20 s.",
            "runbook_url": "docs/runbooks.md#weighbridgeagentsilent",
        },
        "startsAt": "2026-09-21T14:13:20.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://bridge.test/api/alerts",
        "fingerprint": firing["fingerprint"],
        "cause": {"value": 200.0, "fired_at": "2026-09-21T14:14:20.000Z"},
    }
    assert (resolved["status"], resolved["endsAt"]) == ("resolved", "2026-09-21T14:21:40.000Z")
    assert firing["fingerprint"] != resolved["fingerprint"]


def test_when_all_is_over_the_whole_is_resolved() -> None:
    body = webhook.write_body(make_notice(resolved=[make_alert(ended_s=START_S + 5)]), "ops", "")
    assert (body["status"], [alert["status"] for alert in body["alerts"]], body["externalURL"]) == ("resolved", ["resolved"], "")


def test_many_alerts_are_cut_and_counted() -> None:
    body = webhook.write_body(make_notice(make_alert(str(number)) for number in range(250)), "ops", "")
    assert (len(body["alerts"]), body["truncatedAlerts"]) == (200, 50)


def test_the_body_is_signed_by_the_secret_of_the_environment(receiver: Receiver) -> None:
    environment = {"URL": receiver.url, "SECRET": "hush"}
    make_send(Channel("ops", "webhook", url="env:URL", secret="env:SECRET"), None, environment)(make_notice([make_alert()]))
    make_send(Channel("ops", "webhook", url=receiver.url), None, {})(make_notice([make_alert()]))
    (headers, body), (unsigned, _) = receiver.got
    assert headers[webhook.SIGNATURE] == "sha256=" + hmac.new(b"hush", body, hashlib.sha256).hexdigest()
    assert webhook.SIGNATURE not in unsigned and json.loads(body)["receiver"] == "ops"
