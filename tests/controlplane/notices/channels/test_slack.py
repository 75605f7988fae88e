"""Slack's document: short enough, and nothing that came from outside is markup."""

from __future__ import annotations

import json

import pytest

from proxy.controlplane.notices.channels import make_send
from proxy.controlplane.notices.channels.slack import escape, write_body
from proxy.notify import Channel
from tests.controlplane.notices.channels.conftest import Receiver
from tests.controlplane.notices.conftest import START_S, make_alert, make_notice


def test_it_says_what_holds_since_when_and_what_to_do() -> None:
    body = write_body(make_notice([make_alert("a"), make_alert("b")]), "https://bridge.test")
    text = json.dumps(body, ensure_ascii=False)
    assert body["text"].replace("\u200b", "") == "[CRITICAL] Agent a is silent (and 1 more)"
    assert "2026-09-21T14:13:20.000Z" in text.replace("\u200b", "") and "<https://bridge.test/|Weighbridge>" in text
    assert "docs/runbooks.md" in text and [block["type"] for block in body["blocks"]] == ["section", "section", "context"]


def test_the_end_is_said_as_such() -> None:
    body = write_body(make_notice(resolved=[make_alert(ended_s=START_S + 5)]), "")
    assert "OVER" in body["text"] and "over since" in body["blocks"][1]["text"]["text"]


@pytest.mark.parametrize("name", ["<!channel>", "<@U1>", "<https://e.test|click>", "*bold*", "_it_", "~no~", "`code`", "@here", "&lt;!here&gt;"])
def test_names_are_no_markup(name: str) -> None:
    body = write_body(make_notice([make_alert("x", summary=f"Agent {name} is silent", description=name)]), "")
    for text in (body["text"], body["blocks"][1]["text"]["text"]):
        assert name not in text and "<" not in text


def test_escaping_is_slacks_own_and_the_signs_stay_readable() -> None:
    assert escape("a < b & c") == "a &lt; b &amp; c"
    assert escape("*a*").replace("\u200b", "") == "*a*" and escape("*a*") != "*a*"


def test_lines_stay_lines_and_blocks_within_their_length() -> None:
    alerts = [make_alert(str(number), summary="Agent " + "x\n" * 200, description="y" * 300) for number in range(40)]
    body = write_body(make_notice(alerts), "")
    text = body["blocks"][1]["text"]["text"]
    assert "\n" not in body["text"] and len(text) <= 3000 and len(body["blocks"][0]["text"]["text"]) <= 3000
    shown = text.count("●")
    assert text.endswith(f"… and {40 - shown} more") and text.count("\n") == shown


def test_it_is_sent_to_the_address_of_the_environment(receiver: Receiver) -> None:
    make_send(Channel("chat", "slack", url="env:URL"), None, {"URL": receiver.url})(make_notice([make_alert()]))
    assert json.loads(receiver.got[0][1]).keys() == {"text", "blocks"}
