"""What the config says of notices: whom to tell, how often, and from which figures on something is worth telling.

Where a receiver is known by a secret (the address of a Slack webhook, a password), the config names the environment variable that holds it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from proxy.document import Faults, check_name

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
# The alerts there are, which `silence` may name; each has its condition in the control plane and its section in docs/runbooks.md.
ALERTS = (
    "WeighbridgeAgentSilent", "WeighbridgeAgentFailingFast", "WeighbridgeAgentFailing", "WeighbridgeAgentRefused", "WeighbridgeAgentTaskStuck",
    "WeighbridgeUpstreamFailingFast", "WeighbridgeUpstreamFailing", "WeighbridgeBreakerOpen", "WeighbridgeBreakerFlapping",
    "WeighbridgeKeyParked", "WeighbridgeRetryStorm", "WeighbridgeRetryQuotaSpent", "WeighbridgeUpstreamHeadroomLow",
    "WeighbridgeBudgetNearlySpent", "WeighbridgeBudgetSpent", "WeighbridgeBudgetForecastBreach", "WeighbridgeUnpricedSpend",
    "WeighbridgeQualityDrift", "WeighbridgeVerdictsFailing", "WeighbridgeEvaluatorFailing", "WeighbridgeReviewBacklog",
    "WeighbridgeReviewWaiting", "WeighbridgeRecordsLost", "WeighbridgeDiskRefusesJournal", "WeighbridgeJournalUnreadable",
    "WeighbridgeDatabaseFailing", "WeighbridgeAccountingGap", "WeighbridgeObserversDropping", "WeighbridgeDataPlaneSilent",
    "WeighbridgeDataPlaneCrashLoop", "WeighbridgeCallsCrashed", "WeighbridgeOwnErrors", "WeighbridgeLoopLagging", "WeighbridgeJournalLagging",
    "WeighbridgeCallsWaiting",
)  # fmt: skip
# one bare address of ASCII: what stands in a header, and what the server is told, is then the same text
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}\Z")
_LEAST_SECRET = 16  # a shorter path is a word, and would take that word out of all that is kept
_VISIBLE = re.compile(r"[!-~]+")
_ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})\Z")


class Channel(msgspec.Struct, frozen=True):
    """One receiver of notices."""

    name: str
    kind: Literal["webhook", "slack", "email"]
    severity: Severity = "warning"  # the least that is told here
    url: str | None = None  # webhook and slack: http(s)://…, or env:NAME
    secret: str | None = None  # webhook: env:NAME of what signs the body
    server: str | None = None  # email: host:port
    tls: Literal["starttls", "tls", "none"] = "starttls"  # email
    user: str | None = None  # email: who logs in, if anybody
    password: str | None = None  # email: env:NAME
    sender: str | None = None  # email: the address in From
    to: list[str] = []  # email: the addresses
    ca_file: str | None = None  # trust this CA bundle instead of the system's


class Thresholds(msgspec.Struct, frozen=True):
    """From which figures on the conditions hold."""

    least_calls: int = 20  # of an agent or upstream in an hour; a share of fewer says nothing
    failed_share_fast: float = 0.144  # of the calls of five minutes and of an hour
    failed_share: float = 0.06  # of the calls of half an hour and of six hours
    refused_share: float = 0.5  # of the calls of 15 minutes
    budget_share: float = 0.8  # spent of a budget
    review_calls: int = 100  # that wait for a reviewer
    review_s: float = 172800.0  # that one of them may wait
    loop_lag_s: float = 0.25  # that the data plane may stand still


class Notify(msgspec.Struct, frozen=True):
    """Notices of what is wrong."""

    channels: list[Channel] = []
    every_s: float = 30.0  # how often the conditions are looked at
    gather_s: float = 60.0  # how long further changes of an alert that was told are gathered
    repeat_s: float = 14400.0  # how often what still holds is told again
    link: str | None = None  # the address by which the admin port is reached by those who are told
    silence: list[str] = []  # alerts that nobody is told of: NAME, or NAME label=pattern
    conditions: Thresholds = Thresholds()


def find_value(text: str | None, environment: Mapping[str, str]) -> str | None:
    """What a text says or, as env:NAME, names; None where that is nothing."""
    if text is not None and text.startswith("env:"):
        return environment.get(text[4:]) or None
    return text


def list_secrets(notify: Notify, environment: Mapping[str, str]) -> list[str]:
    """Every secret that the channels know."""
    named = [text for one in notify.channels for text in (one.url, one.secret, one.password) if text is not None and text.startswith("env:")]
    values = [value for text in named if (value := find_value(text, environment))]
    return [*values, *(part for value in values if (part := _find_path(value)))]


def _find_path(url: str) -> str:
    """What is secret in the address of a webhook: its path, which stands alone in many a message."""
    path = urlsplit(url).path.strip("/") if _is_url(url) else ""
    return path if len(path) >= _LEAST_SECRET else ""


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return bool(_VISIBLE.fullmatch(text) and url.scheme in ("http", "https") and url.hostname and url.port != 0 and not url.fragment)
    except ValueError:  # a port or an IPv6 address that is none
        return False


def read_endpoint(server: str) -> tuple[str, int]:
    """The host and the port of host:port. Raises ValueError."""
    found = _ENDPOINT.match(server)
    if not found or not 0 < int(found[2]) < 65536:
        raise ValueError(server)
    return found[1].strip("[]"), int(found[2])


def read_silence(text: str) -> tuple[str, dict[str, str]]:
    """The name pattern and the label patterns of an entry of `silence`. Raises ValueError."""
    name, *pairs = text.split()
    labels = dict(pair.split("=", 1) for pair in pairs)
    if not all(labels.values()) or "" in labels:
        raise ValueError(text)
    return name, labels


def check_notify(notify: Notify, environment: Mapping[str, str], faults: Faults) -> None:
    """Add what is wrong with it to `faults`. A value that was at fault may be None."""
    for name in ("every_s", "gather_s", "repeat_s"):
        if getattr(notify, name) < 1:
            faults.add(f"notify.{name}", "must be 1 or more seconds")
    if notify.link is not None and (not _is_url(notify.link) or notify.link.endswith("/")):
        faults.add("notify.link", "expected http://host[:port] or https://…, without a slash at its end")
    for index, text in enumerate(notify.silence):
        _check_silence(f"notify.silence[{index}]", text or "", faults)
    for name, number in msgspec.structs.asdict(notify.conditions).items():
        if number <= 0:
            faults.add(f"notify.conditions.{name}", "must be greater than 0; to hear nothing of it, name the alert under notify.silence")
    seen: set[str] = set()
    for index, channel in enumerate(notify.channels):
        path = f"notify.channels[{index}]"
        check_name(channel.name, seen, f"{path}.name", faults)
        if channel.kind == "email":
            _check_email(path, channel, environment, faults)
        elif channel.kind is not None:
            _check_hook(path, channel, environment, faults)
        if channel.ca_file is not None and not Path(channel.ca_file).is_file():
            faults.add(f"{path}.ca_file", "no such file")


def _check_silence(path: str, text: str, faults: Faults) -> None:
    try:
        name, _ = read_silence(text)
    except ValueError:
        faults.add(path, "expected the name of an alert, and behind it label=pattern where only some are meant: AgentSilent agent=nightly-*")
        return
    if name not in ALERTS:
        faults.add(path, f"names no alert; known: {', '.join(ALERTS)}")


def _check_hook(path: str, channel: Channel, environment: Mapping[str, str], faults: Faults) -> None:
    _refuse_fields(path, channel, ("server", "user", "password", "sender", "to"), faults)
    url = channel.url or ""
    if url.startswith("env:"):
        if not _is_url(environment.get(url[4:], "")):  # what stands there may be a secret, so it is not shown
            faults.add(f"{path}.url", f"the environment variable {url[4:]} is not set, or holds no http://… or https://… URL")
    elif channel.kind == "slack":
        faults.add(f"{path}.url", "expected env:NAME: whoever knows the address of such a webhook can write to it, so it never stands in this file")
    elif not _is_url(url) or urlsplit(url).username is not None:
        faults.add(f"{path}.url", "expected http://host[:port][/path] or https://…, or env:NAME for one that is secret")
    if channel.kind == "slack":
        _refuse_fields(path, channel, ("secret",), faults)
    _check_secret(f"{path}.secret", channel.secret, environment, faults)


def _check_email(path: str, channel: Channel, environment: Mapping[str, str], faults: Faults) -> None:
    _refuse_fields(path, channel, ("url", "secret"), faults)
    try:
        read_endpoint(channel.server or "")
    except ValueError:
        faults.add(f"{path}.server", "expected host:port, such as smtp.example.com:587")
    for name, text in ((f"{path}.sender", channel.sender), *((f"{path}.to[{index}]", text) for index, text in enumerate(channel.to))):
        if not _ADDRESS.match(text or ""):
            faults.add(name, "expected an address such as oncall@example.com")
    if not channel.to:
        faults.add(f"{path}.to", "is empty; name at least one address")
    if (channel.user is None) != (channel.password is None):
        faults.add(f"{path}.user", "`user` and `password` go together: give both, or none where the server asks for none")
    if channel.user is not None and channel.tls == "none":
        faults.add(f"{path}.tls", "would send the password in the clear; use starttls or tls")
    _check_secret(f"{path}.password", channel.password, environment, faults)


def _refuse_fields(path: str, channel: Channel, names: tuple[str, ...], faults: Faults) -> None:
    for name in names:
        if getattr(channel, name):
            faults.add(f"{path}.{name}", f"is of no use to a channel of kind {channel.kind}")


def _check_secret(path: str, text: str | None, environment: Mapping[str, str], faults: Faults) -> None:
    if text is None:
        return
    if not text.startswith("env:"):
        faults.add(path, "expected env:NAME; a secret itself never stands in this file")
    elif not environment.get(text[4:]):
        faults.add(path, f"the environment variable {text[4:]} is not set")
