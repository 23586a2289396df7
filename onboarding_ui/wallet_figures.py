"""What the miners of a wallet do together, beside what its pool sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from exporter.engine.api.wallets import PoolStatistics, WalletView
from exporter.engine.fleet import MinerRecord
from exporter.units import HashesPerSecond
from onboarding_ui.api.summary import live_reading

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
#: A pool works a hash rate out of shares: over an hour that is steady enough, and still about now.
_FAIR_WINDOW: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The devices' hash rate against the pool's.

    Attributes:
        devices: sum over the linked miners that tell one now, H/s; None where none does.
        telling: how many miners that is.
        pool: the pool's hash rate over `window`, H/s; None where the pool tells none.
        ratio: pool to devices; None where one of the two is unknown or the devices stand still.
    """

    devices: float | None
    telling: int
    pool: HashesPerSecond | None
    window: str | None
    ratio: float | None


def window_seconds(window: str) -> float | None:
    """The length of a window ("5m", "1h"); None where it is none."""
    number, unit = window[:-1], window[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit():
        return None
    return float(int(number) * _UNITS[unit])


def fair_window(statistics: PoolStatistics | None) -> tuple[str, HashesPerSecond] | None:
    """The window to hold against what devices say now: the longest up to an hour, else the shortest of all."""
    known = [
        (seconds, window, rate)
        for window, rate in (statistics.hashrates if statistics is not None else ())
        if (seconds := window_seconds(window)) is not None
    ]
    if not known:
        return None
    short = [entry for entry in known if entry[0] <= _FAIR_WINDOW]
    _, window, rate = max(short) if short else min(known)
    return window, rate


def compare(view: WalletView, miners: Iterable[MinerRecord]) -> Comparison:
    """The hash rate of a wallet's miners against the one its pool sees."""
    readings = [reading for record in miners if (reading := live_reading(record)) is not None]
    rates = [reading.hashrate for reading in readings if reading.hashrate is not None]
    devices = sum(rates) if rates else None
    window, pool = fair_window(view.statistics) or (None, None)
    return Comparison(devices, len(rates), pool, window, pool / devices if devices and pool is not None else None)


def coins(amount: float, currency: str) -> str:
    """An amount of whole coins with the digits it has: 0.0125, "BTC" -> "0.0125 BTC"."""
    text = f"{amount:.8f}".rstrip("0").rstrip(".")
    return f"{text} {currency}"
