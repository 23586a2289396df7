"""The reading of an Avalon miner: its modules (`avalon_mm`) joined with ``summary`` and ``pools``.

"Now" is GHSspd and SYSTEMSTATU. GHSavg, GHSmm and the rates of ``summary`` go on for hours while a miner idles, so they
never decide whether it mines. Sources: Canaan Avalon Nano3s vendor source (driver-avalon.c), captured answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import Answers, DecodeContext
from exporter.drivers.families import avalon_parts as parts
from exporter.drivers.families.avalon_boards import decode_boards, decode_chips, is_controller, slot_count
from exporter.drivers.families.avalon_errors import decode_errors
from exporter.drivers.families.avalon_mm import Module, find_modules, merge_modules, positive
from exporter.drivers.families.cgminer_records import (
    decode_pools,
    decode_summary,
    find_records,
    hashrate_of,
    reply_time,
    told,
)
from exporter.errors import DecodeError
from exporter.model import MinerState, Pool, Reading, replace
from exporter.units import (
    HashesPerSecond,
    celsius,
    gigahashes_per_second,
    milliseconds,
    seconds,
    unix_seconds,
    watts,
)

#: Windows of ``summary``, shortest first; the A10 has 30 seconds where others have 5.
_WINDOWS: Final = ("5s", "30s", "1m", "5m", "15m", "av")
#: A clock before this counts from the start of the board.
_FIRST_REAL_TIME: Final = 1_000_000_000.0
_STATE_WORDS: Final = {
    "in init": MinerState.STARTING,
    "in work": MinerState.MINING,
    "in idle": MinerState.IDLE,
    "in fault": MinerState.FAULT,
}
#: ``litestats`` tells the number only; vendor source names 0 to 2 alike everywhere.
_STATE_NUMBERS: Final = {0: MinerState.STARTING, 1: MinerState.MINING, 2: MinerState.IDLE}
_WORK: Final = re.compile(r"work:\s*([a-z ]+)")


def modules_in(answers: Answers) -> tuple[Module, ...]:
    """The modules in whichever of ``stats``, ``estats`` and ``litestats`` arrived; the fuller answer wins."""
    modules: tuple[Module, ...] = ()
    for key in ("rpc stats", "rpc estats", "rpc litestats"):
        document = answers.optional_document(key)
        if document is not None and fields.as_table(document, key).get("STATS") is not None:
            modules = merge_modules(modules, find_modules(find_records(document, "STATS", key)))
    return modules


def is_home_miner(modules: tuple[Module, ...]) -> bool:
    """A Nano, a Mini or a Q: LVer is theirs alone, and so is what their version begins with."""
    return any(
        "LVer" in module.tokens or (module.text("Ver") or "").lower().startswith(("nano", "mini", "q-"))
        for module in modules
    )


def decode_avalon_status(answers: Answers, context: DecodeContext) -> Reading:
    """The status reading.

    Raises:
        DecodeError: none of the answers holds a module.
    """
    modules = modules_in(answers)
    summary = answers.optional_document("rpc summary")
    reading = _decode_summary(summary)
    if not modules and summary is None:
        raise DecodeError("rpc stats: no MM ID string, and no summary")
    reading = replace(reading, pools=_decode_pools(answers, context, modules))
    return _with_modules(reading, modules) if modules else reading


def _decode_summary(document: Any | None) -> Reading:
    if document is None:
        return Reading()
    records = find_records(document, "SUMMARY", "rpc summary")
    now = hashrate_of(records[0], *_WINDOWS, where="rpc summary") if records else None
    return replace(decode_summary(document), hashrate=now)


def _decode_pools(answers: Answers, context: DecodeContext, modules: tuple[Module, ...]) -> tuple[Pool, ...]:
    document = answers.optional_document("rpc pools")
    if document is None:
        return ()
    pools = _placed(decode_pools(document, context), document, context.received_at)
    ping = positive(modules[0].number("PING")) if modules else None
    if ping is None:
        return pools
    return tuple(replace(pool, response_time=milliseconds(ping)) if pool.active else pool for pool in pools)


def _placed(pools: tuple[Pool, ...], document: Any, received_at: float) -> tuple[Pool, ...]:
    """`pools` with the time of the last share where the miner's clock counts from its start (A10 to A15)."""
    now = reply_time(document)
    if now is None or now >= _FIRST_REAL_TIME:
        return pools
    records = find_records(document, "POOLS", "rpc pools")
    stamps = {told(record, "POOL", "rpc pools"): record.get("Last Share Time") for record in records}
    return tuple(_with_share(pool, stamps.get(pool.pool), now, received_at) for pool in pools)


