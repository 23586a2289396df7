"""The USB devices of simulated boards, as sysfs and udev show them: text for libumockdev's testbed.

A block begins with P: (the sysfs path); N: is the device node below /dev, E: a udev property, A: a sysfs attribute,
L: a symbolic link. Identities are those of the boards' bridges (`BoardModel.usb` names them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

_CONTROLLER: Final = "/devices/pci0000:00/0000:00:14.0"
_CONTROLLER_ID: Final = "pci-0000:00:14.0"


@dataclass(frozen=True, slots=True)
class UsbIdentity:
    """What a board says about itself. `serial` None: it has none. `driver` is the kernel's; cdc_acm gives ttyACM.

    `interfaces` is how many interfaces the device has, `interface` the name of the serial one.
    """

    vendor_id: str
    product_id: str
    manufacturer: str
    product: str
    driver: str
    serial: str | None = None
    interfaces: int = 1
    interface: str | None = None

    @property
    def node(self) -> str:
        """The kind of device node."""
        return "ttyACM" if self.driver == "cdc_acm" else "ttyUSB"


#: Bridges of NerdMiner boards. CP2102 leave the factory with the same serial, CH340 with none.
IDENTITIES: Final[Mapping[str, UsbIdentity]] = {
    "cp2102": UsbIdentity(
        "10c4", "ea60", "Silicon Labs", "CP2102 USB to UART Bridge Controller", "cp210x", serial="0001"
    ),
    "ch340": UsbIdentity("1a86", "7523", "QinHeng Electronics", "USB Serial", "ch341"),
    "ch9102": UsbIdentity(
        "1a86", "55d4", "QinHeng Electronics", "USB Single Serial", "cdc_acm", serial="0002", interfaces=2
    ),
    "esp32s3": UsbIdentity(
        "303a", "1001", "Espressif", "USB JTAG/serial debug unit", "cdc_acm", serial="02:00:5E:00:53:01", interfaces=3
    ),
}


def identity_of(kind: str, seed: int) -> UsbIdentity:
    """The identity of one board: a key of `IDENTITIES`; chips that tell their MAC get one from the seed."""
    identity = IDENTITIES[kind]
    if kind != "esp32s3":
        return identity
    return replace(identity, serial=f"02:00:5E:{seed >> 16 & 0xFF:02X}:{seed >> 8 & 0xFF:02X}:{seed & 0xFF:02X}")


@dataclass(frozen=True, slots=True)
class UsbPort:
    """A board in a port: `port_path` like "1-1.2", `node` like "ttyUSB0"."""

    port_path: str
    node: str
    identity: UsbIdentity

    @property
    def device(self) -> str:
        """Sysfs path of the usb_device."""
        return _device_path(self.port_path)

    @property
    def interface(self) -> str:
        """Sysfs path of the usb_interface with the console."""
        return f"{self.device}/{self.port_path}:1.0"

    @property
    def tty(self) -> str:
        """Sysfs path of the tty."""
        return f"{self.interface}/tty/{self.node}" if self._acm else f"{self.interface}/{self.node}/tty/{self.node}"

    @property
    def paths(self) -> tuple[str, ...]:
        """Sysfs paths (with /sys) of all devices of the board, the tty first: the order in which they vanish."""
        serial = () if self._acm else (f"{self.interface}/{self.node}",)
        return tuple(f"/sys{path}" for path in (self.tty, *serial, self.interface, self.device))

    @property
    def _acm(self) -> bool:
        return self.identity.driver == "cdc_acm"


def _split(port_path: str) -> tuple[str, str]:
    """Bus and route of a port path."""
    bus, _, route = port_path.partition("-")
    if not bus.isdigit() or not route:
        raise ValueError(f"{port_path!r} is no USB port path like 1-1.2")
    return bus, route


def _device_path(port_path: str) -> str:
    """The sysfs path of a device: one folder per hub on the way."""
    bus, route = _split(port_path)
    ports = route.split(".")
    folders = [f"{bus}-{'.'.join(ports[: place + 1])}" for place in range(len(ports))]
    return "/".join([f"{_CONTROLLER}/usb{bus}", *folders])


def _block(path: str, properties: Mapping[str, str], attributes: Mapping[str, str], *more: str) -> str:
    lines = [f"P: {path}", *more]
    lines += [f"E: {name}={value}" for name, value in properties.items()]
    lines += [f"A: {name}={value}\\n" for name, value in attributes.items()]
    return "\n".join(lines) + "\n\n"


def _usb_device(path: str, port_path: str, identity: UsbIdentity, number: int, *, hub: bool = False) -> str:
    bus, route = _split(port_path)
    model = identity.product.replace(" ", "_").replace("/", "_")
    vendor = identity.manufacturer.replace(" ", "_")
    properties = {
        "DEVTYPE": "usb_device",
        "SUBSYSTEM": "usb",
        "DRIVER": "usb",
        "BUSNUM": bus.zfill(3),
        "DEVNUM": f"{number:03d}",
        "PRODUCT": f"{int(identity.vendor_id, 16):x}/{int(identity.product_id, 16):x}/100",
        "ID_BUS": "usb",
        "ID_VENDOR_ID": identity.vendor_id,
        "ID_MODEL_ID": identity.product_id,
        "ID_VENDOR": vendor,
        "ID_MODEL": model,
        "ID_SERIAL": "_".join(filter(None, (vendor, model, identity.serial))),
        "ID_PATH": f"{_CONTROLLER_ID}-usb-0:{route}",
    }
    attributes = {
        "idVendor": identity.vendor_id,
        "idProduct": identity.product_id,
        "manufacturer": identity.manufacturer,
        "product": identity.product,
        "busnum": bus,
        "devnum": str(number),
        "devpath": route,
        "bNumInterfaces": f"{identity.interfaces:2d}",
        "bDeviceClass": "09" if hub else "00",
    }
    if identity.serial is not None:
        properties["ID_SERIAL_SHORT"] = identity.serial
        attributes["serial"] = identity.serial
    return _block(path, properties, attributes)


_ROOT: Final = UsbIdentity("1d6b", "0002", "Linux Foundation", "2.0 root hub", "hub", serial="0000:00:14.0")
_HUB: Final = UsbIdentity("1a40", "0201", "Terminus Technology", "USB 2.0 Hub [MTT]", "hub")


def hubs_text(port_paths: Iterable[str]) -> str:
    """The controller, the root hubs and the hubs on the way to these ports."""
    blocks: dict[str, str] = {}
    for port_path in port_paths:
        bus, route = _split(port_path)
        root = f"{_CONTROLLER}/usb{bus}"
        blocks.setdefault(
            _CONTROLLER, _block(_CONTROLLER, {"SUBSYSTEM": "pci", "DRIVER": "xhci_hcd"}, {"vendor": "0x8086"})
        )
        blocks.setdefault(root, _usb_device(root, f"{bus}-0", _ROOT, 1, hub=True))
        ports = route.split(".")
        for depth in range(1, len(ports)):
            hub = f"{bus}-{'.'.join(ports[:depth])}"
            blocks.setdefault(_device_path(hub), _usb_device(_device_path(hub), hub, _HUB, len(blocks), hub=True))
    return "".join(blocks.values())


def board_text(port: UsbPort, number: int = 10) -> str:
    """The device, its interface, the serial port where the kernel has one, and the tty. `number` is its address."""
    identity = port.identity
    interface = _block(
        port.interface,
        {"DEVTYPE": "usb_interface", "SUBSYSTEM": "usb", "DRIVER": identity.driver, "INTERFACE": "255/0/0"},
        {"bInterfaceNumber": "00", "bInterfaceClass": "02" if identity.driver == "cdc_acm" else "ff"}
        | ({} if identity.interface is None else {"interface": identity.interface}),
        f"L: driver=../../../../../../bus/usb/drivers/{identity.driver}",
    )
    result = _usb_device(port.device, port.port_path, identity, number) + interface
    serial = f"{port.interface}/{port.node}"
    if identity.driver != "cdc_acm":
        result += _block(serial, {"SUBSYSTEM": "usb-serial", "DRIVER": identity.driver}, {"port_number": "0"})
    return result + _tty(port)


def _tty(port: UsbPort) -> str:
    identity = port.identity
    acm = identity.driver == "cdc_acm"
    _, route = _split(port.port_path)
    model = identity.product.replace(" ", "_").replace("/", "_")
    vendor = identity.manufacturer.replace(" ", "_")
    number = port.node.lstrip("tyACMUSB") or "0"
    properties = {
        "SUBSYSTEM": "tty",
        "DEVNAME": f"/dev/{port.node}",
        "MAJOR": "166" if acm else "188",
        "MINOR": number,
        "ID_BUS": "usb",
        "ID_VENDOR_ID": identity.vendor_id,
        "ID_MODEL_ID": identity.product_id,
        "ID_VENDOR": vendor,
        "ID_MODEL": model,
        "ID_SERIAL": "_".join(filter(None, (vendor, model, identity.serial))),
        "ID_PATH": f"{_CONTROLLER_ID}-usb-0:{route}:1.0",
        "ID_USB_DRIVER": identity.driver,
        "ID_USB_INTERFACE_NUM": "00",
    }
    if identity.serial is not None:
        properties["ID_SERIAL_SHORT"] = identity.serial
    up = f"../../../{port.port_path}:1.0" if acm else f"../../../{port.node}"
    attributes = {"dev": f"{properties['MAJOR']}:{number}"}
    return _block(port.tty, properties, attributes, f"N: {port.node}", f"L: device={up}")


def usb_tree(ports: Iterable[UsbPort]) -> str:
    """Controller, hubs and boards in one text, parents before children.

    Raises:
        ValueError: a port path is none, or two boards have the same port or node.
    """
    boards = list(ports)
    for name in ("port_path", "node"):
        values = [getattr(board, name) for board in boards]
        if len(set(values)) < len(values):
            raise ValueError(f"two boards have the same {name}: {', '.join(values)}")
    text = hubs_text(board.port_path for board in boards)
    return text + "".join(board_text(board, number) for number, board in enumerate(boards, 10))
