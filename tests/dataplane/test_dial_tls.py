"""TLS to upstreams: the name, certificates of ours, sessions that are resumed."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from proxy.config import Upstream
from proxy.dataplane.dial import Dialer, make_context
from tests.dataplane.dialled import serve, talk
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
