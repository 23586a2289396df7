"""What a simulated NerdQAxe takes in PATCH /api/system, and its one-time password.

After handler_system.cpp and http_utils.cpp of ESP-Miner-NerdQAxePlus: a value of another type than the firmware's own
is ignored silently, flags are JSON booleans, numbers are whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Release = tuple[int, int, int]

_NEVER: Release = (99, 0, 0)
_ALWAYS: Release = (0, 0, 0)
_FAILURES, _WITHIN_SECONDS, _BLOCK_SECONDS = 5, 60.0, 300.0

_KEYS: Mapping[str, tuple[Release, Release, type]] = {
    "frequency": (_ALWAYS, _NEVER, int),
    "coreVoltage": (_ALWAYS, _NEVER, int),
    "fanspeed": (_ALWAYS, (1, 0, 35), int),
    "manualFanSpeed": ((1, 0, 35), _NEVER, int),
    **{
        f"{prefix}{name}": (since, _NEVER, kind)
        for prefix in ("stratum", "fallbackStratum")
        for name, since, kind in (
            ("URL", _ALWAYS, str),
            ("Port", _ALWAYS, int),
            ("User", _ALWAYS, str),
            ("Password", _ALWAYS, str),
            ("TLS", (1, 0, 36), bool),
            ("Protocol", (1, 0, 38), int),
        )
    },
}


class NerdQAxeSettings:
    """Fan and pools of one board; `passwords` by slot are for tests to look at, the device never tells them."""

    def __init__(self, release: Release, user: str) -> None:
        self.release = release
        self.fan_mode = 2 if release >= (1, 0, 30) else 1
        self.manual_fan = 100
        self.passwords = {0: "x", 1: "x"}
        self.pools: dict[str, Any] = {
            "stratumURL": "pool.example.com",
            "stratumPort": 3333,
            "stratumUser": user,
            "fallbackStratumURL": "backup.example.com",
            "fallbackStratumPort": 3334,
            "fallbackStratumUser": user,
        }
        if release >= (1, 0, 36):
            self.pools |= {"stratumTLS": False, "fallbackStratumTLS": False}
        if release >= (1, 0, 38):
            self.pools |= {"stratumProtocol": 0, "fallbackStratumProtocol": 0}

    def ignored(self, body: Mapping[str, Any]) -> list[str]:
        """The keys that this release does not know or whose value has a type that it does not read."""
        return sorted(key for key, value in body.items() if not self._reads(key, value))

    def _reads(self, key: str, value: Any) -> bool:
        if key == "autofanspeed":
            flag = self.release < (1, 0, 30)
            return isinstance(value, bool) if flag else type(value) is int and 0 <= value <= 2
        since, until, kind = _KEYS.get(key, (_NEVER, _NEVER, int))
        if not since <= self.release < until or type(value) is not kind:
            return False
        return not isinstance(value, int) or 0 <= value <= 65535

    def take(self, body: Mapping[str, Any]) -> None:
        """Store fan and pools."""
        if "autofanspeed" in body:
            self.fan_mode = int(body["autofanspeed"])
        self.manual_fan = body.get("manualFanSpeed", body.get("fanspeed", self.manual_fan))
        for slot, key in enumerate(("stratumPassword", "fallbackStratumPassword")):
            self.passwords[slot] = body.get(key, self.passwords[slot])
        self.pools |= {key: body[key] for key in self.pools if key in body}


class OneTimePassword:
    """The gate before changes; nobody here knows the right password. Every refusal counts towards the lock-out."""

    def __init__(self) -> None:
        self.enabled = False
        self.refusals: list[float] = []
        self._blocked_until = 0.0

    def refusal(self, now: float) -> str | None:
        """Why a change is refused at `now`; None where it is not."""
        if not self.enabled:
            return None
        self.refusals.append(now)
        if now < self._blocked_until:
            return "blocked for 5 minutes"
        if sum(1 for one in self.refusals if now - one < _WITHIN_SECONDS) >= _FAILURES:
            self._blocked_until = now + _BLOCK_SECONDS
        return "OTP/Session required"
