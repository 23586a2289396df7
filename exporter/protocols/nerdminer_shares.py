"""Shares of one NerdMiner, matched by request number: what was submitted, accepted and rejected. Sans-IO."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from exporter.protocols.nerdminer_events import Method, PoolError, Reply, Sent, Signal

#: `mining.authorize` is the second request of every session (NerdMiner_v2, stratum.cpp).
_AUTHORIZE_ID: Final = 2
#: Stratum's code for a worker the pool does not know.
_UNAUTHORIZED: Final = 24
_MAX_PENDING: Final = 64
_MAX_EVENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class ShareEvent:
    """One share that the pool judged.

    Attributes:
        at: Unix time at which the console told the verdict.
        difficulty: of the share itself, None where its line was not seen.
        reason: the pool's words for a rejection.
    """

    at: float
    difficulty: float | None
    accepted: bool
    reason: str | None = None


class ShareLedger:
    """Counts from when we began to listen; only replies to what was seen to be a submission count."""

    __slots__ = (
        "_authorize_id", "_error", "_events", "_judged", "_orphan", "_others", "_pending", "accepted",
        "difficulty_accepted", "last_accepted", "last_reason", "pool_difficulty", "rejected",
    )  # fmt: skip

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        #: Sum of the difficulties asked for by the pool over the accepted shares; None once one was unknown.
        self.difficulty_accepted: float | None = 0.0
        self.pool_difficulty: float | None = None
        self.last_accepted: float | None = None
        #: The pool's words for the share rejected last.
        self.last_reason: str | None = None
        self._authorize_id: int | None = None
        self._pending: dict[int, float | None] = {}
        self._judged: deque[int] = deque(maxlen=_MAX_PENDING)
        #: Requests that are no submissions.
        self._others: deque[int] = deque(maxlen=_MAX_PENDING)
        #: Difficulty of a share whose submission was not seen: serial consoles lose lines.
        self._orphan: float | None = None
        self._error: str | None = None
        self._events: deque[ShareEvent] = deque(maxlen=_MAX_EVENTS)

    def take(self) -> tuple[ShareEvent, ...]:
        """The shares judged since the last call; the oldest are lost beyond a thousand."""
        events = tuple(self._events)
        self._events.clear()
        return events

    def session_began(self) -> None:
        """A new subscription: request numbers begin anew, open submissions are lost."""
        self._authorize_id = _AUTHORIZE_ID
        self._pending.clear()
        self._judged.clear()
        self._others.clear()
        self._orphan = None
        self._error = None

    def stopped(self) -> None:
        """The board booted or is gone."""
        self.session_began()
        self._authorize_id = None
        self.pool_difficulty = None

    def sent(self, request: Sent) -> None:
        if request.id is None:
            return
        if request.method is Method.AUTHORIZE:
            self._authorize_id = request.id
        elif request.method is Method.SUBMIT:
            if len(self._pending) >= _MAX_PENDING:
                self._pending.pop(next(iter(self._pending)))
            self._pending[request.id] = None
            self._orphan = None
            if request.id in self._judged:
                self._judged.remove(request.id)
        else:
            self._others.append(request.id)

    def share_difficulty(self, difficulty: float) -> None:
        """The line behind a submission: it belongs to the latest one that has none."""
        for number in reversed(self._pending):
            if self._pending[number] is None:
                self._pending[number] = difficulty
                return
        self._orphan = difficulty

    def reply(self, reply: Reply, now: float) -> tuple[Signal, ...]:
        """What a reply means: for the authorisation, for a share, or nothing that is known."""
        self._error = reply.reason
        if reply.id == self._authorize_id:
            self._authorize_id = None
            return (Signal.AUTHORIZE_ACCEPTED if reply.accepted else Signal.AUTHORIZE_REFUSED,)
        if not self._is_share(reply.id):
            return ()
        self._judge(reply.id, now, accepted=reply.accepted, reason=reply.reason)
        if reply.accepted:
            return (Signal.SHARE_ACCEPTED,)
        return (Signal.POOL_ERROR, *_unauthorized(reply.code))

    def error(self, error: PoolError) -> tuple[Signal, ...]:
        """The firmware's own line about an error, printed behind the reply."""
        self._error = error.reason
        return (Signal.POOL_ERROR, *_unauthorized(error.code))

    def refused(self, number: int, now: float) -> None:
        """The firmware's own line about a refused share; counts where the reply was not seen."""
        if number not in self._judged:
            self._judge(number, now, accepted=False, reason=self._error)
        self._error = None

    def _is_share(self, number: int) -> bool:
        """Whether a request was a submission: seen as one, or the next unknown one behind a share's lines."""
        if number in self._pending:
            return True
        return self._orphan is not None and number > _AUTHORIZE_ID and number not in (*self._judged, *self._others)

    def _judge(self, number: int, now: float, *, accepted: bool, reason: str | None) -> None:
        if number in self._pending:
            difficulty = self._pending.pop(number)
        else:
            difficulty, self._orphan = self._orphan, None
        self._judged.append(number)
        self._events.append(ShareEvent(now, difficulty, accepted, None if accepted else reason))
        if not accepted:
            self.rejected += 1
            self.last_reason = reason
            return
        self.accepted += 1
        self.last_accepted = now
        if self.pool_difficulty is None:
            self.difficulty_accepted = None
        elif self.difficulty_accepted is not None:
            self.difficulty_accepted += self.pool_difficulty


def _unauthorized(code: int | None) -> tuple[Signal, ...]:
    return (Signal.AUTHORIZE_REFUSED,) if code == _UNAUTHORIZED else ()
