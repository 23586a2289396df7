"""The miners that targets.yml names or a person added: found at their addresses, remembered where they move, let go
when taken out."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from typing import Any, Final

from exporter.config import FixedMiner, Settings
from exporter.drivers.api import Identification
from exporter.drivers.loader import DriverSet
from exporter.engine.added import AddedMiners
from exporter.engine.addresses import addresses_of, is_literal
from exporter.engine.exchange import Endpoint
from exporter.engine.flock import Flock
from exporter.engine.miner import Miner
from exporter.engine.names import shown_name
from exporter.engine.registry import Found, Taken, match
from exporter.engine.search import Searcher
from exporter.errors import FieldError, TakenError
from exporter.model import Identity
from exporter.store.database import Database

log = logging.getLogger(__name__)

#: Where it is stored which miner an entry is, and which name it gave.
_SETTING: Final = "fixed_miners"
_AT_ONCE: Final = 100
#: A known miner that does not answer is identified anew after this long: it may have another firmware now.
_AGAIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an entry's address answered: `seen` is the identity of a family without a driver."""

    seen: Identity | None = None


class FixedMiners:
    """Keeps the flock in step with `miners:` of targets.yml and with what people added. `apply` comes before the first
    `find`."""

    def __init__(self, db: Database, flock: Flock) -> None:
        self._db = db
        self._flock = flock
        self._added = AddedMiners(db)
        self._being_added: set[str] = set()
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
        self._take_entries()
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

    def _take_entries(self) -> None:
        """Entries of targets.yml win over those that were added."""
        both = (*self._added.entries(), *self._settings.miners)
        self._entries = {_place(entry): entry for entry in both}
        addresses = [entry.address for entry in self._entries.values()]
        self._shared = {address for address in addresses if addresses.count(address) > 1}

    async def add(self, entry: FixedMiner, searcher: Searcher) -> Miner:
        """Take a miner that a person names; it is asked who it is, and kept as an entry from now on.

        A known miner that is offline and answers here is moved here.

        Raises:
            FieldError: nobody answers and the entry has no driver, it is another family than the entry says, or one
                without a driver.
            TakenError: the address is a miner's, or the miner answers elsewhere.
        """
        place = _place(entry)
        self._check_free(entry)
        self._being_added.add(place)
        try:
            said, found = await self._look(searcher, entry, shared=bool(self._flock.at(entry.address)))
            found = _checked(entry, said, found)
            taken = await self._flock.adopt(found)
            row = match(self._db, found)
            miner = None if row is None else self._flock.get(row.id)
            if miner is None or taken is Taken.ELSEWHERE or miner.row.address != entry.address:
                whose = "another miner's" if miner is None else f"that of {shown_name(miner.row)} already"
                raise TakenError(f"ip_address: the MAC of the device at {entry.address} is {whose}", "ip_address")
            self._added.add(entry)
            self._take_entries()
            self._remember(self._entries[place], miner)
            self._again[place] = time.monotonic() + _AGAIN_SECONDS
            self._save()
        finally:
            self._being_added.discard(place)
        return miner

    def _check_free(self, entry: FixedMiner) -> None:
        if _place(entry) in self._being_added:
            raise TakenError(f"ip_address: {entry.address} is being added already", "ip_address")
        for miner in self._flock.at(entry.address):
            row = miner.row
            if entry.port is None or not row.fixed or entry.port in (row.http_port, row.api_port):
                raise TakenError(
                    f"ip_address: {entry.address} is the address of {shown_name(row)} already", "ip_address"
                )

    def forgotten(self, miner_id: int) -> None:
        """A person deleted a miner: an entry that was added for it goes too."""
        gone = [entry for place, entry in self._entries.items() if self._told.get(place, {}).get("id") == miner_id]
        self._added.remove(gone)
        self._told = {place: told for place, told in self._told.items() if told["id"] != miner_id}
        self._take_entries()
        self._save()

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

    async def _look(
        self, searcher: Searcher, entry: FixedMiner, *, shared: bool
    ) -> tuple[Identification | None, Found | None]:
        """Ask an entry's address: what answers, and what may be adopted (None without a driver).

        Args:
            shared: whether other entries have the same address.
        """
        endpoint = self._endpoint(entry)
        said = (await searcher.identify(endpoint)).identification
        driver_type = entry.driver or (said.driver_type if said is not None else None)
        if entry.driver == "avalon" and said is not None and said.driver_type == "avalon_nano":
            driver_type = "avalon_nano"  # the Nanos answer the same commands but count their power differently
        if driver_type is None or driver_type not in self._drivers.drivers:
            return said, None
        identity, details = Identity(), {}
        if said is not None:
            identity = await searcher.complete_identity(endpoint, replace(said, driver_type=driver_type))
            details = dict(said.details) if said.driver_type == driver_type else {}
        return said, Found(
            address=entry.address,
            http_port=endpoint.http_port,
            api_port=endpoint.api_port,
            driver=driver_type,
            identity=identity,
            details=details,
            labels=self._flock.labels_at(entry.address) | dict(entry.labels),
            fixed=True,
            answered=said is not None,
            shared_port=entry.port if shared else None,
        )

    async def _ask(self, searcher: Searcher, entry: FixedMiner) -> _Asked:
        place = _place(entry)
        self._again[place] = time.monotonic() + _AGAIN_SECONDS
        said, found = await self._look(searcher, entry, shared=entry.address in self._shared)
        if self._entries.get(place) is not entry:
            return _Asked()  # taken out meanwhile
        known = self._known(entry)
        if found is None:
            if known is None and place not in self._warned:
                self._warned.add(place)
                log.warning("fixed miner not identified", extra={"address": entry.address, "driver": entry.driver})
            return _Asked(said.identity if said is not None and said.driver_type is None else None)
        if said is not None or known is None:
            await self._adopt(entry, found)
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
        names = {entry.address for entry in self._entries.values() if not is_literal(entry.address)}
        answers = await asyncio.gather(*(addresses_of(name) for name in names))
        self._resolved = {name: found for name, found in zip(names, answers, strict=True) if found}


def _place(entry: FixedMiner) -> str:
    return entry.address if entry.port is None else f"{entry.address}:{entry.port}"


def _checked(entry: FixedMiner, said: Identification | None, found: Found | None) -> Found:
    """What a person's entry may be adopted as."""
    if said is None and found is None:
        raise FieldError(
            f"ip_address: nobody answers as a miner at {entry.address}; check the address and that the miner is on, or"
            " say miner_type to keep it until it answers",
            "ip_address",
        )
    if found is None:
        make = said.identity.make if said is not None else None
        raise FieldError(f"miner_type: no driver can poll the {make or 'device'} at {entry.address} yet", "miner_type")
    general = entry.driver == "cgminer"  # every family that speaks its protocol may be polled so
    if said is not None and said.driver_type not in (None, found.driver) and not general:
        raise FieldError(
            f"miner_type: the device at {entry.address} says that it is {said.driver_type}, not {entry.driver};"
            " leave miner_type out to have it found out",
            "miner_type",
        )
    return found
