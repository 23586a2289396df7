"""The program itself: health, configuration, live checks, types of miners."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field, RootModel

from exporter import __version__
from exporter.engine.client import EngineApi
from onboarding_ui.api.shapes import COUNTED, Answer, ListQuery, answers, blueprint, made, nothing, told, told_part

_PLAIN: Final = (str, int, float, bool, type(None))


class HealthAnswer(Answer):
    """Whether the program has started."""

    ready: bool = Field(description="The engine has started and is not stopping.")
    version: str


class SettingsAnswer(Answer):
    """The configuration that runs; it holds no secret."""

    file: str = Field(description="Where it is read from.")
    settings: dict[str, Any] = Field(
        description="All keys, also those that the file leaves out; addresses are those that are listened on."
    )
    command_line: list[str] = Field(description='Keys that an option of the command line gives, such as "http.addr".')


class CheckAnswer(Answer):
    """A live check."""

    group: str
    title: str
    state: Literal["ok", "warning", "problem", "unknown"]
    found: str
    remedy: str | None
    miner_id: int | None


class CheckList(RootModel[list[CheckAnswer]]):
    """Live checks."""


class MinerTypeAnswer(Answer):
    """A type of miner that can be polled."""

    miner_type: str
    display_name: str | None
    manufacturer: str | None
    connection_type: str | None = Field(description="http, tcp, udp or serial.")
    default_port: int | None
    supported_models: list[str]
    driver_version: str | None


class MinerTypeList(RootModel[list[MinerTypeAnswer]]):
    """Types of miners."""


def setting_json(value: Any) -> Any:
    """A setting as JSON: sections as objects, labels as text pairs, addresses and paths as text."""
    if isinstance(value, _PLAIN):
        return without_sign_in(value) if isinstance(value, str) and "://" in value else value
    if isinstance(value, (tuple, list)):
        return [setting_json(item) for item in value]
    if dataclasses.is_dataclass(value) and type(value).__str__ is object.__str__:
        return {field.name: setting_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return str(value)


def without_sign_in(url: str) -> str:
    """A URL without the user and password that it may hold."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def program_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("program", "Program", "The program itself.")

    @api.get("/health", summary="Show whether the program is ready", responses=answers(HealthAnswer))
    def health() -> Response:
        """Answers also while the engine starts."""
        return told(HealthAnswer, {"ready": engine.ready(), "version": __version__})

    @api.get("/settings", summary="Show the configuration", responses=answers(SettingsAnswer))
    def get_settings() -> Response:
        """What targets.yml, the environment and the command line say together."""
        program = engine.program
        document = {
            "file": program.config_file(),
            "settings": setting_json(program.settings()),
            "command_line": sorted(program.by_command_line()),
        }
        return made(document)

    @api.post("/settings/reload", summary="Read the configuration again", responses=answers(status=204))
    def reload_settings() -> Response:
        """targets.yml, the device passwords of a file, and the drivers. 400 with the fault where the file has one;
        what ran stays."""
        engine.program.reload()
        return nothing()

    @api.get("/diagnostics", summary="Run all live checks", responses=answers(CheckList, headers=COUNTED))
    def diagnostics(query: ListQuery) -> Response:
        """Why miners are not found, do not answer, do not match a wallet. Takes some seconds at most."""
        return told_part(CheckAnswer, engine.program.checks(), query)

    @api.get("/miner-types", summary="List types of miners", responses=answers(MinerTypeList, headers=COUNTED))
    def miner_types(query: ListQuery) -> Response:
        """One for each driver that is loaded; `miner_type` is what adding a miner takes."""
        drivers = [driver for driver in engine.program.drivers() if driver.error is None]
        listed = [
            {
                "miner_type": driver.driver_type,
                "display_name": driver.display_name,
                "manufacturer": driver.manufacturer,
                "connection_type": driver.connection_type,
                "default_port": driver.default_port,
                "supported_models": driver.supported_models,
                "driver_version": driver.driver_version,
            }
            for driver in drivers
        ]
        return told_part(MinerTypeAnswer, listed, query)

    return api
