"""Notices as plain text by SMTP, over TLS unless the config says that there is none.

Headers are set through `email.message`, which refuses line breaks; the addresses come from the config, and the subject has none left.
"""

from __future__ import annotations

import contextlib
import email.utils
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from email.message import EmailMessage
from email.policy import SMTP

from proxy.controlplane.notices.channels.wording import clean, list_alerts, write_runbook, write_state, write_title
from proxy.controlplane.notices.outbox import NotDelivered
from proxy.controlplane.notices.told import Notice
from proxy.notify import Channel, find_value, read_endpoint

TIMEOUT_S = 20.0
_REFUSED = (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError, smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused)


def make_send(channel: Channel, link: str, environment: Mapping[str, str], timeout_s: float = TIMEOUT_S) -> Callable[[Notice], None]:
    password = find_value(channel.password, environment)

    def send(notice: Notice) -> None:
        message = write_message(notice, channel, link)
        try:
            with _connect(channel, timeout_s) as server:
                if channel.user is not None:
                    server.login(channel.user, password or "")
                server.send_message(message, channel.sender, channel.to)
        except _REFUSED as error:
            raise NotDelivered(f"the mail server refused it ({type(error).__name__})", "refused" if _is_final(error) else None) from None
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(f"the mail server answered with {error.smtp_code}", "refused" if error.smtp_code >= 500 else None) from None
        except (OSError, smtplib.SMTPException) as error:  # ssl.SSLError and the timeout are OSErrors
            raise NotDelivered(f"the mail server could not be reached ({getattr(error, 'strerror', None) or type(error).__name__})") from None

    return send


def _is_final(error: smtplib.SMTPException) -> bool:
    """Whether trying again is of no use: a code of 500 or more, for every recipient."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return getattr(error, "smtp_code", 500) >= 500


@contextlib.contextmanager
def _connect(channel: Channel, timeout_s: float) -> Iterator[smtplib.SMTP]:
    """A connection that is ready for a login, and broken off when all of it takes too long."""
    host, port = read_endpoint(channel.server or "")
    context = ssl.create_default_context(cafile=channel.ca_file)
    kind, more = (smtplib.SMTP_SSL, {"context": context}) if channel.tls == "tls" else (smtplib.SMTP, {})
    server = kind.__new__(kind)  # it connects while it is made, and must be known to the timer by then
    timer = threading.Timer(timeout_s, _break_off, (server,))
    timer.daemon = True
    timer.start()
    try:
        server.__init__(host, port, timeout=timeout_s, **more)
        if channel.tls == "starttls":
            server.starttls(context=context)
        yield server
        with contextlib.suppress(OSError, smtplib.SMTPException):  # it was taken already
            server.quit()
    finally:
        timer.cancel()
        server.close()


def _break_off(server: smtplib.SMTP) -> None:
    with contextlib.suppress(OSError, AttributeError):  # gone meanwhile, or not there yet
        server.sock.shutdown(socket.SHUT_RDWR)


def write_message(notice: Notice, channel: Channel, link: str) -> EmailMessage:
    """The mail."""
    message = EmailMessage(policy=SMTP)
    message["From"] = channel.sender
    message["To"] = ", ".join(channel.to)
    message["Subject"] = write_title(notice)
    message["Date"] = email.utils.formatdate(notice.at_s)
    message["Message-ID"] = email.utils.make_msgid("weighbridge", (channel.sender or "").partition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    alerts, others = list_alerts(notice)
    parts = [f"{clean(alert.summary)}\n  {clean(alert.description)}\n  {write_state(alert)}, {alert.severity}" for alert in alerts]
    if others:
        parts.append(f"… and {others} more")
    parts.append(f"What to do: {write_runbook(alerts[0])}" + (f"\n{link}/" if link else ""))
    message.set_content("\n\n".join(parts) + "\n")
    return message
