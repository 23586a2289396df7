"""Units and words of the VNish (AnthillOS) API /api/v1 and of its presets.

Source: the vendor's OpenAPI descriptions 1.2.6, 1.2.7 and 1.3.4, and captured answers of 1.2.0 and later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from exporter.model import MinerState
from exporter.units import (
    HashesPerSecond,
    Watts,
    gigahashes_per_second,
    kilohashes_per_second,
    megahashes_per_second,
    terahashes_per_second,
    watts,
)

RateUnit = Callable[[float], HashesPerSecond]

_MEASURES: Final[Mapping[str, RateUnit]] = {"GH/S": gigahashes_per_second, "MH/S": megahashes_per_second}
#: Where the measure is not known yet: what the models of a series compute.
_SERIES: Final = (
    (re.compile(r"antminer\s+[st]\d", re.IGNORECASE), gigahashes_per_second),
    (re.compile(r"antminer\s+l\d", re.IGNORECASE), megahashes_per_second),
)


def rate_unit(measure: str | None, miner: str | None) -> RateUnit | None:
    """The unit of every ``hr_*`` and ``hashrate_*`` key.

    `measure` is ``hr_measure`` of /info: GH/s, on scrypt MH/s. Without it the name of the model decides; None where
    neither is known (hash rates then stay unknown).
    """
    if measure is not None:
        return _MEASURES.get(measure.upper())
    return next((unit for series, unit in _SERIES if miner is not None and series.match(miner)), None)


#: miner_state -> (our state, is it meant to hash). A stop happens on command only; a fault has a state of its own.
MINER_STATES: Final[Mapping[str, tuple[MinerState, bool | None]]] = {
    "mining": (MinerState.MINING, True),
    "initializing": (MinerState.STARTING, True),
    "starting": (MinerState.STARTING, True),
    "auto-tuning": (MinerState.TUNING, True),
    "restarting": (MinerState.STARTING, True),
    "shutting-down": (MinerState.IDLE, None),
    "stopped": (MinerState.CURTAILED, False),
    "failure": (MinerState.FAULT, True),
}

#: Pool status word -> (is it up, is work taken from it).
POOL_STATES: Final[Mapping[str, tuple[bool | None, bool | None]]] = {
    "active": (True, True),
    "working": (True, False),
    "offline": (False, False),
    "rejecting": (False, False),
    "disabled": (None, False),
    "unknown": (None, None),
}

#: State of a chain -> is it present and hashing.
CHAIN_UP: Final[Mapping[str, bool | None]] = {
    "mining": True,
    "initializing": False,
    "stopped": False,
    "failure": False,
    "disconnected": False,
    "disabled": False,
}

_WATTS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*w(?:atts?)?\b", re.IGNORECASE)
_RATE: Final = re.compile(r"~\s*(\d+(?:\.\d+)?)\s*([kmgt])(?:h(?:/?s)?)?\b", re.IGNORECASE)
_PREFIXES: Final[Mapping[str, RateUnit]] = {
    "k": kilohashes_per_second,
    "m": megahashes_per_second,
    "g": gigahashes_per_second,
    "t": terahashes_per_second,
}


def preset_figures(pretty: str | None) -> tuple[Watts | None, HashesPerSecond | None]:
    """Watts and hash rate in a preset's readable name: "2350 watt ~ 85 TH", on scrypt "3250 watt ~ 11500 MH"."""
    power, rate = _WATTS.search(pretty or ""), _RATE.search(pretty or "")
    return (
        None if power is None else watts(float(power[1])),
        None if rate is None else _PREFIXES[rate[2].lower()](float(rate[1])),
    )
