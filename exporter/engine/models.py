"""Reads what a miner says of its model: name, boards, presets. Once for each miner, since a model never changes.

Which presets are tuned is a fact of one miner, and changes: who wants to know asks the miner (`offer_reads`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from exporter.drivers.api import ApiKeyLogin, DecodeContext, DescribesModel
from exporter.engine.exchange import Exchange, Session
from exporter.engine.isolation import run_driver
from exporter.engine.miner import Miner
from exporter.engine.sessions import Sessions
from exporter.engine.tasks import Tasks
from exporter.errors import InternalError, MinerError
from exporter.model import ModelInfo, replace
from exporter.store.database import Database

log = logging.getLogger(__name__)

#: A model that could not be read is asked for again after this long.
RETRY_SECONDS: Final = 600.0


class ModelReader:
    """Fills the table `models`. `on_model(miner, alias)` is told which model a miner is."""

    def __init__(
        self,
        db: Database,
        exchange: Exchange,
        sessions: Sessions,
        tasks: Tasks,
        on_model: Callable[[Miner, str], None],
    ) -> None:
        self._db = db
        self._exchange = exchange
        self._sessions = sessions
        self._tasks = tasks
        self._on_model = on_model

    def look_at(self, miner: Miner) -> None:
        """Read the model where it is due, as soon as the API key is there (or cannot be had)."""
        poller = miner.poller
        if poller is None or time.monotonic() < miner.model_due:
            return
        session, driver = poller.session, poller.session.driver
        if not isinstance(driver, DescribesModel):
            miner.model_due = float("inf")
            return
        waiting_for_key = (
            isinstance(driver, ApiKeyLogin)
            and self._sessions.create_keys
            and not session.key_headers
            and not miner.state.auth_failed
        )
        if not waiting_for_key:
            miner.model_due = float("inf")
            self._tasks.spawn(self._read(miner, session, driver), "model")

    async def _read(self, miner: Miner, session: Session, driver: DescribesModel) -> None:
        context = DecodeContext(time.time(), miner.state.identity, miner.state.details)
        trusted = self._sessions.trusted(session.driver.driver_type)
        try:
            requests = await run_driver(driver.model_requests, context, trusted=trusted)
            answers = await self._exchange.ask(session, requests)
            model = await run_driver(driver.decode_model, answers, context, trusted=trusted)
            if model is not None:
                self._store(model)
                self._on_model(miner, model.alias)
        except MinerError as error:
            log.info("model not read: %s", error, extra={"miner": miner.row.key})
            miner.model_due = time.monotonic() + RETRY_SECONDS

    def _store(self, model: ModelInfo) -> None:
        if not isinstance(model, ModelInfo):
            raise InternalError(f"decode_model returned {type(model).__name__}")
        try:
            self._db.models.upsert(_of_all_miners(model))
        except (TypeError, ValueError) as error:
            raise InternalError(f"decode_model returned a wrong value: {error}") from error


def _of_all_miners(model: ModelInfo) -> ModelInfo:
    """The model without what the miner that told it knows of itself only."""
    if model.presets is None:
        return model
    return replace(model, presets=tuple(replace(preset, tuned=None) for preset in model.presets))
