"""The sample socket: the local datagram socket on which the control plane receives what the data plane tells it.

Whoever starts the planes binds it and passes it on, so that what is sent while no control plane listens yet waits in it, as far as the system
queues datagrams (net.unix.max_dgram_qlen), and is not dropped.
"""

from __future__ import annotations

import socket
from pathlib import Path

_RECEIVE_BUFFER = 4 * 1024 * 1024


def bind(path: Path) -> socket.socket:
    """A datagram socket at `path`; one that a dead process left there is removed."""
    path.unlink(missing_ok=True)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        receiver.bind(str(path))
        path.chmod(0o600)
    except OSError:
        receiver.close()
        raise
    return receiver
