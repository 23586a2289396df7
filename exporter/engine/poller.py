"""Polls one miner: asks, decodes, records, backs off, and logs once when it goes and once when it returns."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from exporter.drivers.api import ApiKeyLogin, Auth, DecodeContext, HttpRequest, Request
from exporter.engine.exchange import Exchange, Session
from exporter.engine.isolation import run_driver
from exporter.engine.merge import merge_identity, merge_readings
from exporter.errors import AuthError, InternalError, LockedOut, MinerError, RequestTimeoutError
from exporter.model import Identity, Reading

log = logging.getLogger(__name__)

#: A failing miner is asked no less often than this.
MAX_BACKOFF_SECONDS: Final = 300.0
#: The page drops a reading nobody replaced after this many status intervals, whatever the engine does.
EXPIRY_INTERVALS: Final = 3.0


class WrongMinerError(MinerError):
    """Another device answers at the miner's address."""

    reason = "protocol"


@dataclass(slots=True)
class PollState:
    """What the poller knows of one miner between polls."""

    identity: Identity
    details: dict[str, str]
    status: Reading | None = None
    telemetry: Reading | None = None
    telemetry_at: float = 0.0
    telemetry_due: float = 0.0
    up: bool | None = None
    failures: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    last_success: float | None = None
    last_error: str | None = None
    duration: float | None = None
    expires_at: float = 0.0
    verify_identity: bool = True
    auth_failed: bool = False
    blocked_until: float = 0.0


@dataclass(frozen=True, slots=True)
class PollSettings:
    """Intervals in seconds."""

    status_seconds: float
    telemetry_seconds: float


