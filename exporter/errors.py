"""One tree of errors. Each class that can end a poll carries the ``reason`` it is counted under on /metrics.

``FlockwatchError``
    ``UsageError``: the person at the keyboard can mend it; one line, exit status 2
        ``ConfigError``: targets.yml, with file, line and key
        ``StoreError``: the database file
        ``FieldError``: one field of what a person sent, with its name
        ``UnknownError``: nothing has the id or the name
        ``TakenError``: the name, MAC or address is another's
        ``ForbiddenError``: understood, and not allowed here
        ``NotOfferedError``: the miner does not offer the command
    ``UnavailableError``: the engine is stopping or did not answer in time
    ``MinerError``: one miner's trouble, never anybody else's
        ``RequestTimeoutError`` (timeout), ``ConnectionRefused`` (refused), ``Unreachable`` (unreachable),
        ``AuthError`` (auth) with ``NoChallenge`` and ``LockedOut``, ``ProtocolError`` (protocol),
        ``DecodeError`` (decode), ``TooLarge`` (too_large), ``Unsupported`` (unsupported), ``InternalError`` (internal)
    ``DriverRejected``: a driver file that cannot be used
"""

from __future__ import annotations

from typing import ClassVar, Final

REASONS: Final = (
    "timeout",
    "refused",
    "unreachable",
    "auth",
    "protocol",
    "decode",
    "too_large",
    "unsupported",
    "internal",
)


class FlockwatchError(Exception):
    """Base of everything this program raises on purpose."""


class UsageError(FlockwatchError):
    """Something the operator can mend. The message is one clear line with the remedy; the exit status is 2."""


class ConfigError(UsageError):
    """A fault in targets.yml or an environment variable; the message names file, line and key."""


class StoreError(UsageError):
    """The database cannot be opened, read or written."""


class FieldError(UsageError):
    """One field of what a person sent cannot be used. `field` is its name in the API."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class UnknownError(UsageError):
    """Nothing has this id or name."""


class TakenError(UsageError):
    """Another one has this name, MAC or address already. `field` is its name in the API, None where it has none."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class ChangedError(TakenError):
    """Somebody else has changed it since it was read; nothing was done."""


class ForbiddenError(UsageError):
    """Understood, and not allowed by the configuration or the one who asks."""


class NotOfferedError(UsageError):
    """The miner does not offer the command. `offered` names those it does offer."""

    def __init__(self, message: str, offered: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.offered = offered


class UnavailableError(FlockwatchError):
    """The engine is stopping or did not answer in time; asking again later may help."""


class DriverRejected(FlockwatchError):
    """A driver file that is not used; the message says why."""


class MinerError(FlockwatchError):
    """A failed exchange with one miner."""

    reason: ClassVar[str] = "internal"
    #: True where asking again at once may help (one retry inside the interval).
    transient: ClassVar[bool] = False


class RequestTimeoutError(MinerError):
    reason = "timeout"
    transient = True


class ConnectionRefused(MinerError):
    reason = "refused"
    transient = True


class Unreachable(MinerError):
    reason = "unreachable"
    transient = True


class AuthError(MinerError):
    """The device wants a (different) password or key. Retries stop until it is changed: devices lock out."""

    reason = "auth"


class NoChallenge(AuthError):
    """The device wants a sign-in and does not say how, or in a way that is not known: it has judged no password."""


class LockedOut(AuthError):
    """The device refuses any sign-in for a while.

    Attributes:
        retry_after: seconds until the device may be asked again, None where it does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProtocolError(MinerError):
    """The bytes break the transport protocol (HTTP, CGMiner framing), or the status code is not a success."""

    reason = "protocol"
    transient = True


class DecodeError(MinerError):
    """The answer arrived whole but does not hold what its protocol says. The message names the key."""

    reason = "decode"


class TooLarge(MinerError):
    """The answer is longer than any honest one."""

    reason = "too_large"


class Unsupported(MinerError):
    """The device refuses the command or lacks the path."""

    reason = "unsupported"


class InternalError(MinerError):
    """A fault of ours or of a driver."""

    reason = "internal"
