"""WebSockets: after the upgrade, bytes go through untouched both ways, and a copy is read frame by frame.

Many responses may pass on one socket (OpenAI Responses, Realtime). Each is a call of its own, opened when its request
goes up and settled when its end comes down. A socket on which none was seen leaves one record, of itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from proxy.call import Answer, Call, Reading
from proxy.dataplane.edge import Edge
from proxy.dataplane.headers import ResponseHead
from proxy.dataplane.relay import Relay
from proxy.dataplane.upstream import Connection


class Tunnel(Relay):
    """A relay that becomes a tunnel if the upstream agrees to the upgrade; else it relays the refusal like any answer."""

    __slots__ = ("_tunnel", "_client", "_open_call", "_new_id", "_up", "_down", "_session", "_responses")

    def __init__(self, call: Call, edge: Edge, connection: Connection, settle: Callable[[Call], None], open_call: Callable[[Call], None]) -> None:
        super().__init__(call, edge, connection, settle, keep_alive=False, http_1_0=False)
        call.transport = "websocket"
        self._open_call = open_call
        self._tunnel = False

    def head_came(self, head: ResponseHead) -> None:
        super().head_came(head)
        if head.framing == "tunnel":
            self._tunnel = True
