"""``/api/unconfigured-devices``: USB boards that wait to be named."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field, RootModel

from exporter.engine.client import EngineApi
from onboarding_ui.api.miner_shapes import MinerAnswer
from onboarding_ui.api.shapes import (
    COUNTED,
    CURRENCY,
    LOCATED,
    Answer,
    Body,
    Id,
    ListQuery,
    answers,
    blueprint,
    extras,
    made,
    nothing,
    told_part,
)
from onboarding_ui.api.summary import one_miner_json


class DevicePath(BaseModel):
    """The board."""

    device_id: Id = Field(description="Id of a board that waits.", json_schema_extra={"example": 1})


class DeviceAnswer(Answer):
    """A board that was plugged in and that nobody has named yet."""

    id: int | None = Field(description="Null for a port that is held shut until a person says that it is a miner.")
    miner: str = Field(description="The label `miner` it will have.")
    dev_path: str | None
    port_path: str | None
    vendor_id: str
    product_id: str
    serial_number: str | None
    discovered_at: float | None
    status: str | None
    state: str | None = Field(description="How far it has come from power-on to mining.")
    dumped_pool_url: str | None
    dumped_wallet_address: str | None
    dumped_firmware_version: str | None
    suggested_name: str | None
    held: bool
    held_reason: str | None


class DeviceList(RootModel[list[DeviceAnswer]]):
    """Boards in order of discovery, then ports that are held shut."""


class DeviceNaming(Body):
    """What a person says of a board."""

    model_config = extras(example={"name": "kitchen", "currency": "BTC"})

    name: str = Field(min_length=1, max_length=64)
    currency: Annotated[str, CURRENCY] = Field(
        min_length=1, max_length=16, description="BTC, BCH, DGB, DOGE, LTC, NMC, XEC or OTHER."
    )
    chipset: str | None = Field(None, max_length=256)
    location_notes: str | None = Field(None, max_length=256)


class PortOpening(Body):
    """A port that is held shut."""

    model_config = extras(example={"dev_path": "/dev/ttyUSB3"})

    dev_path: str = Field(min_length=1, max_length=256)


def devices_api(engine: EngineApi) -> APIBlueprint:
    """The blueprint."""
    api = blueprint("devices", "USB boards", "Boards on USB that wait to be named.")

    @api.get("/unconfigured-devices", summary="List boards that wait", responses=answers(DeviceList, headers=COUNTED))
    def list_devices(query: ListQuery) -> Response:
        """With what their boot dump told. Its secrets were taken out before it was kept."""
        return told_part(DeviceAnswer, engine.devices.waiting(), query)

    @api.post(
        "/unconfigured-devices/<int:device_id>/onboard",
        summary="Make a board a miner of the flock",
        responses=answers(MinerAnswer, 201, errors=(409,), description="The new miner.", headers=LOCATED),
    )
    def onboard_device(path: DevicePath, body: DeviceNaming) -> Response:
        """A board that is still plugged in is monitored at once."""
        row = engine.devices.onboard(path.device_id, body.name, body.currency, body.chipset, body.location_notes)
        return made(one_miner_json(engine, row.id), 201, Location=f"/api/miners/{row.id}")

    @api.delete(
        "/unconfigured-devices/<int:device_id>", summary="Forget a board that waits", responses=answers(status=204)
    )
    def dismiss_device(path: DevicePath) -> Response:
        """It comes back when it is plugged in again."""
        engine.devices.dismiss(path.device_id)
        return nothing()

    @api.post(
        "/unconfigured-devices/<int:device_id>/capture",
        summary="Restart a board to read its boot dump again",
        responses=answers(status=202),
    )
    def capture_device(path: DevicePath) -> Response:
        """The list shows what it tells while it starts."""
        engine.devices.capture(path.device_id)
        return Response(status=202)

    @api.post(
        "/unconfigured-devices/open", summary='Say "this is a miner"', responses=answers(status=204, errors=(404,))
    )
    def open_port(body: PortOpening) -> Response:
        """Opens a port that is held shut, now and at later starts. Opening may restart what is behind it."""
        engine.devices.open_port(body.dev_path)
        return nothing()

    return api
