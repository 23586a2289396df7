"""The door to the scans that a person asks for: one after the other, each followed while it runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from exporter.config_values import parse_network
from exporter.discovery.networks import SearchNetwork, local_interfaces, search_networks
from exporter.engine.api.caller import EngineCaller
from exporter.engine.api.scans import Scan
from exporter.engine.discover import Cycle
from exporter.engine.engine import Engine
from exporter.engine.miner import Miner
from exporter.engine.search import SearchProgress
from exporter.errors import FieldError, FlockwatchError, TakenError
from exporter.units import UnixSeconds

log = logging.getLogger(__name__)

KEPT: Final = 20
_FIELD: Final = "network_cidr"
_UNFINISHED: Final = ("waiting", "running")


class ScansDoor:
    """`ScansApi` over the engine. Scans run as tasks of the engine's, so they end with it."""

    def __init__(self, caller: EngineCaller, engine: Engine) -> None:
        self._caller = caller
        self._engine = engine
        self._db = engine.db
        #: By id; replaced whole, so that other threads may read.
        self._scans: dict[int, Scan] = {}
        self._last_id = 0
        self._turn = asyncio.Lock()

    def start(self, network_cidr: str | None = None) -> Scan:
        """See `ScansApi`."""

        async def begin() -> Scan:
            networks = self._networks(network_cidr)
            return self._enqueue(networks, None if network_cidr is None else networks)

        return self._caller.call(begin)

    def get(self, scan_id: int) -> Scan | None:
        """See `ScansApi`."""
        return self._scans.get(scan_id)

    def all(self) -> tuple[Scan, ...]:
        """See `ScansApi`."""
        return tuple(sorted(self._scans.values(), key=lambda scan: scan.id, reverse=True))

    # --- on the engine's loop ---

    def _networks(self, network_cidr: str | None) -> tuple[SearchNetwork, ...]:
        if network_cidr is None:
            networks = self._engine.networks()
            if not networks:
                raise FieldError(
                    f"{_FIELD}: there is no network to search; name one such as 192.168.1.0/24, or set"
                    " network.subnets in targets.yml",
                    _FIELD,
                )
            return networks
        allowed = self._engine.settings.network
        try:
            network = parse_network(
                network_cidr.strip(), allow_public=allowed.allow_public, allow_large=allowed.allow_large
            )
        except ValueError as error:
            raise FieldError(f"{_FIELD}: {error}", _FIELD) from error
        return search_networks([(network, ())], local_interfaces())

    def _enqueue(self, networks: tuple[SearchNetwork, ...], asked: tuple[SearchNetwork, ...] | None) -> Scan:
        unfinished = [scan for scan in self._scans.values() if scan.state in _UNFINISHED]
        if len(unfinished) >= KEPT:
            raise TakenError(f"{len(unfinished)} scans wait already; try again when one has ended")
        ended = [scan.id for scan in self._scans.values() if scan.state not in _UNFINISHED]
        gone = set(sorted(ended)[: max(0, len(self._scans) - KEPT + 1)])
        self._last_id += 1
        scan = Scan(
            id=self._last_id,
            networks=tuple(str(network.network) for network in networks),
            state="waiting" if unfinished else "running",
            started_at=UnixSeconds(time.time()),
            addresses=sum(network.host_count for network in networks),
        )
        self._scans = {**{key: kept for key, kept in self._scans.items() if key not in gone}, scan.id: scan}
        self._engine.tasks.spawn(self._run(scan.id, asked), f"scan {scan.id}")
        return scan

    def _show(self, scan_id: int, **changes: Any) -> None:
        self._scans = {**self._scans, scan_id: replace(self._scans[scan_id], **changes)}

    async def _run(self, scan_id: int, networks: tuple[SearchNetwork, ...] | None) -> None:
        async with self._turn:
            self._show(scan_id, state="running")
            try:
                cycle = await self._engine.discovery.search(
                    networks, everything=True, on_progress=self._progress_of(scan_id)
                )
                await self._first_polls(cycle)
                self._finished(scan_id, cycle)
            except (FlockwatchError, OSError) as error:
                log.error("scan %d failed: %s", scan_id, error)  # noqa: TRY400 - one line
                self._failed(scan_id, str(error))
            finally:
                if self._scans[scan_id].state == "running":  # a fault of ours, which the task logs, or the end
                    self._failed(scan_id, "the scan was broken off; the log says why")

    def _failed(self, scan_id: int, error: str) -> None:
        self._show(scan_id, state="failed", error=error, ended_at=UnixSeconds(time.time()))

    def _progress_of(self, scan_id: int) -> Callable[[SearchProgress], None]:
        def progress(now: SearchProgress) -> None:
            scan = self._scans.get(scan_id)
            if scan is None or scan.state != "running":
                return  # the last word of the searching thread may come late
            share = now.done / now.total if now.stage == "scan" and now.total else 1.0
            self._show(scan_id, tried=int(scan.addresses * share), found=max(scan.found, now.found))

        return progress

    async def _first_polls(self, cycle: Cycle) -> None:
        """Wait for the first poll of what is new: it tells the pools, by which wallets are matched."""
        flock = self._engine.flock
        due = [
            miner.poller.poll_now()
            for find in cycle.result.finds
            for miner in flock.at(find.address)
            if miner.poller is not None and flock.is_due(miner)
        ]
        await asyncio.gather(*due)

    def _finished(self, scan_id: int, cycle: Cycle) -> None:
        finds = {find.address for find in cycle.result.finds}
        known = {address for address in cycle.skipped if address not in finds and self._covers(cycle, address)}
        miners = [miner for address in sorted(finds | known) for miner in self._engine.flock.at(address)]
        drivers = self._engine.drivers.drivers
        unknown = sum(find.identification.driver_type not in drivers for find in cycle.result.finds)
        self._show(
            scan_id,
            state="finished",
            ended_at=UnixSeconds(time.time()),
            tried=self._scans[scan_id].addresses,
            found=len(finds) + len(known),
            new=cycle.new,
            unknown=unknown,
            matched=sum(self._matched(miner) for miner in miners),
            miners=tuple(sorted({miner.row.id for miner in miners})),
        )

    @staticmethod
    def _covers(cycle: Cycle, address: str) -> bool:
        return any(network.covers(address) for network in cycle.networks)

    def _matched(self, miner: Miner) -> int:
        configs = self._db.miner_configs.of(miner.row.id)
        return sum(config.active and config.wallet_id is not None for config in configs)
