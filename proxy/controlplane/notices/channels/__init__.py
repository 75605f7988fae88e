"""The ways to a receiver: each makes of a notice what its receiver reads, and brings it there within a time that is bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proxy.controlplane.notices.channels import mail, slack, webhook
from proxy.controlplane.notices.told import Notice
from proxy.notify import Channel

_KINDS = {"webhook": webhook.make_send, "slack": slack.make_send, "email": mail.make_send}


def make_send(channel: Channel, link: str | None, environment: Mapping[str, str]) -> Callable[[Notice], None]:
    """What sends a notice through a channel; it raises `NotDelivered`."""
    return _KINDS[channel.kind](channel, link or "", environment)
