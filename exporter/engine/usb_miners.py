"""The flock's side of miners on USB: their rows, states and readings become records."""

from __future__ import annotations

from exporter.engine.fleet import UsbRecord
from exporter.engine.flock import Flock
from exporter.engine.heard import Heard
from exporter.engine.miner import Miner
from exporter.model import Reading
from exporter.model_usb import UsbStatus
from exporter.store.database import Database
from exporter.store.rows import MinerRow


class UsbMinersOfFlock:
    """`engine.usb.UsbMiners` over the flock."""

    def __init__(self, db: Database, flock: Flock, heard: Heard) -> None:
        self._db = db
        self._flock = flock
        self._heard = heard

    def usb_row(self, row: MinerRow) -> None:
        """A miner's row is new or has changed."""
        self._flock.take_row(row)

    def usb_changed(
        self, miner_id: int, usb: UsbRecord, reading: Reading | None, expires_in: float, trouble: str | None
    ) -> None:
        """A miner's board has a new state, or a new reading that is valid for `expires_in` seconds."""
        miner, row = self._flock.get(miner_id), self._db.miners.get(miner_id)
        if miner is None or row is None:
            return
        miner.row, miner.usb = row, usb
        if trouble is not None:
            miner.state.last_error = trouble
        if usb.view.status is not UsbStatus.ACTIVE:
            self._silence(miner)
        elif reading is not None and row.managed and row.enabled:
            self._heard.take(miner, reading, expires_in)
            self._keep_identity(miner)
        else:
            self._flock.publish(miner)

    def _keep_identity(self, miner: Miner) -> None:
        """What the console told of itself is still known after a restart."""
        if miner.state.identity != miner.row.identity:
            miner.row = self._db.miners.update(miner.row.id, identity=miner.state.identity)

    def _silence(self, miner: Miner) -> None:
        """On its way to mining, or gone: no figure of before is shown."""
        miner.stream = None
        miner.state.up = False
        self._flock.publish(miner)
