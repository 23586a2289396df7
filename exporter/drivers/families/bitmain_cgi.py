"""Bitmain's web interface under /cgi-bin: new (summary, stats, pools) and old (get_miner_status).

Source: captured answers of an S19 and a KS5 Pro, and what programs read from the older page. `rate_unit` decides the
unit of every rate of an answer; an idle miner says "H/s".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import DecodeContext
from exporter.drivers.families.bitmain import decode_fans, mining_state
from exporter.drivers.families.bitmain_units import (
    SLEEP,
    RateUnit,
    dead_chips,
    rate_unit,
    sensor_row,
    temperature,
    work_mode,
)
from exporter.drivers.families.cgminer_records import Clock, find_records, is_fee, last_share, pool_up, told
from exporter.model import Board, DeviceError, Fan, Identity, MinerState, Pool, Reading, Temperature, replace
from exporter.text import normal_mac
from exporter.units import HashesPerSecond, celsius, difficulty, megahertz, rpm, seconds

SYSTEM: Final = "/cgi-bin/get_system_info.cgi"
NETWORK: Final = "/cgi-bin/get_network_info.cgi"
SUMMARY: Final = "/cgi-bin/summary.cgi"
STATS: Final = "/cgi-bin/stats.cgi"
POOLS: Final = "/cgi-bin/pools.cgi"
OLD_STATUS: Final = "/cgi-bin/get_miner_status.cgi"
CONF: Final = "/cgi-bin/get_miner_conf.cgi"
BLINK: Final = "/cgi-bin/get_blink_status.cgi"


def decode_system(document: Any, where: str = SYSTEM) -> Identity:
    """get_system_info.cgi; get_network_info.cgi has the MAC and the host name of it under its own names."""
    info = fields.as_table(document, where)
    model, build = told(info, "minertype", where), told(info, "system_filesystem_version", where)
    return Identity(
        mac=normal_mac(info.get("macaddr")),
        serial=told(info, "serinum", where),
        make="Bitmain" if model is not None and model.lower().startswith("antminer") else None,
        model=model,
        firmware_version=None if build is None else " ".join(build.split()),
        hostname=told(info, "hostname", where) or told(info, "conf_hostname", where),
    )


# --- new ---------------------------------------------------------------------------------------------------------


def _rate(record: Mapping[str, Any], key: str, unit: RateUnit | None, where: str) -> HashesPerSecond | None:
    value = fields.count(record, key, where)
    return None if value is None or unit is None else unit(value)


def _info_model(document: Any, where: str) -> str | None:
    return told(fields.table(fields.as_table(document, where), "INFO", where) or {}, "type", where)


def decode_stats(document: Any, where: str = STATS) -> Reading:
    """stats.cgi: rates, fans, boards and the mode."""
    records = find_records(document, "STATS", where)
    record = records[0] if records else {}
    unit = rate_unit(told(record, "rate_unit", where), _info_model(document, where))
    rate, elapsed = fields.count(record, "rate_5s", where), fields.count(record, "elapsed", where)
    mode = work_mode(record, where)
    asleep = mode == SLEEP and rate == 0
    ideal = _rate(record, "rate_ideal", unit, where)
    fans = _fan_list(record, where)
    fan_number = fields.count(record, "fan_num", where)
    return Reading(
        state=MinerState.CURTAILED if asleep else mining_state(rate, elapsed),
        work_mode=mode,
        expected_mining=None if mode is None else mode != SLEEP,
        mining_uptime=None if elapsed is None else seconds(elapsed),
        hashrate=_rate(record, "rate_5s", unit, where),
        hashrate_average=_rate(record, "rate_avg", unit, where),
        hashrate_expected=ideal or None,
        fans=fans,
        fans_expected=fan_number if fan_number and fans else None,
        boards=tuple(
            _board(chain, index, unit, where) for index, chain in enumerate(fields.tables(record, "chain", where))
        ),
    )


def _fan_list(record: Mapping[str, Any], where: str) -> tuple[Fan, ...]:
    """A plain list of speeds, numbered from 1 like the fans of 4028. All at 0: none is fitted, or the miner sleeps."""
    named = {f"fan{index}": speed for index, speed in enumerate(fields.array(record, "fan", where), start=1)}
    speeds = [(str(index), fields.count(named, name, where)) for index, name in enumerate(named, start=1)]
    if not any(speed for _, speed in speeds):
        return ()
    return tuple(Fan(number, rpm(speed)) for number, speed in speeds if speed is not None)


def _board(record: Mapping[str, Any], position: int, unit: RateUnit | None, where: str) -> Board:
    where = f"{where} chain[{position}]"
    number = fields.count(record, "index", where)
    rate = fields.count(record, "rate_real", where)
    ideal = _rate(record, "rate_ideal", unit, where)
    frequency = fields.count(record, "freq_avg", where)
    hashing = None if rate is None else rate > 0
    bad = dead_chips(told(record, "asic", where, 4096), hashing=hashing is True)
    chips = [value for value in sensor_row(record, "temp_chip", where) if value is not None]
    return Board(
        board=str(position if number is None else int(number)),
        up=hashing,
        serial=told(record, "sn", where),
        hashrate=None if rate is None or unit is None else unit(rate),
        hashrate_expected=ideal or None,
        chips_working=fields.count(record, "asic_num", where),
        chips_bad=None if bad is None else (("dead", bad),),
        temperatures=tuple(
            Temperature(str(index), value)
            for index, value in enumerate(sensor_row(record, "temp_pcb", where))
            if value is not None
        ),
        chip_temperature_min=min(chips, default=None),
        chip_temperature_avg=celsius(sum(chips) / len(chips)) if chips else None,
        chip_temperature_max=max(chips, default=None),
        frequency=megahertz(frequency) if frequency else None,
        hardware_errors=fields.count(record, "hw", where),
    )


_COMPONENTS: Final[Mapping[str, str]] = {"rate": "rate", "network": "network", "fans": "fan", "temp": "temperature"}
_SEVERITIES: Final[Mapping[str, str]] = {"e": "error", "w": "warning"}


def decode_summary(document: Any, where: str = SUMMARY) -> Reading:
    """summary.cgi: counters, and what the firmware complains of (rate, network, fans, temp: s, w or e)."""
    records = find_records(document, "SUMMARY", where)
    record = records[0] if records else {}
    unit = rate_unit(told(record, "rate_unit", where), _info_model(document, where))
    best = fields.count(record, "bestshare", where)
    rate, elapsed = fields.count(record, "rate_5s", where), fields.count(record, "elapsed", where)
    ideal = _rate(record, "rate_ideal", unit, where)
    states = {told(entry, "type", where): entry for entry in fields.tables(record, "status", where)}
    heat = told(states.get("temp") or {}, "status", where)
    return Reading(
        state=mining_state(rate, elapsed),
        overheat=None if heat is None else heat == "e",
        errors=tuple(_errors(states, where)),
        mining_uptime=None if elapsed is None else seconds(elapsed),
        hashrate=_rate(record, "rate_5s", unit, where),
        hashrate_average=_rate(record, "rate_avg", unit, where),
        hashrate_expected=ideal or None,
        hardware_errors=fields.count(record, "hw_all", where),
        best_share_difficulty=None if best is None else difficulty(best),
        session_best_share_difficulty=None if best is None else difficulty(best),
    )


def _errors(states: Mapping[str | None, dict[str, Any]], where: str) -> Iterator[DeviceError]:
    for kind, component in _COMPONENTS.items():
        entry = states.get(kind) or {}
        severity = _SEVERITIES.get(told(entry, "status", where) or "")
        code = fields.count(entry, "code", where)
        if severity is not None:
            yield DeviceError(f"{kind}_{int(code)}" if code else kind, severity, component)


def decode_pools(document: Any, context: DecodeContext, where: str = POOLS, name: str = "POOLS") -> tuple[Pool, ...]:
    """pools.cgi (and the `pools` of the older page). Which pool is in use is not told."""
    clock = Clock(context.received_at)
    pools = []
    for index, record in enumerate(find_records(document, name, where)):
        url, user = told(record, "url", where), told(record, "user", where)
        number = fields.count(record, "index", where)
        accepted = fields.count(record, "accepted", where)
        weight, asked = fields.suffixed_number(record, "diffa", where), fields.suffixed_number(record, "diff", where)
        shared = last_share(record, clock, "lstime", where)
        if url is None or url == "*":
            continue
        pools.append(
            Pool(
                pool=str(index if number is None else int(number)),
                url=url,
                user=user,
                up=pool_up(told(record, "status", where)),
                priority=fields.count(record, "priority", where),
                fee=is_fee(url, user),
                accepted=accepted,
                rejected=fields.count(record, "rejected", where),
                stale=fields.count(record, "stale", where),
                difficulty_accepted=difficulty(weight) if weight is not None and weight >= 0 else None,
                difficulty=difficulty(asked) if asked is not None and asked > 0 else None,
                last_share=shared if accepted != 0 else None,
                jobs_received=fields.count(record, "getworks", where),
            )
        )
    return tuple(pools)


# --- settings and lamp -------------------------------------------------------------------------------------------


def decode_conf(document: Any, where: str = CONF) -> Reading:
    """get_miner_conf.cgi: the mode alone; the pools' passwords in it are not read."""
    mode = work_mode(fields.as_table(document, where), where)
    return Reading(work_mode=mode, expected_mining=None if mode is None else mode != SLEEP)


