"""The configuration that runs, as keys and values that a person reads beside targets.yml."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from exporter.config import FixedMiner, Listen, Settings, Subnet


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One key of targets.yml and its value as text.

    `default` where an empty file would give the same; `command_line` where an option of the command line gives it.
    """

    key: str
    value: str
    default: bool
    command_line: bool = False


@dataclass(frozen=True, slots=True)
class SettingSection:
    """One section of targets.yml."""

    name: str
    lines: tuple[SettingLine, ...]


def setting_sections(settings: Settings, by_command_line: Collection[str] = ()) -> tuple[SettingSection, ...]:
    """All keys by section, in the order of targets.yml; a section within a section gives keys with a dot.

    Args:
        by_command_line: keys with their section, such as "http.addr", whose values an option gives.
    """
    usual = Settings()
    return tuple(
        SettingSection(
            field.name,
            tuple(
                replace(line, default=False, command_line=True)
                if f"{field.name}.{line.key}" in by_command_line
                else line
                for line in _lines("", getattr(settings, field.name), getattr(usual, field.name))
            ),
        )
        for field in dataclasses.fields(settings)
    )


def _lines(key: str, value: Any, usual: Any) -> tuple[SettingLine, ...]:
    if not dataclasses.is_dataclass(value) or isinstance(value, Listen):
        return (SettingLine(key, setting_text(value), value == usual),)
    return tuple(
        line
        for field in dataclasses.fields(value)
        for line in _lines(
            f"{key}.{field.name}" if key else field.name, getattr(value, field.name), getattr(usual, field.name)
        )
    )


def setting_text(value: Any) -> str:
    """A value in words: "not set" for none, lists with commas, whole numbers without a point."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return ", ".join(map(setting_text, value)) or "none"
    if isinstance(value, Subnet):
        return _with_labels("auto" if value.cidr is None else str(value.cidr), value.labels)
    if isinstance(value, FixedMiner):
        port = "" if value.port is None else f" port {value.port}"
        facts = [fact for fact in (value.driver, value.name) if fact is not None]
        return _with_labels(" ".join([value.address + port, *facts]), value.labels)
    return str(value)


def _with_labels(text: str, labels: tuple[tuple[str, str], ...]) -> str:
    shown = ", ".join(f"{name}: {label}" for name, label in labels)
    return f"{text} ({shown})" if shown else text
