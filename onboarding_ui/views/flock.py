"""The page Flock: every miner and how it is."""

from __future__ import annotations

from flask import Blueprint, render_template

from exporter.engine.client import EngineApi
from exporter.engine.fleet import MinerRecord


def hottest(record: MinerRecord) -> float | None:
    """The highest temperature a miner tells, chips first, degC; None where it tells none."""
    reading = record.reading
    if reading is None:
        return None
    chips = [board.chip_temperature_max for board in reading.boards if board.chip_temperature_max is not None]
    boards = [taken.celsius for board in reading.boards for taken in board.temperatures]
    return max(chips or boards, default=None)


def shares(record: MinerRecord) -> tuple[float | None, float | None]:
    """Accepted and rejected shares over the owner's pools; None where no pool tells."""
    if record.reading is None:
        return None, None
    own = [pool for pool in record.reading.pools if not pool.fee]
    accepted = [pool.accepted for pool in own if pool.accepted is not None]
    rejected = [pool.rejected for pool in own if pool.rejected is not None]
    return (sum(accepted) if accepted else None, sum(rejected) if rejected else None)


def flock_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("flock", __name__)

    @pages.get("/")
    def flock() -> str:
        snapshot = engine.snapshot()
        miners = [record for record in snapshot.miners if record.enabled]
        rows = [(record, hottest(record), *shares(record)) for record in miners]
        readings = [record.reading for record in miners if record.reading is not None]
        rates = [reading.hashrate for reading in readings if reading.hashrate is not None]
        powers = [reading.power for reading in readings if reading.power is not None]
        return render_template(
            "flock.html",
            rows=rows,
            seen=snapshot.seen,
            up=sum(record.up is True for record in miners),
            hashrate=sum(rates) if rates else None,
            power=sum(powers) if powers else None,
        )

    return pages
