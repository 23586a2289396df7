"""NerdMiners with the AxeHub firmware tell who they are over HTTP; no driver polls them by address yet.

Source: nerdminer-axehub, AXEHUB_API.md. Without its header every path answers 404.
"""

from __future__ import annotations

from typing import Final

from exporter.drivers import fields
from exporter.drivers.api import Answers, HttpRequest, Identification, Specificity
from exporter.errors import DecodeError
from exporter.model import Identity
from exporter.text import normal_mac

INFO: Final = HttpRequest("/api/axehub/v1/info", headers=(("X-AxeHub-Compat", "1"),))


def seen(answers: Answers) -> Identification | None:
    """The board's name, for the list of what was seen without a driver."""
    try:
        document = answers.optional_document(INFO.key)
    except DecodeError:
        return None
    if not isinstance(document, dict):
        return None
    firmware, device = document.get("firmware"), document.get("device")
    if not isinstance(firmware, dict) or not isinstance(device, dict) or "axehub_compat" not in firmware:
        return None
    identity = Identity(
        mac=normal_mac(device.get("mac")),
        make="NerdMiner",
        model=fields.text(device, "board", "device", 64),
        firmware="AxeHub",
        firmware_version=fields.text(firmware, "version", "firmware", 64),
        hostname=fields.text(device, "hostname", "device", 64),
    )
    return Identification(None, Specificity.CERTAIN, identity)
