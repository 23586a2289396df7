"""VNish (AnthillOS) on Antminers: HTTP API under /api/v1 with unlock tokens and API keys, and a reduced port 4028."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from simulator.chance import mix
from simulator.clock import Clock
from simulator.devices import vnish_documents as documents
from simulator.devices.base import DeviceSpec, token, upper_mac
from simulator.devices.vnish_control import VnishControl
from simulator.devices.vnish_port import VnishPort
from simulator.http_server import HttpPolicy, Request, Response, html_response, json_response
from simulator.physics import Mode, Profile, State

#: A session ends after this many seconds.
TOKEN_SECONDS = 300.0
#: Wrong passwords before the lock, and how long it lasts.
UNLOCK_TRIES = 5
LOCK_SECONDS = 60.0

_KEY = re.compile(r"[0-9a-fA-F]{32}")


def _presets(watts: int, terahash: int, step: int) -> dict[str, Mode]:
    """Presets by the name VNish gives them, the watts; the middle one is the stock level."""
    modes = {"disabled": Mode()}
    for number in range(-4, 4):
        power = watts + number * step
        rate = terahash * (1.0 + 0.9 * number * step / watts)
        modes[str(power)] = Mode(rate / terahash, power / watts, 0.0 if number in (-2, 0) else 30.0)
    return modes


def _antminer(model: str, terahash: int, watts: int, chips: int, megahertz: int, volts: float) -> Profile:
    return Profile(
        model=model,
        hashrate=terahash * 1e12,
        power=float(watts),
        boards=3,
        chips=chips,
        fans=4,
        fan_max=6500.0,
        frequency=megahertz * 1e6,
        core_voltage=volts,
        supply_voltage=volts,
        chip_target=68.0,
        difficulty=131072.0,
        modes=_presets(watts, terahash, 150),
        mode=str(watts),
    )


#: By model key: alias in the API, firmware version, series.
FIRMWARE: Mapping[str, tuple[str, str, str]] = {
    "s19jpro-1.2.6": ("s19jpro", "1.2.6", "x19"),
    "s19-1.2.7": ("s19", "1.2.7", "x19"),
    "s21-1.3.4": ("s21", "1.3.4", "x21"),
}


class Vnish(VnishPort):
    """An Antminer that runs VNish. The password is `admin`."""

    kind = "vnish"
    driver = "vnish"
    make = "Bitmain"
    listens = ("http", "rpc")
    models: ClassVar[Mapping[str, Profile]] = {
        "s19jpro-1.2.6": _antminer("Antminer S19j Pro", 104, 3050, 126, 545, 13.6),
        "s19-1.2.7": _antminer("Antminer S19", 95, 3250, 76, 675, 13.8),
        "s21-1.3.4": _antminer("Antminer S21", 200, 3500, 108, 490, 13.2),
    }
    http_policy = HttpPolicy(server=None, idle_seconds=20.0)

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        self.alias, self.version, self.series = FIRMWARE[spec.model]
        self.v13 = self.version >= "1.3"
        self.title = f"{self.profile.model} (Vnish {self.version})"
        self.password = "admin"  # noqa: S105 - the firmware's well-known first password
        self.keys: dict[str, str] = {}
        self.tokens: dict[str, float] = {}
        self.control = VnishControl(self, newer=self.v13)
        self._failed = 0
        self._locked_until = 0.0

    @property
    def serial(self) -> str | None:
        """The serial in /info."""
        return f"SIM{mix(self.spec.seed, 7) % 10**12:012d}"

    def change_password(self, password: str | None) -> None:
        """Another unlock password; open sessions end."""
        self.password = "admin" if password is None else password
        self.tokens.clear()

    def reboot(self) -> None:
        """Sessions end; API keys stay."""
        super().reboot()
        self.tokens.clear()

    # HTTP -----------------------------------------------------------------------------------------------------

    def http(self, request: Request) -> Response:
        """The pages of the user interface and the API."""
        if not request.path.startswith("/api/v1/"):
            if request.method in ("GET", "HEAD"):
                # The interface is one page that routes by itself.
                return html_response(_INDEX)
            self.write(f"{request.method} {request.path}")
            return _error("Method not allowed", 405)
        path = request.path.removeprefix("/api/v1")
        if request.method == "GET":
            return self._get(path, request)
        if request.method == "POST" and path in ("/unlock", "/apikeys", "/apikeys/delete"):
            return self._post(path, request)
        if request.method == "POST" and path in self.control.paths:
            return self.control.post(path, request) if self._allowed(request) else self._denied()
        self.write(f"{request.method} {request.path}")
        return _error("Not found", 404)

    def _get(self, path: str, request: Request) -> Response:
        state = self.state
        chips = "/boards" if self.v13 else "/chains"
        match path:
            case "/info":
                return self.rendered("info", lambda: json_response(self.info()))
            case "/model":
                return self.rendered("model", lambda: json_response(self.model()))
            case "/status":
                return json_response(self.status_pane(unlocked=self._allowed(request)))
            case "/summary":
                return self.rendered("summary", lambda: json_response(self.summary()))
            case "/perf-summary":
                return json_response(self.perf_summary())
            case "/chains/factory-info":
                return json_response(
                    {"hr_stock": None, "has_pics": None, "psu_model": None, "psu_serial": None, "chains": None}
                )
            case "/autotune/presets":
                return json_response(self.presets()) if self._allowed(request) else self._denied()
            case "/settings":
                return json_response(self.settings()) if self._by_key(request) else self._denied()
            case "/apikeys":
                rows = [{"key": key, "description": text} for key, text in self.keys.items()]
                return json_response(rows) if self._allowed(request) else self._denied()
            case "/auth-check":
                return json_response({}) if self._allowed(request) else self._denied()
        if path == chips:
            return self.rendered(
                "chips",
                lambda: json_response(documents.boards(state(), self.profile, self.physics, self.spec.seed)),
            )
        return _error("Not found", 404)

    def _post(self, path: str, request: Request) -> Response:
        try:
            body = request.json()
        except ValueError:
            return _error("Json deserialize error", 400)
        if not isinstance(body, dict):
            return _error("Json deserialize error", 422)
        if path == "/unlock":
            return self._unlock(body)
        if not self._allowed(request):
            return self._denied()
        key = body.get("key")
        if not isinstance(key, str) or _KEY.fullmatch(key) is None:
            return _error("Json deserialize error: key must be 32 hexadecimal characters", 422)
        if path == "/apikeys/delete":
            if self.keys.pop(key, None) is None:
                return _error("Key not found", 500)
            self.records.keys_deleted += 1
            return Response(200)
        return self._add_key(key, body.get("description"))

    def _add_key(self, key: str, description: Any) -> Response:
        if not isinstance(description, str):
            return _error("Json deserialize error: missing field description", 422)
        known = self.keys.get(key)
        if known == description:
            return json_response({"status": "nochanges"})
        self.keys[key] = description
        if known is not None:
            return json_response({"status": "updated"})
        self.records.keys_created += 1
        return json_response({"status": "inserted"})

    def _unlock(self, body: dict[str, Any]) -> Response:
        now = self.clock.now()
        if now < self._locked_until:
            self.records.failed_unlocks += 1
            return json_response({"unlock_timeout": int(self._locked_until - now) + 1}, 429)
        if not isinstance(body.get("pw"), str):
            return _error("Json deserialize error: missing field pw", 422)
        if body["pw"] != self.password:
            self._failed += 1
            self.records.failed_unlocks += 1
            if self._failed >= UNLOCK_TRIES:
                self._failed = 0
                self._locked_until = now + LOCK_SECONDS
            return json_response({"unlock_timeout": None}, 403)
        self._failed = 0
        self.records.unlocks += 1
        session = token(32, self.spec.seed, self.records.unlocks, int(now * 1e3))
        self.tokens[session] = now + TOKEN_SECONDS
        return json_response({"token": session})

    def _by_key(self, request: Request) -> bool:
        return request.headers.get("x-api-key", "") in self.keys

    def _allowed(self, request: Request) -> bool:
        if self._by_key(request):
            return True
        words = request.headers.get("authorization", "").split()
        session = words[-1] if words else ""
        return self.tokens.get(session, 0.0) > self.clock.now()

    def _denied(self) -> Response:
        self.records.denied += 1
        return Response(401)

    # Documents ------------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """/summary."""
        return documents.summary(
            self.state(),
            self.profile,
            self.spec.seed,
            self.title,
            pools=self.owned_pools(),
            cooling=self.control.cooling,
            v13=self.v13,
        )

    def info(self) -> dict[str, Any]:
        """/info."""
        state = self.state()
        firmware = {
            "fw_name": "Vnish",
            "fw_version": self.version,
            "build_uuid": "00000000-0000-4000-8000-000000000000",
            "build_name": "example",
            "platform": "aml",
            "install_type": "nand",
            "build_time": "2026-01-15 12:00:00",
        }
        network = {
            "mac": upper_mac(self.spec.mac),
            "dhcp": True,
            "ip": self.address,
            "netmask": "255.255.255.0",
            "gateway": "192.0.2.1",
            "dns": ["192.0.2.1"],
            "hostname": "antminer",
        }
        memory = {
            "mem_total": 240000,
            "mem_free": 180000,
            "mem_free_percent": 75,
            "mem_buf": 24000,
            "mem_buf_percent": 10,
        }
        return {
            "miner": self.profile.model,
            "model": self.alias,
            **firmware,
            "algorithm": "sha256d",
            "hr_measure": "GH/s",
            "system": {
                "os": "GNU/Linux",
                "miner_name": self.alias,
                "file_system_version": "",
                **memory,
                "network_status": network,
                "uptime": documents.uptime_text(state.uptime),
            },
            "serial": self.serial,
        }

    def model(self) -> dict[str, Any]:
        """/model."""
        millivolts = round(self.profile.core_voltage * 100)
        overclock: dict[str, Any] = {
            "max_voltage": millivolts + 150,
            "min_voltage": millivolts - 150,
            "default_voltage": millivolts,
            "max_freq": 1000,
            "min_freq": 50,
            "default_freq": round(self.profile.frequency / 1e6),
            "warn_freq": 800,
            "max_voltage_stock_psu": 1500,
        }
        if self.v13:
            overclock |= {"power_metering": True, "max_power_limit": 6000}
        columns = 6
        places = range(self.profile.chips)
        return {
            "full_name": self.profile.model,
            "model": self.alias,
            "algorithm": "sha256d",
            "series": self.series,
            "platform": "aml",
            "install_type": "nand",
            "hr_measure": "GH/s",
            "serial": self.serial,
            "chain": {
                "chips_per_chain": self.profile.chips,
                "chips_per_domain": 3,
                "num_chains": self.profile.boards,
                "topology": {
                    "chips": [list(places[row : row + columns]) for row in range(0, self.profile.chips, columns)],
                    "num_cols": columns,
                    "num_rows": -(-self.profile.chips // columns),
                },
            },
            "cooling": {
                "min_fan_pwm": 10,
                "min_target_temp": 20,
                "max_target_temp": 90,
                "fan_min_count": {"min": 1, "max": 4, "default": 4},
            },
            "overclock": overclock,
        }

    def status_pane(self, *, unlocked: bool) -> dict[str, Any]:
        """/status."""
        return {
            **documents.status(self.state(), throttled=self.v13),
            "find_miner": self.control.light,
            "restart_required": False,
            "reboot_required": False,
            "unlocked": unlocked,
        }

    def preset(self, name: str) -> dict[str, Any]:
        """A preset as the API shows it."""
        mode = self.profile.modes[name]
        terahash = round(self.profile.hashrate * mode.hashrate / 1e12)
        return {
            "name": name,
            "pretty": "Disabled" if name == "disabled" else f"{name} watt ~ {terahash} TH",
            "status": "untuned" if mode.tuning or name == "disabled" else "tuned",
            "modded_psu_required": name != "disabled" and mode.power > 1.1,
        }

    def presets(self) -> list[dict[str, Any]]:
        """/autotune/presets."""
        return [self.preset(name) for name in self.profile.modes]

    def perf_summary(self) -> dict[str, Any]:
        """/perf-summary."""
        switcher: dict[str, Any] = {
            "enabled": False,
            "top_preset": None,
            "decrease_temp": 75,
            "rise_temp": 55,
            "check_time": 300,
            "autochange_top_preset": False,
            "ignore_fan_speed": False,
            "min_preset": None,
        }
        if not self.v13:
            switcher["power_delta"] = 0
        return {"current_preset": self.preset(self.physics.mode), "preset_switcher": switcher}

    def settings(self) -> dict[str, Any]:
        """/settings, which only an API key may read."""
        return {
            "miner": self.control.miner_settings(),
            "ui": {"theme": "auto", "locale": "en", "timezone": "GMT"},
            "regional": {"timezone": {"current": "GMT"}},
            "network": {
                "hostname": "antminer",
                "dhcp": True,
                "ipaddress": self.address,
                "netmask": "255.255.255.0",
                "gateway": "192.0.2.1",
                "dnsservers": ["192.0.2.1"],
            },
        }

    def owned_pools(self) -> list[tuple[str, str]]:
        """Address and user of the pools that are set."""
        return [(pool["url"], pool["user"]) for pool in self.control.pools if pool["url"]]

    def state(self) -> State:
        """The state now, with the fans at the speed they are set to."""
        return self.control.with_fans(super().state())


def _error(message: str, status: int) -> Response:
    return json_response({"err": message}, status)


_INDEX = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="UTF-8"><meta name="firmware" content="AnthillOS">'
    '<title>Firmware</title></head><body><div id="app"></div></body></html>'
)
