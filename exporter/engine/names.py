"""What a miner is called where nobody named it."""

from __future__ import annotations

from exporter.model import Identity
from exporter.store.rows import MinerRow


def display_name(row: MinerRow, identity: Identity) -> str:
    """What to call a miner: a person's name for it, else its host name, else its model, told apart by the key's end.

    A host name without a digit is the maker's default ("Antminer"), which every unit has. Names that people give are
    unique; one that a miner tells of itself is shown as it is, whoever has it.
    """
    if row.name:
        return row.name
    hostname = identity.hostname
    tail = (row.last_address or row.key) if row.provisional else key_end(row.key)
    if hostname and (any(character.isdigit() for character in hostname) or hostname.lower().endswith(tail)):
        return hostname
    return f"{hostname or identity.model or identity.make or row.driver} {tail}"


def key_end(key: str) -> str:
    """The end of a miner's key, which tells apart those of the same name: "7f11"."""
    return key.replace(":", "")[-4:]


def shown_name(row: MinerRow) -> str:
    """`display_name` by what is stored of the miner."""
    return display_name(row, row.identity)
