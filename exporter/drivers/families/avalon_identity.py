"""Who an Avalon says it is: ``version`` (PROD, MODEL, MAC, DNA) of newer firmwares, module strings of older ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from exporter.drivers.api import Answers, CgminerRequest, DecodeContext, Identification, Request, Specificity
from exporter.drivers.families.avalon_boards import is_controller
from exporter.drivers.families.avalon_mm import Module
from exporter.drivers.families.avalon_reading import modules_in, version_record
from exporter.drivers.families.cgminer_records import told
from exporter.errors import DecodeError
from exporter.model import Identity
from exporter.text import clean_text, normal_mac

MAKE: Final = "Canaan"
#: Command whose answer holds the modules, chosen when the miner is identified (detail "stats").
STATS: Final = "stats"
LITESTATS: Final = "litestats"

_STATS_ID: Final = re.compile(r"AVA\d|AVALON|AVANANO|AV[789]\d", re.IGNORECASE)
#: Module version "7411706-3162860": the first three digits are the model.
_OLD_VERSION: Final = re.compile(r"([6-9]\d\d)\d{4}-\w+")
#: "1246-83-21072802_4ec6bb0_211fc46", "nano3-24071801_42c628d": model, then the firmware's date and revisions.
_VERSION: Final = re.compile(r"(.+?)-(\d{8}_\w+)")
_SERIAL: Final = re.compile(r"[0-9A-Fa-f]{8,64}")


def probes() -> tuple[Request, ...]:
    return (CgminerRequest("version"), CgminerRequest("stats"))


def identify_avalon(answers: Answers) -> Identification | None:
    """The family's judgement, with the driver a Nano or another Avalon needs; None for other makers.

    Certain from ``version`` alone, so that a device which serves one connection at a time is asked once.
    """
    record = _readable(answers, "rpc version", version_record)
    modules = _readable(answers, "rpc stats", lambda _: modules_in(answers)) or ()
    if record is not None and _named_avalon(record):
        nano = _is_nano(told(record, "MODEL"), told(record, "PROD"))
    elif modules or _stats_named(answers):
        record = None
        nano = _is_nano(modules[0].text("Ver")) if modules else _stats_named(answers, "AVANANO")
    else:
        return None
    return Identification(
        "avalon_nano" if nano else "avalon",
        Specificity.CERTAIN,
        identity_of(record, modules),
        {"stats": _stats_command(record, modules)},
    )


def _readable(answers: Answers, key: str, read: Any) -> Any:
    """What `read` makes of a probe's answer; None where it is missing or not of our kind (another maker's)."""
    try:
        document = answers.optional_document(key)
        return None if not isinstance(document, Mapping) else read(document)
    except DecodeError:
        return None


def _named_avalon(record: Mapping[str, Any]) -> bool:
    return any("avalon" in (clean_text(record.get(key)) or "").lower() for key in ("PROD", "MODEL"))


def _is_nano(*names: str | None) -> bool:
    return any("nano" in (name or "").lower() for name in names)


def _stats_named(answers: Answers, mark: str = "") -> bool:
    document = _readable(answers, "rpc stats", dict)
    records = (document or {}).get("STATS")
    if not isinstance(records, list):
        return False
    names = [record.get("ID") for record in records if isinstance(record, Mapping)]
    return any(isinstance(name, str) and _STATS_ID.match(name) and mark in name.upper() for name in names)


def _stats_command(record: Mapping[str, Any] | None, modules: tuple[Module, ...]) -> str:
    """The Q answers ``stats`` empty at times and ``litestats`` always, with the same figures but for the chips."""
    model = (told(record, "MODEL") or "").lower() if record is not None else ""
    version = (modules[0].text("Ver") or "").lower() if modules else ""
    return LITESTATS if model == "q" or version.startswith("q-") else STATS


def identity_of(record: Mapping[str, Any] | None, modules: tuple[Module, ...]) -> Identity:
    """The identity from the VERSION record, completed from the modules."""
    first = modules[0] if modules else None
    known = _identity_of_module(first) if first is not None and not is_controller(modules) else Identity()
    if first is not None and is_controller(modules):
        known = _identity_of_controller(first, len(modules))
    if record is None:
        return known
    version = told(record, "LVERSION") or told(record, "VERSION") or told(record, "CGMiner")
    return Identity(
        mac=normal_mac(told(record, "MAC")),
        serial=_serial(told(record, "DNA")) or known.serial,
        make=MAKE,
        model=told(record, "PROD") or known.model,
        firmware=MAKE,
        firmware_version=version or known.firmware_version,
    )


def _identity_of_module(module: Module) -> Identity:
    match = _VERSION.fullmatch(module.text("Ver") or "")
    name = match[1] if match else module.text("Ver")
    prefix = "" if name is None else "AvalonMiner " if name[:1].isdigit() else "Avalon "
    return Identity(
        serial=_serial(module.text("DNA")) or _serial(module.text("HDNA")),
        make=MAKE,
        model=None if name is None else f"{prefix}{name[:1].upper()}{name[1:]}",
        firmware=MAKE,
        firmware_version=match[2] if match else None,
    )


def _identity_of_controller(module: Module, count: int) -> Identity:
    """A controller has no serial of its own; the modules behind it are boards and can be moved."""
    match = _OLD_VERSION.fullmatch(module.text("Ver") or "")
    model = None if match is None else f"AvalonMiner {match[1]}" + (f" x{count}" if count > 1 else "")
    return Identity(make=MAKE, model=model, firmware=MAKE, firmware_version=module.text("Ver"))


def _serial(value: str | None) -> str | None:
    """A DNA that can identify: hexadecimal, not all zeros."""
    if value is None or not _SERIAL.fullmatch(value) or not value.strip("0"):
        return None
    return value.lower()


def decode_avalon_identity(answers: Answers) -> Identity:
    """The identity in the answers to ``version`` and, where it was asked, ``stats``."""
    record = version_record(answers.optional_document("rpc version"))
    return identity_of(record, modules_in(answers))


def status_requests(context: DecodeContext) -> tuple[Request, ...]:
    """One joined connection: summary, the module string and the pools."""
    command = context.details.get("stats")
    summary, pools = CgminerRequest("summary"), CgminerRequest("pools")
    if command in (STATS, LITESTATS):
        return (summary, CgminerRequest(command), pools)
    return (summary, CgminerRequest(STATS, optional=True), CgminerRequest(LITESTATS, optional=True), pools)


def telemetry_requests(context: DecodeContext) -> tuple[Request, ...]:
    """``stats`` for the chips, ``litestats`` for what it alone tells; home miners alone know the latter."""
    chips = CgminerRequest(STATS, optional=True)
    home = context.details.get("stats") == LITESTATS or _is_nano(context.identity.model)
    return (chips, CgminerRequest(LITESTATS, optional=True)) if home else (chips,)
