"""Looks up what the checks judge. The only part of this package that touches the host and the network."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx

from exporter.diagnostics.facts import Facts, HostFacts, LastScan, PortTrouble, Reach, UsbFacts
from exporter.diagnostics.reach import reach_all
from exporter.diagnostics.words import watched
from exporter.discovery import arp
from exporter.discovery.neighbours import neighbour_macs
from exporter.discovery.networks import local_interfaces
from exporter.discovery.usb_udev import udev_runs
from exporter.engine.api.devices import WaitingDevice
from exporter.engine.engine import Engine
from exporter.engine.fleet import FleetSnapshot
from exporter.engine.waiting import waiting_devices
from exporter.store.database import Database
from exporter.transports.serial_errors import port_error

#: Offline miners whose ports are tried; the others share their fate most often.
_MOST_REACHED: Final = 32
_HTTP_SECONDS: Final = 3.0


def gather(engine: Engine, config_file: Path) -> Facts:
    """Look everything up; takes some seconds at most. Called on the thread of who asks, never on the engine's loop."""
    db, settings, snapshot = engine.db, engine.settings, engine.snapshot()
    waiting = waiting_devices(db, engine.usb.waiting.held)
    return Facts(
        now=time.time(),
        settings=settings,
        snapshot=snapshot,
        host=_host(engine, config_file),
        usb=UsbFacts(
            boards=engine.usb.plugged_in,
            udev=udev_runs(),
            libudev=find_spec("pyudev") is not None,
            waiting=waiting,
            troubles=tuple(_troubles(waiting)),
        ),
        networks=engine.networks(),
        interfaces=local_interfaces(),
        can_sweep=arp.can_sweep(),
        last_scan=_last_scan(engine),
        neighbours=neighbour_macs(),
        rows={row.id: row for row in db.miners.all()},
        reach=_reach(snapshot, db, (*settings.network.ports.http, *settings.network.ports.cgminer)),
        configs=db.miner_configs.all(),
        wallets=len(db.wallets),
    )


def _last_scan(engine: Engine) -> LastScan | None:
    if engine.discovery.last is None:
        return None
    at, cycle = engine.discovery.last
    result = cycle.result
    return LastScan(
        at=at,
        tried=result.tried,
        open_hosts=result.open_hosts,
        found=len(result.finds),
        strangers=len(result.strangers),
        unsure=len(result.unsure),
        answering=len(cycle.skipped),
    )


def _reach(snapshot: FleetSnapshot, db: Database, ports: Iterable[int]) -> dict[int, tuple[Reach, ...]]:
    addresses: dict[int, str] = {}
    for record in snapshot.miners:
        if len(addresses) >= _MOST_REACHED:
            break
        row = db.miners.get(record.id)
        address = record.address or (row.last_address if row is not None else None)
        if watched(record) and record.up is False and record.usb is None and address is not None:
            addresses[record.id] = address
    return reach_all(addresses, ports)


def _troubles(waiting: Iterable[WaitingDevice]) -> Iterable[PortTrouble]:
    for device in waiting:
        path = device.dev_path
        if path is None or device.held or os.access(path, os.R_OK | os.W_OK):
            continue
        if os.path.exists(path):
            denied = port_error(path, PermissionError(13, "permission denied"))
            yield PortTrouble(path, str(denied))


def _host(engine: Engine, config_file: Path) -> HostFacts:
    db = engine.db
    write_error = db.write_error
    return HostFacts(
        config_file=str(config_file),
        database=str(db.path),
        write_error=engine.share_log.write_error if write_error is None else str(write_error),
        share_error=engine.share_log.write_error,
        disk_free=_disk_free(db.path),
        descriptors=_descriptors(),
        descriptor_limit=_descriptor_limit(),
        newest_stored=_newest(db),
        udp_port=engine.udp_port,
        drivers=len(engine.drivers.loaded),
        rejected=tuple((entry.path.name, entry.reason) for entry in engine.drivers.rejected),
        prometheus=_prometheus(engine.settings.prometheus.url),
    )


def _disk_free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return None


def _descriptors() -> int | None:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return None


def _descriptor_limit() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _newest(db: Database) -> float | None:
    times = (at for row in db.miners.all() for at in (row.created_at, row.last_seen) if at is not None)
    return max(times, default=None)


def _prometheus(url: str | None) -> str | None:
    """None where it answers as Prometheus does, else why not."""
    if url is None:
        return None
    try:
        answer = httpx.get(f"{url}/-/ready", timeout=_HTTP_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        return f"it does not answer ({str(error) or type(error).__name__})"
    if not answer.is_success:
        return f"it answers {answer.status_code} to /-/ready"
    return None
