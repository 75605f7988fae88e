"""Which addresses a connection may be made to: what an address is for, and what an upstream's url permits.

The kinds follow the special-purpose registries of IANA (RFC 6890). An IPv6 address that carries an IPv4 address (mapped, NAT64,
6to4) is judged by what it carries. What hands out a machine's credentials (the metadata services of clouds, mostly link-local)
is a kind that no name may resolve to: whoever means such an address writes it as a number into the url.
"""

from __future__ import annotations

import ipaddress
from typing import Literal

Kind = Literal["public", "loopback", "private", "closed"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        # AWS over IPv6 (instances, containers), Google over IPv6, Alibaba in the range of carriers, Azure in a public one
        ("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100.100.100.200", "168.63.129.16"),
    )
)
_LOOPBACK = [ipaddress.ip_network(each) for each in ("127.0.0.0/8", "::1/128")]
# Private use, shared by carriers (100.64/10), for benchmarks (198.18/15, where local DNS tricks live), site-local, local NAT64.
_PRIVATE = [
    ipaddress.ip_network(each)
    for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7", "fec0::/10", "64:ff9b:1::/48")
]
# This network, link-local, protocol assignments, documentation, relays, multicast, reserved; of IPv6, what is no unicast to all the world.
_CLOSED = [
    ipaddress.ip_network(each)
    for each in (
        *("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        *("::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "3fff::/20"),
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_PRIVATE_NAMES = (".local", ".internal", ".localdomain", ".home.arpa", ".svc", ".lan")


def judge(text: str) -> Kind:
    """What an address is for. Raises ValueError where it is no address."""
    address = _unwrap(ipaddress.ip_address(text.partition("%")[0]))
    if address in _METADATA:
        return "closed"
    for kind, networks in (("loopback", _LOOPBACK), ("private", _PRIVATE), ("closed", _CLOSED)):
        if any(address in network for network in networks):
            return kind  # type: ignore[return-value]
    return "public"


def _unwrap(address: Address) -> Address:
    """The IPv4 address within an IPv6 one, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and (address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF)):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def is_literal(host: str) -> bool:
    """Whether a url's host is an address and not a name; one with a zone is looked up like a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def permitted(host: str, private: bool | None) -> frozenset[Kind]:
    """The kinds of addresses that the name `host` may resolve to, where `private` is what the operator said of it.

    Said nothing: a name that the public DNS cannot hold (one label, as in compose files, or of a private domain) can only mean
    a private address, and any other only a public one.
    """
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return frozenset({"loopback"})
    if private is None:
        private = "." not in name or name.endswith(_PRIVATE_NAMES)
    return frozenset({"public", "loopback", "private"}) if private else frozenset({"public"})
