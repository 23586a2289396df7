"""The settings of a simulated AxeOS board: what its release takes in PATCH /api/system, and what it tells of them.

After ESP-Miner's settings table and its checks of a pool; unknown keys are what the firmware ignores silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Release = tuple[int, int]
Check = Callable[[Any], bool]

_NEVER: Release = (99, 0)
_POOL_SLOTS = 8
#: Written in place of a password, it keeps the one that is there.
_STARS = "*****"


def _whole(least: int, most: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 65535


def _text(least: int, most: int = 255) -> Check:
    return lambda value: isinstance(value, str) and least <= len(value) <= most


def _flag(value: Any) -> bool:
    return isinstance(value, bool) or value in (0, 1)


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _one_of(*names: str) -> Check:
    return lambda value: value in names


def _pool_keys(prefix: str, since: Release) -> dict[str, tuple[Release, Release, Check]]:
    return {
        f"{prefix}URL": (since, (2, 15), _text(1)),
        f"{prefix}Port": (since, (2, 15), _whole(1, 65535)),
        f"{prefix}User": (since, (2, 15), _text(1)),
        f"{prefix}Password": (since, (2, 15), _text(0)),
        f"{prefix}TLS": ((2, 13), (2, 15), _whole(0, 3)),
        f"{prefix}Protocol": ((2, 14), (2, 15), _one_of("SV1", "SV2")),
    }


#: Key -> the release that has it first, the first one that has it no more, and what it may be.
_KEYS: Mapping[str, tuple[Release, Release, Check]] = {
    "frequency": ((2, 0), _NEVER, _number),
    "coreVoltage": ((2, 0), _NEVER, _whole(1, 65535)),
    "autofanspeed": ((2, 1), _NEVER, _flag),
    "fanspeed": ((2, 1), (2, 11), _whole(0, 100)),
    "manualFanSpeed": ((2, 11), _NEVER, _whole(0, 100)),
    **_pool_keys("stratum", (2, 0)),
    **_pool_keys("fallbackStratum", (2, 3)),
}
_POOL_KEYS: Mapping[str, Check] = {
    "id": _whole(0, _POOL_SLOTS - 1),
    "stratumURL": _text(1),
    "stratumPort": _whole(1, 65535),
    "stratumUser": _text(1),
    "stratumPassword": _text(0),
    "stratumProtocol": _one_of("SV1", "SV2"),
    "stratumSuggestedDifficulty": lambda value: isinstance(value, int | float) and 0 <= value <= 1e18,
    "stratumExtranonceSubscribe": _truth,
    "stratumTLS": _whole(0, 2),
    "stratumCert": _text(0, 3000),
    "stratumDecodeCoinbase": _truth,
    "stratumV2ChannelType": _one_of("standard", "extended"),
    "stratumV2AuthorityPubkey": _text(0, 128),
    "stratumV2RequireAuth": _truth,
}
_NEEDED = ("id", "stratumURL", "stratumPort", "stratumUser")
#: What a key of a pool becomes that is left out.
_DEFAULTS: Mapping[str, Any] = {
    "stratumProtocol": "SV1",
    "stratumSuggestedDifficulty": 0,
    "stratumExtranonceSubscribe": False,
    "stratumTLS": 0,
    "stratumCert": "",
    "stratumDecodeCoinbase": True,
    "stratumV2ChannelType": "extended",
    "stratumV2AuthorityPubkey": "",
    "stratumV2RequireAuth": False,
}


class AxeOsSettings:
    """Fan and pools of one board. `pools` by slot, in the keys of 2.15; slots 0 and 1 are what older releases have.

    `passwords` holds what was stored for each slot, for tests to look at; the device never tells it.
    """

    def __init__(self, release: Release, user: str) -> None:
        self.release = release
        self.auto_fan = True
        self.manual_fan = 100
        #: What a slot has before anybody changed it.
        own = {"stratumUser": user, **_DEFAULTS, "stratumSuggestedDifficulty": 1000}
        self.pools: dict[int, dict[str, Any]] = {
            0: {"stratumURL": "pool.example.com", "stratumPort": 3333, **own},
            1: {"stratumURL": "backup.example.com", "stratumPort": 3334, **own},
        }
        self.passwords = {0: "x", 1: "x"}

    def unknown(self, body: Mapping[str, Any]) -> list[str]:
        """The keys that this release ignores."""
        known = {key for key, (since, until, _) in _KEYS.items() if since <= self.release < until}
        if self.release >= (2, 15):
            known.add("pools")
        return sorted(set(body) - known)

    def fits(self, body: Mapping[str, Any]) -> bool:
        """Whether every value is what the firmware takes."""
        pools = body.get("pools", [])
        flat = all(_KEYS[key][2](value) for key, value in body.items() if key in _KEYS)
        return flat and isinstance(pools, list) and all(_is_pool(pool) for pool in pools)

    def take(self, body: Mapping[str, Any]) -> None:
        """Store fan and pools."""
        self.auto_fan = bool(body.get("autofanspeed", self.auto_fan))
        self.manual_fan = body.get("manualFanSpeed", body.get("fanspeed", self.manual_fan))
        for slot, prefix in enumerate(("stratum", "fallbackStratum")):
            changed = {f"stratum{key[len(prefix) :]}": body[key] for key in body if key.startswith(prefix)}
            if "stratumPassword" in changed:
                self.passwords[slot] = changed.pop("stratumPassword")
            self.pools[slot] |= changed
        for pool in body.get("pools", []):
            given = dict(pool)
            slot = given.pop("id")
            password = given.pop("stratumPassword", "x")
            if password != _STARS:
                self.passwords[slot] = password
            self.pools[slot] = {**_DEFAULTS, **given}

    def told(self) -> dict[str, Any]:
        """The pools in /api/system/info."""
        document: dict[str, Any] = {}
        for slot, prefix in enumerate(("stratum", "fallbackStratum")):
            if slot == 0 or self.release >= (2, 2):
                names = ("URL", "Port", "User")
                document |= {f"{prefix}{name}": self.pools[slot][f"stratum{name}"] for name in names}
        if self.release >= (2, 15):
            document["pools"] = [{"id": slot, **pool} for slot, pool in sorted(self.pools.items())]
        return document


def _is_pool(pool: Any) -> bool:
    if not isinstance(pool, dict) or any(key not in pool for key in _NEEDED):
        return False
    return all(key in _POOL_KEYS and _POOL_KEYS[key](value) for key, value in pool.items())
