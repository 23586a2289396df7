"""VNish GET /api/v1/summary: the whole state of the miner in one answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import DecodeContext
from exporter.drivers.families.cgminer_records import Clock, told
from exporter.drivers.families.vnish_units import CHAIN_UP, MINER_STATES, POOL_STATES, RateUnit, rate_unit
from exporter.errors import DecodeError
from exporter.model import Board, DeviceError, Fan, MinerState, Pool, Psu, Reading, Temperature
from exporter.units import (
    Celsius,
    HashesPerSecond,
    Watts,
    celsius,
    difficulty,
    megahertz,
    milliseconds,
    millivolts,
    percent,
    rpm,
    seconds,
    terahashes_per_second,
    watts,
)

WHERE: Final = "GET /api/v1/summary"
#: States in which the hashboards are without power: a power of 0 is a measurement then, else it is not known yet.
_AT_REST: Final = frozenset({MinerState.CURTAILED, MinerState.IDLE, MinerState.FAULT})
_HASHING: Final = frozenset({MinerState.MINING, MinerState.TUNING})
#: An efficiency in W/TH is below, the draw of a miner above (`power_usage` was both in its time).
_LEAST_WATTS: Final = 150.0


def measured(record: Mapping[str, Any], key: str, where: str) -> Celsius | None:
    """A temperature; the firmware writes 0 for what it did not measure."""
    value = fields.number(record, key, where)
    return celsius(value) if value and -50.0 < value < 250.0 else None


def identifier(record: Mapping[str, Any], where: str) -> str | None:
    """The device's own number of a chain, fan, pool or chip as text."""
    value = fields.count(record, "id", where)
    return None if value is None else str(int(value))


def decode_summary(document: Any, context: DecodeContext, measure: str | None) -> Reading:
    """The status reading. `measure` is ``hr_measure``, None where it was not told (see `rate_unit`).

    Raises:
        DecodeError: the answer has no `miner` or a value of the wrong kind.
    """
    answer = fields.as_table(document, WHERE)
    if "miner" not in answer:
        raise DecodeError(f"{WHERE}: no key miner")
    miner = fields.table(answer, "miner", WHERE)
    if miner is None:  # the mining process tells nothing yet
        return Reading(state=MinerState.UNKNOWN)
    where = f"{WHERE} miner"
    unit = rate_unit(measure, told(miner, "miner_type", where))
    status = fields.table(miner, "miner_status", where) or {}
    word = told(status, "miner_state", where)
    state, expected = MINER_STATES.get(word or "", (MinerState.UNKNOWN, None))
    elapsed = fields.count(status, "miner_state_time", where)
    now, average = hash_rates(miner, unit, where)
    nominal, stock = fields.count(miner, "hr_nominal", where), fields.count(miner, "hr_stock", where)
    cooling = fields.table(miner, "cooling", where) or {}
    fans = decode_fans(cooling, state)
    fan_number = fields.count(cooling, "fan_num", where)
    chains = fields.tables(miner, "chains", where)
    best = fields.count(miner, "best_share", where)
    return Reading(
        state=state,
        expected_mining=expected,
        overheat=_overheat(status, state),
        errors=tuple(_errors(status, state, cooling, chains)),
        mining_uptime=seconds(elapsed) if elapsed is not None and state is MinerState.MINING else None,
        hashrate=now,
        hashrate_average=average,
        hashrate_expected=unit(nominal) if unit is not None and nominal is not None else None,
        hashrate_nameplate=unit(stock) if unit is not None and stock is not None else None,
        hardware_errors=fields.count(miner, "hw_errors", where),
        power=drawn(miner, state, where),
        psus=_psus(miner, where),
        fans=fans,
        fans_expected=fan_number if fan_number and fans else None,
        temperature_target=_target(cooling),
        boards=tuple(board for chain in chains if (board := decode_chain(chain, unit, state)) is not None),
        pools=tuple(decode_pools(fields.tables(miner, "pools", where), context)),
        best_share_difficulty=None if best is None else difficulty(best),
        session_best_share_difficulty=None if best is None else difficulty(best),
        blocks_found=fields.count(miner, "found_blocks", where),
    )


