"""What the loader demands of a driver class once its file has run."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from exporter.drivers.api import REQUIRED_METADATA, CgminerRequest, ConnectionRules, Driver, HttpRequest, may_write
from exporter.drivers.manifest import Manifest
from exporter.errors import DriverRejected

#: What a driver that is polled must define itself; `new_stream` stands for them where the device talks by itself.
_POLL_METHODS: Final = ("identify", "status_requests", "decode_status")


def driver_class(module: ModuleType, manifest: Manifest) -> type[Driver]:
    """The driver class of a module that has run.

    Raises:
        DriverRejected: it is no `Driver`, differs from its manifest, or lacks methods.
    """
    found = getattr(module, manifest.class_name, None)
    if not (isinstance(found, type) and issubclass(found, Driver)):
        raise DriverRejected(f"class {manifest.class_name} does not derive from exporter.drivers.api.Driver")
    for key in REQUIRED_METADATA:
        declared, real = getattr(manifest, key), getattr(found, key, None)
        if (tuple(real) if isinstance(real, list) else real) != declared:
            raise DriverRejected(f"{key} is {declared!r} in the file but {real!r:.80} when it runs")
    talks = callable(getattr(found, "new_stream", None)) and manifest.connection_type in ("udp", "serial")
    missing = [method for method in _POLL_METHODS if getattr(found, method) is getattr(Driver, method)]
    if missing and not talks:
        raise DriverRejected(f"class {found.__name__} lacks {', '.join(missing)}")
    return found


def check_values(driver: Driver) -> None:
    """What discovery and the poller read of every driver must be of the right kind: a slip here would hurt others.

    Raises:
        DriverRejected: it is not.
    """
    if not isinstance(driver.rules, ConnectionRules):
        raise DriverRejected("rules must be a ConnectionRules")
    if not (
        isinstance(driver.probes, tuple)
        and all(isinstance(probe, (HttpRequest, CgminerRequest)) for probe in driver.probes)
    ):
        raise DriverRejected("probes must be a tuple of HttpRequest and CgminerRequest")
    for probe in driver.probes:
        if may_write(probe):
            raise DriverRejected(f"{probe.key} may write, and is a probe: those are sent to every host that is found")