def decode_blink(document: Any, where: str = BLINK) -> Reading:
    return Reading(fault_light=fields.flag(fields.as_table(document, where), "blink", where))


# --- old ---------------------------------------------------------------------------------------------------------

_UPTIME: Final = re.compile(r"(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+)s)?")


def _plain(record: Mapping[str, Any], key: str, where: str) -> float | None:
    """A figure that may have separators of thousands: "13,604.84"."""
    value = record.get(key)
    return fields.count({key: value.replace(",", "") if isinstance(value, str) else value}, key, where)


def _elapsed(record: Mapping[str, Any], where: str) -> float | None:
    """Seconds, or "1d2h3m4s"."""
    words = told(record, "elapsed", where)
    match = None if words is None else _UPTIME.fullmatch(words)
    if words is None or match is None or not any(match.groups()):
        return _plain(record, "elapsed", where)
    days, hours, minutes, rest = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + rest


def decode_old_status(document: Any, context: DecodeContext, where: str = OLD_STATUS) -> Reading:
    """get_miner_status.cgi of the S9 to S17: `summary`, `pools`, `devs`. Its rates have the unit of the model."""
    page = fields.as_table(document, where)
    summary = fields.table(page, "summary", where) or {}
    unit = rate_unit(None, context.identity.model)
    rate, average, elapsed = _plain(summary, "ghs5s", where), _plain(summary, "ghsav", where), _elapsed(summary, where)
    best = _plain(summary, "bestshare", where)
    reading = Reading(
        state=mining_state(rate, elapsed),
        mining_uptime=None if elapsed is None else seconds(elapsed),
        hashrate=None if rate is None or unit is None else unit(rate),
        hashrate_average=None if average is None or unit is None else unit(average),
        hardware_errors=_plain(summary, "hw", where),
        best_share_difficulty=None if best is None else difficulty(best),
        session_best_share_difficulty=None if best is None else difficulty(best),
        blocks_found=_plain(summary, "foundblocks", where),
        pools=decode_pools(page, context, where, "pools") if "pools" in page else (),
    )
    devices = fields.tables(page, "devs", where)
    found = {name: device[name] for device in devices for name in device if re.fullmatch(r"fan\d{1,2}", name)}
    return replace(
        reading,
        fans=decode_fans(found),
        boards=tuple(_old_board(device, index, unit, where) for index, device in enumerate(devices, start=1)),
    )


def _old_board(record: Mapping[str, Any], position: int, unit: RateUnit | None, where: str) -> Board:
    where = f"{where} devs[{position - 1}]"
    number, rate = fields.count(record, "index", where), _plain(record, "rate", where)
    hashing = None if rate is None else rate > 0
    bad = dead_chips(told(record, "chain_acs", where, 4096), hashing=hashing is True)
    board, chip = (temperature(_plain(record, key, where)) for key in ("temp", "temp2"))
    return Board(
        board=str(position if number is None else int(number)),
        up=hashing,
        hashrate=None if rate is None or unit is None else unit(rate),
        chips_working=_plain(record, "chain_acn", where),
        chips_bad=None if bad is None else (("dead", bad),),
        temperatures=() if board is None else (Temperature("0", board),),
        chip_temperature_max=chip,
        hardware_errors=_plain(record, "hw", where),
    )
