"""Notices for Slack's incoming webhooks, and for what reads the same (Mattermost, Rocket.Chat): a text, and blocks that show more.

Names of agents and the like come from whoever calls, so nothing of them is markup: `&`, `<` and `>` are escaped as Slack asks for, and what
would be bold, code, a mention or a link elsewhere is broken by a zero-width space behind its sign.
https://docs.slack.dev/messaging/formatting-message-text#escaping, https://docs.slack.dev/reference/block-kit/blocks/section-block
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from proxy.controlplane.notices.board import Alert
from proxy.controlplane.notices.channels.post import post
from proxy.controlplane.notices.channels.wording import clean, list_alerts, write_runbook, write_state, write_title
from proxy.controlplane.notices.told import Notice
from proxy.notify import Channel, find_value

_SIGNS = re.compile(r"([*_~`@#!\[\]()]|:(?=\S))")
_APART = "\u200b"
_MOST_OF_BLOCK = 2900  # of the 3000 letters that a section may have


def make_send(channel: Channel, link: str, environment: Mapping[str, str]) -> Callable[[Notice], None]:
    url = find_value(channel.url, environment) or ""

    def send(notice: Notice) -> None:
        post(url, msgspec.json.encode(write_body(notice, link)), {}, channel.ca_file)

    return send


def write_body(notice: Notice, link: str) -> dict[str, Any]:
    """The document that is sent."""
    title = escape(write_title(notice))
    alerts, others = list_alerts(notice)
    lines = [_write_line(alert) for alert in alerts]
    while len("\n".join(lines)) > _MOST_OF_BLOCK:
        lines.pop()
        others += 1
    if others:
        lines.append(f"… and {others} more")
    where = f"{escape(write_runbook(alerts[0]))}" + (f" · <{link}/|Weighbridge>" if link else "")
    return {
        "text": title,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": f"*{title}*"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": where}]},
        ],
    }


def _write_line(alert: Alert) -> str:
    mark = "✔" if alert.ended_s is not None else "●"
    return f"{mark} {escape(clean(alert.summary))}. {escape(clean(alert.description))} _{escape(write_state(alert))}_"


def escape(text: str) -> str:
    """Text that stands for itself."""
    text = _SIGNS.sub(rf"\1{_APART}", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
