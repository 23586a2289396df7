"""Bitaxe with AxeOS (ESP-Miner): one flat /api/system/info whose fields and types changed from release to release.

Differences by release follow ESP-Miner's own descriptions: text difficulties before 2.11, flags as 0 and 1 until 2.14,
`fanSpeedRpm` before 2.2, /api/system/asic since 2.7, a `pools` list since 2.15. Writes: `bitaxe_settings`; identify
since 2.12, pause and resume since 2.14.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from simulator.chance import between, mix
from simulator.clock import Clock
from simulator.devices.base import DeviceSpec, SimulatedDevice, suffixed, upper_mac, wallet
from simulator.devices.bitaxe_settings import AxeOsSettings
from simulator.devices.writes import is_bare, json_object, line
from simulator.http_server import HttpPolicy, Request, Response, html_response, json_response, text_response
from simulator.physics import Mode, Profile, State

_MODES = {"normal": Mode(), "eco": Mode(0.8, 0.7), "boost": Mode(1.15, 1.3)}


def _bitaxe(model: str, terahash: float, watts: float, megahertz: float, millivolts: float, chips: int = 1) -> Profile:
    return Profile(
        model=model,
        hashrate=terahash * 1e12,
        power=watts,
        chips=chips,
        frequency=megahertz * 1e6,
        core_voltage=millivolts / 1e3,
        supply_voltage=5.1,
        difficulty=1000.0,
        modes=_MODES,
    )


#: By model key: chip, board version, small cores, firmware and where the range of frequencies and voltages lies.
HARDWARE: Mapping[str, tuple[str, str, int, str]] = {
    "gamma-2.12": ("BM1370", "601", 2040, "v2.12.1"),
    "gamma-2.15": ("BM1370", "602", 2040, "v2.15.0"),
    "supra-2.4": ("BM1368", "401", 1276, "v2.4.5"),
    "supra-2.9": ("BM1368", "402", 1276, "v2.9.0"),
    "ultra-2.1": ("BM1366", "204", 894, "v2.1.8"),
}


class Bitaxe(SimulatedDevice):
    """An AxeOS board."""

    kind = "bitaxe"
    driver = "bitaxe"
    make = "Bitaxe"
    models: ClassVar[Mapping[str, Profile]] = {
        "gamma-2.12": _bitaxe("Gamma", 1.07, 17.5, 525, 1150),
        "gamma-2.15": _bitaxe("Gamma", 1.22, 20.0, 600, 1180),
        "supra-2.4": _bitaxe("Supra", 0.63, 14.5, 490, 1166),
        "supra-2.9": _bitaxe("Supra", 0.65, 15.0, 500, 1170),
        "ultra-2.1": _bitaxe("Ultra", 0.48, 12.0, 485, 1200),
    }

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        self.chip, self.board, self.cores, self.version = HARDWARE[spec.model]
        major, minor = self.version.lstrip("v").split(".")[:2]
        self.release = (int(major), int(minor))
        self.tells_mac = self.release >= (2, 2)
        self.settings = AxeOsSettings(self.release, f"{wallet(spec.seed)}.bitaxe")
        self.greets_until = 0.0
        # Sockets of the ESP web server: 7, then 10, then 20 with the oldest purged (ESP-Miner http_server.c).
        sockets = 20 if self.release >= (2, 12) else 10 if self.release >= (2, 6) else 7
        self.http_policy = HttpPolicy(max_connections=sockets, purge_oldest=self.release >= (2, 12), idle_seconds=15.0)

    def http(self, request: Request) -> Response:
        """AxeOS' routes; everything else is 404."""
        if self.away:
            return Response(drop=True)
        if request.method in ("GET", "HEAD"):
            match request.path:
                case "/":
                    return html_response(_INDEX)
                case "/api/system/info":
                    return self.rendered("info", lambda: json_response(self.info(self.state())))
                case "/api/system/asic" if self.release >= (2, 7):
                    return self.rendered("asic", lambda: json_response(self.asic()))
                case "/api/system/statistics" if self.release >= (2, 9):
                    return json_response(
                        {"currentTimestamp": int(self.state().uptime * 1e3), "labels": [], "statistics": []}
                    )
            return text_response("This URI does not exist", 404)
        return self._written(request)

    def _written(self, request: Request) -> Response:
        now = self.clock.now()
        if request.method == "PATCH" and request.path == "/api/system":
            return self._patched(request)
        if request.method == "POST" and is_bare(request):
            match request.path:
                case "/api/system/restart":
                    if self.accept(line(request)):
                        self.restart()
                    return self._says("System will restart shortly.", 2, 14)
                case "/api/system/identify" if self.release >= (2, 12):
                    greets = now >= self.greets_until
                    if self.accept(line(request)):
                        self.greets_until = now + 30.0 if greets else 0.0
                    words = 'The device says "Hi!" for 30 seconds.' if greets else 'The device no longer says "Hi!".'
                    return self._says(words, 2, 14)
                case "/api/system/pause" | "/api/system/resume" if self.release >= (2, 14):
                    pausing = request.path.endswith("pause")
                    if self.accept(line(request)):
                        (self.physics.pause if pausing else self.physics.resume)(now)
                        self.forget_rendered()
                    return self._says("Mining paused" if pausing else "Mining resumed", 2, 14)
        self.write(f"{request.method} {request.path}")
        return text_response("Method not allowed" if request.path.startswith("/api/") else "Not found", 405)

    def _says(self, words: str, *since: int) -> Response:
        """JSON since a release, plain text before."""
        return json_response({"message": words}) if self.release >= since else text_response(words)

    def _patched(self, request: Request) -> Response:
        body = json_object(request)
        if body is None or not body or not self.settings.fits(body):
            self.write(line(request))
            return text_response("Invalid JSON" if body is None else "Wrong API input", 400)
        if self.settings.unknown(body):
            self.write(line(request))  # answered with 200 and ignored
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
        """/api/system/asic: what the chip can be set to."""
        megahertz = round(self.profile.frequency / 1e6)
        millivolts = round(self.profile.core_voltage * 1e3)
        return {
            "ASICModel": self.chip,
            "deviceModel": self.profile.model,
            "swarmColor": "green",
            "asicCount": self.profile.chips,
            "defaultFrequency": megahertz,
            "frequencyOptions": [megahertz - 100, megahertz - 50, megahertz, megahertz + 50, megahertz + 100],
            "defaultVoltage": millivolts,
            "voltageOptions": [millivolts - 100, millivolts - 50, millivolts, millivolts + 50],
        }

    def info(self, state: State) -> dict[str, Any]:
        """/api/system/info in the fields of this release."""
        document = self._core(state)
        if self.release >= (2, 2):
            document |= self._since_2_2(state)
        else:
            document["fanSpeedRpm"] = self._fan_speed(state)
        if self.release >= (2, 9):
            document |= self._since_2_9(state)
        elif self.release >= (2, 2):
            document |= {"asicCount": self.profile.chips, "stratumDiff": round(state.difficulty)}
        if self.release >= (2, 11):
            document |= self._since_2_11(state)
        if self.release >= (2, 15):
            document |= self._since_2_15(state)
        return document | self.settings.told()

    def _difficulty(self, value: float) -> Any:
        return round(value) if self.release >= (2, 11) else suffixed(value)

    def _flag(self, value: bool) -> Any:
        return value if self.release >= (2, 14) else int(value)

    def _fan_speed(self, state: State) -> int:
        if self.settings.auto_fan:
            return int(state.fans[0])
        return int(self.profile.fan_max * self.settings.manual_fan / 100.0)

    def _core(self, state: State) -> dict[str, Any]:
        volts = self.profile.supply_voltage * (1.0 - 0.01 * state.power / self.profile.power)
        duty = state.duty * 100.0 if self.settings.auto_fan else float(self.settings.manual_fan)
        return {
            "power": round(state.power, 6),
            "voltage": round(volts * 1e3, 3),
            "current": round(state.power / volts * 1e3, 3),
            "temp": round(state.chip * 8) / 8,
            "hashRate": round(state.hashrate / 1e9, 6),
            "bestDiff": self._difficulty(state.best),
            "bestSessionDiff": self._difficulty(state.session_best),
            "freeHeap": 8_200_000 - mix(self.spec.seed, int(state.time) // 30) % 60_000,
            "coreVoltage": round(self.physics.profile.core_voltage * 1e3),
            "coreVoltageActual": round(state.boards[0].voltage * 1e3),
            "frequency": round(state.boards[0].frequency / 1e6),
            "ssid": "example-net",
            "hostname": f"bitaxe-{self.spec.mac[-5:].replace(':', '')}",
            "wifiStatus": "Connected!",
            "sharesAccepted": state.accepted,
            "sharesRejected": state.rejected,
            "uptimeSeconds": int(state.uptime),
            "ASICModel": self.chip,
            "smallCoreCount": self.cores,
            "version": self.version,
            "boardVersion": self.board,
            "runningPartition": "ota_0",
            "flipscreen": 1,
            "invertscreen": 0,
            "autofanspeed": int(self.settings.auto_fan),
            "fanspeed": round(duty, 4) if self.release >= (2, 11) else round(duty),
        }

    def _since_2_2(self, state: State) -> dict[str, Any]:
        return {
            "macAddr": upper_mac(self.spec.mac),
            "vrTemp": round(state.regulator),
            "fanrpm": self._fan_speed(state),
            "isUsingFallbackStratum": self._flag(False),
            "overheat_mode": 1 if state.state == "fault" else 0,
            "idfVersion": "v5.4",
        }

    def _since_2_9(self, state: State) -> dict[str, Any]:
        reasons = [{"message": "Job not found", "count": state.rejected}] if state.rejected else []
        return {
            "maxPower": 40,
            "nominalVoltage": 5,
            "expectedHashrate": round(state.expected / 1e9),
            "wifiRSSI": round(between(-75, -40, self.spec.seed, 91)),
            "apEnabled": 0,
            "sharesRejectedReasons": reasons,
            "stratumSuggestedDifficulty": 1000,
            "stratumExtranonceSubscribe": self._flag(False),
            "fallbackStratumSuggestedDifficulty": 1000,
            "fallbackStratumExtranonceSubscribe": self._flag(False),
            "responseTime": round(between(15, 220, self.spec.seed, 92, int(state.time) // 60), 3),
            "axeOSVersion": self.version,
            "display": "SSD1306 (128x32)",
            "rotation": 0,
            "displayTimeout": -1,
            "temptarget": round(self.profile.chip_target),
            "statsFrequency": 0,
        }

    def _since_2_11(self, state: State) -> dict[str, Any]:
        board = state.boards[0]
        errors = state.hardware_errors
        domains = [round(board.hashrate / 4e9 * share, 6) for share in (1.01, 0.99, 1.02, 0.98)]
        return {
            "temp2": -1,
            "hashRate_1m": round(state.hashrate_1m / 1e9, 6),
            "hashRate_10m": round(state.hashrate_15m / 1e9, 6),
            "hashRate_1h": round(state.average / 1e9, 6),
            "errorPercentage": round(min(100.0, errors * 100.0 / max(1.0, errors + state.accepted * 50.0)), 4),
            "poolDifficulty": round(state.difficulty),
            "poolAddrFamily": 2,
            "isPSRAMAvailable": 1,
            "freeHeapInternal": 101_000 - mix(self.spec.seed, int(state.time) // 30) % 9_000,
            "freeHeapSpiram": 8_100_000,
            "ipv4": self.address,
            "ipv6": "FE80::2",
            "resetReason": "Software reset via esp_restart",
            "overclockEnabled": 0,
            "manualFanSpeed": self.settings.manual_fan,
            "minFanSpeed": 25,
            "fan2rpm": 0,
            "blockFound": 0,
            "blockHeight": 900_000 + int(state.time - 1_750_000_000) // 600,
            "scriptsig": "example pool",
            "networkDifficulty": 130_000_000_000_000,
            "hashrateMonitor": {
                "asics": [{"total": round(board.hashrate / 1e9, 6), "domains": domains, "errorCount": errors}]
            },
        }

    def _since_2_15(self, state: State) -> dict[str, Any]:
        return {
            "primaryPoolIndex": 0,
            "secondaryPoolIndex": 1,
            "poolConnectionInfo": "IPv4",
            "isUsingFallbackStratum": 0,
            "fallbackStratumTLS": False,
            "fallbackStratumCert": "",
            "fallbackStratumDecodeCoinbase": True,
            "stratumProtocol": "SV1",
            "stratumV2AuthorityPubkey": "",
            "stratumTLS": False,
            "stratumCert": "",
            "stratumDecodeCoinbase": True,
            "cpuUsage": round(between(8, 30, self.spec.seed, 93, int(state.time) // 10), 1),
            "minFreeHeap": 8_000_000,
            "maxAllocHeap": 90_000,
            "actualFrequency": round(state.boards[0].frequency / 1e6, 3),
            "sharesPending": 0,
            "totalUptimeSeconds": int(state.uptime) + 1_000_000,
            "totalHashes": state.hashes,
            "totalLog2Work": 70.5,
            "blockSignals": [],
            "showNewBlock": False,
            "coinbaseValueTotalSatoshis": 312_500_000,
            "coinbaseValueUserSatoshis": 0,
            "miningPaused": state.state == "paused",
            "statsLimit": 720,
            "workReceived": int(state.uptime / 25),
            "partitions": [
                {"label": "factory", "version": "v2.14.0", "isCurrent": False, "isFactory": True, "usagePercent": 60},
                {"label": "ota_0", "version": self.version, "isCurrent": True, "isFactory": False, "usagePercent": 63},
            ],
            "useCustomWWW": 0,
        }


_INDEX = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>AxeOS</title>'
    '<base href="/"></head><body><app-root></app-root></body></html>'
)