def hash_rates(
    miner: Mapping[str, Any], unit: RateUnit | None, where: str
) -> tuple[HashesPerSecond | None, HashesPerSecond | None]:
    """Present and average rate. The 1.2.0 betas have the old keys only, in TH/s (on SHA-256 models)."""
    now, average = fields.count(miner, "hr_realtime", where), fields.count(miner, "hr_average", where)
    old_now, old_average = (
        fields.count(miner, "instant_hashrate", where),
        fields.count(miner, "average_hashrate", where),
    )
    if now is None and average is None:
        if unit is None or unit(1.0) < 1e9:
            return None, None
        return (
            None if old_now is None else terahashes_per_second(old_now),
            None if old_average is None else terahashes_per_second(old_average),
        )
    if unit is None:
        return None, None
    return None if now is None else unit(now), None if average is None else unit(average)


def drawn(record: Mapping[str, Any], state: MinerState, where: str, least: float = _LEAST_WATTS) -> Watts | None:
    """Power of the miner or of one chain.

    `power_consumption` is 0 for a while after a start, which is no measurement. `power_usage`, the only key of the
    1.2.0 betas, is in watts there; newer descriptions call it a copy of the efficiency, so it is not used beside it.
    """
    value = fields.count(record, "power_consumption", where)
    if "power_consumption" not in record:
        value = fields.count(record, "power_usage", where)
        if value is not None and 0 < value < least:
            return None
    if value is None or (value == 0 and state not in _AT_REST):
        return None
    return watts(value)


def _overheat(status: Mapping[str, Any], state: MinerState) -> bool | None:
    """True only where the firmware gives heat as the reason of its failure."""
    if state is not MinerState.FAULT:
        return None
    words = (told(status, "description", WHERE) or "").lower()
    return True if "overheat" in words or "temperature" in words else None


def _errors(
    status: Mapping[str, Any], state: MinerState, cooling: Mapping[str, Any], chains: list[dict[str, Any]]
) -> Iterator[DeviceError]:
    code = fields.count(status, "failure_code", WHERE)
    if state is MinerState.FAULT:
        component = "temperature" if _overheat(status, state) else "firmware"
        yield DeviceError("failure" if code is None else f"failure_{int(code)}", "error", component)
    if not _immersed(cooling) and any(
        told(fan, "status", WHERE) == "lost" for fan in fields.tables(cooling, "fans", WHERE)
    ):
        yield DeviceError("fan_lost", "error", "fan")
    found = {told(fields.table(chain, "status", WHERE) or {}, "state", WHERE) for chain in chains}
    for word, reason in (("failure", "chain_failure"), ("disconnected", "chain_disconnected")):
        if word in found:
            yield DeviceError(reason, "error", "board")


# --- parts ------------------------------------------------------------------------------------------------------


def _cooling_mode(cooling: Mapping[str, Any]) -> dict[str, Any]:
    return fields.table(fields.table(cooling, "settings", WHERE) or {}, "mode", WHERE) or {}


def _immersed(cooling: Mapping[str, Any]) -> bool:
    """Without fans: summary says "immersion", the settings of the same firmware "immers"."""
    return (told(_cooling_mode(cooling), "name", WHERE) or "").startswith("immers")


def _target(cooling: Mapping[str, Any]) -> Celsius | None:
    """The parameter of the cooling mode is a temperature in "auto" only, in "manual" it is the duty."""
    mode = _cooling_mode(cooling)
    target = measured(mode, "param", WHERE)
    return target if told(mode, "name", WHERE) == "auto" else None


def decode_fans(cooling: Mapping[str, Any], state: MinerState) -> tuple[Fan, ...]:
    """The fans. In a liquid none is fitted; one that stands still while hashing and is called "ok" is not fitted."""
    where = f"{WHERE} cooling.fans"
    duty = fields.count(cooling, "fan_duty", where)
    fans = []
    for record in fields.tables(cooling, "fans", where):
        number, speed = identifier(record, where), fields.count(record, "rpm", where)
        absent = speed == 0 and (_immersed(cooling) or (told(record, "status", where) == "ok" and state in _HASHING))
        if number is not None and speed is not None and not absent:
            fans.append(Fan(number, rpm(speed), None if duty is None else percent(duty)))
    return tuple(fans)


