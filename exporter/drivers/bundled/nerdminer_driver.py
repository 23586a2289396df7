"""NerdMiner V2 and its forks over USB. Stock boards have no network interface; their console tells everything.

Source: the format strings of BitMaker-hub/NerdMiner_v2, versions 1.1 to 1.8.3. The firmware reads nothing from the
port, so there is no command, and its configuration is what it prints while it boots.
"""

from __future__ import annotations

from typing import ClassVar

from exporter.drivers.api import Answers, DecodeContext, Driver, Identification, Request
from exporter.drivers.families.nerdminer_console import NerdMinerConsole


class NerdMinerDriver(Driver):
    """NerdMiner over a serial console, read only."""

    driver_type: ClassVar[str] = "nerdminer"
    driver_version: ClassVar[str] = "1.0.0"
    display_name: ClassVar[str] = "NerdMiner"
    manufacturer: ClassVar[str] = "BitMaker"
    supported_models: ClassVar[tuple[str, ...]] = ("NerdMiner V2", "HAN SOLOminer", "AxeHub NerdMiner")
    connection_type: ClassVar[str] = "serial"
    default_port: ClassVar[int | None] = None
    interface_version: ClassVar[int] = 1

    def identify(self, answers: Answers) -> Identification | None:
        """None: stock boards answer nothing on the network."""
        return None

    def status_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        """None: its stream tells everything."""
        return ()

    def new_stream(self) -> NerdMinerConsole:
        """A console of its own for each board."""
        return NerdMinerConsole()

    def identify_datagram(self, data: bytes) -> Identification | None:
        """None: these boards send no datagrams, and a console is known by the USB device it comes from."""
        return None
