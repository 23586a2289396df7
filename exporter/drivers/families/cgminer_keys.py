"""Keys of CGMiner answers that are left out on purpose, with the reason."""

from __future__ import annotations

from typing import Final

from exporter.drivers.families.bitmain import UNUSED_STATS_KEYS
from exporter.drivers.families.cgminer_records import UNUSED_POOL_KEYS, UNUSED_SUMMARY_KEYS, ignored

_ENVELOPE: Final = (
    ("STATUS*", "the reply's own status, judged by the engine"),
    ("id", "number of the request"),
)
_RATES: Final = (
    *((f"{unit} *", "another window or unit of the same rate") for unit in ("THS", "GHS", "MHS", "KHS")),
    ("HS av", "another unit of the same average"),
    ("Total MH", "checked against the average where the unit of the rates is certain"),
)
_WHATSMINER_SUMMARY: Final = (
    ("Temperature", "of the hottest board; the boards tell their own"),
    ("Chip Temp *", "over all boards; the boards tell their own"),
    ("freq_*", "mean over all boards; the boards tell their own"),
    ("Target Freq", "setting behind Target MHS"),
    ("Voltage", "its unit changes between firmwares"),
    ("Power_RT", "a second power figure"),
    ("Power Rate", "ratio of power and rate, Prometheus computes it"),
    ("Asicboost*", "setting"),
    ("CB *", "kind of the control board"),
    ("Chip Data", "batch of the chips"),
    ("Debug", "free text"),
    ("Error * Time", "time of an error"),
    ("*Error Code Count", "the codes are counted"),
    ("Factory Error Code *", "history from the factory"),
    ("Hash Deviation%", "difference of two rates"),
    ("Hash Stable*", "tuning"),
    ("Security Mode", "setting"),
    ("fan_*", "internals of the fan control"),
)
_SUMMARY: Final = (
    *UNUSED_SUMMARY_KEYS,
    *_RATES,
    *_WHATSMINER_SUMMARY,
    ("Accepted", "counted per pool"),
    ("Fan Num", "the fans are counted"),
    ("Miner type", "used at identification"),
    ("MAC", "used for the identity"),
    ("Firmware Version", "used for the identity"),
)
_POOLS: Final = (
    *UNUSED_POOL_KEYS,
    ("Algorithm*", "used to judge the unit of the rates"),
    ("Name", "the URL again"),
    ("Profile", "setting of sgminer"),
    ("Description", "free text"),
    ("GROUP", "group of pools with a quota"),
    ("Long Pool", "getwork protocol only"),
    ("Diff", "the present difficulty again"),
)
_DEVS: Final = (
    *_RATES,
    ("Name", "name of the cgminer driver"),
    ("ASC", "number of the record where another one names the board"),
    ("ID", "number inside the cgminer driver where another one names the board"),
    ("Accepted", "counted per pool"),
    ("Rejected", "counted per pool"),
    ("Utility", "rate since the start, Prometheus computes it"),
    ("Last *", "told per pool"),
    ("Diff1 Work", "the same work in another unit"),
    ("Difficulty *", "told per pool"),
    ("No Device", "the status tells it"),
    ("Device *%", "ratio of two counters, Prometheus computes it"),
    ("Device Elapsed", "told by summary"),
    ("Hardware Error MHS *", "rate of errors, Prometheus computes it"),
    ("Factory GHS", "nameplate of a board, not in the catalogue"),
    ("Fan Speed *", "told by summary"),
    ("Upfreq Complete", "tuning"),
    ("Chip Data", "batch of the chips"),
    ("chip_vol_diff", "internals of the board"),
    ("volt", "not told whether of the board or of the chips"),
    ("Board", "type of the board's PCB"),
    ("Connector", "where the board is plugged"),
    ("Controller*", "version of the control board"),
    ("IsRamping", "tuning"),
    ("IsUserShutdown", "the rate tells it"),
    ("Profile", "told by config"),
)
_STATS: Final = (
    *UNUSED_STATS_KEYS,
    *_RATES,
    ("BMMiner", "version of the program, used at identification"),
    ("CGMiner", "version of the program"),
    ("Cgminer", "version of the program"),
    ("CompileTime", "time of the build"),
    ("Miner", "version of the firmware, used at identification"),
    ("Type", "model, used at identification"),
    ("Name", "name of the cgminer driver"),
    ("Elapsed", "told by summary"),
    *((f"* {figure}", "single chips, the board's sums are told") for figure in ("HW errors", "Stales", "Nonces found")),
    *((f"* {figure}", "single chips") for figure in ("Nonce ranges", "Cooldown", "Fail count", "Fail reset")),
    *((f"* {figure}", "single chips, the board's extremes are told") for figure in ("Temp", "nVol", "cores", "PLL")),
    ("Num cores", "of the board"),
    ("Enabled*", "settings of the board"),
    ("Temp prewarn *", "settings of the board"),
    ("Voltage *", "not told whether of the board or of the chips"),
    ("VoltageBalanced", "tuning"),
    ("VidOptimal", "tuning"),
    ("pllOptimal", "tuning"),
    ("iVid", "setting of the board"),
    ("PLL", "setting of the board whose unit is not told"),
    ("Chain num", "number of the board again"),
    ("Chain skew", "internals of the board"),
    ("Chain BIN", "grade of the chips at the factory"),
    ("Chain Enabled", "the status tells it"),
    ("Power Consumption", "the same figure on each board, not told of what"),
    ("Accepted", "counted per pool"),
    ("Rejected", "counted per pool"),
    ("Device *", "told by summary"),
    ("Diff1 Work", "the same work in another unit"),
    ("Difficulty *", "told per pool"),
    ("Last *", "told per pool"),
    ("Pool *", "getwork timing of a pool"),
    ("Work *", "getwork timing of a pool"),
    ("* Diff*", "range of difficulties of a pool"),
    ("Times *", "traffic of a pool"),
    ("*Bytes *", "traffic of a pool"),
    ("frequency*", "the board's own is told, or one that is set for all"),
    ("chipTemp*", "uninitialised memory of the firmware"),
    ("temp*", "sensors of empty slots"),
    ("freq*", "of empty slots"),
    ("chain_*", "of empty slots, or another figure of a board"),
    ("fan*", "of empty slots"),
    ("total_*", "sum of what the boards tell"),
    ("rate_*", "the average or its unit"),
    ("state", "told by the rate"),
    ("bringup_temp", "setting"),
    ("downscale_mode", "setting"),
    ("has_*", "settings"),
    ("psu_status", "free text"),
    ("tune_running", "tuning"),
    ("Mode", "of stock firmware that sleeps"),
    ("no_matching_work", "told by summary"),
)
#: Internals in ``stats`` of Whatsminers, which are asked for it at identification only.
_WHATSMINER_STATS: Final = tuple(
    (pattern, "internals of a Whatsminer's board, told by devs where needed")
    for pattern in (
        *("chip_*", "nonce*", "overheat_*", "upfreq_*", "pre_heat_*", "adjust_*", "work_*", "ok_*", "err_*", "row*"),
        *("col*", "core_num", "baud*", "device_fd", "initialized", "osc_freq", "power_version", "test_mode"),
        *("voltage_limit", "slot", "freqs_avg"),
    )
)
_VERSION: Final = (
    ("VERSION[].*", "names and versions, used at identification"),
    ("Code", "the reply's own status, judged by the engine"),
    ("When", "the reply's own status, judged by the engine"),
    ("Description", "the reply's own status, judged by the engine"),
    ("Msg.*", "names and versions, used at identification"),
)
_CONFIG_UNUSED: Final = "setting of the firmware"


