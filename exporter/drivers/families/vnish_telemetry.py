"""VNish answers of the slow loop: chips (/chains, since 1.3 /boards), presets, lamp, system, model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.families.cgminer_records import told
from exporter.drivers.families.vnish_summary import identifier, measured
from exporter.drivers.families.vnish_units import RateUnit, preset_figures
from exporter.errors import DecodeError
from exporter.model import Board, Chip, ChipGrade, Identity, ModelInfo, Preset, Reading, replace
from exporter.text import normal_mac
from exporter.units import celsius, kibibytes, megahertz, millivolts, seconds, watts

#: A chip (or its voltage domain) has between 0.1 and 2 V; the unit of other figures is not known.
_CHIP_MILLIVOLTS: Final = (100.0, 2000.0)


# --- /info --------------------------------------------------------------------------------------------------------


def decode_system(system: Mapping[str, Any], where: str) -> Reading:
    """The `system` block of /info (the 1.2.0 betas also have it in /summary). Memory is in KiB."""
    network = fields.table(system, "network_status", where) or {}
    uptime = fields.duration(system, "uptime", where)
    free = fields.count(system, "mem_free", where)
    return Reading(
        identity=Identity(mac=normal_mac(network.get("mac")), hostname=told(network, "hostname", where)),
        uptime=None if uptime is None else seconds(uptime),
        memory_free=() if free is None else (("system", kibibytes(free)),),
    )


def split_type(words: str | None) -> tuple[str | None, str | None]:
    """ "Antminer S19 (Vnish 1.2.6)" as model and version."""
    model, _, rest = (words or "").partition("(")
    name, _, version = rest.rstrip(") ").partition(" ")
    return model.strip() or None, version.strip() or None if name.lower().startswith("vnish") else None


def maker_of(model: str | None) -> str | None:
    return "Bitmain" if model is not None and model.lower().startswith("antminer") else None


def decode_info(document: Any, where: str = "GET /api/v1/info") -> Identity:
    """Who the miner is; a serial number of "N/A" is none."""
    info = fields.as_table(document, where)
    system = decode_system(fields.table(info, "system", where) or {}, where).identity
    model = told(info, "miner", where)
    return replace(
        system,
        serial=told(info, "serial", where),
        make=maker_of(model),
        model=model,
        firmware="VNish",
        firmware_version=told(info, "fw_version", where),
    )


# --- /chains, /boards, /chips ------------------------------------------------------------------------------------


def decode_chips(document: Any, unit: RateUnit | None, where: str) -> tuple[Board, ...]:
    """Boards with their chips. /chains and /boards are a list; the older /chips has it under `chains`."""
    records: list[Any]
    if isinstance(document, list):
        records = document
    else:
        records = fields.array(fields.as_table(document, where), "chains", where)
    boards = (_chip_board(fields.as_table(record, where), unit, where) for record in records)
    return tuple(board for board in boards if board is not None)


def _chip_board(record: Mapping[str, Any], unit: RateUnit | None, where: str) -> Board | None:
    number = identifier(record, where)
    if number is None:
        return None
    chips = tuple(_chips(fields.tables(record, "chips", where), unit, where))
    warm = [chip.temperature for chip in chips if chip.temperature is not None]
    return Board(
        board=number,
        chip_temperature_avg=celsius(sum(warm) / len(warm)) if warm else None,
        chips=chips,
    )


def _chips(records: list[dict[str, Any]], unit: RateUnit | None, where: str) -> Iterator[Chip]:
    count, low, high = fields.count, *_CHIP_MILLIVOLTS  # this loop runs for up to 400 chips of each miner
    for record in records:
        number = count(record, "id", where)
        rate = count(record, "hr" if "hr" in record else "hashrate", where)
        frequency, tension = count(record, "freq", where), count(record, "volt", where)
        temperature = measured(record, "temp", where)
        errors = count(record, "errs" if "errs" in record else "errors", where)
        grade = _grade(record, rate, where)
        if number is None:
            continue
        yield Chip(
            str(int(number)),
            temperature,
            unit(rate) if unit is not None and rate is not None else None,
            None if frequency is None else megahertz(frequency),
            millivolts(tension) if tension is not None and low <= tension <= high else None,
            errors,
            grade,
        )


_GRADES: Final[Mapping[str | None, ChipGrade]] = {"grey": ChipGrade.GOOD, "orange": ChipGrade.SLOW}


def _grade(record: Mapping[str, Any], rate: float | None, where: str) -> ChipGrade | None:
    """The colours grade the hash rate. A throttled chip was slowed because of its temperature."""
    colour = told(record, "grade" if "grade" in record else "status", where)
    if fields.flag(record, "throttled", where):
        return ChipGrade.HOT
    if colour == "red":
        return ChipGrade.SLOW if rate else ChipGrade.DEAD
    return _GRADES.get(colour)


# --- presets and model -------------------------------------------------------------------------------------------


def decode_perf_summary(document: Any, where: str = "GET /api/v1/perf-summary") -> Reading:
    """The selected preset (text, or an object with its name) and its power as the target."""
    answer = fields.as_table(document, where)
    preset = answer.get("current_preset")
    if isinstance(preset, dict):
        name, pretty = told(preset, "name", where), told(preset, "pretty", where)
    else:
        name, pretty = told(answer, "current_preset", where), None
    power = preset_figures(pretty)[0]
    if power is None and name is not None and name.isdecimal():
        power = watts(float(name))
    return Reading(work_mode=name, power_limit=power)


def decode_lamp(document: Any, where: str = "GET /api/v1/status") -> Reading:
    """Whether the lamp that helps to find the miner blinks."""
    return Reading(fault_light=fields.flag(fields.as_table(document, where), "find_miner", where))


def decode_factory(document: Any, where: str = "GET /api/v1/chains/factory-info") -> tuple[Board, ...]:
    """Serial numbers of the boards."""
    chains = fields.tables(fields.as_table(document, where), "chains", where)
    found = ((identifier(record, where), told(record, "serial", where)) for record in chains)
    return tuple(Board(number, serial=serial) for number, serial in found if number is not None)


def decode_presets(document: Any, where: str = "GET /api/v1/autotune/presets") -> tuple[Preset, ...]:
    """The presets a model offers; only a `tuned` one takes effect without a tuning run.

    Raises:
        DecodeError: the answer is no list of objects.
    """
    if not isinstance(document, list):
        raise DecodeError(f"{where}: expected a list")
    presets = []
    for entry in document:
        record = fields.as_table(entry, where)
        name, pretty, status = (told(record, key, where) for key in ("name", "pretty", "status"))
        modified = fields.flag(record, "modded_psu_required", where)
        power, rate = preset_figures(pretty)
        if name is not None:
            presets.append(Preset(name, pretty, power, rate, None if status is None else status == "tuned", modified))
    return tuple(presets)


def decode_model(
    document: Any, presets: tuple[Preset, ...] | None, alias: str | None, where: str = "GET /api/v1/model"
) -> ModelInfo | None:
    """The model; None where neither the answer nor `alias` (from /info) names it."""
    answer = {} if document is None else fields.as_table(document, where)
    chain = fields.table(answer, "chain", where) or {}
    boards, chips = fields.count(chain, "num_chains", where), fields.count(chain, "chips_per_chain", where)
    key = told(answer, "model", where) or alias
    if key is None:
        return None
    return ModelInfo(
        alias=key,
        name=told(answer, "full_name", where),
        algorithm=told(answer, "algorithm", where),
        boards=int(boards) if boards else None,
        chips_per_board=int(chips) if chips else None,
        presets=presets,
    )
