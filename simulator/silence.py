"""A port that drops connection attempts without an answer, as the address of an absent host does.

Linux drops a SYN when the queue of a listening socket is full and nobody accepts; so we listen with the shortest
queue and fill it ourselves. The client's connect then runs into its own timeout.
"""

from __future__ import annotations

import socket
import time

#: More connections than the shortest queue holds.
_FILLERS = 3
#: Seconds to wait until the queue is full; it takes less than a millisecond.
_PATIENCE = 1.0


class SilentPort:
    """Holds one port silent until `close`."""

    def __init__(self, address: str, port: int) -> None:
        self._sockets: list[socket.socket] = []
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._sockets.append(listener)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(0)
            for _ in range(_FILLERS):
                filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                self._sockets.append(filler)
                filler.setblocking(False)
                filler.connect_ex((address, port))
        except OSError:
            self.close()
            raise

    @property
    def silent(self) -> bool:
        """Whether the queue is full: one of our own attempts is not answered either."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if any(self._unanswered(filler) for filler in self._sockets[1:]):
                return True
        return False

    @staticmethod
    def _unanswered(filler: socket.socket) -> bool:
        try:
            filler.getpeername()
        except OSError:
            return True
        return False

    def close(self) -> None:
        """Give the port free."""
        while self._sockets:
            self._sockets.pop().close()
