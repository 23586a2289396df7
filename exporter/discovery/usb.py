"""Hot-plug of USB boards: udev's events where a udev daemon runs, listings of the ports elsewhere."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from exporter.discovery import usb_polling, usb_udev
from exporter.discovery.usb_devices import (
    Listing,
    OnAdded,
    OnRemoved,
    Presence,
    UsbDevice,
)
from exporter.discovery.usb_udev import UDEV_CONTROL, UdevEvents, udev_runs

_LOG: Final = logging.getLogger(__name__)
POLL_SECONDS: Final = 2.0
#: Rounds of polling between two listings that check on udev.
_ROUNDS_PER_CHECK: Final = 5

__all__ = ["POLL_SECONDS", "OnAdded", "OnRemoved", "UsbDevice", "UsbWatcher"]


class UsbWatcher:
    """Reports USB serial boards as they are plugged in and unplugged, on the thread of the loop it is started on.

    One board is reported once for each stay, its unplug always before the next plug-in of the same device file.
    `stop` reports nothing. The entries of `serial.ports` that are not on USB are looked for every `poll_seconds`.

    udev's events are checked by a listing now and then: a container may see udev's files but, in a network of its
    own, none of its events. Once that shows, the ports are listed every `poll_seconds`.

    Args:
        on_added: called with the device, and `initial=True` for what was plugged in at the start.
        on_removed: called with the device file.
        ports: `serial.ports`.
        poll_seconds: time between two listings where no udev daemon runs.
        udev_control: the file that exists while a udev daemon runs.
        list_ports: the listing that is used without udev.
    """

    def __init__(
        self,
        on_added: OnAdded,
        on_removed: OnRemoved,
        *,
        ports: Iterable[str] = (),
        poll_seconds: float = POLL_SECONDS,
        udev_control: Path = UDEV_CONTROL,
        list_ports: Callable[[], Listing] = usb_polling.list_usb,
    ) -> None:
        self._on_added = on_added
        self._on_removed = on_removed
        self._ports = tuple(ports)
        self._poll_seconds = poll_seconds
        self._udev_control = udev_control
        self._list_ports = list_ports
        self._usb = Presence(self._added, self._removed)
        self._fixed = Presence(self._added, self._removed)
        self._events: UdevEvents | None = None
        self._trusted = False
        self._rounds = 0
        self._timer: asyncio.TimerHandle | None = None
        self._listing: asyncio.Future[Listing] | None = None

    @property
    def devices(self) -> tuple[UsbDevice, ...]:
        """What is plugged in now."""
        return self._usb.devices() + self._fixed.devices()

    def start(self) -> None:
        """Report everything that is plugged in, before this returns, and go on watching. Call it on the loop."""
        if self._timer is not None:
            raise RuntimeError("the watcher runs already")
        self._timer = asyncio.get_running_loop().call_later(self._poll_seconds, self._tick)
        listing = self._start_udev()
        self._usb.update(self._list_ports() if listing is None else listing, initial=True)
        self._fixed.update(usb_polling.list_fixed(self._ports), initial=True)

    def stop(self) -> None:
        """Watch no longer. Nothing is reported any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._listing = None
        self._stop_udev()

    def _start_udev(self) -> Listing | None:
        """The events are asked for before the listing, so that no board falls between the two."""
        self._trusted = False
        if not udev_runs(self._udev_control):
            self._say_polling(f"no udev daemon runs here ({self._udev_control} is missing)")
            return None
        self._events = UdevEvents(self._usb.add, self._usb.remove, self._list_at_once)
        try:
            self._events.start()
            listing = usb_udev.list_usb()
        except (ImportError, OSError) as error:
            self._stop_udev()
            self._say_polling(f"udev cannot be asked ({error})")
            return None
        self._trusted = True
        _LOG.info("USB: udev tells when a board is plugged in or unplugged")
        return listing

    def _stop_udev(self) -> None:
        if self._events is not None:
            self._events.stop()
            self._events = None

    def _say_polling(self, reason: str) -> None:
        _LOG.info("USB: %s; the ports are listed every %g s instead", reason, self._poll_seconds)

    def _list_at_once(self) -> None:
        """Make up for lost events."""
        try:
            listing = usb_udev.list_usb()
        except (ImportError, OSError) as error:
            _LOG.warning("USB: the ports cannot be listed: %s", error)
            return
        self._usb.update(listing)

    def _tick(self) -> None:
        """One round. Reading sysfs may wait for a board that is being set up, so that is not done on the loop."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._poll_seconds, self._tick)
        self._rounds += 1
        if self._listing is None and not (self._trusted and self._rounds % _ROUNDS_PER_CHECK):
            self._listing = loop.run_in_executor(None, self._list_ports if self._events is None else usb_udev.list_usb)
            self._listing.add_done_callback(self._listed)
        self._fixed.update(usb_polling.list_fixed(self._ports))

    def _listed(self, listing: asyncio.Future[Listing]) -> None:
        if listing is not self._listing or listing.cancelled():  # of a watch that was stopped
            return
        self._listing = None
        error = listing.exception()
        if error is not None:
            _LOG.warning("USB: the ports cannot be listed: %s", error)
        elif self._events is None:
            self._usb.update(listing.result())
        elif self._usb.confirm(listing.result()) and self._trusted:
            self._trusted = False
            self._say_polling("udev's events do not reach this program (a container without the host's network?)")

    def _added(self, device: UsbDevice, *, initial: bool) -> None:
        if self._timer is None:
            return
        links = usb_polling.aliases(device.dev_path, self._ports)
        _LOG.debug("USB: %s (%s) at port %s", device.dev_path, device.usb_id or "not on USB", device.port_path)
        self._on_added(dataclasses.replace(device, aliases=links) if links else device, initial=initial)

    def _removed(self, dev_path: str) -> None:
        if self._timer is not None:
            _LOG.debug("USB: %s is gone", dev_path)
            self._on_removed(dev_path)
