"""The exporter's own metrics (``miner_exporter_*``), beside ``process_*`` and ``python_*``.

The engine's thread counts into plain integers, because that costs a fraction of a `prometheus_client` child; the
families are made of them when somebody asks. So there are no ``_created`` series either.
"""

from __future__ import annotations

import bisect
import logging
import platform
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.errors import REASONS
from exporter.metrics.render import FAULTS, Fault
from exporter.metrics.spec import BOOL, COUNT, INFO, SECONDS, UNIX_SECONDS, MetricType, Unit, check_declaration

log = logging.getLogger(__name__)

#: Upper bounds of the poll durations, in seconds.
BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BOUNDS: Final = (*(repr(bound) for bound in BUCKETS), "+Inf")
#: The function has no annotations of its own.
_generate_openmetrics: Final[Callable[[CollectorRegistry], bytes]] = generate_openmetrics


@dataclass(frozen=True, slots=True)
class SelfSpec:
    """One family of the exporter itself; validates itself like `MetricSpec`."""

    name: str
    type: MetricType
    unit: Unit
    help: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_declaration(self.name, self.type, self.unit, self.help, self.labels)


def _own(name: str, kind: MetricType, unit: Unit, help_text: str, *labels: str) -> SelfSpec:
    return SelfSpec(f"miner_exporter_{name}", kind, unit, help_text, labels)


BUILD_INFO: Final = _own(
    "build_info",
    "gauge",
    INFO,
    "Build of the exporter; the value is always 1.",
    "version",
    "revision",
    "pythonversion",
)
TARGETS: Final = _own(
    "targets", "gauge", COUNT, "Miners configured or adopted, by driver and source.", "driver", "source"
)
POLLS: Final = _own("polls_total", "counter", COUNT, "Polls begun.", "driver")
POLL_FAILURES: Final = _own("poll_failures_total", "counter", COUNT, "Polls that failed.", "driver", "reason")
STREAM_FAULTS: Final = _own(
    "stream_faults_total", "counter", COUNT, "Datagrams that a driver failed on by a fault of its own.", "driver"
)
POLL_DURATION: Final = _own("poll_duration_seconds", "histogram", SECONDS, "Poll durations.", "driver")
POLLS_IN_FLIGHT: Final = _own("polls_in_flight", "gauge", COUNT, "Polls in progress.")
POLL_LAG: Final = _own("poll_lag_seconds", "gauge", SECONDS, "How late the most overdue miner's poll is.")
RELOAD_SUCCESSFUL: Final = _own(
    "config_last_reload_successful", "gauge", BOOL, "1 if the last load of the configuration succeeded."
)
RELOAD_TIME: Final = _own(
    "config_last_reload_success_timestamp_seconds", "gauge", UNIX_SECONDS, "Unix time of the last successful load."
)
DISCOVERY_TIME: Final = _own(
    "discovery_last_run_timestamp_seconds", "gauge", UNIX_SECONDS, "Unix time the last discovery run ended.", "method"
)
DISCOVERY_PROBED: Final = _own(
    "discovery_hosts_probed_total", "counter", COUNT, "Addresses or ports discovery tried.", "method"
)
DISCOVERY_FOUND: Final = _own(
    "discovery_miners_found",
    "gauge",
    COUNT,
    "Miners found by the last run, adopted (true) or known before and left (false).",
    "method",
    "adopted",
)
USB_PORTS: Final = _own("usb_ports", "gauge", COUNT, "Serial devices attached, by driver.", "driver")
DEVICES_WAITING: Final = _own("devices_waiting", "gauge", COUNT, "New devices that nobody has named yet.", "source")
DRIVER_INFO: Final = _own(
    "driver_info", "gauge", INFO, "A loaded driver; the value is always 1.", "driver", "version", "source", "sha256"
)
DRIVERS_REJECTED: Final = _own("drivers_rejected", "gauge", COUNT, "Driver files that were refused.")
EXPOSITION_FAULTS: Final = _own(
    "exposition_faults_total",
    "counter",
    COUNT,
    "Samples left out of the page: raised (no usable value) or duplicate (labels given twice); the log names them.",
    "kind",
)
COMMANDS: Final = _own(
    "commands_total",
    "counter",
    COUNT,
    "Commands sent to miners: confirmed, refused, unconfirmed, failed, interrupted.",
    "driver",
    "command",
    "result",
)

#: Every family of the exporter itself, for the reference and the checks.
SELF_METRICS: Final = (
    BUILD_INFO,
    TARGETS,
    POLLS,
    POLL_FAILURES,
    STREAM_FAULTS,
    POLL_DURATION,
    POLLS_IN_FLIGHT,
    POLL_LAG,
    RELOAD_SUCCESSFUL,
    RELOAD_TIME,
    DISCOVERY_TIME,
    DISCOVERY_PROBED,
    DISCOVERY_FOUND,
    USB_PORTS,
    DEVICES_WAITING,
    DRIVER_INFO,
    DRIVERS_REJECTED,
    EXPOSITION_FAULTS,
    COMMANDS,
)


