"""``/api/miners``: the flock as JSON."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from exporter.engine.client import EngineApi
from exporter.engine.fleet import MinerRecord

_LARGEST_PAGE: Final = 1000


def miner_json(record: MinerRecord) -> dict[str, Any]:
    """A miner as the API shows it; hash rates in H/s, times in Unix seconds."""
    reading, identity = record.reading, record.identity
    state = reading.state if reading is not None else None
    document: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "miner": record.key,
        "miner_type": record.driver,
        "ip_address": record.address,
        "mac_address": identity.mac,
        "api_port": record.api_port,
        "status": "online" if record.up else "offline",
        "state": state.value if state is not None else None,
        "managed": record.managed,
        "enabled": record.enabled,
        "auto_discovered": record.auto_discovered,
        "created_at": record.created_at,
        "last_seen": record.last_seen,
        "make": identity.make,
        "model": identity.model,
        "firmware": identity.firmware,
        "firmware_version": identity.firmware_version,
        "hashrate": reading.hashrate if reading is not None else None,
        "power": reading.power if reading is not None else None,
        "labels": dict(record.labels),
    }
    if record.usb is not None:
        document["usb"] = {
            "status": record.usb.view.status.value,
            "state": record.usb.view.state.value,
            "dev_path": record.usb.dev_path,
            "port_path": record.usb.port_path,
        }
    return document


def _error(message: str, field: str | None, status: int) -> tuple[Response, int]:
    return jsonify({"error": message, "field": field}), status


def _bounded(name: str, default: int, largest: int) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text) > largest:
        raise ValueError(name)
    return int(text)


def miners_api(engine: EngineApi) -> Blueprint:
    """The blueprint of the API."""
    api = Blueprint("miners_api", __name__, url_prefix="/api")

    @api.get("/miners")
    def miners() -> Response | tuple[Response, int]:
        try:
            limit, offset = _bounded("limit", _LARGEST_PAGE, _LARGEST_PAGE), _bounded("offset", 0, 10**9)
        except ValueError as error:
            return _error(f"must be a whole number, at most {_LARGEST_PAGE} for limit", str(error), 400)
        records = [record for record in engine.snapshot().miners if record.enabled]
        response = jsonify([miner_json(record) for record in records[offset : offset + limit]])
        response.headers["X-Total-Count"] = str(len(records))
        return response

    @api.get("/miners/<int:miner_id>")
    def miner(miner_id: int) -> Response | tuple[Response, int]:
        for record in engine.snapshot().miners:
            if record.id == miner_id:
                return jsonify(miner_json(record))
        return _error(f"no miner has the id {miner_id}", "id", 404)

    return api
