"""NerdAxe and NerdQAxe (ESP-Miner-NerdQAxePlus): AxeOS' path, own fields, 302 to / for everything unknown.

Every handler closes its connection after the answer without saying so, and answers come in chunks
(ESP-Miner-NerdQAxePlus, http_server).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from simulator.chance import between
from simulator.clock import Clock
from simulator.devices.base import DeviceSpec, SimulatedDevice, suffixed, upper_mac, wallet
from simulator.devices.nerdqaxe_settings import NerdQAxeSettings, OneTimePassword
from simulator.devices.writes import is_bare, json_object, line
from simulator.http_server import HttpPolicy, Request, Response, html_response, json_response, text_response
from simulator.physics import Mode, Profile, State

_MODES = {"normal": Mode(), "eco": Mode(0.8, 0.72)}

#: By model key: chip, small cores, firmware, whether the `stratum` object and numeric difficulties exist.
HARDWARE: Mapping[str, tuple[str, int, str, bool]] = {
    "nerdqaxe++": ("BM1370", 2040, "v1.0.36", True),
    "nerdqaxe+-old": ("BM1368", 1276, "v1.0.27", False),
    "nerdqaxe++-1.0.38": ("BM1370", 2040, "v1.0.38", True),
    "nerdoctaxe": ("BM1370", 2040, "v1.0.36", True),
}


def _nerd(model: str, chips: int, terahash: float, watts: float, megahertz: float, fans: int = 1) -> Profile:
    return Profile(
        model=model,
        hashrate=terahash * 1e12,
        power=watts,
        chips=chips,
        fans=fans,
        fan_max=3200.0,
        frequency=megahertz * 1e6,
        core_voltage=1.15,
        supply_voltage=12.0,
        chip_target=55.0,
        difficulty=4096.0,
        modes=_MODES,
    )


class NerdQAxe(SimulatedDevice):
    """A board of the Nerd*Axe family."""

    kind = "nerdqaxe"
    driver = "nerdqaxe"
    make = "NerdQAxe"
    models: ClassVar[Mapping[str, Profile]] = {
        "nerdqaxe++": _nerd("NerdQAxe++", 4, 4.9, 78.0, 600, 2),
        "nerdqaxe++-1.0.38": _nerd("NerdQAxe++", 4, 4.9, 78.0, 600, 2),
        "nerdqaxe+-old": _nerd("NerdQAxe+", 4, 2.5, 55.0, 490),
        "nerdoctaxe": _nerd("NerdOctaxe-\u03b3", 8, 9.6, 170.0, 600, 2),
    }
    http_policy = HttpPolicy(max_connections=10, chunked=True, silent_close=True, idle_seconds=5.0)

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        self.chip, self.cores, self.version, self.new = HARDWARE[spec.model]
        major, minor, patch = (int(part) for part in self.version.lstrip("v").split("."))
        self.release = (major, minor, patch)
        self.settings = NerdQAxeSettings(self.release, f"{wallet(spec.seed)}.nerd")
        self.otp = OneTimePassword()

    def http(self, request: Request) -> Response:
        """The routes of the firmware; what is unknown is sent to the start page."""
        if self.away:
            return Response(drop=True)
        if request.method == "GET":
            match request.path:
                case "/" | "/index.html":
                    return html_response(_INDEX)
                case "/api/system/info":
                    return self.rendered("info", lambda: json_response(self.info(self.state())))
                case "/api/system/asic" if self.release >= (1, 0, 32):
                    return json_response(self.asic())
            return Response(302, b"Redirect to the captive portal", "text/html", (("Location", "/"),))
        return self._written(request)

    def _written(self, request: Request) -> Response:
        if request.method == "PATCH" and request.path == "/api/system":
            return self._patched(request)
        restarts = (request.method, request.path) == ("POST", "/api/system/restart")
        shuts = (request.method, request.path) == ("POST", "/api/system/shutdown") and self.release >= (1, 0, 36)
        if (restarts or shuts) and is_bare(request):
            # Asked for since there is one, no more since 1.0.38.
            refusal = self.otp.refusal(self.clock.now()) if self.release < (1, 0, 38) else None
            if refusal is not None:
                return text_response(refusal, 401)
            if self.accept(line(request)):
                if restarts:
                    self.physics.resume(self.clock.now())
                    self.restart()
                else:
                    self.physics.pause(self.clock.now())
                    self.forget_rendered()
            return text_response(f"System will {'restart' if restarts else 'shutdown'} shortly.")
        self.write(f"{request.method} {request.path}")
        if request.path.startswith("/api/"):
            return Response(405, b"Specified method is invalid for this resource", "text/html")
        return Response(302, b"", "text/html", (("Location", "/"),))

    def _patched(self, request: Request) -> Response:
        refusal = self.otp.refusal(self.clock.now())
        if refusal is not None:
            return text_response(refusal, 401)
        body = json_object(request)
        if not body:
            self.write(line(request))
            return text_response("invalid json", 500)
        if self.settings.ignored(body):
            self.write(line(request))  # answered with 200
            return Response(200, b"", "text/html")
        if self.accept(line(request)):
            self.settings.take(body)
            frequency, voltage = body.get("frequency"), body.get("coreVoltage")
            if frequency or voltage:
                hertz, volts = frequency and frequency * 1e6, voltage and voltage / 1e3
                self.physics.retune(self.clock.now(), frequency=hertz, core_voltage=volts)
            self.forget_rendered()
        return Response(200, b"", "text/html")

    def asic(self) -> dict[str, Any]:
        """/api/system/asic."""
        megahertz = round(self.profile.frequency / 1e6)
        return {
            "ASICModel": self.chip,
            "deviceModel": self.profile.model,
            "asicCount": self.profile.chips,
            "defaultFrequency": megahertz,
            "defaultVoltage": 1150,
            "absMaxFrequency": 1000,
            "absMaxVoltage": 1400,
            "ecoFrequency": megahertz - 100,
            "ecoVoltage": 1100,
            "swarmColor": "#e7cf00",
            "frequencyOptions": [megahertz - 100, megahertz - 50, megahertz, megahertz + 25],
            "voltageOptions": [1050, 1100, 1150, 1200],
        }

    def _difficulty(self, value: float) -> Any:
        return round(value, 2) if self.new else suffixed(value)

    def info(self, state: State) -> dict[str, Any]:
        """/api/system/info."""
        volts = self.profile.supply_voltage * (1.0 - 0.015 * state.power / self.profile.power)
        amperes = state.power / volts
        stopped = state.state == "paused"
        document: dict[str, Any] = {
            "asicCount": self.profile.chips,
            "smallCoreCount": self.cores,
            "deviceModel": self.profile.model,
            "hostip": self.address,
            "macAddr": upper_mac(self.spec.mac),
            "wifiRSSI": round(between(-78, -38, self.spec.seed, 91)),
            "power": round(state.power, 2),
            "maxPower": round(self.profile.power * 1.3),
            "minPower": round(self.profile.power * 0.6),
            "voltage": round(volts * 1e3, 2),
            "maxVoltage": 13,
            "minVoltage": 11,
            "current": round(amperes * 1e3, 3),
            "temp": round(state.boards[0].chip_max * 4) / 4,
            "vrTemp": round(state.regulator),
            "hashRateTimestamp": int(state.uptime * 1e3),
            "hashRate": 0.0 if stopped else round(state.hashrate / 1e9, 3),
            "hashRate_1m": 0.0 if stopped else round(state.hashrate_1m / 1e9, 3),
            "hashRate_10m": 0.0 if stopped else round(state.hashrate_15m / 1e9, 3),
            "hashRate_1h": 0.0 if stopped else round(state.average / 1e9, 3),
            "hashRate_1d": 0.0 if stopped else round(state.average / 1e9, 3),
            "bestDiff": self._difficulty(state.best),
            "bestSessionDiff": self._difficulty(state.session_best),
            "coreVoltage": round(self.physics.profile.core_voltage * 1e3),
            "defaultCoreVoltage": 1150,
            "coreVoltageActual": round(state.boards[0].voltage * 1e3),
            "sharesAccepted": state.accepted,
            "sharesRejected": state.rejected,
            "fanspeed": round(state.duty * 100) if self.settings.fan_mode else self.settings.manual_fan,
            "fanrpm": self._fan_speed(state),
            "lastpingrtt": round(between(12, 60, self.spec.seed, 92, int(state.time) // 30), 6),
            "poolDifficulty": round(state.difficulty),
            "pidTargetTemp": round(self.profile.chip_target),
            "pidP": 6,
            "pidI": 0.1,
            "pidD": 10,
            "hostname": "nerdqaxe",
            "ssid": "example-net",
            "frequency": round(state.boards[0].frequency / 1e6),
            "defaultFrequency": round(self.profile.frequency / 1e6),
            "jobInterval": 1200,
            "overheat_temp": 70,
            "flipscreen": 0,
            "invertscreen": 0,
            "autoscreenoff": 0,
            "autofanspeed": self.settings.fan_mode,
            "ASICModel": self.chip,
            "uptimeSeconds": int(state.uptime),
            "lastResetReason": "SYSTEM.RESET_POWERON",
            "wifiStatus": "SYSTEM.WIFI_CONNECTED",
            "freeHeap": 7_600_000,
            "freeHeapInt": 118_000,
            "version": self.version,
            "runningPartition": "ota_0",
            "defaultTheme": "cosmic",
        }
        document |= self._pools(state)
        return document | self._newer(state, amperes) if self.new else document

    def _fan_speed(self, state: State) -> int:
        if self.settings.fan_mode:
            return int(state.fans[0])
        return int(self.profile.fan_max * self.settings.manual_fan / 100.0)

    def _pools(self, state: State) -> dict[str, Any]:
        document = dict(self.settings.pools)
        if not self.new:
            return document | {"isUsingFallbackStratum": False, "isStratumConnected": state.state == "mining"}
        user = document["stratumUser"]
        pool = {
            "connected": True,
            "poolDiffErr": False,
            "poolDifficulty": round(state.difficulty),
            "networkDifficulty": 130_000_000_000_000,
            "accepted": state.accepted,
            "rejected": state.rejected,
            "bestDiff": round(state.session_best, 2),
            "pingRtt": round(between(12, 60, self.spec.seed, 92, int(state.time) // 30), 2),
            "pingLoss": 0,
        }
        document["stratum"] = {
            "poolMode": 0,
            "activePoolMode": 0,
            "usingFallback": False,
            "totalBestDiff": round(state.best, 2),
            "poolBalance": 0,
            "pools": [{"host": document["stratumURL"], "port": document["stratumPort"], "user": user, **pool}],
        }
        return document

    def _newer(self, state: State, amperes: float) -> dict[str, Any]:
        board = state.boards[0]
        chips = range(self.profile.chips)
        return {
            "currentA": round(amperes, 3),
            "minCurrentA": 0,
            "maxCurrentA": round(amperes * 2),
            "vrTempInt": round(state.regulator + 3),
            "manualFanSpeed": self.settings.manual_fan,
            "fanrpm2": int(state.fans[1]) if len(state.fans) > 1 else 0,
            "fanCount": len(state.fans),
            "recentpingloss": 0,
            "shutdown": state.state == "paused",
            "duplicateHWNonces": state.hardware_errors,
            "foundBlocks": 0,
            "totalFoundBlocks": 0,
            "asicTemps": [round(self.physics.chip_temperature(board, chip) * 4) / 4 for chip in chips],
            "stratumEnonceSubscribe": False,
            "stratumDifficulty": 1000,
            "stratum_keep": 0,
            "vrFrequency": 25000,
            "defaultVrFrequency": 25000,
            "otp": self.otp.enabled,
        }


_INDEX = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>NerdQAxe AxeOS</title></head>'
    "<body><ngx-app></ngx-app></body></html>"
)
