"""The configuration of a NerdMiner, as its console shows it: two dumps, the plain listing, and the SD card's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from simulator.devices.nerdminer_firmware import Firmware


@dataclass(frozen=True, slots=True)
class StoredConfig:
    """What /config.json holds. `wallet` is the wallet with the worker after a dot, as the firmware stores it."""

    pool: str
    port: int
    password: str
    wallet: str
    zone: int = 2
    save_stats: bool = False

    def document(self, firmware: Firmware) -> dict[str, Any]:
        """The keys in the firmware's order; 1.6.2 wrote saveStatsToNVS as text."""
        result: dict[str, Any] = {"poolString": self.pool, "portNumber": self.port}
        if firmware.password:
            result["poolPassword"] = self.password
        result |= {"btcString": self.wallet, "gmtZone": self.zone}
        result["saveStatsToNVS"] = self.save_stats if firmware.spifs else str(int(self.save_stats))
        if firmware.looks:
            result |= {"invertColors": False, "Brightness": 250}
        return result

    def public(self, firmware: Firmware) -> dict[str, Any]:
        """The document without the password."""
        return {key: value for key, value in self.document(firmware).items() if key != "poolPassword"}

    def listing(self, firmware: Firmware) -> bytes:
        """The plain listing after the Wi-Fi has connected."""
        lines = [f"PoolString: {self.pool}", f"portNumber: {self.port}"]
        if firmware.password:
            lines.append(f"poolPassword: {self.password}")
        lines += [f"btcString: {self.wallet}", f"TimeZone fromUTC: {self.zone}"]
        return "".join(line + "\r\n" for line in lines).encode()

    def card(self, ssid: str, wifi_password: str) -> dict[str, Any]:
        """The document of the SD card: other names, and the Wi-Fi password in clear."""
        return {
            "SSID": ssid,
            "WifiPW": wifi_password,
            "PoolUrl": self.pool,
            "PoolPassword": self.password,
            "BtcWallet": self.wallet,
            "PoolPort": self.port,
            "Timezone": self.zone,
            "SaveStats": self.save_stats,
        }


def first_config(firmware: Firmware) -> StoredConfig:
    """What the firmware stores when nobody has configured it."""
    return StoredConfig("public-pool.io", firmware.port, "x", "yourBtcAddress")


def pretty(document: dict[str, Any] | None) -> bytes:
    """ArduinoJson's pretty form: two blanks, CRLF between lines, nothing after the last; None is `null`."""
    return json.dumps(document, indent=2).replace("\n", "\r\n").encode()
