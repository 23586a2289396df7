"""Every miner that speaks the CGMiner API (TCP 4028) and has no driver of its own, under its own make."""

from __future__ import annotations

from typing import ClassVar

from exporter.drivers.api import (
    Answers,
    CgminerRequest,
    ConnectionRules,
    DecodeContext,
    Driver,
    HttpRequest,
    Identification,
    Request,
)
from exporter.drivers.families.cgminer_commands import CgminerCommands
from exporter.drivers.families.cgminer_identity import decode_cgminer_identity, identify_cgminer
from exporter.drivers.families.cgminer_keys import IGNORED_KEYS
from exporter.drivers.families.cgminer_reading import API, FAMILY, TEXT, decode_cgminer_status, decode_cgminer_telemetry
from exporter.model import Identity, Reading

#: Family -> commands beside summary, pools and devs. Whatsminers and BOSminer are not asked for ``stats``: it is 40 to
#: 67 KB on the former and nothing new on the latter.
EXTRAS = {
    "Whatsminer": ("edevs",),
    "Braiins OS": ("fans", "temps"),
    "LuxOS": ("stats", "fans", "temps", "power"),
    "Auradine": ("fan",),
}

#: Family -> commands that tell who the miner is.
NAMES = {"LuxOS": ("config",), "Auradine": ("ipreport",)}


class CgminerDriver(CgminerCommands, Driver):
    """The plain CGMiner API, and what Whatsminer, Braiins OS and LuxOS add to it."""

    driver_type = "cgminer"
    driver_version = "1.1.0"
    display_name = "CGMiner API"
    manufacturer = "various"
    supported_models = ("Whatsminer", "LuxOS", "Braiins OS with CGMiner API", "any cgminer, bfgminer, sgminer")
    connection_type = "tcp"
    default_port = 4028
    interface_version = 1

    rules: ClassVar[ConnectionRules] = ConnectionRules(spacing_seconds=0.1, keep_alive=False, timeout_seconds=5.0)
    probes: ClassVar[tuple[Request, ...]] = (
        CgminerRequest("version", optional=True),
        CgminerRequest("devdetails", optional=True),
        CgminerRequest("stats", optional=True),
        CgminerRequest("summary", optional=True),
        CgminerRequest("pools", optional=True),
        CgminerRequest("devs", optional=True),
        HttpRequest("/", optional=True),
        HttpRequest("/api/system/info", optional=True),
    )
    ignored_keys: ClassVar[tuple[tuple[str, str], ...]] = IGNORED_KEYS

    def identify(self, answers: Answers) -> Identification | None:
        return identify_cgminer(answers)

    def identity_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        more = NAMES.get(context.details.get(FAMILY, ""), ())
        return self._requests(context, (), ("summary", "version", "devdetails", *more))

    def decode_identity(self, answers: Answers, context: DecodeContext) -> Identity:
        return decode_cgminer_identity(answers)

    def status_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        more = EXTRAS.get(context.details.get(FAMILY, ""), ("stats",))
        return self._requests(context, ("summary", "pools"), ("devs", *more))

    def decode_status(self, answers: Answers, context: DecodeContext) -> Reading:
        return decode_cgminer_status(answers, context)

    def telemetry_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        if context.details.get(FAMILY) != "LuxOS":
            return ()
        return self._requests(context, (), ("config",))

    def decode_telemetry(self, answers: Answers, context: DecodeContext) -> Reading:
        return decode_cgminer_telemetry(answers)

    def _requests(
        self, context: DecodeContext, required: tuple[str, ...], optional: tuple[str, ...]
    ) -> tuple[Request, ...]:
        text = context.details.get(API) == TEXT
        return (
            *(CgminerRequest(command, text=text) for command in required),
            *(CgminerRequest(command, text=text, optional=True) for command in optional),
        )
