"""The flock as targets for Prometheus: http_sd, and the miner that ``/probe?target=`` names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.engine.fleet import FleetSnapshot, MinerRecord
from exporter.errors import UsageError

_PREFIX: Final = "__meta_flockwatch_"


_MOST_SHARDS: Final = 1024


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `of` parts of a flock, counted from 0. A miner stays in its part whatever else comes or goes."""

    number: int
    of: int

    def holds(self, key: str) -> bool:
        """Whether the miner `key` is in this part.

        The number is the one that Prometheus' relabel action ``hashmod`` gives for the key, so that targets may be
        divided there as well.
        """
        digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest[8:]) % self.of == self.number


WHOLE: Final = Shard(0, 1)


def parse_shard(query: Mapping[str, Sequence[str]]) -> Shard:
    """The part of the flock that ``?shard=3&of=16`` asks for; `WHOLE` where neither is given.

    Raises:
        UsageError: one without the other, one given twice, or numbers that name no part.
    """
    shard, of = query.get("shard", ()), query.get("of", ())
    if not shard and not of:
        return WHOLE
    count = _whole_number(of[0]) if len(of) == 1 else None
    if count is None or not 1 <= count <= _MOST_SHARDS:
        raise UsageError(f"give of= once, with shard=: into how many parts the flock is divided, 1 to {_MOST_SHARDS}")
    number = _whole_number(shard[0]) if len(shard) == 1 else None
    if number is None or number >= count:
        raise UsageError(f"give shard= once, with of=: the number of the part, 0 to {count - 1}")
    return Shard(number, count)


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_MOST_SHARDS)) else None


def target_groups(snapshot: FleetSnapshot, shard: Shard = WHOLE) -> Iterator[bytes]:
    """The document for http_sd in pieces: one group for each enabled and managed miner, whose target is its key.

    Only the miners of `shard` are in it. Relabelling makes ``__param_target`` of the target and the exporter's own
    address of ``__address__``. What is known of the miner comes as ``__meta_flockwatch_<name>``, its configured labels
    as ``__meta_flockwatch_label_<name>``.
    """
    separator = b"["
    for record in snapshot.miners:
        if record.enabled and record.managed and shard.holds(record.key):
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
