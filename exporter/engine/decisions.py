"""What a person may decide of a miner, checked field by field. Pure but for the names that are taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from exporter.config_values import check_fixed_driver
from exporter.drivers.loader import DriverSet
from exporter.engine.onboarding import checked_currency, checked_name, checked_note
from exporter.errors import FieldError
from exporter.store.database import Database
from exporter.store.rows import MinerRow
from exporter.store.secret import Secret
from exporter.text import clean_text

#: Labels that a person may give a miner.
LABELS: Final = ("site", "rack", "group")
_LONGEST_LABEL: Final = 64
_LONGEST_PASSWORD: Final = 256
_LONGEST_USER: Final = 64
#: A mute without an end in sight is most often forgotten; who wants none at all retires the miner.
LONGEST_MUTE_SECONDS: Final = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Login:
    """A device's own password; `password` None forgets it. `username` None: the driver's own one."""

    password: Secret | None
    username: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Checked changes: fields of the row, and the device's password where it changes."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    login: Login | None = None


def decide(db: Database, row: MinerRow, changes: Mapping[str, Any], now: float) -> Decision:
    """Check what a person wants to change of a miner; see `MinersApi.change` for the fields.

    Raises:
        FieldError, TakenError: the first field that cannot be used.
    """
    fields: dict[str, Any] = {}
    for name, value in changes.items():
        if name in ("unlock_pass", "username"):
            continue
        check = _CHECKS.get(name)
        if check is None:
            known = ", ".join((*_CHECKS, "unlock_pass", "username"))
            raise FieldError(
                f"{clean_text(name, 40)}: is nothing that can be changed; these are: {known}",
                clean_text(name, 40) or "name",
            )
        fields.update(check(db, row, value, now))
    return Decision(fields, _login(row, changes))


def checked_driver(driver: str | None, drivers: DriverSet) -> str | None:
    """The driver that a person names for a miner at an address; None: it is found out. Raises `FieldError`."""
    if driver is None:
        return None
    known = drivers.drivers
    try:
        word = check_fixed_driver(driver)
    except ValueError as error:
        raise FieldError(f"miner_type: {error}", "miner_type") from error
    if word not in known or known[word].connection_type == "serial":
        names = sorted(name for name, one in known.items() if one.connection_type != "serial")
        raise FieldError(f"miner_type: there is no driver {word!r}; there are {', '.join(names)}", "miner_type")
    return word


def checked_port(port: object) -> int | None:
    """A TCP port; None where the driver's own is meant. Raises `FieldError`."""
    if port is None:
        return None
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        raise FieldError("api_port: must be a whole number between 1 and 65535", "api_port")
    return port


def _name(db: Database, row: MinerRow, value: Any, now: float) -> dict[str, Any]:
    if value is None:
        return {"name": None}
    return {"name": checked_name(db, _text("name", value), besides=row.id)}


def _currency(db: Database, row: MinerRow, value: Any, now: float) -> dict[str, Any]:
    return {"currency": None if value is None else checked_currency(_text("currency", value))}


def _flag(name: str) -> _Check:
    def check(db: Database, row: MinerRow, value: Any, now: float) -> dict[str, Any]:
        if not isinstance(value, bool):
            raise FieldError(f"{name}: must be true or false", name)
        return {name: value}

    return check


def _note(name: str) -> _Check:
    def check(db: Database, row: MinerRow, value: Any, now: float) -> dict[str, Any]:
        return {name: checked_note(name, None if value is None else _text(name, value))}

    return check


def _labels(db: Database, row: MinerRow, value: Any, now: float) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise FieldError('labels: must be an object such as {"rack": "4"}', "labels")
    labels = dict(row.own_labels)
    for name, text in value.items():
        if name not in LABELS:
            raise FieldError(f"labels: the names are {', '.join(LABELS)}, not {clean_text(name, 40)!r}", "labels")
        if text is None or text == "":
            labels.pop(name, None)
        elif isinstance(text, str) and (cleaned := _printable(text, _LONGEST_LABEL)) is not None:
            labels[name] = cleaned
        else:
            raise FieldError(f"labels: {name} must be at most {_LONGEST_LABEL} printable characters", "labels")
    return {"own_labels": labels}


def _muted_until(db: Database, row: MinerRow, value: Any, now: float) -> dict[str, Any]:
    if value is None:
        return {"muted_until": None}
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise FieldError("muted_until: must be a time in Unix seconds, or null", "muted_until")
    if value <= now:
        raise FieldError("muted_until: must lie in the future; null ends a mute", "muted_until")
    if value > now + LONGEST_MUTE_SECONDS:
        raise FieldError(
            "muted_until: must lie within one year; set enabled to false to retire the miner", "muted_until"
        )
    return {"muted_until": float(value)}


_Check = Callable[[Database, MinerRow, Any, float], dict[str, Any]]
_CHECKS: Final[Mapping[str, _Check]] = MappingProxyType(
    {
        "name": _name,
        "currency": _currency,
        "managed": _flag("managed"),
        "enabled": _flag("enabled"),
        "chipset": _note("chipset"),
        "location_notes": _note("location_notes"),
        "labels": _labels,
        "muted_until": _muted_until,
    }
)


def _login(row: MinerRow, changes: Mapping[str, Any]) -> Login | None:
    if "unlock_pass" not in changes:
        if "username" in changes:
            raise FieldError("username: goes together with unlock_pass only", "username")
        return None
    if row.driver == "nerdminer":
        raise FieldError("unlock_pass: a miner on USB has no password", "unlock_pass")
    password, user = changes["unlock_pass"], changes.get("username")
    if user is not None and (not isinstance(user, str) or (user and _printable(user, _LONGEST_USER) is None)):
        raise FieldError(f"username: must be at most {_LONGEST_USER} printable characters", "username")
    if password is None or password == "":
        return Login(None)
    if not isinstance(password, str) or len(password) > _LONGEST_PASSWORD or not password.isprintable():
        raise FieldError(f"unlock_pass: must be at most {_LONGEST_PASSWORD} printable characters", "unlock_pass")
    return Login(Secret(password), user or None)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FieldError(f"{name}: must be text", name)
    return value


def _printable(text: str, longest: int) -> str | None:
    cleaned = clean_text(text, longest + 1)
    return cleaned if cleaned is not None and cleaned == text.strip() and len(cleaned) <= longest else None
