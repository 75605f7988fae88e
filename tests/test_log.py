"""The log's pipe: whoever logs never waits, and what could not be written is counted."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.log import LogPipe
from proxy.redact import Redactor


@contextlib.contextmanager
def open_pipe(most_lines: int = 1000) -> Iterator[tuple[int, LogPipe, logging.Logger]]:
    """(what can be read of the log, the handler, a logger that writes to it)."""
    ours, theirs = os.pipe()
    handler, logger = LogPipe(theirs, most_lines), logging.Logger("it")
    logger.addHandler(handler)
    try:
        yield ours, handler, logger
    finally:
        with contextlib.suppress(OSError):
            os.close(ours)
        handler.close()
        handler._thread.join(5)  # a writer that hung in the pipe is freed by its closing
        os.close(theirs)


def test_lines_come_in_order_and_the_last_before_the_end() -> None:
    with open_pipe() as (ours, handler, logger):
        for number in range(5):
            logger.info("line %d \udcff", number)
        handler.close()
        assert os.read(ours, 4096) == b"".join(b"line %d \\udcff\n" % number for number in range(5))


def test_a_full_pipe_holds_nobody_up_and_says_afterwards_what_is_missing() -> None:
    with open_pipe(most_lines=20) as (ours, handler, logger):
        logged, seen = 0, b""
        while handler.dropped < 100:
            logger.info("x" * 99)
            logged += 1
        while handler._lines:
            seen += os.read(ours, 65536)
        logger.info("read again")
        while b"read again\n" not in seen or not seen.endswith(b"nobody read them\n"):
            seen += os.read(ours, 65536)
        told = sum(int(number) for number in re.findall(rb"(\d+) lines before this one were dropped", seen))
        assert seen.count(b"x\n") + told == logged and told >= 100 and handler.dropped == 0


def test_a_closed_pipe_is_no_fault() -> None:
    with open_pipe() as (ours, handler, logger):
        os.close(ours)
        for _ in range(50):
            logger.error("nobody hears it")
        handler.close()
        assert not handler._thread.is_alive() and handler.dropped == 0


def test_a_line_with_wrong_arguments_harms_nobody() -> None:
    with open_pipe() as (ours, handler, logger):
        logger.info("%d items", "no number")
        handler.close()
        assert os.read(ours, 4096) == b"INFO it: %d items\n"


def test_its_thread_takes_no_signal() -> None:
    with open_pipe() as (_, handler, _):
        lines = Path(f"/proc/self/task/{handler._thread.native_id}/status").read_text().splitlines()
        (status,) = [line for line in lines if line.startswith("SigBlk")]
        assert int(status.split()[1], 16) >> (signal.SIGHUP - 1) & 1
        assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize("words", ["raise ValueError('why')", "import sys; sys.exit(3)"])
def test_the_end_of_a_process_is_told_and_not_held_up_by_a_full_pipe(words: str) -> None:
    ours, theirs = os.pipe()
    script = f"import logging; from proxy.log import open_log; open_log()\nfor _ in range(3000): logging.info('x' * 99)\n{words}"
    process = subprocess.Popen([sys.executable, "-c", script], stderr=theirs)
    os.close(theirs)
    try:
        assert process.wait(20) == (3 if "exit" in words else 1)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    done = subprocess.run([sys.executable, "-c", f"from proxy.log import open_log; open_log()\n{words}"], capture_output=True, timeout=20)
    assert (b"CRITICAL weighbridge: the process ends by a defect" in done.stderr and b"ValueError: why" in done.stderr) == ("raise" in words)


def test_secrets_go_from_lines_and_tracebacks_where_they_are_written() -> None:
    with open_pipe() as (ours, handler, logger):
        redact = Redactor(["configured-secret"])
        redact.note(["presented-by-a-caller"])
        handler.redact = redact.redact_line
        try:
            raise ValueError("it holds configured-secret and presented-by-a-caller")
        except ValueError:
            logger.exception("calling with %s failed", "sk-abcdefghijklmnopqrst")
        handler.close()
        told = os.read(ours, 65536)
    assert b"ValueError: it holds [redacted] and [redacted]" in told and b"calling with [redacted] failed" in told


def test_the_defect_of_a_thread_goes_through_the_log() -> None:
    script = "import threading; from proxy.log import open_log; open_log(); t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=20)
    assert b"CRITICAL weighbridge: a thread ends by a defect" in done.stderr and b"ZeroDivisionError" in done.stderr
