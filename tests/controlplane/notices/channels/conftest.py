"""Receivers on loopback that do as they are told: one speaks HTTP, one SMTP with STARTTLS, TLS and a login."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.dataplane.conftest import certificates as certificates  # a fixture


class Receiver:
    """An HTTP receiver. `behave` answers a request; without it the status is `status`."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.behave: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.arrived = threading.Event()
        self.url = ""


@contextlib.contextmanager
def run_receiver(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((dict(self.headers), body))
            receiver.arrived.set()
            if receiver.behave is not None:
                receiver.behave(self)
                return
            self.send_response(receiver.status)
            for name, value in {**receiver.headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def handle(self) -> None:
            with contextlib.suppress(OSError):
                super().handle()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        scheme = "https://localhost" if context else "http://127.0.0.1"
        receiver.url = f"{scheme}:{server.server_address[1]}/hook"
        yield receiver
        server.shutdown()
        thread.join()


class MailServer:
    """What an SMTP server was told, and what it is to answer: by the first word of a command."""

    def __init__(self, context: ssl.SSLContext, is_tls: bool) -> None:
        self.context = context
        self.is_tls = is_tls
        self.port = 0
        self.answers: dict[str, str] = {}
        self.silent = False
        self.trickles = False
        self.commands: list[str] = []
        self.login = ""
        self.was_encrypted = False
        self.mails: list[EmailMessage] = []
        self.offers = ["STARTTLS", "AUTH PLAIN"]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection (RFC 5321, RFC 3207, RFC 4954)."""
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        if self.silent:
            await reader.read()
            return
        while self.trickles:  # each line comes well within any time between two
            say("220-more")
            await writer.drain()
            await asyncio.sleep(0.02)
        say(self.answers.get("greeting", "220 mail.test"))
        while line := (await reader.readline()).decode().strip():
            self.commands.append(line)
            word = line.split()[0].upper()
            if word in self.answers:
                say(self.answers[word])
            elif word == "EHLO":
                say("\r\n".join(f"250-{one}" for one in ("mail.test", *self.offers)) + "\r\n250 HELP")
            elif word == "STARTTLS":
                say("220 go on")
                await writer.start_tls(self.context)
            elif word == "AUTH":
                self.login = base64.b64decode(line.split()[2]).decode()
                say("235 welcome")
            elif word == "DATA":
                say("354 go on")
                body = (await reader.readuntil(b"\r\n.\r\n"))[:-5]
                self.was_encrypted = writer.get_extra_info("ssl_object") is not None
                self.mails.append(BytesParser(policy=SMTP).parsebytes(body.replace(b"\r\n..", b"\r\n.")))
                say("250 taken")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("250 fine")

    async def run(self, ready: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context if self.is_tls else None)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        talking = asyncio.all_tasks() - {asyncio.current_task()}
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await asyncio.sleep(0)  # in which what was aborted is closed


@contextlib.contextmanager
def run_mail_server(certificates: tuple[Path, Path, Path], is_tls: bool = False) -> Iterator[MailServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates[1], certificates[2])
    mail, loop, ready, stop = MailServer(context, is_tls), asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(mail.run(ready, stop)))
    thread.start()
    assert ready.wait(20)
    try:
        yield mail
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as one:
        yield one
