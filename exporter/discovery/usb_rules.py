"""Which USB boards may be opened. Pure.

Opening a serial port may reset what is behind it, and the bridges of NerdMiner boards are also in Zigbee sticks and 3D
printers. So only ports are opened that are a miner's by all we know (`serial.open`, `serial.match`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final, Protocol

from exporter.discovery.usb_devices import UsbDevice


@dataclass(frozen=True, slots=True)
class UsbChip:
    """What answers on USB. `native`: the ESP32 itself, else a bridge to its UART whose DTR and RTS pull IO0 and EN."""

    name: str
    native: bool = False


#: Chips of boards that NerdMiner runs on, by "vid:pid" (Espressif's table of products, esp-pylib, board files of
#: NerdMiner_v2; the FTDI ones are of ESP development boards).
CHIPS: Final[Mapping[str, UsbChip]] = MappingProxyType(
    {
        "0403:6001": UsbChip("FTDI FT232R"),
        "0403:6010": UsbChip("FTDI FT2232"),
        "0403:6015": UsbChip("FTDI FT231X"),
        "10c4:ea60": UsbChip("Silicon Labs CP2102"),
        "10c4:ea64": UsbChip("Silicon Labs CP2102C"),
        "1a86:55d3": UsbChip("WCH CH343"),
        "1a86:55d4": UsbChip("WCH CH9102F"),
        "1a86:7523": UsbChip("WCH CH340"),
        "239a:811b": UsbChip("ESP32-S3", native=True),
        "303a:0002": UsbChip("ESP32-S2", native=True),
        "303a:1001": UsbChip("ESP32-S3/C3/C6", native=True),
    }
)

_NATIVE_VENDORS: Final = frozenset({"303a", "239a"})


class SerialSettings(Protocol):
    """The section `serial` of targets.yml, as far as it is needed here."""

    @property
    def enabled(self) -> bool: ...
    @property
    def open(self) -> str: ...
    @property
    def ports(self) -> tuple[str, ...]: ...
    @property
    def match(self) -> tuple[str, ...]: ...
    @property
    def ignore(self) -> tuple[str, ...]: ...


class Action(enum.Enum):
    """What is done with a port that was found."""

    OPEN = "open"
    #: Listed as a possible miner, opened once a person says that it is one.
    WAIT = "wait"
    #: Not ours: neither listed nor opened.
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` is a sentence for the log and the list of new devices."""

    action: Action
    reason: str


def may_open(
    device: UsbDevice,
    settings: SerialSettings,
    known: Callable[[UsbDevice], bool],
    *,
    plugged_in_while_running: bool,
    allowed_by_person: bool = False,
) -> Decision:
    """Decide on one port.

    Args:
        device: the port that was found.
        settings: section `serial` of targets.yml.
        known: whether a miner of the database is this board.
        plugged_in_while_running: False for what was there when the program started.
        allowed_by_person: somebody said of this board that it is a miner.
    """
    if not settings.enabled:
        return Decision(Action.IGNORE, "serial.enabled is false")
    if matches(device, settings.ignore):
        return Decision(Action.IGNORE, "serial.ignore names it")
    sure = _sure(device, settings, known, allowed_by_person=allowed_by_person)
    if sure:
        return Decision(Action.OPEN, sure)
    chip = CHIPS.get(device.usb_id)
    if chip is None:
        return Decision(
            Action.IGNORE,
            f"{device.usb_id or device.dev_path} is not a chip of NerdMiner boards; serial.match can name it",
        )
    if settings.open == "all":
        return Decision(Action.OPEN, f"serial.open is all, and {chip.name} is a chip of NerdMiner boards")
    if settings.open == "hotplug" and plugged_in_while_running:
        return Decision(Action.OPEN, f"plugged in now, and {chip.name} is a chip of NerdMiner boards")
    if settings.open == "hotplug":
        return Decision(
            Action.WAIT, "was plugged in before the program started: say that it is a miner, or plug it in again"
        )
    return Decision(Action.WAIT, "serial.open is known: say that it is a miner, or add it to serial.match")


def _sure(
    device: UsbDevice, settings: SerialSettings, known: Callable[[UsbDevice], bool], *, allowed_by_person: bool
) -> str | None:
    """Why this port is a miner's without a doubt."""
    if not {device.dev_path, *device.aliases}.isdisjoint(settings.ports):
        return "serial.ports names it"
    if matches(device, settings.match):
        return "serial.match names it"
    if allowed_by_person:
        return "a person said that it is a miner"
    return "a known miner" if known(device) else None


def matches(device: UsbDevice, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns names the board: "vid:pid", or a shell pattern over its serial number, port path,
    USB id or device file. Upper and lower case are the same."""
    subjects = [
        text.lower()
        for text in (device.usb_id, device.serial_number, device.port_path, device.dev_path, *device.aliases)
        if text
    ]
    return any(fnmatchcase(subject, pattern.lower()) for pattern in patterns for subject in subjects)


def needs_dtr(device: UsbDevice) -> bool:
    """Whether DTR and RTS have to stay asserted while the port is open (`SerialPort.open(hold_lines=...)`).

    An ESP32 with USB of its own may run its serial port in software (arduino-esp32 USBCDC, TinyUSB), which sends
    nothing while DTR is off; the USB id does not tell it from the chip's fixed serial port, which does not mind. It has
    no lines to IO0 and EN. Behind a bridge both are released.
    """
    return device.vendor_id in _NATIVE_VENDORS
