"""The wire formats: what a request asks and what its answer holds, read from bytes; of a request a budget may change one number or name.

    recognise   method and path → `Kind`
    read_ask    request body → `Ask`; `leave_unread` where the body is not read
    UNBOUNDED, makes_output   why a call's cost may have no bound; whether its output is billed at all
    cap_output, change_model   request body → the same with a maximum of output, or for another model
    repeats_keys   whether a body may be read in two ways
    open_reader response pieces → `Reading`; a `WatchedReader` also knows how to end a stream
    make_failure   the event that ends a stream with an error of ours
    choose_parser   the framing of a stream's events; None where an answer is no stream
    offends     a request body and the tool calls of its answer → whether these surely go against what was offered
    make_outline   a long request body → what it asks of its answer, without the conversation
    open_socket_reader, FrameTap, agree_deflate   bytes of a WebSocket → messages → `Began`, `Ended`
    decoder     a bounded, incremental decoder of a compressed copy
    read_limits, request_id   what response headers say

To add a format: one module with a class like `chat.ChatForm`, one entry in `reader.FORMS`, captured exchanges in the tests.
"""

from proxy.wire.arguments import offends
from proxy.wire.ask import leave_unread, read_ask
from proxy.wire.decoding import decoder
from proxy.wire.endings.failures import make_failure
from proxy.wire.limits import read_limits, request_id
from proxy.wire.members import repeats_keys
from proxy.wire.outline import make_outline
from proxy.wire.reader import StreamReader, WatchedReader, choose_parser, open_reader
from proxy.wire.recognise import recognise
from proxy.wire.rewrite import cap_output, change_model
from proxy.wire.sockets import Began, Ended, open_socket_reader, reads_socket
from proxy.wire.unbounded import UNBOUNDED, makes_output
from proxy.wire.websocket import FrameTap, agree_deflate, make_frames

__all__ = [
    "UNBOUNDED",
    "Began",
    "Ended",
    "FrameTap",
    "StreamReader",
    "WatchedReader",
    "agree_deflate",
    "cap_output",
    "change_model",
    "choose_parser",
    "decoder",
    "leave_unread",
    "make_failure",
    "make_frames",
    "make_outline",
    "makes_output",
    "offends",
    "open_reader",
    "open_socket_reader",
    "read_ask",
    "read_limits",
    "reads_socket",
    "recognise",
    "repeats_keys",
    "request_id",
]
