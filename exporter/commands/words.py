"""How a device is called in what commands print."""

from __future__ import annotations

from exporter.model import Identity


def device_words(identity: Identity) -> str:
    """Make and model ("Bitmain Antminer S19"), the make once only ("Bitaxe Gamma 601"); else empty."""
    make, model = identity.make or "", identity.model or ""
    return model if model.casefold().startswith(make.casefold()) else f"{make} {model}".strip()


def firmware_words(identity: Identity) -> str:
    """Firmware and its version ("VNish 1.2.6"), the maker's name once only; else empty."""
    parts = (identity.firmware, identity.firmware_version)
    return " ".join(part for part in parts if part and (part != identity.make or part == identity.firmware_version))
