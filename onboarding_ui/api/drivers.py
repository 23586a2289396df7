"""``/api/miner-drivers``: versions, updates and the way back."""

from __future__ import annotations

from typing import Final, Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field, RootModel

from exporter.engine.api.drivers import DriverChange
from exporter.engine.client import EngineApi
from onboarding_ui.api.shapes import COUNTED, Answer, ListQuery, Query, answers, blueprint, made, told_all, told_part

_FAULT: Final = "{what}, but the program cannot use it: {error}"


class DriverPath(BaseModel):
    """The driver."""

    name: str = Field(
        min_length=1, max_length=64, description="Its type, such as bitaxe.", json_schema_extra={"example": "bitaxe"}
    )


class ShownQuery(Query):
    """What a person was shown."""

    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the file that is to be put in place; where it is another one by now, nothing changes.",
    )


class DriverAnswer(Answer):
    """How one driver stands."""

    driver_type: str
    display_name: str | None
    manufacturer: str | None
    version: str | None = Field(description="Of what serves now; null where nothing does.")
    source: Literal["bundled", "user"] | None = Field(description="Where what serves comes from.")
    sha256: str | None = Field(description="Of the file that serves.")
    file: str | None = Field(description="The file in the driver folder that stands for it.")
    status: Literal["up-to-date", "update-available", "error", "own"]
    available_version: str | None = Field(description="Of the bundled driver, which an update puts in place.")
    available_sha256: str | None
    update_available: bool = Field(description="The bundled driver is newer, or has changed since it was edited.")
    previous_version: str | None = Field(description="Of the file that was kept, for the way back.")
    previous_sha256: str | None
    reload_needed: bool = Field(description="The files are other ones by now than those that were loaded.")
    error: str | None = Field(description="Why a file was rejected.")
    traceback: str | None


class DriverList(RootModel[list[DriverAnswer]]):
    """Drivers by type."""


class ChangeAnswer(Answer):
    """What became of one file."""

    driver_type: str
    result: Literal["updated", "rolled-back", "unchanged", "failed"]
    version_before: str | None
    version: str | None
    sha256: str | None = Field(description="Of the file that is in place now.")
    kept: str | None = Field(description="The file that holds what was there before.")
    kept_before: str | None = Field(description="The name that your file kept before that has now.")
    error: str | None = Field(description="Why it failed, or why the program cannot use what is in place.")
    message: str = Field(description="All of it in one sentence.")


class ChangeList(RootModel[list[ChangeAnswer]]):
    """What became of each file."""


def change_words(change: DriverChange) -> str:
    """A change in one sentence."""
    name, version = change.driver_type, change.version or "an unknown version"
    if change.result == "failed":
        return f"{name} was not changed: {change.error}"
    what = {
        "updated": f"{name} is {version} now",
        "rolled-back": f"{name} is back at {version}",
        "unchanged": f"{name} was up to date",
    }[change.result]
    return f"{what}." if change.error is None else _FAULT.format(what=what, error=change.error)


def change_json(change: DriverChange) -> dict[str, object]:
    """The document of `ChangeAnswer`."""
    names = ("driver_type", "result", "version_before", "version", "sha256", "kept", "kept_before", "error")
    values = {name: getattr(change, name) for name in names}
    return ChangeAnswer(**values, message=change_words(change)).model_dump(mode="json")


def drivers_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("drivers", "Drivers", "Drivers: versions, updates and the way back.")
    drivers = answers(DriverList, description="Drivers by type.", headers=COUNTED)

    @api.get("/miner-drivers", summary="List drivers", responses=drivers)
    def list_drivers(query: ListQuery) -> Response:
        """What serves, what the program brings, what was kept, and what was rejected; the files are looked at now."""
        return told_part(DriverAnswer, engine.drivers.all(), query)

    @api.get("/miner-drivers/check-updates", summary="Check for driver updates", responses=drivers)
    def check_driver_updates(query: ListQuery) -> Response:
        """Those drivers of which the program brings a newer one than the driver folder has."""
        return told_part(DriverAnswer, [one for one in engine.drivers.all() if one.update_available], query)

    @api.post("/miner-drivers/update/<name>", summary="Update a driver", responses=answers(ChangeAnswer))
    def update_driver(path: DriverPath, query: ShownQuery) -> Response:
        """Puts the bundled file in place of the user's, which is kept beside it, and uses it at once."""
        return made(change_json(engine.drivers.update(path.name, query.sha256)))

    @api.post("/miner-drivers/update-all", summary="Update all drivers", responses=answers(ChangeList))
    def update_all_drivers() -> Response:
        """Those that check-updates lists. Each file is replaced whole or not at all; what fails stops no other."""
        return made([change_json(change) for change in engine.drivers.update_all()])

    @api.post("/miner-drivers/rollback/<name>", summary="Go back to the kept driver", responses=answers(ChangeAnswer))
    def roll_back_driver(path: DriverPath, query: ShownQuery) -> Response:
        """Puts the kept file back in its place and keeps the other one in its stead; both may be exchanged again."""
        return made(change_json(engine.drivers.rollback(path.name, query.sha256)))

    @api.post("/miner-drivers/reload", summary="Load drivers that changed", responses=drivers)
    def reload_drivers() -> Response:
        """Only miners whose driver comes from another file are polled anew."""
        return told_all(DriverAnswer, engine.drivers.reload())

    return api
