"""The console of one NerdMiner: bytes and time in; readings, state, configuration and shares out. Sans-IO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar, Final

from exporter.drivers import fields
from exporter.drivers.families.nerdminer_reading import Figures, Surroundings, make_reading
from exporter.model import Identity, Reading
from exporter.model_usb import UsbState, UsbView
from exporter.protocols import nerdminer_events as events
from exporter.protocols.lines import LineSplitter
from exporter.protocols.nerdminer_config import ConfigCapture, DumpedConfig, Source
from exporter.protocols.nerdminer_events import Figure, Method, Signal
from exporter.protocols.nerdminer_lines import parse_line
from exporter.protocols.nerdminer_machine import UsbMachine
from exporter.protocols.nerdminer_shares import ShareEvent, ShareLedger

#: How firmwares name themselves to the pool -> how we name them.
_FIRMWARES: Final = {"nerdminerv2": "NerdMiner", "nerdminer": "NerdMiner", "nmminer": "NMMiner"}
_MAKE: Final = "NerdMiner"
_CONFIG_GONE: Final = frozenset({Signal.NO_CONFIG, Signal.CONFIG_CORRUPT, Signal.CONFIG_WIPED})


class NerdMinerConsole:
    """A `Stream` that also tells the state. However the bytes are cut into pieces, the result is the same.

    The board counts as plugged in from the first call on. `unplug` and `plug` carry the counters over.
    """

    #: Seconds between two lines of telemetry.
    period: float = 1.0

    def __init__(self) -> None:
        self._splitter = LineSplitter()
        self._capture = ConfigCapture()
        self._machine = UsbMachine()
        self._ledger = ShareLedger()
        self._figures = Figures()
        self._rejections: Counter[str] = Counter()
        self._begun = False
        #: Whether the board keeps its counters over a boot.
        self._saved = False
        self._awaits_details = False
        self._firmware: str | None = None
        self._version: str | None = None
        self._user: str | None = None
        self._pool_address: str | None = None
        self._pool_up: bool | None = None
        self._wifi_down = False
        self._reset_reason: str | None = None
        #: Unix time at which `config` was captured last; a new capture of the same configuration moves it.
        self.config_at: float | None = None

    # --- in -----------------------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> tuple[Reading, ...]:
        """Take any piece of what the board printed, at Unix time `now`; a reading for every second it told of.

        Bytes that arrive after `unplug` are dropped. Nothing that can be printed raises.
        """
        self._begin(now)
        readings: list[Reading] = []
        if self._machine.view.state is UsbState.NOT_CONNECTED:
            return ()
        for line in self._splitter.feed(data):
            readings.extend(self._take(line, now))
        return tuple(readings)

    def tick(self, now: float) -> None:
        """Let time pass without bytes; once a second or seldomer is enough."""
        self._begin(now)
        self._machine.tick(now)

    def plug(self, now: float) -> None:
        """The board is there (again): `Initializing`, `Booting`."""
        self._begun = True
        self._stopped()
        self._machine.apply(Signal.PLUGGED, now)

    def unplug(self, now: float) -> None:
        """The board is gone: `Inactive`, `Not Connected`."""
        self._begun = True
        self._stopped()
        self._machine.apply(Signal.UNPLUGGED, now)

    # --- out ----------------------------------------------------------------------------------------------------

    @property
    def view(self) -> UsbView:
        """Status, state and conditions; the same object until something changes."""
        return self._machine.view

    @property
    def config(self) -> DumpedConfig | None:
        """The configuration captured last, with the firmware's version once that is known."""
        config = self._capture.config
        return None if config is None else replace(config, firmware_version=self._version)

    @property
    def identity(self) -> Identity:
        """What the console tells: the firmware, never the board it runs on."""
        firmware = self._firmware or _MAKE
        if firmware == "NMMiner":
            return Identity(make=firmware, firmware=firmware, firmware_version=self._version)
        return Identity(make=_MAKE, model="NerdMiner v2", firmware=firmware, firmware_version=self._version)

    @property
    def shares_32bit(self) -> float | None:
        """Hashes with 32 zero bits, which the firmware's display calls shares; grows over boots."""
        return self._figures.shares.total

    def take_shares(self) -> tuple[ShareEvent, ...]:
        """The shares that the pool judged since the last call."""
        return self._ledger.take()

    # --- events; True asks for a reading --------------------------------------------------------------------------

    def _take(self, line: str, now: float) -> Iterator[Reading]:
        source = self._capture.feed(line)
        if source is not None:
            self.config_at = now
            self._saved = self._capture.config is not None and self._capture.config.saves_counters
            if source is Source.DUMP:
                self._machine.apply(Signal.CONFIG_LOADED, now)
        for event in parse_line(line):
            if self._handlers[type(event)](self, event, now):
                yield self._reading(now)

    def _begin(self, now: float) -> None:
        if not self._begun:
            self.plug(now)

    def _stopped(self) -> None:
        """The board is gone, or another life of it begins: the end of the last line will not come."""
        self._splitter.clear()
        self._reset_reason = None
        self._restarted()

    def _restarted(self) -> None:
        """Nothing of the board's last boot holds any more."""
        self._figures.restarted()
        self._ledger.stopped()
        self._capture.booted()
        self._awaits_details = False
        self._pool_up = None
        self._wifi_down = False

    def _on_boot(self, event: events.Boot, now: float) -> None:
        if self._machine.boot(event.marker, event.reason, now):
            self._restarted()
            self._reset_reason = None
        if event.reason is not None:
            self._reset_reason = event.reason

    def _on_seen(self, event: events.Seen, now: float) -> None:
        signal = event.signal
        if signal in _CONFIG_GONE:
            self._capture.forget()
        elif signal is Signal.BLOCK_FOUND:
            self._figures.blocks_found += 1
        elif signal in (Signal.WIFI_UP, Signal.CONNECTED):
            self._wifi_down = False
        elif signal is Signal.WIFI_DOWN:
            self._wifi_down = True
        elif signal is Signal.POOL_UNREACHABLE:
            self._pool_up = False
            self._figures.connection_failures += 1
        elif signal is Signal.SUBSCRIBE:
            self._pool_up = True
            self._ledger.session_began()
        self._machine.apply(signal, now)

    def _on_dns_failed(self, event: events.DnsFailed, now: float) -> None:
        """Only the pool's name counts: the display asks for prices and heights elsewhere."""
        config = self._capture.config
        if event.host is None or config is None or event.host.lower() in config.pool_url.lower():
            self._machine.apply(Signal.DNS_FAILED, now)

    def _on_version(self, event: events.Version, now: float) -> None:
        self._version = _word(event.version)

    def _on_sent(self, event: events.Sent, now: float) -> None:
        if event.method is Method.SUBSCRIBE:
            self._ledger.session_began()
            name, _, version = (event.agent or "").partition("/")
            self._firmware = _FIRMWARES.get(name.lower(), _word(name))
            self._version = _word(version) or self._version
            self._machine.apply(Signal.SUBSCRIBE, now)
        elif event.method is Method.AUTHORIZE:
            self._user = _word(event.user) or self._user
            self._machine.apply(Signal.AUTHORIZE, now)
        self._ledger.sent(event)

    def _on_reply(self, event: events.Reply, now: float) -> None:
        self._pool_up = True
        rejected = self._ledger.rejected
        self._apply_all(self._ledger.reply(event, now), now)
        self._count_reason(rejected)

    def _on_job(self, event: events.Job, now: float) -> None:
        self._pool_up = True
        self._figures.jobs += event.parsed
        self._machine.apply(Signal.JOB, now)

    def _on_pool_difficulty(self, event: events.PoolDifficulty, now: float) -> None:
        self._ledger.pool_difficulty = event.difficulty

    def _on_share_difficulty(self, event: events.ShareDifficulty, now: float) -> None:
        self._ledger.share_difficulty(event.difficulty)
        self._figures.submitted(event.difficulty)

    def _on_pool_error(self, event: events.PoolError, now: float) -> None:
        self._apply_all(self._ledger.error(event), now)

    def _on_share_refused(self, event: events.ShareRefused, now: float) -> None:
        rejected = self._ledger.rejected
        self._ledger.refused(event.id, now)
        self._count_reason(rejected)

    def _on_pool_address(self, event: events.PoolAddress, now: float) -> None:
        self._pool_address = f"{event.host}:{event.port}"
        self._pool_up = True
        self._machine.apply(Signal.POOL_CONNECTED, now)

    def _on_monitor(self, event: events.Monitor, now: float) -> None:
        self._wifi_down = not event.wifi
        self._pool_up = event.connected
        if event.wifi:
            self._machine.apply(Signal.CONNECTED, now)
        if event.connected:
            self._machine.apply(Signal.POOL_CONNECTED, now)
            if event.subscribed:
                self._machine.apply(Signal.SUBSCRIBED, now)

    def _on_progress(self, event: events.Progress, now: float) -> bool:
        """The line of every second. Where more lines follow, the last of them asks for the reading."""
        self._figures.progress(event, saved=self._saved)
        if event.rate > 0:
            self._machine.apply(Signal.HASHING, now)
        waited, self._awaits_details = self._awaits_details, False
        if self._figures.time_mining is not None and not waited:
            self._awaits_details = True
            return False
        return True

    def _on_detail(self, event: events.Detail, now: float) -> bool:
        self._figures.detail(event, saved=self._saved)
        if event.figure is not Figure.TIME_MINING:
            return False
        self._awaits_details = False
        return True

    def _count_reason(self, rejected_before: int) -> None:
        if self._ledger.rejected > rejected_before:
            self._rejections[fields.rejection_reason(self._ledger.last_reason)] += 1

    def _apply_all(self, signals: tuple[Signal, ...], now: float) -> None:
        for signal in signals:
            self._machine.apply(signal, now)

    def _reading(self, now: float) -> Reading:
        config = self._capture.config
        around = Surroundings(
            identity=self.identity,
            view=self._machine.view,
            booted_at=self._machine.booted_at,
            saved=self._saved,
            pool_url=config.endpoint if config is not None else self._pool_address,
            pool_user=self._user or (None if config is None else config.user),
            pool_up=self._pool_up,
            wifi_down=self._wifi_down,
            reset_reason=self._reset_reason,
            rejections=self._rejections,
        )
        return make_reading(self._figures, self._ledger, around, now)

    _handlers: ClassVar[Mapping[type, Callable[..., bool | None]]] = MappingProxyType(
        {
            events.Boot: _on_boot,
            events.Seen: _on_seen,
            events.DnsFailed: _on_dns_failed,
            events.Version: _on_version,
            events.Sent: _on_sent,
            events.Reply: _on_reply,
            events.Job: _on_job,
            events.PoolDifficulty: _on_pool_difficulty,
            events.ShareDifficulty: _on_share_difficulty,
            events.PoolError: _on_pool_error,
            events.ShareRefused: _on_share_refused,
            events.PoolAddress: _on_pool_address,
            events.Monitor: _on_monitor,
            events.Progress: _on_progress,
            events.Detail: _on_detail,
        }
    )


def _word(text: str | None) -> str | None:
    """Cleaned text, None for the usual words for nothing."""
    return fields.text({"text": text}, "text")
