"""Notices in words."""

from __future__ import annotations

from proxy.controlplane.notices.channels.wording import MOST_ALERTS, clean, list_alerts, write_state, write_title
from tests.controlplane.notices.conftest import START_S, make_alert, make_notice


def test_the_title_is_one_line() -> None:
    assert write_title(make_notice([make_alert("a\r\nBcc: x")])) == "[CRITICAL] Agent a  Bcc: x is silent"
    assert write_title(make_notice(resolved=[make_alert("a", ended_s=1.0)])) == "[OVER] Agent a is silent"


def test_what_holds_comes_first_and_the_rest_is_counted() -> None:
    notice = make_notice([make_alert(str(number)) for number in range(MOST_ALERTS)], [make_alert("z", ended_s=1.0)])
    alerts, others = list_alerts(notice)
    assert (len(alerts), others) == (MOST_ALERTS, 1) and all(alert.ended_s is None for alert in alerts)


def test_the_state_has_its_times() -> None:
    assert write_state(make_alert()) == "since 2026-09-21T14:13:20.000Z"
    assert write_state(make_alert(ended_s=START_S + 1)) == "over since 2026-09-21T14:13:21.000Z, began 2026-09-21T14:13:20.000Z"


def test_text_is_cut() -> None:
    assert len(clean("x" * 1000)) == 300 and clean("a\x00\u2028b") == "a  b"
