"""The door to USB boards that wait to be named."""

from __future__ import annotations

from exporter.engine.api.caller import EngineCaller
from exporter.engine.api.devices import WaitingDevice
from exporter.engine.engine import Engine
from exporter.engine.waiting import waiting_devices
from exporter.store.rows import MinerRow


class DevicesDoor:
    """`DevicesApi` over the engine."""

    def __init__(self, caller: EngineCaller, engine: Engine) -> None:
        self._caller = caller
        self._engine = engine
        self._db = engine.db

    def waiting(self) -> tuple[WaitingDevice, ...]:
        """See `DevicesApi`."""
        return waiting_devices(self._db, self._engine.usb.waiting.held)

    def onboard(
        self, device_id: int, name: str, currency: str, chipset: str | None = None, location_notes: str | None = None
    ) -> MinerRow:
        """See `DevicesApi`."""
        return self._caller.call(lambda: self._engine.onboard(device_id, name, currency, chipset, location_notes))

    def dismiss(self, device_id: int) -> None:
        """See `DevicesApi`."""

        async def dismiss() -> None:
            self._engine.usb.waiting.dismiss(device_id)
            await self._db.commit()

        self._caller.call(dismiss)

    def open_port(self, dev_path: str) -> None:
        """See `DevicesApi`."""

        async def open_port() -> None:
            self._engine.usb.waiting.open_port(dev_path)
            await self._db.commit()

        self._caller.call(open_port)

    def capture(self, device_id: int) -> None:
        """See `DevicesApi`."""

        async def capture() -> None:
            self._engine.check_control()
            await self._engine.usb.waiting.capture(device_id)
            await self._db.commit()

        self._caller.call(capture)