def _all() -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for command in ("summary", "pools", "devs", "edevs", "stats", "version", "devdetails", "fans", "temps", "power"):
        found += ignored(f"rpc {command} ", _ENVELOPE)
    found += ignored("rpc config ", (*_ENVELOPE, ("CONFIG[].*", _CONFIG_UNUSED)))
    found += ignored("rpc summary SUMMARY[].", _SUMMARY)
    for records in ("POOLS[].", "POOL*[]."):
        found += ignored(f"rpc pools {records}", _POOLS)
    for command in ("devs", "edevs"):
        found += ignored(f"rpc {command} DEVS[].", _DEVS)
    for records in ("STATS[].", "STATS*[]."):
        found += ignored(f"rpc stats {records}", (*_STATS, *_WHATSMINER_STATS))
    found += ignored("rpc version ", _VERSION)
    found += ignored("rpc devdetails DEVDETAILS[].", (("*", "names of the cgminer driver, used at identification"),))
    found += ignored("rpc fans ", (("FANCTRL[].*", "settings of the fan control"), ("FANS[].ID", "the socket again")))
    found += ignored("rpc temps ", (("METADATA[].*", "what the corners are called"), ("TEMPS[].TEMP", "the ID again")))
    found += ignored("rpc fan ", (*_ENVELOPE, ("Fan[].Max", "limit"), ("Fan[].Target", "setting")))
    found += ignored("rpc ipreport ", (*_ENVELOPE, ("IPReport[].*", "numbers of parts, and what was asked")))
    found += ignored("rpc power ", (("POWER[].PSU", "whether measured or estimated"),))
    return tuple(found)


IGNORED_KEYS: Final = _all()
