"""Polls one miner: asks, decodes, records, backs off, and logs once when it goes and once when it returns."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from exporter.drivers.api import DecodeContext
from exporter.engine.asker import Asker
from exporter.engine.exchange import Exchange, Session
from exporter.engine.isolation import DriverHangs, run_driver, trace_of
from exporter.engine.merge import IDENTITY_FIELDS, merge_identity, merge_readings
from exporter.engine.poll_state import LOCK_SECONDS, PollState
from exporter.engine.registry import real_serial
from exporter.errors import AuthError, InternalError, LockedOut, MinerError, RequestTimeoutError
from exporter.model import Identity, Reading, replace

log = logging.getLogger(__name__)

T = TypeVar("T")

#: A failing miner is asked no less often than this.
MAX_BACKOFF_SECONDS: Final = 300.0
#: The page drops a reading nobody replaced after this many status intervals, whatever the engine does.
EXPIRY_INTERVALS: Final = 3.0
#: A miner that is not polled at all is looked after no less often than this.
_LOOK_SECONDS: Final = 3600.0
_NOTHING: Final = Reading()
#: Connections of one status at most: who is there, joined commands, each of them alone where the joined ones fail.
_CONNECTIONS: Final = 6


class WrongMinerError(MinerError):
    """Another device answers at the miner's address."""

    reason = "protocol"


@dataclass(frozen=True, slots=True)
class PollSettings:
    """Intervals in seconds."""

    status_seconds: float
    telemetry_seconds: float


class PollMeter(Protocol):
    """The self metrics of polling."""

    def poll_begun(self, driver: str) -> None: ...

    def poll_ended(self, driver: str, seconds: float) -> None: ...

    def poll_failed(self, driver: str, reason: str) -> None: ...

    def poll_dropped(self, driver: str) -> None: ...


