"""What the web interface of Bitmain's firmware lets its owner change: settings, light, reboot.

Source: captured settings and answers of an S19 and a KS5 Pro. Modern firmware shows its settings under other names
than the settings page writes (`bitmain-work-mode` for `miner-mode`, `bitmain-freq-level` for `freq-level`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Protocol

from simulator.clock import Clock
from simulator.devices.base import DeviceSpec, wallet
from simulator.http_server import Request, Response, json_response
from simulator.physics import Physics, Profile, State

#: How long a reboot takes until something answers again, and until a changed setting lets 4028 answer, seconds.
BOOT_SECONDS = 3.0
RELOAD_SECONDS = 1.0
SLEEP = 1
MODES = (0, SLEEP, 3)
_PAGE = {"pools", "bitmain-fan-ctrl", "bitmain-fan-pwm", "freq-level", "miner-mode"}
_POOL_KEYS = {"url", "user", "pass"}


class Controlled(Protocol):
    """The device as its control sees it."""

    spec: DeviceSpec
    clock: Clock
    physics: Physics
    profile: Profile

    def accept(self, what: str) -> bool: ...

    def write(self, what: str) -> None: ...

    def reboot(self) -> None: ...

    def forget_rendered(self) -> None: ...


class AntminerControl:
    """The settings of one device, and the requests that change them. Older firmware (not `modern`) only reboots."""

    def __init__(self, device: Controlled, *, modern: bool) -> None:
        self._device = device
        self._modern = modern
        self.blinks = False
        self.away_until = 0.0
        self.fan_control, self.fan_duty, self.level = False, "100", "100"
        user = f"{wallet(device.spec.seed)}.ant"
        self.pools: list[dict[str, str]] = [
            {"url": f"stratum+tcp://{name}.example.com:333{3 + number}", "user": user, "pass": "secret"}
            for number, name in enumerate(("pool", "backup", "third"))
        ]

    def work_mode(self) -> int:
        """0 normal, 1 sleeping, 3 low power."""
        return SLEEP if self._device.physics.paused else int(self._device.physics.mode)

    def conf(self) -> dict[str, Any]:
        """get_miner_conf.cgi."""
        return {
            "pools": [dict(pool) for pool in self.pools],
            "api-listen": True,
            "api-network": True,
            "api-groups": "A:stats:pools:devs:summary:version",
            "api-allow": "A:0/0,W:*",
            "bitmain-fan-ctrl": self.fan_control,
            "bitmain-fan-pwm": self.fan_duty,
            "bitmain-use-vil": True,
            "bitmain-freq": str(round(self._device.profile.frequency / 1e6)),
            "bitmain-voltage": "1370",
            "bitmain-work-mode": str(self.work_mode()),
            "bitmain-freq-level": self.level,
        }

    def with_fans(self, state: State) -> State:
        """`state` with the fans at the speed they are set to; one that stands still stays so."""
        if not self.fan_control:
            return state
        duty = int(self.fan_duty) / 100.0
        speed = round(self._device.profile.fan_max * duty / 10.0) * 10.0
        return replace(state, duty=duty, fans=tuple(speed if fan else 0.0 for fan in state.fans))

    def post(self, request: Request) -> Response | None:
        """Carry out a documented write; None (and a record of it) for any other."""
        match request.method, request.path:
            case "POST", "/cgi-bin/reboot.cgi" if not request.body:
                return self._reboot(request)
            case "POST", "/cgi-bin/blink.cgi" if self._modern:
                return self._blink(request)
            case "POST", "/cgi-bin/set_miner_conf.cgi" if self._modern:
                return self._set_conf(request)
        self._device.write(f"{request.method} {request.path}")
        return None

    def _reboot(self, request: Request) -> Response:
        """The connection breaks off, and nothing answers for some seconds."""
        if not self._device.accept(f"POST {request.path}"):
            return json_response({"success": True})
        self.away_until = self._device.clock.now() + BOOT_SECONDS
        self.blinks = False
        self._device.reboot()
        return Response(drop=True)

    def _blink(self, request: Request) -> Response | None:
        body = _json_object(request)
        if body is None or set(body) != {"blink"} or not isinstance(body["blink"], bool):
            self._device.write(f"POST {request.path}")
            return None
        if self._device.accept(f"POST {request.path} {request.body.decode()}"):
            self.blinks = body["blink"]
        return json_response({"code": "B000" if body["blink"] else "B100"})

    def _set_conf(self, request: Request) -> Response:
        body = _json_object(request)
        if body is None or not _is_page(body):
            self._device.write(f"POST {request.path}")
            return json_response({"stats": "error", "code": "M001", "msg": "Invalid configuration"})
        pools = [pool | {"pass": "***" if pool["pass"] else ""} for pool in body["pools"]]
        if self._device.accept(f"POST {request.path} {json.dumps(body | {'pools': pools})}"):
            self._apply(body)
        return json_response({"stats": "success", "code": "M000", "msg": "OK!"})

    def _apply(self, body: dict[str, Any]) -> None:
        """The settings hold, and the mining begins anew."""
        device, now = self._device, float(int(self._device.clock.now()))
        self.pools = body["pools"]
        self.fan_control, self.fan_duty, self.level = (
            body[key] for key in ("bitmain-fan-ctrl", "bitmain-fan-pwm", "freq-level")
        )
        if body["miner-mode"] == SLEEP:
            device.physics.pause(now)
        else:
            device.physics.set_mode(str(body["miner-mode"]), now)
            device.physics.resume(now)
        self.away_until = device.clock.now() + RELOAD_SECONDS
        device.forget_rendered()


def _json_object(request: Request) -> dict[str, Any] | None:
    try:
        body = request.json()
    except ValueError:
        return None
    right = isinstance(body, dict) and request.headers.get("content-type") == "application/json"
    return body if right else None


def _is_page(body: dict[str, Any]) -> bool:
    """Whether this is what the settings page sends; the other name of the mode may stand beside it, with its value."""
    if not _PAGE <= set(body) <= _PAGE | {"bitmain-work-mode"}:
        return False
    mode, pools = body["miner-mode"], body["pools"]
    return (
        type(mode) is int
        and mode in MODES
        and body.get("bitmain-work-mode", mode) == mode
        and isinstance(body["bitmain-fan-ctrl"], bool)
        and all(isinstance(body[key], str) and body[key].isdigit() for key in ("bitmain-fan-pwm", "freq-level"))
        and int(body["bitmain-fan-pwm"]) <= 100
        and isinstance(pools, list)
        and len(pools) == 3
        and all(
            isinstance(pool, dict) and set(pool) == _POOL_KEYS and all(isinstance(text, str) for text in pool.values())
            for pool in pools
        )
    )
