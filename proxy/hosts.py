"""Which names a port may be called by: whoever can make a browser call us by a name of theirs must not speak to us in its user's place.

A web page may point its own name at 127.0.0.1 once it is loaded (DNS rebinding), and is then of one origin with what listens there;
it may as well send a call to `localhost` from where it stands. The first shows in `Host`, the second in `Origin`. A page's name must be
one that others look up in public DNS: an address, a name without a dot, and one under a domain that is private by its definition are none.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from proxy.document import Faults

_NAME = re.compile(r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<name>\[[^\]]*\]|[^:/]*)")
# RFC 6761, RFC 6762, RFC 8375, and ICANN's resolution of 2024-07-29 on .internal; .lan is what home routers use, and is not delegated.
_PRIVATE = (".localhost", ".test", ".local", ".home.arpa", ".internal", ".lan")
_NAMED = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_MOST_KNOWN = 1024


def check_listen(name: str, host: str, port: int, hosts: list[str], faults: Faults) -> None:
    """Add what is wrong with an address to serve on, the section `name`. A value that was at fault may be None."""
    if not 0 <= port <= 65535:
        faults.add(f"{name}.port", "a port is 0 to 65535")
    if not host.strip():
        faults.add(f"{name}.host", "is empty; 127.0.0.1 serves this machine only, 0.0.0.0 every network it is in")
    for index, one in enumerate(hosts or []):
        if not _NAMED.fullmatch(one or ""):
            faults.add(f"{name}.hosts[{index}]", "expected a name as it stands in a URL, without scheme and port: bridge.example.com")


def is_loopback(host: str) -> bool:
    """Whether this machine alone reaches what listens there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def make_check(listening: str, allowed: Iterable[str] = ()) -> Callable[[str | None], bool]:
    """(the value of a `Host` or `Origin` field) → whether it may stand in a request to what listens at `listening`.

    With `allowed` names, those and localhost may, and any address. Without, every name may where other machines can call, for these have
    names that we do not know; on loopback every one but those of public DNS.
    """
    names = frozenset(name.lower().rstrip(".") for name in allowed)
    is_open = not names and not is_loopback(listening)

    @lru_cache(_MOST_KNOWN)
    def check(field: str | None) -> bool:
        if field is None or is_open:
            return True
        found = _NAME.match(field.lower())
        scheme, name = (found["scheme"], found["name"].rstrip(".")) if found else (None, "")
        if scheme not in (None, "http", "https"):  # of a program or an extension that was installed, not of a page
            return True
        if not name or field == "null":  # a page that hides where it is from
            return False
        return name in names or name == "localhost" or _is_address(name) or (not names and ("." not in name or name.endswith(_PRIVATE)))

    return check


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