class Poller:
    """Polls one miner on a timer of the event loop.

    `on_change` is called after every poll, in the engine's thread; `login` obtains an API key and puts its headers
    into the session (see `exporter.engine.login`); `on_wrong_miner` says that the address belongs to another device.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        state: PollState,
        exchange: Exchange,
        settings: PollSettings,
        meter: PollMeter,
        limit: asyncio.Semaphore,
        *,
        trusted: bool,
        on_change: Callable[[], None],
        on_wrong_miner: Callable[[], None],
        login: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self.name = name
        self.session = session
        self.state = state
        self.settings = settings
        self.due: float | None = None
        self.asker = Asker(name, session, state, exchange, login)
        self._meter = meter
        self._limit = limit
        self._trusted = trusted
        self._on_change = on_change
        self._on_wrong_miner = on_wrong_miner
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._hanging: dict[str, concurrent.futures.Future[Any]] = {}
        self._telemetry_fault = False

    # --- schedule ---

    def start(self, offset: float) -> None:
        """First poll after `offset` seconds, so that the flock is spread evenly over the interval."""
        self._schedule(offset)

    def wake(self) -> None:
        """Poll at once (the miner was seen again, or a person asked); a poll that is under way is enough."""
        self.state.failures = min(self.state.failures, 1)
        if self._task is None and not self._stopped:
            self._schedule(0.0)

    async def poll_now(self, *, telemetry: bool = True, anew: bool = False, verify: bool = False) -> None:
        """Poll and wait for the end of it; with `telemetry` the slow loop's part as well, due or not.

        Args:
            anew: in a new poll also where one is under way, which may have asked before.
            verify: ask who is there first, anew.
        """
        if (anew or verify) and self._task is not None:
            await asyncio.wait((self._task,))
        self.state.verify_identity = self.state.verify_identity or verify
        if telemetry:
            self.state.telemetry_due = 0.0
        if self._task is None:
            if self._timer is not None:
                self._timer.cancel()
            self._fire()
        if self._task is not None:
            await asyncio.wait((self._task,))  # not its result: a poll that `stop` cancels must not cancel who waits

    def use(self, settings: PollSettings) -> None:
        """Poll by other intervals from now on; the next poll keeps its place among those of the flock."""
        shorter = settings.status_seconds < self.settings.status_seconds
        self.settings = settings
        self.state.telemetry_due = min(self.state.telemetry_due, time.monotonic() + settings.telemetry_seconds)
        if shorter and self._timer is not None and not self.state.blocked_until:
            wait = self._timer.when() - asyncio.get_running_loop().time()
            self._schedule(max(0.0, wait) % settings.status_seconds)

    async def stop(self) -> None:
        """End polling; a poll that is under way is cancelled."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _schedule(self, delay: float) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self.due = loop.time() + delay
        self._timer = loop.call_at(self.due, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._stopped:
            return
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"poll {self.name}")

    async def _run(self) -> None:
        begun = asyncio.get_running_loop().time()
        try:
            async with self._limit:
                self.due = None
                await self._poll()
        except Exception as error:
            # What is made of a reading may fail on it as well (a value that the database refuses).
            log.exception("poll failed", extra={"miner": self.name})
            self._failed(InternalError(f"the reading cannot be used: {error!r}"))
            self._on_change()
        finally:
            self._task = None
            if not self._stopped:
                spent = asyncio.get_running_loop().time() - begun
                self._schedule(max(0.0, self._delay() - spent))

    def _delay(self) -> float:
        interval = self.settings.status_seconds
        if self.state.blocked_until:
            return max(interval, min(self.state.blocked_until - time.monotonic(), _LOOK_SECONDS))
        failures = self.state.failures
        if failures <= 1:
            return interval
        backoff = min(interval * 2.0 ** min(failures - 1, 10), max(MAX_BACKOFF_SECONDS, interval))
        return backoff * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, no secret

    # --- one poll ---

    async def _poll(self) -> None:
        if time.monotonic() < self.state.blocked_until:
            return
        driver_type = self.session.driver.driver_type
        self._meter.poll_begun(driver_type)
        started = time.monotonic()
        failure: MinerError | None = None
        try:
            reading = await self._isolated(self._read_with_retry(), self._status_limit())
        except MinerError as error:
            failure = error
        except asyncio.CancelledError:
            self._meter.poll_dropped(driver_type)
            raise
        duration = time.monotonic() - started
        self.state.duration = duration
        self._meter.poll_ended(driver_type, duration)
        if failure is not None:
            self._failed(failure)
        else:
            self._succeeded(reading)
        self._on_change()
        if failure is None and time.monotonic() >= self.state.telemetry_due:
            await self._poll_telemetry()

    async def _isolated(self, work: Awaitable[Reading], seconds: float) -> Reading:
        """Await `work`; whatever goes wrong comes out as a `MinerError`, so that it ends at its own miner."""
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError as error:
            raise RequestTimeoutError(f"{self.session.endpoint.address}: no whole answer in {seconds:g} s") from error
        except MinerError:
            raise
        except Exception as error:
            raise InternalError(f"driver {self.session.driver.driver_type} failed: {error!r}") from error

    async def _call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call the driver. A function that has not come back from this miner's last call is not called again."""
        name = function.__name__
        hanging = self._hanging.pop(name, None)
        if hanging is not None and not hanging.done():
            self._hanging[name] = hanging
            raise InternalError(f"driver {self.session.driver.driver_type} still hangs in {name}")
        try:
            return await run_driver(function, *arguments, trusted=self._trusted)
        except DriverHangs as error:
            self._hanging[name] = error.call
            raise

    async def _read_with_retry(self) -> Reading:
        try:
            return await self._read_status()
        except MinerError as error:
            if not error.transient:
                raise
        # One retry inside the interval: a lost packet or a device in the middle of a restart is no outage.
        await asyncio.sleep(min(1.0, self.settings.status_seconds / 5))
        return await self._read_status()

    async def _read_status(self) -> Reading:
        driver = self.session.driver
        context = self._context()
        requests = await self._call(driver.status_requests, context)
        if self.state.verify_identity:
            await self._verify_identity()
        answers = await self.asker.ask(requests)
        reading = await self._decode(driver.decode_status, answers)
        self._same_miner(reading.identity)
        return reading

    async def _verify_identity(self) -> None:
        """Ask who is there before believing anything: addresses move from one miner to another (DHCP)."""
        driver = self.session.driver
        requests = await self._call(driver.identity_requests, self._context())
        if requests:
            identity = await self._call(driver.decode_identity, await self.asker.ask(requests), self._context())
            self._same_miner(identity)
            self.state.identity = merge_identity(identity, self.state.identity)

    def _same_miner(self, told: Identity) -> None:
        if not self._trusted and not all(isinstance(getattr(told, name), str | None) for name in IDENTITY_FIELDS):
            raise InternalError(f"driver {self.session.driver.driver_type} returned an identity that is no text")
        known = self.state.identity
        if told.mac and known.mac:
            other = told.mac != known.mac
        else:
            ours, theirs = real_serial(known.serial), real_serial(told.serial)
            other = ours is not None and theirs is not None and ours != theirs
        if other:
            self._on_wrong_miner()
            raise WrongMinerError(f"{self.session.endpoint.address}: another miner answers here")

    async def _read_telemetry(self) -> Reading:
        driver = self.session.driver
        await self.asker.ensure_key()
        requests = await self._call(driver.telemetry_requests, self._context())
        if not requests:
            return _NOTHING
        reading = await self._decode(driver.decode_telemetry, await self.asker.ask(requests))
        self._same_miner(reading.identity)
        return reading

    async def _poll_telemetry(self) -> None:
        self.state.telemetry_due = time.monotonic() + self.settings.telemetry_seconds * 0.98
        try:
            reading = await self._isolated(self._read_telemetry(), self._telemetry_limit())
        except MinerError as error:
            self._count(error)
            new_fault = isinstance(error, InternalError) and not self._telemetry_fault
            self._telemetry_fault = isinstance(error, InternalError)
            level, trace = (logging.WARNING, trace_of(error)) if new_fault else (logging.DEBUG, None)
            where = {"miner": self.name, "reason": error.reason}
            log.log(level, "telemetry failed: %s", error, exc_info=trace, extra=where)
            self._on_change()
            return
        self._telemetry_fault = False
        if reading is _NOTHING and self.state.telemetry is None:
            return
        self.state.telemetry = reading
        self.state.telemetry_at = time.monotonic()
        self.state.identity = merge_identity(reading.identity, self.state.identity)
        self._on_change()

    def _status_limit(self) -> float:
        """Seconds for the status: an interval, or more where that would not leave room for the device's spacing."""
        return max(self.settings.status_seconds, 2.0 + _CONNECTIONS * self.session.driver.rules.spacing_seconds)

    def _telemetry_limit(self) -> float:
        """Seconds for the telemetry: so few that the next status comes before this one expires."""
        return max(min(self.settings.telemetry_seconds, 1.5 * self.settings.status_seconds), 2.0)

    async def _decode(self, decoder: Callable[..., Reading], answers: Any) -> Reading:
        reading = await self._call(decoder, answers, self._context())
        if not isinstance(reading, Reading):
            raise InternalError(f"driver {self.session.driver.driver_type} returned no Reading")
        return reading

    def _context(self) -> DecodeContext:
        return DecodeContext(time.time(), self.state.identity, self.state.details)

    # --- outcomes ---

    def _succeeded(self, reading: Reading) -> None:
        state = self.state
        if state.up is False:
            log.info("miner is back", extra={"miner": self.name, "address": self.session.endpoint.address})
        state.up = True
        state.failures = 0
        state.reason = None
        state.last_error = None
        state.blocked_until = 0.0
        state.verify_identity = False
        state.auth_failed = state.auth_failed or self.session.auth_blocked
        state.identity = merge_identity(reading.identity, state.identity)
        state.status = replace(reading, identity=state.identity)
        state.last_success = time.time()
        state.expires_at = time.monotonic() + EXPIRY_INTERVALS * self.settings.status_seconds

    def _failed(self, error: MinerError) -> None:
        state = self.state
        if state.up is not False:
            where = {"miner": self.name, "reason": error.reason}
            level = logging.INFO if time.monotonic() < state.away_until else logging.WARNING
            log.log(level, "miner is gone: %s", error, exc_info=trace_of(error), extra=where)
        state.up = False
        state.failures += 1
        state.reason = error.reason
        state.status = None
        state.telemetry = None
        state.telemetry_due = 0.0
        state.verify_identity = True
        self._count(error)
        if isinstance(error, LockedOut):
            state.blocked_until = time.monotonic() + (error.retry_after or LOCK_SECONDS)
        elif isinstance(error, AuthError) and self.session.auth_blocked:
            # Devices lock out: no more tries until a password changes.
            state.auth_failed = True
            state.blocked_until = float("inf")

    def _count(self, error: MinerError) -> None:
        self.state.errors[error.reason] = self.state.errors.get(error.reason, 0) + 1
        self.state.last_error = str(error)
        self._meter.poll_failed(self.session.driver.driver_type, error.reason)

    def reading(self) -> Reading | None:
        """The merged live reading; telemetry that is older than two of its intervals is left out."""
        status = self.state.status
        if status is None:
            return None
        telemetry = self.state.telemetry
        if telemetry is not None and time.monotonic() > self.state.telemetry_at + 2 * self.settings.telemetry_seconds:
            self.state.telemetry = telemetry = None
        merged = merge_readings(status, telemetry)
        if merged.identity is not self.state.identity:
            merged = replace(merged, identity=self.state.identity)
        return merged
