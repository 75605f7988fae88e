"""TLS to upstreams: the name, certificates of ours, sessions that are resumed."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

import pytest

from proxy.config import Limits, Upstream
from proxy.dataplane.dial import Dialer, make_context
from proxy.dataplane.upstream import Pool
from tests.dataplane.conftest import open_site
from tests.dataplane.dialled import refusal, serve, talk
from tests.dataplane.test_path import answer
from tests.dataplane.test_upstream import serve_tls


def test_the_server_is_told_the_name_and_sessions_are_resumed(run, certificates):
    async def main():
        tls, named = serve_tls(certificates), []
        tls.sni_callback = lambda _, name, __: named.append(name)
        async with serve(tls) as port:
            dialer = Dialer(Upstream(f"https://localhost:{port}", ca_file=str(certificates[0])))
            reused = [(await talk(dialer)).transport.get_extra_info("ssl_object").session_reused for _ in range(3)]
        assert reused == [False, True, True] and named == ["localhost"] * 3

    run(main())


def test_a_session_of_another_server_is_of_no_harm(run, certificates):
    async def main():
        first, second = serve_tls(certificates), serve_tls(certificates)
        async with serve(first) as port, serve(second) as other:
            dialer = Dialer(Upstream(f"https://localhost:{port}", ca_file=str(certificates[0])))
            await talk(dialer)
            dialer._names._port = other
            dialer._names._until = 0.0
            assert not (await talk(dialer)).transport.get_extra_info("ssl_object").session_reused

    run(main())


def test_a_session_is_forgotten_when_the_handshake_fails(run, certificates):
    async def main():
        async with serve(serve_tls(certificates)) as port, serve() as other:
            dialer = Dialer(Upstream(f"https://localhost:{port}", ca_file=str(certificates[0])))
            await talk(dialer)
            assert dialer._context.session is not None
            dialer._names._port = other
            dialer._names._until = 0.0
            assert await refusal(dialer) == ("upstream_unreachable", "The TLS handshake with the provider failed; check its certificate and ca_file.")
            assert dialer._context.session is None

    run(main())


@pytest.mark.parametrize("shown", [True, False])
def test_a_certificate_is_shown_to_who_asks_for_one(run, certificates, shown):
    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # the server's own complaint of the handshake
        tls = serve_tls(certificates)
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(certificates[0])
        own = {"client_certificate": str(certificates[1]), "client_key": str(certificates[2])} if shown else {}
        async with serve(tls) as port:
            dialer = Dialer(Upstream(f"https://localhost:{port}", ca_file=str(certificates[0]), **own))
            if shown:
                await talk(dialer)
            else:
                with pytest.raises((OSError, EOFError)):  # in TLS 1.3 the server says so after the handshake
                    await talk(dialer)

    run(main())


def test_the_least_version_and_what_is_verified() -> None:
    context = make_context(Upstream("https://h"))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2 and context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED
    assert context.get_ca_certs() or not ssl.create_default_context().get_ca_certs()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("told", [True, False])
def test_an_answer_up_to_the_end_of_the_connection_is_whole_only_where_the_end_is_told(run, tmp_path, certificates, told, version):
    def serve_one(listener: socket.socket) -> None:
        """Answer without a length; then end TLS and TCP, or TCP alone, as whoever stands between could."""
        reached, _ = listener.accept()
        spoken = serve_tls(certificates).wrap_socket(reached, server_side=True)
        while b"\r\n\r\n" not in spoken.recv(65536):
            pass
        spoken.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nwhole")
        if told:
            spoken.unwrap().close()
        else:
            os.close(spoken.detach())

    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.create_task(asyncio.to_thread(serve_one, listener))
            async with open_site(tmp_path, answer) as site:
                up = Upstream(f"https://localhost:{listener.getsockname()[1]}", ca_file=str(certificates[0]))
                pool = site.plane.traffic.pools["up"] = Pool(up, Limits(), site.plane.traffic._outbox)
                pool._dialer._context.maximum_version = version
                came = await site.ask(b"GET /up/v1/models HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n")
                assert b"whole" in came and came.endswith(b"0\r\n\r\n") is told
                assert (await site.record())["outcome"] == ("ok" if told else "upstream_cut")
            await serving

    run(main())
