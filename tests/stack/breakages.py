"""How each alarm of a miner is brought about: changes of what one simulated miner answers, and of what befalls it."""

from dataclasses import dataclass, field
from typing import Any

#: What is asked of each kind for its state.
ASKED = {"bitaxe": "/api/system/info", "vnish": "/api/v1/summary"}


def put(path, value):
    """An operation of RFC 6902. `value` may be a function of what stands there now."""
    return {"op": "replace", "path": path, "value": value}


def add(path, value):
    return {"op": "add", "path": path, "value": value}


def without(path):
    return {"op": "remove", "path": path}


@dataclass(frozen=True)
class Breakage:
    """One thing that goes wrong with a miner of a kind, and the alarm that it raises.

    It is a `patch` of what the miner answers, a `fault`, broken `hardware`, or a `scenario` of a board on USB.
    """

    alarm: str
    severity: str
    kind: str
    patch: tuple = ()
    fault: dict[str, Any] = field(default_factory=dict)
    hardware: str | None = None
    scenario: str | None = None


def water(inlet, outlet):
    return tuple(
        add(f"/miner/chains/{chain}/{side}_water_temp", value)
        for chain in range(3)
        for side, value in (("inlet", inlet), ("outlet", outlet))
    )


BREAKAGES = (
    Breakage("MinerDown", "critical", "bitaxe", fault={"fault": "vanish"}),
    Breakage("MinerDown", "critical", "bitaxe", fault={"fault": "vanish", "silent": True}),
    Breakage("MinerDown", "critical", "avalon", fault={"fault": "garbage"}),
    Breakage("MinerDown", "critical", "nerdqaxe", fault={"fault": "half_open"}),
    Breakage("MinerDown", "critical", "cgminer", fault={"fault": "wrong_types"}),
    Breakage("MinerSignInRefused", "warning", "antminer", fault={"fault": "auth"}),
    Breakage("MinerNotHashing", "critical", "bitaxe", (put("/hashRate", 0),)),
    Breakage("MinerHashrateLow", "warning", "bitaxe", (put("/hashRate", 880.0),)),
    Breakage("MinerHashrateLow", "critical", "bitaxe", (put("/hashRate", 500.0),)),
    Breakage("MinerEfficiencyBad", "warning", "bitaxe", (put("/power", 30.0),)),
    Breakage("MinerFault", "critical", "vnish", (put("/miner/miner_status/miner_state", "failure"),)),
    Breakage("MinerFirmwareError", "warning", "vnish", (put("/miner/cooling/fans/1/status", "lost"),)),
    # Heat and fans
    Breakage("MinerOverheat", "critical", "bitaxe", hardware="overheat"),
    Breakage("MinerChipHot", "warning", "bitaxe", (put("/temp", 71.0),)),
    Breakage("MinerChipHot", "critical", "bitaxe", (put("/temp", 80.0),)),
    Breakage("MinerRegulatorHot", "warning", "bitaxe", (put("/vrTemp", 99),)),
    Breakage("MinerFanStopped", "critical", "antminer", hardware="fan"),
    Breakage("MinerFanMissing", "warning", "vnish", (without("/miner/cooling/fans/3"),)),
    Breakage("MinerCoolantHot", "critical", "vnish", water(60, 68)),
    Breakage("MinerCoolantDeltaHigh", "warning", "vnish", water(30, 50)),
    # Boards and chips
    Breakage("MinerBoardDown", "warning", "antminer", hardware="board"),
    Breakage("MinerBoardMissing", "warning", "vnish", (without("/miner/chains/2"),)),
    Breakage("MinerChipsMissing", "warning", "vnish", (put("/miner/chains/0/chip_statuses/red", 2),)),
    # Pools and shares
    Breakage(
        "MinerNoPool", "critical", "vnish", tuple(put(f"/miner/pools/{pool}/status", "offline") for pool in range(2))
    ),
    Breakage(
        "MinerOnFallbackPool", "warning", "vnish",
        (put("/miner/pools/0/status", "offline"), put("/miner/pools/1/status", "active")),
    ),
    Breakage("MinerNoShares", "critical", "vnish", (put("/miner/pools/0/ls_time", "5:00:00"),)),
    Breakage("MinerRejectsHigh", "warning", "vnish", (put("/miner/pools/0/rejected", lambda count: count + 500),)),
    # News
    Breakage("MinerBlockFound", "info", "vnish", (put("/miner/found_blocks", lambda count: count + 1),)),
    # Boards on USB
    Breakage("MinerInSetupPortal", "warning", "usb", scenario="wrong_wifi"),
    Breakage("MinerUsbProblem", "warning", "usb", scenario="dns_failure"),
    Breakage("MinerStuckStarting", "warning", "usb", scenario="subscribe_aborted"),
)  # fmt: skip
#: The times they look back to must have passed: a record beats what was a quarter of an hour before, and for hours
#: shares are accepted of which none counts.
LATE = (
    Breakage("MinerNewBestShare", "info", "bitaxe", (put("/bestDiff", lambda best: best * 10),)),
    Breakage(
        "MinerEffectiveHashrateLow", "warning", "vnish",
        (
            put("/miner/pools/0/accepted", lambda count: count + 5000),
            put("/miner/pools/0/diffa", lambda total: total + 1),
        ),
    ),
)  # fmt: skip
#: Brought about by what happens again and again, or by a wallet.
BY_HAND = {"MinerRebooting": "warning", "MinerUnstable": "warning", "MinerPoolUnexpected": "critical"}