class PollMeter(Protocol):
    """The self metrics of polling."""

    def poll_begun(self, driver: str) -> None: ...

    def poll_ended(self, driver: str, seconds: float, reason: str | None) -> None: ...


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
        self._exchange = exchange
        self._meter = meter
        self._limit = limit
        self._trusted = trusted
        self._on_change = on_change
        self._on_wrong_miner = on_wrong_miner
        self._login = login
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    # --- schedule ---

    def start(self, offset: float) -> None:
        """First poll after `offset` seconds, so that the flock is spread evenly over the interval."""
        self._schedule(offset)

    def wake(self) -> None:
        """Poll at once (the miner was seen again, or a person asked); a poll that is under way is enough."""
        self.state.failures = min(self.state.failures, 1)
        if self._task is None and not self._stopped:
            self._schedule(0.0)

    async def poll_now(self) -> None:
        """Poll and wait for the end of it, telemetry included."""
        self.state.telemetry_due = 0.0
        if self._task is None:
            if self._timer is not None:
                self._timer.cancel()
            self._fire()
        if self._task is not None:
            await asyncio.shield(self._task)

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
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"poll {self.name}")

    async def _run(self) -> None:
        begun = asyncio.get_running_loop().time()
        try:
            async with self._limit:
                self.due = None
                await self._poll()
        finally:
            self._task = None
            if not self._stopped:
                spent = asyncio.get_running_loop().time() - begun
                self._schedule(max(0.0, self._delay() - spent))

    def _delay(self) -> float:
        interval = self.settings.status_seconds
        if self.state.blocked_until:
            return max(interval, self.state.blocked_until - time.monotonic())
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
            reading = await self._isolated(self._read_with_retry(), max(self.settings.status_seconds, 2.0))
        except MinerError as error:
            failure = error
        duration = time.monotonic() - started
        self.state.duration = duration
        self._meter.poll_ended(driver_type, duration, failure.reason if failure else None)
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
            driver_type = self.session.driver.driver_type
            log.warning("driver failed", exc_info=True, extra={"miner": self.name, "driver": driver_type})
            raise InternalError(f"driver {driver_type} failed: {error!r}") from error

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
        requests = driver.status_requests(context)
        if self.state.verify_identity:
            await self._verify_identity()
        answers = await self._ask(requests)
        reading = await self._decode(driver.decode_status, answers)
        self._same_miner(reading.identity)
        return reading

    async def _verify_identity(self) -> None:
        """Ask who is there before believing anything: addresses move from one miner to another (DHCP)."""
        driver = self.session.driver
        requests = driver.identity_requests(self._context())
        if requests:
            identity: Identity = await run_driver(
                driver.decode_identity, await self._ask(requests), self._context(), trusted=self._trusted
            )
            self._same_miner(identity)
            self.state.identity = merge_identity(identity, self.state.identity)

    def _same_miner(self, told: Identity) -> None:
        known = self.state.identity
        if (told.mac and known.mac and told.mac != known.mac) or (
            not (told.mac and known.mac) and told.serial and known.serial and told.serial != known.serial
        ):
            self._on_wrong_miner()
            raise WrongMinerError(f"{self.session.endpoint.address}: another miner answers here")

    async def _read_telemetry(self) -> Reading:
        driver = self.session.driver
        await self._ensure_key()
        requests = driver.telemetry_requests(self._context())
        if not requests:
            return Reading()
        reading = await self._decode(driver.decode_telemetry, await self._ask(requests))
        self._same_miner(reading.identity)
        return reading

    async def _poll_telemetry(self) -> None:
        self.state.telemetry_due = time.monotonic() + self.settings.telemetry_seconds * 0.98
        try:
            reading = await self._isolated(self._read_telemetry(), max(self.settings.telemetry_seconds, 5.0))
        except MinerError as error:
            self._count(error)
            log.debug("telemetry failed: %s", error, extra={"miner": self.name})
            self._on_change()
            return
        self.state.telemetry = reading
        self.state.telemetry_at = time.monotonic()
        self.state.identity = merge_identity(reading.identity, self.state.identity)
        self._on_change()

    async def _ask(self, requests: tuple[Request, ...]) -> Any:
        """One round; a missing or revoked API key is obtained once."""
        try:
            return await self._exchange.ask(self.session, requests)
        except AuthError:
            if self._login is None or self.state.auth_failed or not _needs_key(requests):
                raise
        self.session.key_headers = ()
        await self._sign_in()
        return await self._exchange.ask(self.session, requests)

    async def _ensure_key(self) -> None:
        if (
            self._login is None
            or self.session.key_headers
            or self.state.auth_failed
            or not isinstance(self.session.driver, ApiKeyLogin)
        ):
            return
        try:
            await self._sign_in()
        except MinerError as error:
            # Most pages are open without a key: the miner stays monitored, the missing key is shown.
            log.info("no API key: %s", error, extra={"miner": self.name})

    async def _sign_in(self) -> None:
        if self._login is None or self.state.auth_failed:
            raise AuthError(f"{self.session.endpoint.address}: the device refused every known password")
        try:
            await self._login()
        except LockedOut as error:
            self.state.blocked_until = time.monotonic() + (error.retry_after or 600.0)
            raise
        except AuthError:
            self.state.auth_failed = True
            raise

    async def _decode(self, decoder: Callable[..., Reading], answers: Any) -> Reading:
        reading = await run_driver(decoder, answers, self._context(), trusted=self._trusted)
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
        state.last_error = None
        state.blocked_until = 0.0
        state.verify_identity = False
        state.status = reading
        state.auth_failed = state.auth_failed or self.session.auth_blocked
        if reading.identity is not state.identity:
            state.identity = merge_identity(reading.identity, state.identity)
        state.last_success = time.time()
        state.expires_at = time.monotonic() + EXPIRY_INTERVALS * self.settings.status_seconds

    def _failed(self, error: MinerError) -> None:
        state = self.state
        if state.up is not False:
            log.warning("miner is gone: %s", error, extra={"miner": self.name, "reason": error.reason})
        state.up = False
        state.failures += 1
        state.status = None
        state.telemetry = None
        state.telemetry_due = 0.0
        state.verify_identity = True
        self._count(error)
        if isinstance(error, LockedOut):
            state.blocked_until = time.monotonic() + (error.retry_after or 600.0)
        elif isinstance(error, AuthError):
            # Devices lock out: no more tries until a password changes.
            state.auth_failed = True
            state.blocked_until = float("inf")

    def _count(self, error: MinerError) -> None:
        self.state.errors[error.reason] = self.state.errors.get(error.reason, 0) + 1
        self.state.last_error = str(error)

    def credentials_changed(self) -> None:
        """Forget the refusals and try again at once."""
        self.state.auth_failed = False
        self.state.blocked_until = 0.0
        self.session.auth_blocked = False
        self.wake()

    def reading(self) -> Reading | None:
        """The merged live reading; telemetry that is older than two of its intervals is left out."""
        status = self.state.status
        if status is None:
            return None
        telemetry = self.state.telemetry
        if telemetry is not None and time.monotonic() > self.state.telemetry_at + 2 * self.settings.telemetry_seconds:
            self.state.telemetry = telemetry = None
        merged = merge_readings(status, telemetry)
        if merged.identity != self.state.identity:
            merged = dataclasses.replace(merged, identity=self.state.identity)
        return merged


def _needs_key(requests: tuple[Request, ...]) -> bool:
    return any(isinstance(request, HttpRequest) and request.auth is Auth.API_KEY for request in requests)
