"""A process that holds one evaluator of somebody else's: samples come in on a pipe, verdicts go out.

    python -m evaluators.host package.module:function

Whatever such an evaluator does (never end, eat memory, exit) it does here. Each message is its length in four bytes (big-endian) and
MessagePack; the answer to a sample is a verdict, nil, or a text that says what went wrong.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from evaluators.catalog import Judge, find
from evaluators.sample import Sample
from evaluators.verdict import Verdict

MOST_BYTES = 2 * 1024 * 1024 * 1024  # of address space
HEAD_BYTES = 4
_LOOK_S = 1.0
_decode = msgspec.msgpack.Decoder(Sample).decode
_encode = msgspec.msgpack.Encoder().encode


def pack(message: object) -> bytes:
    """A message as it goes over the pipe."""
    body = _encode(message)
    return len(body).to_bytes(HEAD_BYTES, "big") + body


def serve(judge: Judge, source: BinaryIO, sink: BinaryIO) -> None:
    """Judge what comes until it ends."""
    while head := source.read(HEAD_BYTES):
        sample = _decode(source.read(int.from_bytes(head, "big")))
        sink.write(pack(ask(judge, sample)))
        sink.flush()


def ask(judge: Judge, sample: Sample) -> Verdict | str | None:
    """A verdict; a text where the evaluator fails."""
    try:
        verdict = judge(sample)
    except Exception as error:  # the guard around what others wrote; whoever asked counts it
        return f"it raised {type(error).__name__}"
    return verdict if verdict is None or isinstance(verdict, Verdict) else "it gave something else than a verdict"


def outlive_nobody(wait: Callable[[float], None] = time.sleep, leave: Callable[[int], None] = os._exit) -> None:
    """End with whoever started this, also in the middle of a judgement that does not end."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            wait(_LOOK_S)
        leave(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def main() -> None:
    """What the evaluator prints goes to the error stream: the other one is the pipe."""
    outlive_nobody()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as sink:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        try:
            judge = find(sys.argv[1])
        except ValueError as error:
            sys.exit(str(error))
        serve(judge, sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
