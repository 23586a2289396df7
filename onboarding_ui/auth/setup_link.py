"""The one-time link that sets the first password."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from exporter.store.secret import Secret

#: A log is read by more eyes as time goes by; another start makes a new link.
LIFETIME_SECONDS: Final = 24 * 3600.0


class SetupLink:
    """Opens once, to the first who has its token and sets a password. Kept in memory only."""

    def __init__(self, token: Secret | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`token` None: there is no link."""
        self._token = token
        self._clock = clock
        self._until = clock() + LIFETIME_SECONDS
        self._turn = threading.Lock()

    def opens(self, token: str) -> bool:
        """Whether `token` is the right one, not used, and in time. Takes the same time for any wrong one."""
        expected = self._token
        return expected is not None and Secret(token) == expected and self._clock() < self._until

    def use(self, token: str, work: Callable[[], None]) -> bool:
        """Do `work` if the link opens, and end the link. Where `work` raises, the link stays.

        Returns:
            whether it was done; False for all but the first of several at once.
        """
        with self._turn:
            if not self.opens(token):
                return False
            work()
            self._token = None
            return True
