"""Virtual keys: which of them a request presents, and whether it lets the call through.

A key stands where SDKs put a provider's key, or in a header of its own (`x-weighbridge-key`), which leaves the provider's key in its
place. Only SHA-256 digests are held; they are compared in constant time. What begins with `wbk_` is ours even where we do not know it,
and never goes to a provider.
"""

from __future__ import annotations

import hmac
import logging
from typing import Literal

import msgspec

from proxy.dataplane.headers import KEY_PREFIX, hash_key
from proxy.errors import Refusal
from proxy.orders import Orders
from proxy.rules import Key, read_moment

log = logging.getLogger("weighbridge.keys")
Auth = Literal["required", "optional", "none"]
_HOW = "Present one where your SDK takes its API key, or in the header x-weighbridge-key; `weighbridge keys issue` makes one."
_INDEX = 16  # hexadecimal digits of the digest that a key is looked up by; the rest is compared in constant time


class _Held(msgspec.Struct, frozen=True, gc=False):
    """A key we know; of one that was issued and revoked, only its digest is left."""

    sha256: bytes
    key: Key | None
    expires_ns: int | None
    is_revoked: bool


class Keys:
    """The keys of the config and those that were issued, and what `auth` demands of a call."""

    def __init__(self, configured: list[Key], auth: Auth, orders: Orders) -> None:
        self._held: dict[str, list[_Held]] = {}
        self.configure(configured, auth, orders)

    def configure(self, configured: list[Key], auth: Auth, orders: Orders) -> None:
        """Take changed keys; calls that are running go on."""
        revoked = set(orders.revoked)
        held = [_hold(key, revoked) for key in (*configured, *orders.keys)]
        named = {one.sha256 for one in held}
        held += [_Held(text, None, None, True) for sha256 in orders.revoked if (text := sha256.encode()) not in named]
        self._held = {}
        for one in held:
            self._held.setdefault(one.sha256[:_INDEX].decode(), []).append(one)
        self._auth = auth

    def find(self, fields: dict[str, str], secret: str | None) -> Key | None:
        """The key that a request presents, in force or not; None with `auth: none`."""
        if self._auth == "none":
            return None
        held = self._look_up(fields.get("x-weighbridge-key") or secret)
        return None if held is None else held.key

    def owns(self, secret: str | None) -> bool:
        """Whether a credential is a virtual key, which no provider may see."""
        return secret is not None and (secret.startswith(KEY_PREFIX) or self._look_up(secret) is not None)

    def admit(self, agents: tuple[str | None, ...], fields: dict[str, str], secret: str | None, now_ns: int) -> bool:
        """Let a call pass, or not. `agents`: what its path and header say who calls; `secret`: its credential.

        Whether one like it passes for as long as these are the keys: not where its own expires. Raises `Refusal` caller_key_absent,
        caller_key_unknown, or caller_bad_request where a key is used in another agent's name.
        """
        if self._auth == "none":
            return True
        own = fields.get("x-weighbridge-key")
        presented = own or secret
        held = self._look_up(presented)
        if held is None:
            self._refuse_unknown(own, presented)
            return True
        if held.is_revoked:
            raise Refusal("caller_key_unknown", "This key was revoked; ask its operator for another one.", _name(held))
        if held.expires_ns is not None and now_ns >= held.expires_ns:
            raise Refusal("caller_key_unknown", "This key has expired; ask its operator for another one.", _name(held))
        bound = held.key.agent if held.key is not None else None
        if bound is not None and any(agent is not None and agent != bound for agent in agents):
            text = "The key belongs to another agent than the path or x-agent-id names; leave the name out, or use that agent's key."
            raise Refusal("caller_bad_request", text)
        return held.expires_ns is None

    def _refuse_unknown(self, own: str | None, presented: str | None) -> None:
        if own or (presented is not None and presented.startswith(KEY_PREFIX)):
            raise Refusal("caller_key_unknown", "This key is not known here: it was issued elsewhere, revoked long ago, or is misspelt.")
        if self._auth == "required":
            text = "The credential of the request is no virtual key, and a call needs one." if presented else "A call needs a virtual key."
            raise Refusal("caller_key_absent", f"{text} {_HOW}")

    def _look_up(self, secret: str | None) -> _Held | None:
        if not secret or not self._held:
            return None
        sha256 = hash_key(secret)
        there = self._held.get(sha256[:_INDEX])
        if there is None:
            return None
        presented = sha256.encode()
        return next((one for one in there if hmac.compare_digest(one.sha256, presented)), None)


def _hold(key: Key, revoked: set[str]) -> _Held:
    expires_ns: int | None = None
    if key.expires is not None:
        try:
            expires_ns = read_moment(key.expires)
        except ValueError:
            log.error("key %s: its time of expiry cannot be read, so it counts as expired", key.name)
            expires_ns = 0
    return _Held(key.sha256.encode(), key, expires_ns, key.sha256 in revoked)


def _name(held: _Held) -> dict | None:
    return None if held.key is None else {"key": held.key.name}