class LoadedDriver(Protocol):
    """What is shown of a driver in use."""

    @property
    def driver_type(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def sha256(self) -> str: ...


class _Polls:
    """Counters of one driver. `buckets` are not cumulative; the last one is beyond every bound."""

    __slots__ = ("begun", "buckets", "dropped", "ended", "failures", "seconds", "stream_faults")

    def __init__(self) -> None:
        self.begun = 0
        self.dropped = 0
        self.ended = 0
        self.seconds = 0.0
        self.buckets = [0] * len(_BOUNDS)
        self.failures = dict.fromkeys(REASONS, 0)
        self.stream_faults = 0


@dataclass(slots=True)
class _Discovery:
    """What is known of one discovery method."""

    probed: int = 0
    last_run: float | None = None
    adopted: int = 0
    left: int = 0


class SelfMetrics:
    """Counts what the exporter does and renders it.

    Counting is for the engine's thread (configuration and drivers: for whichever thread loads them); rendering is for
    any thread.

    Args:
        revision: the commit the program was built from, where known.
        discovery_methods: those whose series exist from the start.
    """

    def __init__(self, *, revision: str = "", discovery_methods: Collection[str] = ("network",)) -> None:
        self._revision = revision
        self._polls: dict[str, _Polls] = {}
        self._targets: dict[tuple[str, str], int] = {}
        self._usb_ports: dict[str, int] = {}
        self._waiting: dict[str, int] = dict.fromkeys(discovery_methods, 0)
        self._discovery = {method: _Discovery() for method in discovery_methods}
        self._lag: Callable[[], float] | None = None
        self._commands: dict[tuple[str, str, str], int] = {}
        self._reload: tuple[bool, float | None] | None = None
        self._drivers: tuple[tuple[str, str, str, str], ...] = ()
        self._rejected = 0
        self._faults = dict.fromkeys(FAULTS, 0)
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(_OwnCollector(self._families))

    # --- counting -----------------------------------------------------------------------------------------------

    def poll_begun(self, driver: str) -> None:
        self._polls_of(driver).begun += 1

    def _polls_of(self, driver: str) -> _Polls:
        return self._polls.get(driver) or self._polls.setdefault(driver, _Polls())

    def poll_ended(self, driver: str, seconds: float) -> None:
        """The status of a poll that began has come, or will not come."""
        polls = self._polls[driver]
        polls.ended += 1
        polls.seconds += seconds
        polls.buckets[bisect.bisect_left(BUCKETS, seconds)] += 1

    def poll_failed(self, driver: str, reason: str) -> None:
        """A poll gave no status, or no telemetry after it. `reason` is one of `exporter.errors.REASONS`."""
        failures = self._polls[driver].failures
        failures[reason if reason in failures else "internal"] += 1

    def stream_fault(self, driver: str) -> None:
        """A driver failed by a fault of its own on a datagram, which nobody asked for."""
        self._polls_of(driver).stream_faults += 1

    def poll_dropped(self, driver: str) -> None:
        """A poll that began was given up: its miner was forgotten, or is polled by another driver now."""
        self._polls[driver].dropped += 1

    def command_ended(self, driver: str, command: str, result: str) -> None:
        """A command to a miner has ended; `result` is one of the words of `COMMANDS`."""
        key = (driver, command, result)
        self._commands = {**self._commands, key: self._commands.get(key, 0) + 1}

    def set_targets(self, targets: Mapping[tuple[str, str], int]) -> None:
        """Miners by (driver, source). A pair that was there before and is no more goes to 0."""
        self._targets = {**dict.fromkeys(self._targets, 0), **targets}

    def set_devices_waiting(self, source: str, count: int) -> None:
        self._waiting = {**self._waiting, source: count}

    def set_usb_ports(self, ports: Mapping[str, int]) -> None:
        """Serial devices attached, by the driver that reads them."""
        self._usb_ports = dict(ports)

    def discovery_run(
        self, method: str, *, probed: int, found: int, adopted: int, ended_at: float | None = None
    ) -> None:
        """A run of discovery has ended (now, or at Unix time `ended_at`): `adopted` of the `found` miners were new."""
        before = self._discovery.get(method, _Discovery())
        ended = time.time() if ended_at is None else ended_at
        run = _Discovery(before.probed + probed, ended, adopted, max(found - adopted, 0))
        self._discovery = {**self._discovery, method: run}

    def config_reloaded(self, ok: bool, at: float) -> None:
        """The configuration was loaded, or could not be, at Unix time `at`."""
        before = None if self._reload is None else self._reload[1]
        self._reload = (ok, at if ok else before)

    def drivers_loaded(self, loaded: Iterable[LoadedDriver], rejected: Collection[object]) -> None:
        """The drivers now in use; their poll counters exist from here on."""
        self._drivers = tuple((each.driver_type, each.version, each.source, each.sha256) for each in loaded)
        self._rejected = len(rejected)
        for driver, *_ in self._drivers:
            self._polls.setdefault(driver, _Polls())

    def set_lag_source(self, lag: Callable[[], float]) -> None:
        """`lag` tells how many seconds the most overdue poll is late. It is called by the scraping thread."""
        self._lag = lag

    def exposition_fault(self, fault: Fault) -> None:
        self._faults[fault] += 1

    # --- rendering ----------------------------------------------------------------------------------------------

    def render(self, openmetrics: bool, names: Collection[str] = ()) -> bytes:
        """The text of all own families (or of those called `names`); OpenMetrics ends with ``# EOF``."""
        source = _Named(self.registry, frozenset(names)) if names else self.registry
        return _generate_openmetrics(source) if openmetrics else generate_latest(source)

    def _families(self) -> Iterator[Metric]:
        yield _gauge(BUILD_INFO, [((__version__, self._revision, platform.python_version()), 1)])
        yield _gauge(TARGETS, list(self._targets.items()))
        yield from self._poll_families()
        yield from self._reload_families()
        yield from self._discovery_families()
        yield _gauge(USB_PORTS, [((driver,), count) for driver, count in self._usb_ports.items()])
        yield _gauge(DEVICES_WAITING, [((source,), count) for source, count in self._waiting.items()])
        yield _gauge(DRIVER_INFO, [(driver, 1) for driver in self._drivers])
        yield _gauge(DRIVERS_REJECTED, [((), self._rejected)])
        yield _counter(EXPOSITION_FAULTS, [((fault,), count) for fault, count in self._faults.items()])
        yield _counter(COMMANDS, list(self._commands.items()))

    def _poll_families(self) -> Iterator[Metric]:
        every = list(self._polls.items())
        yield _counter(POLLS, [((driver,), polls.begun) for driver, polls in every])
        yield _counter(
            POLL_FAILURES,
            [((driver, reason), count) for driver, polls in every for reason, count in polls.failures.items()],
        )
        yield _counter(STREAM_FAULTS, [((driver,), polls.stream_faults) for driver, polls in every])
        durations = HistogramMetricFamily(
            POLL_DURATION.name, POLL_DURATION.help, labels=POLL_DURATION.labels, unit=POLL_DURATION.unit.openmetrics
        )
        for driver, polls in every:
            seconds, total = polls.seconds, 0
            buckets = []
            for bound, count in zip(_BOUNDS, tuple(polls.buckets), strict=True):
                total += count
                buckets.append((bound, total))
            durations.add_metric([driver], buckets, seconds)
        yield durations
        yield _gauge(POLLS_IN_FLIGHT, [((), sum(polls.begun - polls.ended - polls.dropped for _, polls in every))])
        if self._lag is not None:
            try:
                lag = self._lag()
            except Exception:
                log.exception("no sample of %s", POLL_LAG.name)
            else:
                yield _gauge(POLL_LAG, [((), lag)])

    def _reload_families(self) -> Iterator[Metric]:
        if self._reload is None:
            return
        ok, last_success = self._reload
        yield _gauge(RELOAD_SUCCESSFUL, [((), int(ok))])
        if last_success is not None:
            yield _gauge(RELOAD_TIME, [((), last_success)])

    def _discovery_families(self) -> Iterator[Metric]:
        every = self._discovery.items()
        yield _gauge(DISCOVERY_TIME, [((method,), run.last_run) for method, run in every if run.last_run is not None])
        yield _counter(DISCOVERY_PROBED, [((method,), run.probed) for method, run in every])
        yield _gauge(
            DISCOVERY_FOUND,
            [
                ((method, adopted), count)
                for method, run in every
                for adopted, count in (("true", run.adopted), ("false", run.left))
            ],
        )


_Samples = list[tuple[tuple[str, ...], float]]


def _gauge(spec: SelfSpec, samples: _Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(spec.name, spec.help, labels=spec.labels, unit=spec.unit.openmetrics)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _counter(spec: SelfSpec, samples: _Samples) -> CounterMetricFamily:
    family = CounterMetricFamily(spec.name, spec.help, labels=spec.labels, unit=spec.unit.openmetrics)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


class _OwnCollector(Collector):
    """Gives the registry the families of `SelfMetrics` that have a sample."""

    def __init__(self, families: Callable[[], Iterator[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return (family for family in self._families() if family.samples)


class _Named(CollectorRegistry):
    """The families of another registry that are asked for, by the name of the family or of one of its samples."""

    def __init__(self, registry: CollectorRegistry, names: frozenset[str]) -> None:
        super().__init__()
        self._source = registry
        self._names = names

    def collect(self) -> Iterator[Metric]:
        for family in self._source.collect():
            if family.name in self._names or not self._names.isdisjoint(sample.name for sample in family.samples):
                yield family
