"""An evaluator of somebody else's, asked in a process of its own and given up at its deadline.

What runs in a thread cannot be stopped, so it runs in a process that can: one that is late, dies or writes nonsense is killed, counted, and
started again; after several failures in a row it rests for a while, so that it costs no more than that.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec

from evaluators.host import HEAD_BYTES, pack
from evaluators.sample import Sample
from evaluators.verdict import Verdict

_START_S = 30.0  # more for the first answer of a process: it loads what the evaluator needs
_MOST_ANSWER_BYTES = 65536
_FAILURES = 3
_REST_S = 60.0
_MOST_EXPLANATION = 300
_decode = msgspec.msgpack.Decoder(Verdict | str | None).decode


class NoVerdict(Exception):
    """An evaluator gave none; `reason` is `timeout`, `died`, `raised`, `nonsense` or `resting`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Apart:
    """Belongs to one thread."""

    def __init__(self, name: str, path: str, timeout_s: float, clock: Callable[[], float] = time.monotonic, start_s: float = _START_S) -> None:
        self.name = name
        self._path = path
        self.timeout_s = timeout_s
        self._clock = clock
        self._start_s = start_s
        self._process: subprocess.Popen[bytes] | None = None
        self._is_fresh = True
        self._failures = 0
        self._rests_until = 0.0

    def judge(self, sample: Sample, timeout_s: float | None = None) -> Verdict | None:
        """What it says, in its own time or a given one; whoever gives one lets it rest where it is late. Raises `NoVerdict`."""
        if self._clock() < self._rests_until:
            raise NoVerdict("resting")
        try:
            answer = self._ask(sample, self.timeout_s if timeout_s is None else timeout_s)
        except NoVerdict as error:
            self.close()
            self._failures += timeout_s is None or error.reason != "timeout"
            if self._failures >= _FAILURES:
                self._failures, self._rests_until = 0, self._clock() + _REST_S
            raise
        self._failures = 0
        if isinstance(answer, str):
            raise NoVerdict("raised")
        if answer is None:
            return None
        return Verdict(self.name, answer.label[:40], min(1.0, max(0.0, answer.score)), answer.severity, answer.explanation[:_MOST_EXPLANATION])

    def _ask(self, sample: Sample, timeout_s: float) -> Verdict | str | None:
        process = self._process or self._start()
        deadline = self._clock() + timeout_s + (self._start_s if self._is_fresh else 0.0)
        self._write(process, pack(sample), deadline)
        size = int.from_bytes(self._read(process, HEAD_BYTES, deadline), "big")
        if size > _MOST_ANSWER_BYTES:
            raise NoVerdict("nonsense")
        try:
            answer = _decode(self._read(process, size, deadline))
        except (msgspec.MsgspecError, UnicodeError):
            raise NoVerdict("nonsense") from None
        self._is_fresh = False
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        self._is_fresh = True
        command = [sys.executable, "-m", "evaluators.host", self._path]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        except OSError:
            raise NoVerdict("died") from None
        os.set_blocking(self._process.stdin.fileno(), False)
        return self._process

    def _write(self, process: subprocess.Popen[bytes], message: bytes, deadline: float) -> None:
        left = memoryview(message)
        while left:
            _, ready, _ = select.select([], [process.stdin], [], max(0.0, deadline - self._clock()))
            if not ready:
                raise NoVerdict("timeout")
            try:
                left = left[os.write(process.stdin.fileno(), left) :]
            except BlockingIOError:
                continue
            except OSError:
                raise NoVerdict("died") from None

    def _read(self, process: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
        read = b""
        while len(read) < size:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - self._clock()))
            if not ready:
                raise NoVerdict("timeout")
            piece = os.read(process.stdout.fileno(), size - len(read))
            if not piece:
                raise NoVerdict("died")
            read += piece
        return read

    def close(self) -> None:
        """End its process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
