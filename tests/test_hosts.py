"""Names by which a port may be called, on loopback and elsewhere, with a list and without."""

from __future__ import annotations

import pytest

from proxy.hosts import make_check

OURS = ["localhost:8787", "LOCALHOST", "127.0.0.1:8787", "[::1]:8787", "192.168.1.7", "http://localhost:3000", "https://127.0.0.1"]
PRIVATE = ["proxy", "weighbridge:8787", "host.docker.internal:8787", "bridge.svc.cluster.local", "printer.lan.", "http://app.localhost:3000"]
FOREIGN = ["page.example.com", "page.example.com:8787", "https://page.example.com", "localhost.example.com", "127.0.0.1.example.com", "null", "http://"]


@pytest.mark.parametrize("listening", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_only_names_of_public_dns_are_foreign(listening: str) -> None:
    check = make_check(listening)
    assert all(map(check, [*OURS, *PRIVATE, None, "chrome-extension://abcdef", "vscode-webview://abc"]))
    assert not any(map(check, FOREIGN))


def test_where_other_machines_call_every_name_may_stand() -> None:
    assert all(map(make_check("0.0.0.0"), [*OURS, *PRIVATE, *FOREIGN]))


@pytest.mark.parametrize("listening", ["127.0.0.1", "0.0.0.0"])
def test_with_a_list_it_says_which(listening: str) -> None:
    check = make_check(listening, ["Bridge.example.com", "proxy"])
    assert all(map(check, [*OURS, "proxy:8787", "bridge.example.com.", "https://bridge.example.com"]))
    assert not any(map(check, [*FOREIGN, "weighbridge", "host.docker.internal"]))
