"""Receives samples and pulses from the data plane over a local datagram socket.

One thread does nothing but receive, since the system queues only a handful of datagrams; what it cannot hand on at once is
dropped and counted. A datagram is one byte of kind and MessagePack: `S` an array of samples, `P` a pulse, `H` an answer that is held.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec

from proxy.pulse import Pulse
from proxy.record import Sample
from proxy.reviewed import Held

log = logging.getLogger("weighbridge.samples")
_MOST_BYTES = 256 * 1024
_WAIT_S = 0.5
_LAGS = 60  # pulses, one a second
_decode_samples = msgspec.msgpack.Decoder(list[Sample]).decode
_decode_pulse = msgspec.msgpack.Decoder(Pulse).decode
_decode_held = msgspec.msgpack.Decoder(Held).decode
_MOST_HELD = 1000


class SampleReceiver:
    """Puts batches of samples into `samples` and `inspected` (both bounded) and keeps the last pulse."""

    def __init__(self, receiver: socket.socket, most: int = 50, clock: Callable[[], float] = time.monotonic) -> None:
        self.samples: queue.Queue[list[Sample]] = queue.Queue(most)
        self.inspected: queue.Queue[list[Sample]] = queue.Queue(most)  # the same, where evaluators are to see them
        self.held: queue.Queue[Held] = queue.Queue(_MOST_HELD)  # what does not fit is told again
        self.pulse: Pulse | None = None
        self.received = 0
        self.dropped = 0
        self.uninspected = 0  # dropped because the inspector was behind
        self.malformed = 0
        self._pulse_at = 0.0
        self._lags_ns: deque[int] = deque(maxlen=_LAGS)
        self._socket = receiver
        self._clock = clock

    @property
    def pulse_age_s(self) -> float | None:
        """Seconds since the last pulse; None if there was none."""
        return None if self.pulse is None else self._clock() - self._pulse_at

    @property
    def worst_lag_ns(self) -> int:
        """The longest pause of the data plane's event loop that the pulses of the last minute told of."""
        return max(self._lags_ns, default=0)

    def run(self, stopping: threading.Event) -> None:
        """Receive until told to stop."""
        self._socket.settimeout(_WAIT_S)
        while not stopping.is_set():
            try:
                datagram = self._socket.recv(_MOST_BYTES)
            except TimeoutError:
                continue
            self.take(datagram)
        self._socket.close()

    def take(self, datagram: bytes) -> None:
        """Take in one datagram."""
        try:
            if datagram[:1] == b"P":
                self.pulse = _decode_pulse(datagram[1:])
                self._pulse_at = self._clock()
                self._lags_ns.append(self.pulse.loop_lag_ns)
                return
            if datagram[:1] == b"H":
                held = _decode_held(datagram[1:])
                if not self.held.full():
                    self.held.put_nowait(held)
                return
            if datagram[:1] != b"S":
                raise msgspec.DecodeError("neither a sample nor a pulse")
            samples = _decode_samples(datagram[1:])
        except (msgspec.MsgspecError, UnicodeError):
            self.malformed += 1
            return
        self.received += len(samples)
        try:
            self.samples.put_nowait(samples)
        except queue.Full:
            self.dropped += len(samples)
        if chosen := [sample for sample in samples if sample.is_inspected]:
            try:
                self.inspected.put_nowait(chosen)
            except queue.Full:
                self.uninspected += len(chosen)
