"""The log: lines to stderr, written by a thread of their own, so that nothing waits for whoever reads them.

Where the pipe is full and nobody reads it, lines are kept up to a bound and then dropped; the next one that is written says how many
were. Where it is closed, all are. `logging` itself would block the event loop in the one case and print tracebacks in the other.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType

from proxy.redact import Redactor

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_MOST_LINES = 1000
log = logging.getLogger("weighbridge")
_LAST_S = 0.5  # how long the end of the process waits for the lines to be written


class LogPipe(logging.Handler):
    """Writes lines to a file descriptor, from a thread, and takes secrets out of them there: after all that could put one in."""

    def __init__(self, descriptor: int = 2, most_lines: int = _MOST_LINES) -> None:
        super().__init__()
        self.dropped = 0
        self.redact: Callable[[str], str] = Redactor()
        self._descriptor = descriptor
        self._most_lines = most_lines
        self._lines: deque[str] = deque()
        self._wake = threading.Condition()
        self._is_ending = False
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)  # it may hang for good in a full pipe
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # it takes none: SIGHUP would end the process
        self._thread.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line; never waits for its being written."""
        try:
            line = self.format(record) + "\n"
        except (TypeError, ValueError, KeyError):  # a line with wrong arguments is a defect, and no reason for another
            line = f"{record.levelname} {record.name}: {record.msg}\n"
        with self._wake:
            if len(self._lines) >= self._most_lines:
                self.dropped += 1
                return
            if self.dropped:
                line, self.dropped = f"{line}{self.dropped} lines before this one were dropped: nobody read them\n", 0
            self._lines.append(line)
            self._wake.notify()

    def close(self) -> None:
        """Let the thread write what it has, for a moment."""
        with self._wake:
            self._is_ending = True
            self._wake.notify()
        self._thread.join(_LAST_S)
        super().close()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._lines and not self._is_ending:
                    self._wake.wait()
                if not self._lines:
                    return
                line = self._lines.popleft()
            data = self.redact(line).encode("utf-8", "backslashreplace")
            with contextlib.suppress(OSError):  # nobody will ever read it
                while data:
                    data = data[os.write(self._descriptor, data) :]


def open_log() -> None:
    """Send the lines of this process, from INFO upwards, to stderr."""
    pipe = LogPipe()
    pipe.setFormatter(logging.Formatter(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[pipe])
    sys.excepthook = _tell_end
    threading.excepthook = _tell_end_of_thread  # Python's own two write to stderr past the pipe
    sys.unraisablehook = _tell_unraisable


def _tell_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The last words of a process, which would hang in a full pipe as well, and never be started again."""
    log.critical("the process ends by a defect", exc_info=(kind, error, trace))


def _tell_end_of_thread(end: threading.ExceptHookArgs) -> None:
    if end.exc_value is not None:
        log.critical("a thread ends by a defect", exc_info=(end.exc_type, end.exc_value, end.exc_traceback))


def _tell_unraisable(defect: sys.UnraisableHookArgs) -> None:
    if defect.exc_value is not None:
        log.error("a defect where none can be raised", exc_info=(defect.exc_type, defect.exc_value, defect.exc_traceback))


def redact_log(redact: Callable[[str], str]) -> None:
    """From now on lines pass through `redact`, which knows this process's secrets; until then only well-known shapes go."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogPipe):
            handler.redact = redact
