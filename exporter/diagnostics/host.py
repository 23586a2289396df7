"""The program and its host: disk, descriptors, clock, drivers, Prometheus. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from exporter.diagnostics.facts import Facts
from exporter.diagnostics.words import OK, PROBLEM, UNKNOWN, WARNING, ago, count, watched
from exporter.engine.api.program import Check

_GROUP: Final = "program"
_LITTLE_DISK: Final = 100 * 1024 * 1024
#: Beside one connection for each miner: listeners, serial ports, a scan.
_OTHER_DESCRIPTORS: Final = 600
#: Before this program was written.
_TOO_EARLY: Final = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC).timestamp()
_CLOCK_SLACK: Final = 120.0


def program_checks(facts: Facts) -> Iterator[Check]:
    """Everything that is about the program and not about miners."""
    yield _disk(facts)
    if facts.host.share_error is not None:
        yield Check(
            _GROUP,
            "Does the log of shares reach the disk?",
            PROBLEM,
            facts.host.share_error,
            "Make room, or let this user write; the newest shares are kept in memory until then.",
        )
    yield _descriptors(facts)
    yield _clock(facts)
    yield _udp(facts)
    yield from _drivers(facts)
    yield _prometheus(facts)


def _disk(facts: Facts) -> Check:
    title, host = "Do changes reach the disk?", facts.host
    if host.write_error is not None:
        return Check(
            _GROUP,
            title,
            PROBLEM,
            host.write_error,
            "Make room, or let this user write; it is tried again.",
        )
    if host.disk_free is None:
        return Check(_GROUP, title, UNKNOWN, f"{host.database}: the free space cannot be told.")
    found = f"{host.database}: yes; {host.disk_free / 1e9:.1f} GB are free."
    if host.disk_free < _LITTLE_DISK:
        return Check(_GROUP, title, WARNING, found, "Make room: the database is written whole at each change.")
    return Check(_GROUP, title, OK, found)


def _descriptors(facts: Facts) -> Check:
    title, host = "May enough connections be open?", facts.host
    miners = sum(watched(record) and record.usb is None for record in facts.snapshot.miners)
    if host.descriptor_limit is None:
        return Check(_GROUP, title, UNKNOWN, "The limit of open files cannot be told.")
    used = "" if host.descriptors is None else f"{host.descriptors} are open, "
    found = f"{used}{host.descriptor_limit} may be; {count(miners, 'miner')} on the network are polled."
    if host.descriptor_limit < miners + _OTHER_DESCRIPTORS:
        wanted = 2 * (miners + _OTHER_DESCRIPTORS)
        return Check(
            _GROUP, title, WARNING, found, f"Raise the limit: LimitNOFILE={wanted} in the systemd unit, or ulimit -n."
        )
    return Check(_GROUP, title, OK, found)


def _clock(facts: Facts) -> Check:
    title = "Is the clock right?"
    shown = datetime.datetime.fromtimestamp(facts.now, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    remedy = "Set the clock (timedatectl set-ntp true); a board without a battery starts in the past."
    newest = facts.host.newest_stored
    if facts.now < _TOO_EARLY:
        return Check(_GROUP, title, PROBLEM, f"It shows {shown}, which is in the past.", remedy)
    if newest is not None and newest > facts.now + _CLOCK_SLACK:
        return Check(
            _GROUP,
            title,
            WARNING,
            f"It shows {shown}, and the database knows times {ago(newest - facts.now)} later.",
            remedy,
        )
    return Check(_GROUP, title, OK, f"It shows {shown}.")


def _udp(facts: Facts) -> Check:
    title, wanted = "Can NMMiners report?", facts.settings.udp.nmminer_port
    if wanted is None:
        return Check(_GROUP, title, OK, "Nobody listens: udp.nmminer_port is null.")
    if facts.host.udp_port is None:
        return Check(
            _GROUP,
            title,
            PROBLEM,
            f"UDP port {wanted} is not listened to.",
            "Stop the program that holds it (ss -ulpn), or set udp.nmminer_port, and start again.",
        )
    return Check(_GROUP, title, OK, f"UDP port {facts.host.udp_port} is listened to.")


def _drivers(facts: Facts) -> Iterator[Check]:
    title = "Are all drivers loaded?"
    if not facts.host.rejected:
        yield Check(_GROUP, title, OK, f"{count(facts.host.drivers, 'driver')} loaded, none rejected.")
    for file, reason in facts.host.rejected:
        yield Check(
            _GROUP,
            title,
            WARNING,
            f"{file} was rejected: {reason}",
            "Correct the file, or remove it so that the bundled driver serves alone; then reload.",
        )


def _prometheus(facts: Facts) -> Check:
    title, url = "Does Prometheus answer?", facts.settings.prometheus.url
    if url is None:
        return Check(
            _GROUP, title, OK, "None is configured (prometheus.url); charts reach as far back as the memory does."
        )
    shown = _without_user(url)
    if facts.host.prometheus is not None:
        return Check(
            _GROUP,
            title,
            PROBLEM,
            f"{shown}: {facts.host.prometheus}",
            "Check prometheus.url, that Prometheus runs, and that this host may reach it.",
        )
    return Check(_GROUP, title, OK, f"{shown} answers.")


def _without_user(url: str) -> str:
    """A URL as it may be shown."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
