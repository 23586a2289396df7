"""The narrow door to the engine for the web UI, the listeners and the control socket, which run on other threads."""

from __future__ import annotations

import asyncio
from typing import Protocol

from exporter.drivers.update import DriverFolder
from exporter.engine.api.access import AccessApi
from exporter.engine.api.caller import EngineCaller
from exporter.engine.api.commands import CommandsApi
from exporter.engine.api.devices import DevicesApi
from exporter.engine.api.drivers import DriversApi
from exporter.engine.api.history import HistoryApi
from exporter.engine.api.miners import MinersApi
from exporter.engine.api.models import ModelsApi
from exporter.engine.api.program import ProgramApi
from exporter.engine.api.scans import ScansApi
from exporter.engine.api.shares import SharesApi
from exporter.engine.api.wallets import WalletsApi
from exporter.engine.doors.access import AccessDoor
from exporter.engine.doors.commands import CommandsDoor
from exporter.engine.doors.devices import DevicesDoor
from exporter.engine.doors.drivers import DriversDoor
from exporter.engine.doors.history import HistoryDoor
from exporter.engine.doors.miners import MinersDoor
from exporter.engine.doors.models import ModelsDoor
from exporter.engine.doors.program import Outside, ProgramDoor
from exporter.engine.doors.scans import ScansDoor
from exporter.engine.doors.shares import SharesDoor
from exporter.engine.doors.wallets import WalletsDoor
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
    commands: CommandsApi
    drivers: DriversApi

    def snapshot(self) -> FleetSnapshot:
        """The flock now."""
        ...

    def ready(self) -> bool:
        """Whether the engine has started and is not stopping."""
        ...


class LoopEngineApi(EngineCaller):
    """`EngineApi` over the engine's event loop: one door for each subject. One for each engine, since doors remember
    what was asked (scans, exchanges)."""

    miners: MinersApi
    devices: DevicesApi
    models: ModelsApi
    scans: ScansApi
    wallets: WalletsApi
    shares: SharesApi
    history: HistoryApi
    access: AccessApi
    program: ProgramApi
    commands: CommandsApi
    drivers: DriversApi

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: Engine, outside: Outside | None = None) -> None:
        super().__init__(loop)
        self._engine = engine
        self.miners = MinersDoor(self, engine)
        self.commands = CommandsDoor(self, engine)
        self.devices = DevicesDoor(self, engine)
        self.models = ModelsDoor(self, engine)
        self.scans = ScansDoor(self, engine)
        self.access = AccessDoor(self, engine)
        outside = outside or Outside()
        self.program = ProgramDoor(self, engine, outside)
        folder = DriverFolder(outside.drivers_folder or engine.settings.drivers.path)
        self.drivers = DriversDoor(folder, lambda: engine.drivers, outside.reload_drivers)
        self.wallets = WalletsDoor(self, engine)
        self.shares = SharesDoor(engine.db, engine.share_log)
        self.history = HistoryDoor(engine.db, engine.history, lambda: engine.settings, self.outside)

    def snapshot(self) -> FleetSnapshot:
        return self._engine.snapshot()

    def ready(self) -> bool:
        return self._engine.ready
