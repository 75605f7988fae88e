"""Mail by a real SMTP server on loopback: TLS both ways, logins, refusals, servers that are dead or slow, and headers that stay ours."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from proxy.controlplane.notices.channels.mail import make_send, write_message
from proxy.controlplane.notices.outbox import NotDelivered
from proxy.notify import Channel
from tests.controlplane.notices.channels.conftest import MailServer, run_mail_server
from tests.controlplane.notices.conftest import make_alert, make_notice

Certificates = tuple[Path, Path, Path]
NOTICE = make_notice([make_alert("ünï"), make_alert("b")])


def make_channel(server: MailServer, certificates: Certificates, **other: object) -> Channel:
    fields = {"name": "mail", "kind": "email", "server": f"localhost:{server.port}", "sender": "bridge@example.test", "to": ["a@x.test", "b@y.test"]}
    return Channel(**(fields | {"ca_file": str(certificates[0])} | other))


def test_it_is_sent_over_starttls_after_a_login(certificates: Certificates) -> None:
    with run_mail_server(certificates) as server:
        channel = make_channel(server, certificates, user="me", password="env:PASSWORD")
        make_send(channel, "https://bridge.test", {"PASSWORD": "hush"})(NOTICE)
    (mail,) = server.mails
    assert server.login == "\0me\0hush" and server.was_encrypted
    assert (mail["From"], mail["To"]) == ("bridge@example.test", "a@x.test, b@y.test")
    assert mail["Subject"] == "[CRITICAL] Agent ünï is silent (and 1 more)" and mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    text = mail.get_content()
    assert "Agent b is silent" in text and "since 2026-09-21T14:13:20.000Z, critical" in text and "https://bridge.test/" in text
    assert [one[8:] for one in server.commands if one.startswith("rcpt")] == ["<a@x.test>", "<b@y.test>"]


@pytest.mark.parametrize(("tls", "is_tls", "encrypted"), [("tls", True, True), ("none", False, False)])
def test_it_is_sent_over_tls_or_in_the_clear_as_the_config_says(certificates: Certificates, tls: str, is_tls: bool, encrypted: bool) -> None:
    with run_mail_server(certificates, is_tls) as server:
        make_send(make_channel(server, certificates, tls=tls), "", {})(NOTICE)
        assert server.was_encrypted is encrypted and len(server.mails) == 1


def fail(channel: Channel, timeout_s: float = 10.0) -> NotDelivered:
    with pytest.raises(NotDelivered) as raised:
        make_send(channel, "", {"PASSWORD": "hush"}, timeout_s)(NOTICE)
    assert "hush" not in str(raised.value)
    return raised.value


def test_nothing_is_sent_in_the_clear_where_the_server_has_no_starttls(certificates: Certificates) -> None:
    with run_mail_server(certificates) as server:
        server.offers = ["AUTH PLAIN"]
        assert fail(make_channel(server, certificates, user="me", password="env:PASSWORD")).final == "refused"
        assert server.login == "" and server.mails == []


def test_a_certificate_that_is_not_trusted_ends_it(certificates: Certificates) -> None:
    for is_tls in (False, True):
        with run_mail_server(certificates, is_tls) as server:
            assert fail(make_channel(server, certificates, ca_file=None, tls="tls" if is_tls else "starttls")).final is None
            assert server.mails == []


@pytest.mark.parametrize(
    ("answers", "final"),
    [
        ({"AUTH": "535 no"}, "refused"),
        ({"AUTH": "454 later"}, None),
        ({"RCPT": "550 nobody"}, "refused"),
        ({"RCPT": "450 later"}, None),
        ({"MAIL": "553 not you"}, "refused"),
        ({"DATA": "452 full"}, None),
        ({"greeting": "421 busy"}, None),
        ({"greeting": "554 go away"}, "refused"),
    ],
)
def test_what_the_server_says_decides_whether_it_is_tried_again(certificates: Certificates, answers: dict[str, str], final: str | None) -> None:
    with run_mail_server(certificates) as server:
        server.answers = answers
        assert fail(make_channel(server, certificates, user="me", password="env:PASSWORD")).final == final


def test_a_server_that_is_dead_or_silent_is_tried_again(certificates: Certificates) -> None:
    with run_mail_server(certificates) as server:
        server.silent = True
        assert fail(make_channel(server, certificates), timeout_s=0.3).final is None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
    assert fail(make_channel(server, certificates)).final is None


def test_a_server_that_trickles_is_broken_off(certificates: Certificates) -> None:
    with run_mail_server(certificates) as server:
        server.trickles = True
        assert fail(make_channel(server, certificates), timeout_s=0.3).final is None


def test_names_from_outside_make_no_header() -> None:
    alert = make_alert(summary="Agent x\r\nBcc: all@z.test\r\n\r\nHello", description="\r\n.\r\nQUIT")
    message = write_message(make_notice([alert]), Channel("m", "email", sender="a@x.test", to=["b@x.test"]), "")
    head = message.as_bytes().partition(b"\r\n\r\n")[0]
    assert message["Bcc"] is None and b"\nBcc" not in head
    assert message["Subject"].startswith("[CRITICAL] Agent x  Bcc: all@z.test")
