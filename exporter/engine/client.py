"""The narrow door to the engine for the web UI, the listeners and the control socket, which run on other threads."""

from __future__ import annotations

from typing import Any, Protocol

from exporter.engine.api.access import AccessApi
from exporter.engine.api.caller import EngineCaller
from exporter.engine.api.devices import DevicesApi
from exporter.engine.api.history import HistoryApi
from exporter.engine.api.miners import MinersApi
from exporter.engine.api.models import ModelsApi
from exporter.engine.api.program import ProgramApi
from exporter.engine.api.scans import ScansApi
from exporter.engine.api.shares import SharesApi
from exporter.engine.api.wallets import WalletsApi
from exporter.engine.engine import Engine
from exporter.engine.fleet import FleetSnapshot


class EngineApi(Protocol):
    """What others may ask of the engine; see `exporter.engine.api` for what all methods have in common."""

    miners: MinersApi
    devices: DevicesApi
    models: ModelsApi
    scans: ScansApi
    wallets: WalletsApi
    shares: SharesApi
    history: HistoryApi
    access: AccessApi
    program: ProgramApi

    def snapshot(self) -> FleetSnapshot:
        """The flock now."""
        ...

    def ready(self) -> bool:
        """Whether the engine has started and is not stopping."""
        ...


class LoopEngineApi(EngineCaller):
    """`EngineApi` over the engine's event loop."""

    def __init__(self, loop: Any, engine: Engine) -> None:
        super().__init__(loop)
        self._engine = engine

    def snapshot(self) -> FleetSnapshot:
        return self._engine.snapshot()

    def ready(self) -> bool:
        return self._engine.ready
