"""The miners that targets.yml names: found at their addresses, remembered where they move, let go when taken out."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from exporter.config import FixedMiner, Settings
from exporter.drivers.loader import DriverSet
from exporter.engine.exchange import Endpoint
from exporter.engine.flock import Flock
from exporter.engine.miner import Miner
from exporter.engine.registry import Found, Taken, match
from exporter.engine.search import Searcher
from exporter.model import Identity
from exporter.store.database import Database

log = logging.getLogger(__name__)

#: Where it is stored which miner an entry is, and which name it gave.
_SETTING: Final = "fixed_miners"
_AT_ONCE: Final = 100
#: A known miner that does not answer is identified anew after this long: it may have another firmware now.
_AGAIN_SECONDS: Final = 60.0
_LOOK_UP_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an entry's address answered: `seen` is the identity of a family without a driver."""

    seen: Identity | None = None


class FixedMiners:
    """Keeps the flock in step with `miners:` of targets.yml. `apply` comes before the first `find`."""

    def __init__(self, db: Database, flock: Flock) -> None:
        self._db = db
        self._flock = flock
        self._entries: dict[str, FixedMiner] = {}
        self._shared: set[str] = set()
        self._settings = flock.settings
        self._drivers = flock.drivers
        self._resolved: dict[str, frozenset[str]] = {}
        self._again: dict[str, float] = {}
        self._warned: set[str] = set()
        self._told: dict[str, dict[str, Any]] = db.settings.get(_SETTING, {})

    async def apply(self, settings: Settings, drivers: DriverSet) -> None:
        """Take the configuration as it is now: names, labels, entries that were added or taken out."""
        self._settings, self._drivers = settings, drivers
        self._entries = {_place(entry): entry for entry in settings.miners}
        addresses = [entry.address for entry in settings.miners]
        self._shared = {address for address in addresses if addresses.count(address) > 1}
        self._warned.clear()
        self._again.clear()
        for entry in self._entries.values():
            known = self._known(entry)
            if known is not None:
                self._remember(entry, known)
        self._told = {place: told for place, told in self._told.items() if place in self._entries}
        self._save()
        ids = {told["id"] for told in self._told.values()}
        for miner in self._flock:
            if miner.row.fixed and miner.row.id not in ids:
                await self._let_go(miner)

    def labels(self) -> dict[int, dict[str, str]]:
        """The labels of the entries by the ids of the miners that they are."""
        told = self._told
        return {told[place]["id"]: dict(entry.labels) for place, entry in self._entries.items() if place in told}

    def own_addresses(self) -> set[str]:
        """Addresses that discovery leaves to `find`, which knows the entry's driver and ports."""
        own: set[str] = set()
        for entry in self._entries.values():
            known = self._known(entry)
            if known is None or known.row.address == entry.address:
                own |= {entry.address, *self._resolved.get(entry.address, ())}
        return own

    async def find(self, searcher: Searcher) -> list[tuple[str, Identity]]:
        """Identify the entries that do not answer polls; returns those of families without a driver."""
        await self._look_up()
        limit = asyncio.Semaphore(_AT_ONCE)
        due = [entry for entry in self._entries.values() if self._is_due(entry, self._known(entry))]

        async def one(entry: FixedMiner) -> _Asked:
            async with limit:
                return await self._ask(searcher, entry)

        outcomes = await asyncio.gather(*(one(entry) for entry in due), return_exceptions=True)
        seen = []
        for entry, outcome in zip(due, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                log.error("fixed miner %s could not be taken", entry.address, exc_info=outcome)
            elif outcome.seen is not None:
                seen.append((entry.address, outcome.seen))
        self._save()
        return seen

    # --- which miner an entry is ---

    def _known(self, entry: FixedMiner) -> Miner | None:
        told = self._told.get(_place(entry))
        if told is not None:
            return self._flock.get(told["id"])
        return next((miner for miner in self._flock.at(entry.address) if miner.row.fixed), None)

    def _save(self) -> None:
        if self._told != self._db.settings.get(_SETTING, {}):
            self._db.settings.set(_SETTING, self._told)

    def _remember(self, entry: FixedMiner, miner: Miner) -> None:
        """Note that `entry` is `miner`, and give it the entry's name unless a person gave it another one."""
        place = _place(entry)
        told = self._told.get(place, {})
        before = told.get("name") if told.get("id") == miner.row.id else None
        changes: dict[str, Any] = {} if miner.row.fixed else {"fixed": True}
        if entry.name != before and miner.row.name in (None, before):
            changes["name"] = entry.name
        if changes:
            self._flock.update(miner, **changes)
        self._told[place] = {"id": miner.row.id, "name": entry.name}

    async def _let_go(self, miner: Miner) -> None:
        """The entry was taken out: what never answered is forgotten, what did is a miner as any other."""
        if miner.row.provisional and miner.row.last_seen is None and miner.state.last_success is None:
            log.info("no longer in targets.yml, and never seen: forgotten", extra={"miner": miner.row.key})
            await self._flock.drop(miner)
        else:
            self._flock.update(miner, fixed=False)

    # --- finding ---

    def _is_due(self, entry: FixedMiner, known: Miner | None) -> bool:
        if known is None:
            return True
        if self._flock.is_alive(known) or self._flock.is_due(known):
            return known.row.address == entry.address and not self._as_configured(entry, known)
        return (
            known.row.provisional
            or known.row.address is None
            or time.monotonic() >= self._again.get(_place(entry), 0.0)
        )

    def _as_configured(self, entry: FixedMiner, known: Miner) -> bool:
        row = known.row
        refined = entry.driver == "avalon" and row.driver == "avalon_nano"
        driver_fits = entry.driver in (None, row.driver) or refined or entry.driver not in self._drivers.drivers
        return driver_fits and entry.port in (None, row.http_port, row.api_port)

    async def _ask(self, searcher: Searcher, entry: FixedMiner) -> _Asked:
        place, endpoint = _place(entry), self._endpoint(entry)
        self._again[place] = time.monotonic() + _AGAIN_SECONDS
        found = (await searcher.identify(endpoint)).identification
        known = self._known(entry)
        driver_type = entry.driver or (found.driver_type if found is not None else None)
        if entry.driver == "avalon" and found is not None and found.driver_type == "avalon_nano":
            driver_type = "avalon_nano"  # the Nanos answer the same commands but count their power differently
        if driver_type is None or driver_type not in self._drivers.drivers:
            if known is None and place not in self._warned:
                self._warned.add(place)
                log.warning("fixed miner not identified", extra={"address": entry.address, "driver": entry.driver})
            return _Asked(found.identity if found is not None and found.driver_type is None else None)
        if found is None and known is not None:
            return _Asked()
        identity, details = Identity(), {}
        if found is not None:
            identity = await searcher.complete_identity(endpoint, replace(found, driver_type=driver_type))
            details = dict(found.details) if found.driver_type == driver_type else {}
        await self._adopt(
            entry,
            Found(
                address=entry.address,
                http_port=endpoint.http_port,
                api_port=endpoint.api_port,
                driver=driver_type,
                identity=identity,
                details=details,
                labels=self._flock.labels_at(entry.address) | dict(entry.labels),
                fixed=True,
                answered=found is not None,
                shared_port=entry.port if entry.address in self._shared else None,
            ),
        )
        return _Asked()

    async def _adopt(self, entry: FixedMiner, found: Found) -> None:
        taken = await self._flock.adopt(found)
        row = match(self._db, found)
        miner = None if row is None else self._flock.get(row.id)
        if miner is None or (taken is Taken.ELSEWHERE and not self._flock.is_alive(miner)):
            return
        before = self._told.get(_place(entry), {}).get("id")
        self._remember(entry, miner)
        replaced = None if before in (None, miner.row.id) else self._flock.get(before)
        if replaced is not None and all(told["id"] != before for told in self._told.values()):
            if replaced.row.name == entry.name:
                self._flock.update(replaced, name=None)  # it is the entry's, and the entry is another device now
            await self._let_go(replaced)

    def _endpoint(self, entry: FixedMiner) -> Endpoint:
        ports = self._settings.network.ports
        http_port, api_port = ports.http[0], ports.cgminer[0]
        driver = self._drivers.drivers.get(entry.driver or "")
        if entry.port is not None:
            if driver is None or driver.connection_type == "tcp":
                api_port = entry.port
            if driver is None or driver.connection_type != "tcp":
                http_port = entry.port
        return Endpoint(entry.address, http_port, api_port)

    async def _look_up(self) -> None:
        """Which addresses the entries' host names mean, so that discovery knows them when it meets them."""
        names = {entry.address for entry in self._entries.values() if not _is_literal(entry.address)}
        answers = await asyncio.gather(*(_addresses_of(name) for name in names))
        self._resolved = {name: found for name, found in zip(names, answers, strict=True) if found}


def _place(entry: FixedMiner) -> str:
    return entry.address if entry.port is None else f"{entry.address}:{entry.port}"


def _is_literal(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


async def _addresses_of(name: str) -> frozenset[str]:
    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            found: Iterable[Any] = await asyncio.get_running_loop().getaddrinfo(name, None)
    except (OSError, TimeoutError, UnicodeError) as error:
        log.debug("%s: %s", name, error)
        return frozenset()
    return frozenset(str(entry[4][0]) for entry in found)
