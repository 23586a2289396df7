"""The only place that builds and wires the running program; start and stop order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from exporter import __version__
from exporter.api_token import load_api_token
from exporter.config import Settings, load_settings, restart_needed
from exporter.config_values import Listen
from exporter.control.drivers import answer_drivers
from exporter.control.protocol import socket_path
from exporter.control.server import ControlServer, Handler
from exporter.credential_book import CredentialBook
from exporter.discovery.networks import local_interfaces
from exporter.drivers.loader import DriverSet, load_drivers
from exporter.engine.api.caller import OUTSIDE_CALLERS
from exporter.engine.api.wallets import PoolStatistics
from exporter.engine.client import LoopEngineApi
from exporter.engine.doors.program import Listening, Outside
from exporter.engine.engine import Engine
from exporter.engine.exchange import Exchange
from exporter.engine.fleet import FleetSnapshot
from exporter.engine.sessions import Sessions
from exporter.engine.waiting import list_devices
from exporter.errors import FlockwatchError, UnavailableError, UsageError
from exporter.memory import settle
from exporter.metrics.catalog import RenderOptions
from exporter.metrics.catalog_wallet import WalletCollector, WalletFigures
from exporter.metrics.page import PageStore
from exporter.metrics.selfmetrics import SelfMetrics
from exporter.metrics.service_discovery import find_miner
from exporter.sign_in import SignedInOnly
from exporter.store.backup import backup_bytes
from exporter.store.database import Database
from exporter.store.rows import MinerCommand
from exporter.store.usb_tables import COMPLETE, ERROR, PENDING, RUNNING
from exporter.text import normal_mac
from exporter.transports.wire import NetworkWire
from exporter.ui_access import setup_link, ui_options
from exporter.web import MetricsListener
from exporter.web_config import WebConfig, load_web_config
from exporter.web_server import BoundedServer
from onboarding_ui import create_app
from onboarding_ui.api.bodies import LARGEST_BODY, TOO_LARGE

log = logging.getLogger(__name__)

#: Nothing announces the end of a command to a board; its row is looked at.
_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line of `run` says."""

    config_file: Path
    metrics_addr: Listen | None = None
    ui_addr: Listen | None = None
    web_config_file: Path | None = None
    allow_large: bool = False


