"""Which addresses are public, private or closed to names; and what a name permits."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from proxy.dataplane.addresses import is_literal, judge, permitted

EVERYWHERE = {"public", "loopback", "private"}


@pytest.mark.parametrize(
    ("kind", "addresses"),
    [
        ("public", "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.32.0.0 192.0.1.0 198.20.0.0 223.255.255.255"),
        ("public", "2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1"),
        ("loopback", "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: ::127.0.0.1"),
        ("private", "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 198.18.0.1 fc00::1 fd12::1 fec0::1"),
        ("private", "::ffff:10.0.0.1 ::ffff:a00:1 64:ff9b::a00:1 64:ff9b:1::a00:1 2002:a00:1::1 ::ffff:c0a8:101"),
        ("closed", "169.254.169.254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe:: 169.254.170.2 fe80::1 fe80::1%eth0"),
        ("closed", "100.100.100.200 168.63.129.16 fd00:ec2::254 fd20:ce::254 ::ffff:168.63.129.16 192.0.0.192"),
        ("closed", "0.0.0.0 :: ::ffff:0.0.0.0 0.1.2.3 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 ff02::1 ff0e::1"),
        ("closed", "192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 2001::1 2001:10::1 3fff::1 100::1 4000::1 64:ff9b:2::1 ::ffff:0:a00:1"),
    ],
)
def test_what_an_address_is_for(kind: str, addresses: str) -> None:
    assert {address: judge(address) for address in addresses.split()} == dict.fromkeys(addresses.split(), kind)


@given(some.ip_addresses())
def test_nothing_is_public_that_python_knows_to_be_none(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if judge(str(address)) == "public":
        inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
        assert inner.is_global and not inner.is_multicast or address in ipaddress.ip_network("64:ff9b::/96")


@given(some.ip_addresses(v=4), some.sampled_from(["::ffff:{}", "64:ff9b::{}"]))
def test_an_ipv4_address_within_ipv6_is_that_address(address: ipaddress.IPv4Address, shape: str) -> None:
    assert judge(shape.format(address)) == judge(str(address))


@pytest.mark.parametrize(
    ("host", "private", "expected"),
    [
        ("api.openai.com", None, {"public"}),
        ("localhost.evil.com", None, {"public"}),
        ("internal.evil.com", None, {"public"}),
        ("notinternal", None, EVERYWHERE),
        ("ollama", None, EVERYWHERE),
        ("OLLAMA", None, EVERYWHERE),
        ("vllm.models.svc.cluster.local", None, EVERYWHERE),
        ("vllm.models.svc", None, EVERYWHERE),
        ("llm.corp.internal.", None, EVERYWHERE),
        ("llm.example.com", True, EVERYWHERE),
        ("ollama", False, {"public"}),
        ("localhost", None, {"loopback"}),
        ("localhost.", None, {"loopback"}),
        ("api.localhost", True, {"loopback"}),
    ],
)
def test_what_a_name_permits(host: str, private: bool | None, expected: set[str]) -> None:
    assert permitted(host, private) == expected


NUMBERS = [("1.2.3.4", True), ("::1", True), ("127.1", False), ("2130706433", False), ("a.b", False), ("fe80::1%lo", False)]


@pytest.mark.parametrize(("host", "literal"), NUMBERS)
def test_what_is_an_address_in_numbers(host: str, literal: bool) -> None:
    assert is_literal(host) is literal
