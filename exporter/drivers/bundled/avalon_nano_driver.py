"""Avalon Nano 3 and 3S: the CGMiner API of a device that serves one connection at a time."""

from __future__ import annotations

from typing import ClassVar

from exporter.drivers.api import Answers, ConnectionRules, DecodeContext, Driver, Identification, Request
from exporter.drivers.families.avalon_commands import AvalonCommands
from exporter.drivers.families.avalon_identity import (
    decode_avalon_identity,
    identify_avalon,
    probes,
    status_requests,
    telemetry_requests,
)
from exporter.drivers.families.avalon_keys import IGNORED_KEYS
from exporter.drivers.families.avalon_reading import decode_avalon_status, decode_avalon_telemetry
from exporter.model import Identity, Reading


class AvalonNanoDriver(AvalonCommands, Driver):
    """Canaan Avalon Nano 3 and Nano 3S."""

    driver_type = "avalon_nano"
    driver_version = "1.1.0"
    display_name = "Avalon Nano"
    manufacturer = "Canaan"
    supported_models = ("Avalon Nano 3", "Avalon Nano 3S")
    connection_type = "tcp"
    default_port = 4028
    interface_version = 1

    # Vendor source: one accept loop that waits up to 10 s for a silent client. One connection for a whole poll.
    rules: ClassVar[ConnectionRules] = ConnectionRules(
        one_at_a_time=True, spacing_seconds=1.0, keep_alive=False, join_commands=True, timeout_seconds=6.0
    )
    probes: ClassVar[tuple[Request, ...]] = probes()
    # Of the web pages, for `setpool`; nothing else asks for it.
    default_username: ClassVar[str] = "admin"
    default_passwords: ClassVar[tuple[str, ...]] = ("admin",)
    ignored_keys: ClassVar[tuple[tuple[str, str], ...]] = IGNORED_KEYS

    def identify(self, answers: Answers) -> Identification | None:
        found = identify_avalon(answers)
        return found if found is not None and found.driver_type == self.driver_type else None

    def identity_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return probes()

    def decode_identity(self, answers: Answers, context: DecodeContext) -> Identity:
        return decode_avalon_identity(answers)

    def status_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return status_requests(context)

    def decode_status(self, answers: Answers, context: DecodeContext) -> Reading:
        return decode_avalon_status(answers, context)

    def telemetry_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return telemetry_requests(context)

    def decode_telemetry(self, answers: Answers, context: DecodeContext) -> Reading:
        return decode_avalon_telemetry(answers, context)