def _psus(miner: Mapping[str, Any], where: str) -> tuple[Psu, ...]:
    """One supply with up to three sensors; an unread sensor gives 0 or less."""
    temps = fields.table(fields.table(miner, "psu", where) or {}, "temps", where) or {}
    found = (
        (name, fields.count(temps, key, where))
        for name, key in (("pfc", "pfc_temp"), ("llc1", "llc1_temp"), ("llc2", "llc2_temp"))
    )
    sensors = tuple(Temperature(name, celsius(value)) for name, value in found if value)
    return (Psu(temperatures=sensors),) if sensors else ()


def decode_pools(records: list[dict[str, Any]], context: DecodeContext) -> Iterator[Pool]:
    """The pools. DevFee and Refund work for others; slots without a URL are no pools."""
    where = f"{WHERE} pools"
    clock = Clock(context.received_at)
    for index, record in enumerate(records):
        url = told(record, "url", where)
        up, active = POOL_STATES.get((told(record, "status", where) or "").lower(), (None, None))
        accepted = fields.count(record, "accepted", where)
        weight, asked = fields.count(record, "diffa", where), fields.suffixed_number(record, "diff", where)
        ping = fields.count(record, "ping", where)
        age = fields.duration(record, "ls_time", where)
        kind = (told(record, "pool_type", where) or "").lower()
        if url is None:
            continue
        yield Pool(
            pool=identifier(record, where) or str(index),
            url=url,
            user=told(record, "user", where),
            up=up,
            active=active,
            fee=kind in ("devfee", "refund") or url.lower() == "devfee",
            accepted=accepted,
            rejected=fields.count(record, "rejected", where),
            stale=fields.count(record, "stale", where),
            difficulty_accepted=None if weight is None else difficulty(weight),
            difficulty=difficulty(asked) if asked is not None and asked > 0 else None,
            last_share=clock.ago(age) if accepted and record.get("ls_time") != "0" else None,
            response_time=milliseconds(ping) if ping else None,
        )


def decode_chain(record: Mapping[str, Any], unit: RateUnit | None, state: MinerState) -> Board | None:
    """One entry of `chains`; None without a number.

    Grades say how well a chip hashes, not how hot it is: orange is slow, red does (nearly) nothing and counts as dead.
    """
    where = f"{WHERE} chains"
    number = identifier(record, where)
    rate, ideal = fields.count(record, "hashrate_rt", where), fields.count(record, "hashrate_ideal", where)
    tension, clock_rate = fields.count(record, "voltage", where), fields.count(record, "frequency", where)
    chips = fields.table(record, "chip_temp", where) or {}
    word = told(fields.table(record, "status", where) or {}, "state", where)
    grades = fields.table(record, "chip_statuses", where) or {}
    good, slow, dead = (fields.count(grades, colour, where) for colour in ("grey", "orange", "red"))
    graded = good is not None and slow is not None and dead is not None
    if number is None:
        return None
    return Board(
        board=number,
        up=CHAIN_UP.get(word or ""),
        hashrate=unit(rate) if unit is not None and rate is not None else None,
        hashrate_expected=unit(ideal) if unit is not None and ideal is not None else None,
        chips_working=good + slow if good is not None and slow is not None else None,
        chips_bad=(("dead", int(dead or 0)), ("slow", int(slow or 0))) if graded else None,
        temperatures=tuple(_board_sensors(record, where)),
        chip_temperature_min=measured(chips, "min", where),
        chip_temperature_max=measured(chips, "max", where),
        coolant_temperatures=tuple(
            Temperature(position, value)
            for position in ("inlet", "outlet")
            if (value := measured(record, f"{position}_water_temp", where)) is not None
        ),
        voltage=None if tension is None else millivolts(tension),
        frequency=None if clock_rate is None else megahertz(clock_rate),
        power=drawn(record, state, where, _LEAST_WATTS / 10),
        hardware_errors=fields.count(record, "hw_errors", where),
    )


def _board_sensors(record: Mapping[str, Any], where: str) -> Iterator[Temperature]:
    """The coolest and the hottest PCB sensor, and (1.2.0) each sensor that measures."""
    extremes = fields.table(record, "pcb_temp", where) or {}
    for position in ("min", "max"):
        value = measured(extremes, position, where)
        if value is not None:
            yield Temperature(position, value)
    for index, sensor in enumerate(fields.tables(record, "pcb_temp_sens", where)):
        value = measured(sensor, "temp", where)
        if value is not None and told(sensor, "status", where) == "measure":
            yield Temperature(str(index), value)
