"""What is known of one miner between its polls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from exporter.model import Identity, Reading

#: A device that refuses sign-ins without saying for how long is left in peace for this long.
LOCK_SECONDS: Final = 600.0


@dataclass(slots=True)
class PollState:
    """What the poller knows of one miner between polls.

    Attributes:
        reason: of the last poll's failure, None after a success.
        blocked_until: `time.monotonic()` before which it is not polled.
        locked_until: the same for sign-ins only.
        away_until: `time.monotonic()` until which a person's command explains that it does not answer.
    """

    identity: Identity
    details: dict[str, str]
    status: Reading | None = None
    telemetry: Reading | None = None
    telemetry_at: float = 0.0
    telemetry_due: float = 0.0
    up: bool | None = None
    failures: int = 0
    reason: str | None = None
    errors: dict[str, int] = field(default_factory=dict)
    last_success: float | None = None
    last_error: str | None = None
    duration: float | None = None
    expires_at: float = 0.0
    verify_identity: bool = True
    auth_failed: bool = False
    blocked_until: float = 0.0
    locked_until: float = 0.0
    away_until: float = 0.0
