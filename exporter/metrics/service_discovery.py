"""The flock as targets for Prometheus: http_sd, and the miner that ``/probe?target=`` names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

from exporter.engine.fleet import FleetSnapshot, MinerRecord

_PREFIX: Final = "__meta_flockwatch_"


def target_groups(snapshot: FleetSnapshot) -> Iterator[bytes]:
    """The document for http_sd in pieces: one group for each enabled and managed miner, whose target is its key.

    Relabelling makes ``__param_target`` of the target and the exporter's own address of ``__address__``. What is
    known of the miner comes as ``__meta_flockwatch_<name>``, its configured labels as
    ``__meta_flockwatch_label_<name>``.
    """
    separator = b"["
    for record in snapshot.miners:
        if record.enabled and record.managed:
            group = {"targets": [record.key], "labels": _meta_labels(record)}
            # One miner at a time: the encoder never keeps other threads waiting for long.
            yield separator + json.dumps(group, separators=(",", ":")).encode()
            separator = b",\n"
    yield b"[]\n" if separator == b"[" else b"]\n"


def _meta_labels(record: MinerRecord) -> dict[str, str]:
    who = record.identity
    known = {
        "miner": record.key,
        "name": record.name,
        "ip": record.address,
        "driver": record.driver,
        "mac": who.mac,
        "make": who.make,
        "model": who.model,
        "firmware": who.firmware,
        "firmware_version": who.firmware_version,
        "hostname": who.hostname,
        "serial": who.serial,
    }
    labels = {f"{_PREFIX}{name}": value for name, value in known.items() if value}
    labels.update({f"{_PREFIX}label_{name}": value for name, value in record.labels if value})
    return labels


def find_miner(snapshot: FleetSnapshot, target: str) -> list[MinerRecord]:
    """The enabled miners that `target` may mean: by key, else by address, else by name."""
    wanted = target.strip()
    enabled = [record for record in snapshot.miners if record.enabled]
    ways: tuple[Callable[[MinerRecord], bool], ...] = (
        lambda record: record.key in (wanted, wanted.lower()),
        lambda record: record.address == wanted,
        lambda record: record.name == wanted,
    )
    for matches in ways:
        found = [record for record in enabled if matches(record)]
        if found:
            return found
    return []
