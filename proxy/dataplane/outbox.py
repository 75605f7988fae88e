"""The outbox: what one turn of the event loop wants to write, written at its end: the journal first, then the sockets.

So one write of the journal serves all calls of a turn, and still every line is on file before the bytes it speaks of
leave: an opened call before its request goes upstream, a settled one before the caller sees the end of its answer.
Sockets that are written to one after the other also wake their readers once and not each time.
"""

from __future__ import annotations

import asyncio

from proxy.dataplane.journal import JournalWriter


class Outbox:
    """Collects journal lines and socket actions of a turn. One per event loop."""

    def __init__(self, journal: JournalWriter) -> None:
        self._journal = journal
        self._actions: list[tuple[asyncio.Transport, bytes | None]] = []
        self._armed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def send(self, transport: asyncio.Transport | None, data: bytes) -> None:
        """Write bytes to a socket at the end of this turn; at once where nothing has to go before them."""
        if transport is None:
            return
        if not self._actions and not self._journal.has_pending:
            if not transport.is_closing():
                transport.write(data)
        else:
            self._actions.append((transport, data))
            if not self._armed:
                self.arm()

    def close(self, transport: asyncio.Transport | None) -> None:
        """Close a socket in order, behind what is still to be sent to it."""
        if transport is not None:
            self._actions.append((transport, None))
            if not self._armed:
                self.arm()

    def arm(self) -> None:
        """See to it that the turn's end is noticed."""
        if not self._armed:
            self._armed = True
            if self._loop is None:
                self._loop = asyncio.get_running_loop()  # which asks the kernel for the process's id, each time
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write the journal, then the sockets, in order."""
        self._armed = False
        self._journal.flush()
        actions, self._actions = self._actions, []
        for transport, data in actions:
            if data is None:
                transport.close()
            elif not transport.is_closing():
                transport.write(data)
