"""Keys of Avalon answers that are left out on purpose, with the reason; tokens inside the MM strings too."""

from __future__ import annotations

from typing import Final

from exporter.drivers.families.cgminer_records import UNUSED_POOL_KEYS, UNUSED_SUMMARY_KEYS, ignored

_ENVELOPE: Final = (
    ("STATUS*", "the reply's own status, judged by the engine"),
    ("id", "number of the request"),
)
_SUMMARY: Final = (
    ("MHS *", "a longer window of the same rate"),
    ("Accepted", "counted per pool"),
)
_STATS: Final = (
    ("STATS[].STATS", "number of the record"),
    ("STATS[].ID", "name of the cgminer driver, used at identification"),
    ("STATS[].Elapsed", "told by summary"),
    ("STATS[].Calls", "internal to cgminer"),
    ("STATS[].Wait", "internal to cgminer"),
    ("STATS[].Max", "internal to cgminer"),
    ("STATS[].Min", "internal to cgminer"),
    ("STATS[].MM Count", "the modules are counted"),
    ("STATS[].Nonce Mask", "setting of the work"),
    ("STATS[].Smart Speed", "setting of the clocks"),
    ("STATS[].Voltage *", "setting of the cores"),
    ("STATS[].Connecter", "kind of the bus adapter"),
    ("STATS[].AUC *", "the bus adapter outside the miner"),
    ("STATS[].Connection Overloaded", "the bus adapter outside the miner"),
    ("STATS[].USB *", "the bus adapter outside the miner"),
    ("STATS[].Pool *", "getwork timing of a pool"),
    ("STATS[].Work *", "getwork timing of a pool"),
    ("STATS[].* Diff*", "range of difficulties of a pool"),
    ("STATS[].Times *", "traffic of a pool"),
    ("STATS[].*Bytes *", "traffic of a pool"),
)
_VERSION: Final = (
    ("VERSION[].API", "version of the CGMiner API"),
    ("VERSION[].CG*", "version of cgminer"),
    ("VERSION[].STM8", "version of a part"),
    ("VERSION[].LOADER", "version of a part"),
    ("VERSION[].HWTYPE", "revision of the control board"),
    ("VERSION[].SWTYPE", "kind of the firmware"),
    ("VERSION[].*BVERSION", "version of a part"),
    ("VERSION[].*MCUVERSION", "version of a part"),
    ("VERSION[].UPAPI", "version of the update interface"),
)


def _keys() -> tuple[tuple[str, str], ...]:
    commands = {
        "summary": (*_SUMMARY, *UNUSED_SUMMARY_KEYS),
        "pools": UNUSED_POOL_KEYS,
        "stats": _STATS,
        "estats": _STATS,
        "litestats": _STATS,
        "version": _VERSION,
    }
    records = {"summary": "SUMMARY[].", "pools": "POOLS[]."}
    found: list[tuple[str, str]] = []
    for command, keys in commands.items():
        found += ignored(f"rpc {command} ", _ENVELOPE)
        found += ignored(f"rpc {command} {records.get(command, '')}", keys)
    return tuple(found)


IGNORED_KEYS: Final = _keys()

#: Tokens of the MM strings (pattern, reason).
IGNORED_TOKENS: Final = (
    ("HashStatus", "Nano 3 only, its values are not published"),
    ("BVer", "version of a part"),
    ("MVer", "version of a part"),
    ("HVer", "version of a part"),
    (".*McuVer", "version of a part"),
    ("HashMcu0Ver", "version of a part"),
    ("CPU", "kind of the controller"),
    ("FW", "kind of the release"),
    ("BIN", "grade of the chips at the factory"),
    ("PFCnt", "failed pools since the start, counted per pool"),
    ("NETFAIL", "times of network failures"),
    ("LW", "work units of cgminer"),
    ("DHW", "hardware errors in another count"),
    ("DH|DHspd", "ratio of two counters, Prometheus computes it"),
    ("WU", "rate since the start, Prometheus computes it"),
    ("Vo|Vi", "voltage whose unit differs between models and is not published"),
    ("PG", "power good bits of A7 to A9 modules, told as ECHU as well"),
    ("PLL.*|SF.*|CF.*|PLLCNT.*|ERATIO.*|C_.*|GHSmm\\d+", "work of the chips' clocks"),
    ("MW.*", "work units per chip"),
    ("ASICCRC.*", "faulty exchanges per chip, counted per board in CRC"),
    ("ATA.*|FACOPTS.*", "settings of the tuning"),
    ("COP|MVL|ADJ|BAR|CALIALL|Nonce Mask", "settings of the tuning"),
    ("PAIRS|FM", "settings of the work"),
    ("POOLS", "state of the pool connection, told by pools"),
    ("LED|LEDUser|LcdOnoff|LcdSwitch|LcdBright", "light and display are decoration"),
    ("SoftO(ff|n)Time", "times of the timer"),
    ("Filter", "hours of the dust filter, not in the catalogue"),
    ("Limitemp", "setting"),
    ("SoloAllowed|Activation", "settings"),
    ("SSID|NetDevType", "network settings"),
    ("LEVEL|WORKLEVEL", "step inside the work mode"),
    ("EEPROM", "chips by the board's memory, the chips themselves are counted"),
)
