"""What VNish lets its owner change: mining, light, settings. Everything that is not documented is refused.

Source: the vendor's OpenAPI descriptions (InputConfig and what it holds; the mining commands have no body).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from simulator.clock import Clock
from simulator.devices.base import DeviceSpec, wallet
from simulator.http_server import Request, Response, json_response
from simulator.physics import Physics, Profile, State

#: Pools of every configuration; those that are not used are empty.
SLOTS = 3
_POOL_KEYS = {"url", "user", "pass"}
#: Least duty of the fans, percent, and the range of the target temperature, degC (/model tells them).
LEAST_DUTY = 10
TARGETS = (20, 90)


class Controlled(Protocol):
    """The device as its control sees it."""

    spec: DeviceSpec
    clock: Clock
    physics: Physics
    profile: Profile

    def accept(self, what: str) -> bool: ...

    def write(self, what: str) -> None: ...

    def forget_rendered(self) -> None: ...


class _Undocumented(ValueError):
    """The body of a request is none that the API describes."""


class VnishControl:
    """The settings of one device, and the requests that change them or the mining. `newer` is 1.3."""

    def __init__(self, device: Controlled, *, newer: bool) -> None:
        self._device = device
        self._newer = newer
        self.light = False
        self.preset = device.physics.mode
        self.cooling: dict[str, Any] = {"name": "auto", "param": round(device.profile.chip_target)}
        user = f"{wallet(device.spec.seed)}.rack"
        places = ("pool.example.com:3333", "backup.example.com:3334")
        self.pools: list[dict[str, str]] = [{"url": place, "user": user, "pass": "secret"} for place in places]
        self.pools.append({"url": "", "user": "", "pass": ""})
        self._requests: dict[str, Callable[[Request], Response]] = {
            **{f"/mining/{word}": self._mining for word in ("restart", "start", "stop", "resume", "pause")},
            "/find-miner": self._find,
            "/settings": self._settings,
        }
        if newer:
            self._requests["/locate-miner"] = self._locate

    @property
    def paths(self) -> frozenset[str]:
        """The paths below /api/v1 that take a POST."""
        return frozenset(self._requests)

    def post(self, path: str, request: Request) -> Response:
        """Carry out a signed request, if it is a documented one."""
        try:
            if request.body and request.headers.get("content-type") != "application/json":
                raise _Undocumented("Content type error")
            return self._requests[path](request)
        except _Undocumented as fault:
            self._device.write(f"POST {request.path}")
            return json_response({"err": str(fault)}, 400)

    def miner_settings(self) -> dict[str, Any]:
        """The `miner` block of /settings."""
        clock = {"volt": 1380, "freq": 545}
        return {
            "cooling": {"mode": dict(self.cooling)},
            "overclock": {"modded_psu": False, "preset": self.preset, "globals": clock},
            "pools": [dict(pool) for pool in self.pools],
        }

    def with_fans(self, state: State) -> State:
        """`state` with the fans at the speed they are set to; one that stands still stays so."""
        if self.cooling["name"] != "manual":
            return state
        duty = self.cooling["param"] / 100.0
        speed = round(self._device.profile.fan_max * duty / 10.0) * 10.0
        return replace(state, duty=duty, fans=tuple(speed if fan else 0.0 for fan in state.fans))

    # Requests -------------------------------------------------------------------------------------------------

    def _mining(self, request: Request) -> Response:
        if request.body:
            raise _Undocumented("the mining commands have no body")
        word = request.path.rpartition("/")[2]
        acts = self._device.accept(f"POST {request.path}")
        now, physics = self._now(), self._device.physics
        if physics.at(now).state == "fault" or (word in ("pause", "resume") and physics.paused):
            return json_response({"err": "CGMiner err: Connection refused (os error 111)"}, 500)
        if acts:
            (physics.pause if word in ("stop", "pause") else physics.resume)(now)
            self._device.forget_rendered()
        return json_response({"success": True})

    def _find(self, request: Request) -> Response:
        wanted = _only_flag(request, "on")
        # 1.2 toggles, whatever it is told.
        return self._light(request, wanted if self._newer else not self.light, "on")

    def _locate(self, request: Request) -> Response:
        return self._light(request, _only_flag(request, "is_enabled"), "is_enabled")

    def _light(self, request: Request, wanted: bool, key: str) -> Response:
        if self._device.accept(f"POST {request.path} {request.body.decode()}"):
            self.light = wanted
        return json_response({key: self.light})

    def _settings(self, request: Request) -> Response:
        body = _object(request)
        miner = body.get("miner")
        if set(body) != {"miner"} or not isinstance(miner, dict) or not miner:
            raise _Undocumented("Json deserialize error: expected miner")
        known = {"overclock": self._read_overclock, "pools": _read_pools, "cooling": _read_cooling}
        if not set(miner) <= set(known):
            raise _Undocumented("Json deserialize error: unknown field")
        found = {part: known[part](value) for part, value in miner.items()}
        if self._device.accept(f"POST {request.path} {json.dumps(_masked(body))}"):
            self._apply(found)
        return json_response({"restart_required": False, "reboot_required": False})

    def _apply(self, found: dict[str, Any]) -> None:
        if "overclock" in found:
            self.preset = found["overclock"]
            self._device.physics.set_mode(self.preset, self._now())
        self.pools = found.get("pools", self.pools)
        self.cooling = found.get("cooling", self.cooling)
        self._device.forget_rendered()

    def _read_overclock(self, value: Any) -> str:
        if not isinstance(value, dict) or set(value) != {"preset"} or value["preset"] not in self._device.profile.modes:
            raise _Undocumented("Json deserialize error: overclock")
        return str(value["preset"])

    def _now(self) -> float:
        return float(int(self._device.clock.now()))


def _object(request: Request) -> dict[str, Any]:
    try:
        body = request.json()
    except ValueError as error:
        raise _Undocumented("Json deserialize error") from error
    if not isinstance(body, dict):
        raise _Undocumented("Json deserialize error: expected an object")
    return body


def _only_flag(request: Request, key: str) -> bool:
    body = _object(request)
    value = body.get(key)
    if set(body) != {key} or not isinstance(value, bool):
        raise _Undocumented(f"Json deserialize error: expected {key}")
    return value


def _read_pools(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list) or len(value) != SLOTS:
        raise _Undocumented("Json deserialize error: pools")
    for pool in value:
        right = isinstance(pool, dict) and set(pool) == _POOL_KEYS and all(isinstance(v, str) for v in pool.values())
        if not right or "://" in pool["url"]:
            raise _Undocumented("Json deserialize error: pool")
    return value


def _read_cooling(value: Any) -> dict[str, Any]:
    mode = value.get("mode") if isinstance(value, dict) and set(value) == {"mode"} else None
    if not isinstance(mode, dict) or set(mode) != {"name", "param"} or type(mode["param"]) is not int:
        raise _Undocumented("Json deserialize error: cooling")
    least, most = {"manual": (LEAST_DUTY, 100), "auto": TARGETS}.get(mode["name"], (1, 0))
    if not least <= mode["param"] <= most:
        raise _Undocumented("Json deserialize error: cooling mode")
    return mode


def _masked(body: dict[str, Any]) -> dict[str, Any]:
    miner = dict(body["miner"])
    if "pools" in miner:
        miner["pools"] = [pool | {"pass": "***" if pool["pass"] else ""} for pool in miner["pools"]]
    return {"miner": miner}
