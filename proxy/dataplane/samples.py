"""The sample socket: content and pulse for the control plane, over a local datagram socket that never blocks.

Samples go in batches, a few times a second, for every datagram wakes the receiver. A full or absent socket drops the
batch and counts it; traffic and accounting know nothing of it.
"""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from proxy.pulse import Pulse
from proxy.record import Sample
from proxy.reviewed import Held
from proxy.wire import make_outline

_MAX_BYTES = 192 * 1024  # below Linux's default limit of a datagram (net.core.wmem_default, 208 KiB)
_MAX_BATCH_BYTES = 64 * 1024
_MAX_PROMPT_BYTES = 64 * 1024  # of one prompt …
_MAX_OUTLINE_BYTES = 32 * 1024  # of one that is longer
_MAX_KEPT_BYTES = 64 * 1024 * 1024  # … and of those of all running calls
_encode = msgspec.msgpack.Encoder().encode


class SampleSender:
    """Sends samples and pulses; `sent` and `dropped` count samples, `bare` those that go without their prompt."""

    def __init__(self, path: Path) -> None:
        self.sent = 0
        self.dropped = 0
        self.bare = 0
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._kept_bytes = 0

    def keep(self, prompt: bytes) -> bytes | None:
        """What is kept of a prompt while its call runs: its beginning, or nothing where those of all calls are too much. `let_go` ends it."""
        kept = prompt[:_MAX_PROMPT_BYTES]
        if self._kept_bytes + len(kept) > _MAX_KEPT_BYTES:
            self.bare += 1
            return None
        self._kept_bytes += len(kept)
        return kept

    def sketch(self, prompt: bytes) -> tuple[bytes | None, list[str]]:
        """What a prompt that is kept only in part asks of its answer, and what of that is left out; nothing of one that is kept whole."""
        if len(prompt) <= _MAX_PROMPT_BYTES:
            return None, []
        if self._kept_bytes + _MAX_OUTLINE_BYTES > _MAX_KEPT_BYTES:
            return None, ["all"]
        outline, left_out = make_outline(prompt, _MAX_OUTLINE_BYTES)
        self._kept_bytes += len(outline or b"")
        return outline, left_out

    def let_go(self, *kept: bytes | None) -> None:
        """The call is settled."""
        self._kept_bytes -= sum(len(one or b"") for one in kept)

    def send(self, sample: Sample) -> None:
        """Put one sample into the batch; a full batch goes at once."""
        content = _encode(sample)
        if self._batch_bytes + len(content) > _MAX_BATCH_BYTES:
            self.flush()
        self._batch.append(content)
        self._batch_bytes += len(content)

    def flush(self) -> None:
        """Offer the batch; drop and count its samples where the socket does not take it at once."""
        if not self._batch:
            return
        count = len(self._batch)
        if self._send(b"S" + b"".join((b"\xdc", count.to_bytes(2, "big"), *self._batch))):  # a MessagePack array of `count`
            self.sent += count
        else:
            self.dropped += count
        self._batch.clear()
        self._batch_bytes = 0

    def pulse(self, pulse: Pulse) -> None:
        """Tell the control plane how the data plane is."""
        self._send(b"P" + _encode(pulse))

    def tell(self, held: Held) -> None:
        """Tell the control plane of an answer that waits for a reviewer."""
        self._send(b"H" + _encode(held))

    def close(self) -> None:
        self.flush()
        self._socket.close()

    def _send(self, datagram: bytes) -> bool:
        if len(datagram) > _MAX_BYTES:
            return False
        try:
            self._socket.sendto(datagram, self._path)
        except OSError:
            return False
        return True