def _with_share(pool: Pool, stamp: Any, now: float, received_at: float) -> Pool:
    if pool.last_share is not None or not pool.accepted or not isinstance(stamp, int) or not 0 < stamp <= now:
        return pool
    return replace(pool, last_share=unix_seconds(received_at - (now - stamp)))


def _with_modules(reading: Reading, modules: tuple[Module, ...]) -> Reading:
    first, home = modules[0], is_home_miner(modules)
    controller = is_controller(modules)
    now = first.count("GHSspd")
    state = _state(first, now, reading.hashrate)
    hashrate = _hashrate_now(reading.hashrate, now, state)
    errors = [module.count("HW") for module in modules]
    target = positive(first.number("TarT"))
    limit = positive(first.number("MPO"))
    mode, modes = parts.work_mode(first, home=home)
    return replace(
        reading,
        state=state,
        work_mode=mode,
        work_modes=modes,
        expected_mining=_expected_mining(first, state),
        fault_light=None if home else parts.fault_light(modules),
        errors=decode_errors(modules, home=home),
        uptime=None if controller else _uptime(first),
        mining_uptime=reading.mining_uptime,
        hashrate=hashrate,
        hashrate_average=_average(first, reading),
        hashrate_expected=_expected_rate(modules),
        hardware_errors=parts.first_of(reading.hardware_errors, _total(errors)),
        power=parts.wall_power(first),
        power_limit=None if limit is None else watts(limit),
        psus=parts.psus(first),
        fans=parts.fans(modules),
        environment_temperatures=parts.environment(first, home=home) if not controller else (),
        temperature_target=None if target is None else celsius(target),
        boards=decode_boards(modules, hashing=None if hashrate is None else hashrate > 0),
        boards_expected=None if controller else float(slot_count(first)) or None,
        memory_free=parts.free_memory(first, home=home),
        wifi_signal=parts.wifi_signal(first),
        reset_reason=parts.reset_reason(first, home=home),
    )


def _total(values: list[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return sum(told) if told else None


# --- state and rates ----------------------------------------------------------------------------------------------


def _state(module: Module, now: float | None, fallback: HashesPerSecond | None) -> MinerState:
    match = _WORK.search((module.text("SYSTEMSTATU") or "").lower())
    if match:
        return _STATE_WORDS.get(match[1].strip(), MinerState.UNKNOWN)
    number = module.number("STATE")
    if number is not None:
        return _STATE_NUMBERS.get(int(number), MinerState.UNKNOWN)
    if now is None:
        now = fallback
    if now:
        return MinerState.MINING
    return MinerState.IDLE if module.number("SoftOFF") else MinerState.UNKNOWN


def _expected_mining(module: Module, state: MinerState) -> bool | None:
    """False while the miner was switched off on purpose (SoftOFF holds the reason's number)."""
    if state is MinerState.MINING:
        return True
    off = module.number("SoftOFF")
    return None if off is None else off == 0


def _hashrate_now(told: HashesPerSecond | None, now: float | None, state: MinerState) -> HashesPerSecond | None:
    if now is not None:
        return gigahashes_per_second(now)
    return gigahashes_per_second(0.0) if state is MinerState.IDLE else told


def _average(module: Module, reading: Reading) -> HashesPerSecond | None:
    average = module.count("GHSavg")
    return reading.hashrate_average if average is None else gigahashes_per_second(average)


def _expected_rate(modules: tuple[Module, ...]) -> HashesPerSecond | None:
    """The rate that the clocks allow (GHSmm), summed over modules; None where a module does not tell."""
    rates = [module.count("GHSmm") for module in modules]
    total = _total(rates)
    return None if total is None or None in rates else gigahashes_per_second(total)


def _uptime(module: Module) -> Any:
    elapsed = module.count("Elapsed")
    return None if elapsed is None else seconds(elapsed)


# --- telemetry -------------------------------------------------------------------------------------------------------


def decode_avalon_telemetry(answers: Answers, context: DecodeContext) -> Reading:
    """The chips of every board, and the Wi-Fi signal that only ``litestats`` tells."""
    del context
    modules = modules_in(answers)
    if not modules or is_controller(modules):
        return Reading()
    return Reading(boards=decode_chips(modules[0]), wifi_signal=parts.wifi_signal(modules[0]))


def version_record(document: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The VERSION record of a ``version`` answer; None where the answer is missing or refused."""
    if not isinstance(document, Mapping) or document.get("VERSION") is None:
        return None
    records = find_records(document, "VERSION", "rpc version")
    return records[0] if records else None