class App:
    """The running program: one engine thread, two listeners, one control socket."""

    def __init__(self, options: RunOptions, environ: Mapping[str, str]) -> None:
        """Read the configuration and open the database.

        Raises:
            UsageError: configuration, database or a driver folder cannot be used.
        """
        self._options = options
        self._environ = environ
        self.settings = load_settings(options.config_file, environ, allow_large=options.allow_large)
        self._web_config = load_web_config(options.web_config_file) if options.web_config_file else WebConfig()
        self._api_token = load_api_token(environ)
        self._db = Database.open(self.settings.database.path)
        self._started_with = self.settings
        self._engine: EngineThread | None = None
        self._stop = threading.Event()
        self._reload_turn = threading.Lock()
        #: Replaced whole, so that other threads may read.
        self._listening: dict[str, Listening] = {}
        self._book = CredentialBook(environ, self._db)
        self._self_metrics = SelfMetrics()
        self._page = PageStore(self._render_options(self.settings), on_fault=self._self_metrics.exposition_fault)

    def run(self) -> int:
        """Run until SIGINT or SIGTERM. Returns the exit status."""
        try:
            return self._run()
        finally:
            self._db.close()

    def _run(self) -> int:
        self._catch_signals()
        _raise_descriptor_limit()
        drivers = self._load_drivers()
        engine = EngineThread(self.settings, self._db, drivers, self._book, self._page, self._self_metrics)
        metrics = MetricsListener(
            self._page,
            self._self_metrics,
            snapshot=engine.snapshot,
            reload=self.reload,
            ready=engine.is_ready,
            web_config=self._web_config,
        )
        metrics_addr = self._options.metrics_addr or self.settings.metrics.addr
        ui_addr = self._options.ui_addr or self.settings.http.addr
        with contextlib.ExitStack() as stack:
            self._engine = engine
            engine.on_labels = self._show_labels
            engine.outside = Outside(
                self._options.config_file,
                self.reload,
                self._started_with.drivers.path,
                self.reload_drivers,
                lambda: self._listening,
            )
            metrics.start(metrics_addr.host, metrics_addr.port)
            self._listens("metrics.addr", metrics_addr.host, metrics.port, self._options.metrics_addr)
            stack.callback(metrics.stop)
            engine.start(self._handlers(engine))
            stack.callback(engine.stop)
            tls = self._web_config.tls
            options = ui_options(
                ui_addr,
                self.settings.http.allowed_hosts,
                self._web_config,
                self._api_token,
                has_password=engine.api.access.password_hash() is not None,
            )
            ui = BoundedServer(
                SignedInOnly(create_app(engine.api, options), self._web_config.users),
                what="the web UI",
                option="--ui.listen-address",
                tls=None if tls is None else tls.context(),
                largest_body=LARGEST_BODY,
                too_large=TOO_LARGE,
                threads=2 * OUTSIDE_CALLERS,
            )
            ui.start(ui_addr.host, ui_addr.port)
            self._listens("http.addr", ui_addr.host, ui.port, self._options.ui_addr)
            stack.callback(ui.stop)
            gc.collect()
            settle()
            self._self_metrics.config_reloaded(True, time.time())
            host = f"[{ui_addr.host}]" if ":" in ui_addr.host else ui_addr.host or "127.0.0.1"
            page = f"{'http' if tls is None else 'https'}://{host}:{ui.port}/"
            log.info("ready", extra={"version": __version__, "metrics": metrics.port, "ui": ui.port, "page": page})
            link = setup_link(ui_addr, ui.port, options, local_interfaces())
            if link is not None:
                log.warning("the web UI has no password yet; open this link once to set one", extra={"link": link})
            while not self._stop.wait(1.0):
                if engine.failure is not None:
                    raise engine.failure
                metrics.check()
                ui.check()
            log.info("stopping")
        return 0

    def _listens(self, key: str, host: str, port: int, option: Listen | None) -> None:
        """Note where a listener is; `option` is what the command line says of it."""
        self._listening = {**self._listening, key: Listening(Listen(host, port), option is not None)}

    def _catch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._stop.set())
        signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=self.reload, name="reload").start())

    def _load_drivers(self, before: DriverSet | None = None) -> DriverSet:
        drivers = load_drivers(self._started_with.drivers.path, before=before)
        self._self_metrics.drivers_loaded(drivers.loaded, drivers.rejected)
        return drivers

    def _render_options(self, settings: Settings) -> RenderOptions:
        names = {name for row in self._db.miners.all() for name in row.own_labels}
        names |= {name for subnet in settings.network.subnets for name, _ in subnet.labels}
        names |= {name for miner in settings.miners for name, _ in miner.labels}
        collectors = settings.metrics.collectors
        return RenderOptions(chips=collectors.chips, pool_user=collectors.pool_user, label_names=tuple(sorted(names)))

    def _show_labels(self) -> None:
        """People use other names of labels than before: all miners are shown with them."""
        with self._reload_turn:
            self._page.configure(self._render_options(self.settings))

    # --- reload ---

    def reload(self) -> str | None:
        """Re-read configuration, credentials and drivers; a bad file keeps what runs. Returns the error or None."""
        engine = self._engine
        if engine is None:
            return "the program is still starting; try again"
        with self._reload_turn:
            try:
                settings = load_settings(
                    self._options.config_file, self._environ, allow_large=self._options.allow_large
                )
                self._book.reload()
                drivers = self._load_drivers(engine.engine.drivers)
                later = restart_needed(self._started_with, settings)
                if later:
                    log.warning("these settings take effect at the next start: %s", ", ".join(later))
                engine.apply(settings, drivers)
                self._page.configure(self._render_options(settings))
            except FlockwatchError as error:
                log.error("reload failed, the running configuration stays: %s", error)  # noqa: TRY400 - one line
                self._self_metrics.config_reloaded(False, time.time())
                return str(error)
            self.settings = settings
            self._self_metrics.config_reloaded(True, time.time())
            log.info("configuration reloaded")
            return None

    def reload_drivers(self) -> None:
        """Load the driver files that changed and use them; all else runs on, whatever the configuration says by now.

        Raises:
            UnavailableError: the engine is starting, stopping or too slow.
        """
        engine = self._engine
        if engine is None:
            raise UnavailableError("the program is still starting; try again")
        with self._reload_turn:
            drivers = self._load_drivers(engine.engine.drivers)
            engine.api.call(lambda: engine.engine.use_drivers(drivers))

    # --- the control socket ---

    def _handlers(self, engine: EngineThread) -> dict[str, Handler]:
        async def rescan(arguments: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> Any:
            snapshot = engine.engine.snapshot()
            result = await engine.engine.rescan(_miner_id(snapshot, arguments.get("miner")))
            miners = engine.engine.snapshot().miners
            return {**result, "known": len(miners), "answering": sum(record.up is True for record in miners)}

        async def backup(arguments: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> Any:
            return {"document": (await asyncio.to_thread(backup_bytes, self._db)).decode()}

        async def reload(arguments: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> Any:
            return {"error": await asyncio.to_thread(self.reload)}

        async def drivers(arguments: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> Any:
            return await asyncio.to_thread(answer_drivers, engine.api.drivers, arguments)

        async def devices(arguments: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> Any:
            return {"devices": list_devices(self._db)}

        async def onboard(arguments: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> Any:
            row = await engine.engine.onboard(
                int(arguments["id"]),
                str(arguments["name"]),
                str(arguments["currency"]),
                arguments.get("chipset"),
                arguments.get("location_notes"),
            )
            return {"id": row.id, "miner": row.key, "name": row.name}

        async def get_config(arguments: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> Any:
            miner_id = _miner_id(engine.engine.snapshot(), arguments.get("miner"))
            if miner_id is None:
                raise UsageError("say which miner is to tell its configuration: its id, MAC, name or address")
            return await _ended(self._db, await engine.engine.get_config(miner_id))

        return {
            "rescan": rescan,
            "backup": backup,
            "reload": reload,
            "devices": devices,
            "drivers": drivers,
            "onboard": onboard,
            "get_config": get_config,
        }


async def _ended(db: Database, command: MinerCommand) -> dict[str, Any]:
    """Wait until a board has told its configuration or failed to, which the engine limits.

    Returns:
        ``{"id": of the command, "status": "complete" or "error", "error": text or None, "config": what it told as a
        JSON value, its secrets masked, or None}``.
    """
    while (row := db.miner_commands.get(command.id)) and row.status in (PENDING, RUNNING):  # noqa: ASYNC110 - no event
        await asyncio.sleep(_LOOK_SECONDS)
    miner = db.miners.get(command.miner_id)
    if row is None or miner is None:
        return {"id": command.id, "status": ERROR, "error": "the miner was forgotten meanwhile", "config": None}
    config = json.loads(miner.last_config_json or "null") if row.status == COMPLETE else None
    return {"id": row.id, "status": row.status, "error": row.error, "config": config}


def _miner_id(snapshot: FleetSnapshot, wanted: Any) -> int | None:
    """The id of the miner that a person named by id, key, MAC, name or address; None where nobody named one."""
    if wanted is None:
        return None
    words = str(wanted).strip()
    found = [record for record in snapshot.miners if str(record.id) == words]
    found = found or find_miner(snapshot, words) or find_miner(snapshot, normal_mac(words) or words)
    if not found:
        raise UsageError(f"no miner is called {words!r}; name one by its id, MAC, name or address")
    if len(found) > 1:
        keys = ", ".join(record.key for record in found[:5])
        raise UsageError(f"{len(found)} miners are called {words!r}; name one by its MAC or address: {keys}")
    return found[0].id


class EngineThread:
    """The engine and its event loop on a thread of their own."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        drivers: DriverSet,
        book: CredentialBook,
        page: PageStore,
        meter: SelfMetrics,
    ) -> None:
        self._settings = settings
        self._db = db
        self._drivers = drivers
        self._book = book
        self._page = page
        self._meter = meter
        self._handlers: dict[str, Handler] = {}
        self._started = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.failure: BaseException | None = None
        self._engine: Engine | None = None
        self._api: LoopEngineApi | None = None
        self.outside = Outside()
        #: Told in another thread when people use other names of labels than before.
        self.on_labels: Callable[[], None] = lambda: None

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise FlockwatchError("the engine is not running")
        return self._engine

    @property
    def api(self) -> LoopEngineApi:
        if self._api is None:
            raise FlockwatchError("the engine is not running")
        return self._api

    def snapshot(self) -> Any:
        return self.engine.snapshot()

    def is_ready(self) -> bool:
        return self._engine is not None and self._engine.ready

    def start(self, handlers: dict[str, Handler]) -> None:
        """Start the thread and wait until the engine runs.

        Raises:
            UsageError: the engine could not start, for example for a busy UDP port.
        """
        self._handlers = handlers
        self._thread.start()
        self._started.wait()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Stop the engine in order and wait for its thread."""
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20.0)

    def apply(self, settings: Settings, drivers: DriverSet) -> None:
        """Use re-read settings and drivers; returns when the engine has taken them."""
        self.api.call(lambda: self.engine.apply(settings, drivers))

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self.failure = error
            if self._started.is_set():
                log.critical("the engine has died", exc_info=True)
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        wire = NetworkWire()
        exchange = Exchange(wire)
        sessions = Sessions(self._db, exchange, self._book.candidates, create_keys=self._settings.creates_api_keys)
        engine = self._engine = Engine(
            self._settings, self._db, self._drivers, exchange, sessions, self._page, self._meter
        )
        self._api = LoopEngineApi(self._loop, engine, self.outside)
        engine.on_labels = self.on_labels
        self._meter.set_lag_source(engine.poll_lag)
        self._meter.registry.register(WalletCollector(lambda: _wallet_figures(engine)))
        control = ControlServer(socket_path(self._db.path), self._handlers)
        try:
            await engine.start()
            await control.start()
            self._started.set()
            await self._stop.wait()
        finally:
            await control.close()
            await engine.stop()
            await wire.close()


def _wallet_figures(engine: Engine) -> Iterator[WalletFigures]:
    """What /metrics shows of the wallets, and of their addresses nothing."""
    counts = engine.share_log.counts()
    records = engine.flock.records  # single look-ups are atomic; a snapshot would sort the whole flock at each scrape
    for wallet, pool_name, told in engine.wallets.told():
        statistics = told or PoolStatistics()
        yield WalletFigures(
            str(wallet.id),
            wallet.name,
            wallet.currency,
            pool_name,
            statistics.hashrates,
            statistics.best_share_difficulty,
            statistics.workers_count,
            (("accepted", counts.get((wallet.id, True), 0)), ("rejected", counts.get((wallet.id, False), 0))),
            tuple(known.key for one in engine.wallets.linked(wallet.id) if (known := records.get(one)) is not None),
        )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed (extra "fast"); the standard loop is the tested default."""
    if os.environ.get("FLOCKWATCH_NO_UVLOOP"):
        return None
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _raise_descriptor_limit() -> None:
    """Each miner keeps a connection open, so a farm needs more descriptors than the usual 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 1 << 20
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
