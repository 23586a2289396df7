"""Who a miner with the CGMiner API is: its family's make, and what its answers tell of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.drivers.api import Answers, Identification, Specificity
from exporter.drivers.families import whatsminer
from exporter.drivers.families.cgminer_extras import decode_config, decode_ipreport
from exporter.drivers.families.cgminer_reading import API, FAMILY, TEXT
from exporter.drivers.families.cgminer_records import find_records, told
from exporter.drivers.families.cgminer_replies import is_text, readable, reply
from exporter.drivers.families.recognise import CGMINER, OWN_DRIVERS, Family, can_poll, recognise, speaks_cgminer
from exporter.errors import DecodeError
from exporter.model import Identity, replace
from exporter.text import clean_text


def identify_cgminer(answers: Answers) -> Identification | None:
    """A named family, or a host of which no more is known than that it speaks the CGMiner API.

    None for what another bundled driver owns (VNish, stock Antminer, Avalon, AxeOS, ...) and for what is no miner.
    """
    family = recognise(answers)
    if family is not None and family.driver_type in OWN_DRIVERS:
        return None
    pollable = can_poll(answers)
    if family is not None:
        driver = CGMINER if family.driver_type == CGMINER and pollable else None
        return Identification(driver, Specificity.SPECIFIC, _identity(family, answers), _details(answers, family))
    if not _speaks_text(answers) and not (speaks_cgminer(answers) and pollable):
        return None
    return Identification(CGMINER, Specificity.GENERIC, _generic(answers), _details(answers, None))


def _speaks_text(answers: Answers) -> bool:
    """Whether the device answers JSON with text: it knows the old form only, and has not understood what was asked."""
    return any(is_text(answers, key) for key in ("rpc version", "rpc summary"))


def _details(answers: Answers, family: Family | None) -> dict[str, str]:
    """The family for the choice of commands, and whether the device answers in the old text form."""
    details = {} if family is None else {FAMILY: family.name}
    if _speaks_text(answers):
        details[API] = TEXT
    return details


def _identity(family: Family, answers: Answers) -> Identity:
    known = Identity(
        make=family.make, model=family.model, firmware=family.firmware, firmware_version=family.firmware_version
    )
    try:
        told = decode_cgminer_identity(answers)
    except DecodeError:  # a foreign answer under the key of ours: the family stands, the rest stays unknown
        return known
    return replace(
        told,
        make=family.make or told.make,
        model=family.model or told.model,
        firmware=family.firmware,
        firmware_version=family.firmware_version or told.firmware_version,
    )


def _generic(answers: Answers) -> Identity:
    """Nothing but the program's own name and version ("cgminer 4.9.2")."""
    status = readable(answers, "rpc summary").get("STATUS")
    first = status[0] if isinstance(status, list) and status else {}
    told = first.get("Description") if isinstance(first, Mapping) else None
    words = (clean_text(told) or "").split(" ")
    version = words[1] if len(words) > 1 else None
    return Identity(firmware=words[0] or None, firmware_version=version)


def _first(document: Any, name: str) -> Mapping[str, Any] | None:
    if not isinstance(document, Mapping) or document.get(name) is None:
        return None
    records = find_records(document, name, f"rpc {name.lower()}")
    return records[0] if records else None


def decode_cgminer_identity(answers: Answers) -> Identity:
    """MAC, serial, host name and version as far as ``summary``, ``config``, ``devdetails`` or ``version`` tell them."""
    summary = _first(reply(answers, "rpc summary"), "SUMMARY")
    identity = Identity()
    if summary is not None and whatsminer.is_whatsminer(summary):
        identity = replace(whatsminer.identity_of(summary), model=_whatsminer_model(answers))
    config = reply(answers, "rpc config")
    if _first(config, "CONFIG") is not None:
        identity = decode_config(config).identity
    report = reply(answers, "rpc ipreport")
    if _first(report, "IPReport") is not None:
        identity = decode_ipreport(report)
    about = _first(reply(answers, "rpc version"), "VERSION")
    if about is not None and identity.model is None:
        kind = told(about, "Type", "rpc version")
        identity = replace(identity, model=kind, firmware_version=identity.firmware_version or _number(about))
    return identity


def _number(about: Mapping[str, Any]) -> str | None:
    keys = ("LUXminer", "BOSer", "BOSminer", "BOSminer+", "GCMiner", "Miner")
    return next((text for key in keys if (text := told(about, key, "rpc version"))), None)


def _whatsminer_model(answers: Answers) -> str | None:
    """The model in DEVDETAILS ("M60SVK40"), or in the answer to ``version`` of newer firmwares."""
    details = _first(reply(answers, "rpc devdetails"), "DEVDETAILS")
    model = told(details, "Model", "rpc devdetails") if details is not None else None
    document = reply(answers, "rpc version")
    message = document.get("Msg") if isinstance(document, Mapping) else None
    if isinstance(message, Mapping):
        model = told(message, "miner_type", "rpc version") or model
    return None if model is None else f"Whatsminer {model}"
