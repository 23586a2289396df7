"""The Bitaxe boards by their version number (ESP-Miner 2.15, device_config.h)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Regulator(enum.Enum):
    """What measures the current: it decides what ``current`` means."""

    #: A meter at the input: current and power are what the board draws.
    INA260 = "input"
    #: The core's regulator: ``current`` is its output current, ``power`` its output power plus a fixed share.
    TPS546 = "output"


@dataclass(frozen=True, slots=True)
class BoardType:
    """One family of boards: its name, chips, current sensor and number of fan connectors."""

    family: str
    chips: int
    regulator: Regulator
    fans: int = 1


_MAX: Final = BoardType("Max", 1, Regulator.INA260)
_ULTRA: Final = BoardType("Ultra", 1, Regulator.INA260)
_SUPRA: Final = BoardType("Supra", 1, Regulator.INA260)
_SUPRA_TPS: Final = BoardType("Supra", 1, Regulator.TPS546)
_GAMMA: Final = BoardType("Gamma", 1, Regulator.TPS546)
_HEX: Final = BoardType("Hex", 6, Regulator.TPS546, fans=2)
_SUPRA_HEX: Final = BoardType("SupraHex", 6, Regulator.TPS546, fans=2)

BOARD_TYPES: Final = {
    "2.2": _MAX,
    "102": _MAX,
    "0.11": _ULTRA,
    **dict.fromkeys(("201", "202", "203", "204", "205"), _ULTRA),
    "207": BoardType("Ultra", 1, Regulator.TPS546),
    "302": _HEX,
    "303": _HEX,
    "400": _SUPRA,
    "401": _SUPRA,
    "402": _SUPRA_TPS,
    "403": _SUPRA_TPS,
    **dict.fromkeys(("600", "601", "602", "603"), _GAMMA),
    "650": BoardType("GammaDuo", 2, Regulator.TPS546),
    "701": _SUPRA_HEX,
    "702": _SUPRA_HEX,
    "801": BoardType("GammaTurbo", 2, Regulator.TPS546),
}
