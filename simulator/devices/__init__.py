"""The kinds of simulated devices."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.clock import Clock
from simulator.devices.antminer import Antminer
from simulator.devices.avalon import Avalon
from simulator.devices.base import DeviceSpec, SimulatedDevice
from simulator.devices.bitaxe import Bitaxe
from simulator.devices.cgminer import Cgminer
from simulator.devices.nerdqaxe import NerdQAxe
from simulator.devices.nmaxe import NMAxe
from simulator.devices.nmminer import NMMiner, NMMinerHttp
from simulator.devices.other import Braiins, Epic, LuxOS, NoMiner, Whatsminer
from simulator.devices.vnish import Vnish

_ALL: tuple[type[SimulatedDevice], ...] = (
    Bitaxe,
    NerdQAxe,
    Vnish,
    Antminer,
    Avalon,
    Cgminer,
    NMMiner,
    NMMinerHttp,
    NMAxe,
    Whatsminer,
    Braiins,
    LuxOS,
    Epic,
    NoMiner,
)
KINDS: Mapping[str, type[SimulatedDevice]] = {kind.kind: kind for kind in _ALL}


def build_device(spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> SimulatedDevice:
    """The device of a specification.

    Raises:
        ValueError: the kind or the model is unknown.
    """
    if spec.kind not in KINDS:
        raise ValueError(f"unknown kind {spec.kind!r}; known are {', '.join(KINDS)}")
    return KINDS[spec.kind](spec, clock, compact=compact)
