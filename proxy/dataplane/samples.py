"""The sample socket: content and pulse for the control plane, over a local datagram socket that never blocks.

A full or absent socket drops the datagram and counts it; traffic and accounting know nothing of it.
"""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from proxy.call import Pulse, Sample

_MAX_BYTES = 160 * 1024  # below Linux's default limit of a datagram (net.core.wmem_default, 208 KiB)
_encode = msgspec.msgpack.Encoder().encode


class SampleSender:
    """Sends samples and pulses; `sent` and `dropped` count samples only."""

    def __init__(self, path: Path) -> None:
        self.sent = 0
        self.dropped = 0
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, sample: Sample) -> None:
        """Offer one sample; drop and count it where the socket does not take it at once."""
        if self._send(b"S" + _encode(sample)):
            self.sent += 1
        else:
            self.dropped += 1

    def pulse(self, pulse: Pulse) -> None:
        """Tell the control plane how the data plane is."""
        self._send(b"P" + _encode(pulse))

    def close(self) -> None:
        self._socket.close()

    def _send(self, datagram: bytes) -> bool:
        if len(datagram) > _MAX_BYTES:
            return False
        try:
            self._socket.sendto(datagram, self._path)
        except OSError:
            return False
        return True
