"""One miner as the engine holds it: its stored row, its poller, and the record made of both."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from exporter.engine.fleet import MinerRecord, UsbRecord
from exporter.engine.merge import merge_identity
from exporter.engine.names import display_name
from exporter.engine.poll_state import PollState
from exporter.engine.poller import Poller
from exporter.errors import AuthError
from exporter.model import Reading
from exporter.model_usb import UsbState, UsbStatus, UsbView
from exporter.store.rows import MinerRow
from exporter.units import Seconds, UnixSeconds

#: A miner last seen longer ago than this was down already when the program started.
_WAS_DOWN_SECONDS = 600.0


@dataclass(slots=True)
class Miner:
    """A stored miner and what runs for it.

    Attributes:
        poller: None while it is not polled (no address, not managed, retired, talks by itself).
        misses: discovery cycles in a row that covered its address and did not see it.
        model_due: `time.monotonic()` from which its model may be read; infinity once it was.
        stream: the last reading of a device that talks by itself, with the monotonic time it expires.
        usb: what a miner on USB shows; None until its board was plugged in.
        pools_expected: as `MinerRecord.pools_expected`.
    """

    row: MinerRow
    state: PollState
    poller: Poller | None = None
    misses: int = 0
    model_due: float = 0.0
    stream: tuple[Reading, float] | None = None
    usb: UsbRecord | None = None
    pools_expected: tuple[tuple[tuple[str], bool], ...] = ()


def first_state(row: MinerRow, now: float) -> PollState:
    """What is known of a miner before its first poll: one that was down when the program stopped still is."""
    was_down = row.address is None or row.last_seen is None or now - row.last_seen > _WAS_DOWN_SECONDS
    return PollState(
        identity=row.identity,
        details=dict(row.details),
        up=False if was_down else None,
        last_success=row.last_seen,
    )


def _unplugged(row: MinerRow) -> UsbRecord | None:
    """What a miner on USB shows while its board was not seen since the program started."""
    if row.driver != "nerdminer":
        return None
    since = row.last_seen or row.created_at or UnixSeconds(0.0)
    return UsbRecord(UsbView(UsbStatus.INACTIVE, UsbState.NOT_CONNECTED, since))


def record_of(miner: Miner, port: int | None = None) -> MinerRecord:
    """The immutable record that the page, the UI and the API see; `port` is the one that the driver asks."""
    row, state = miner.row, miner.state
    polled = row.managed and row.enabled
    reading: Reading | None = None
    expires_at = state.expires_at
    if polled:
        if miner.stream is not None:
            reading, expires_at = miner.stream
            if expires_at <= time.monotonic():
                reading = None
        elif miner.poller is not None:
            reading = miner.poller.reading()
    identity = merge_identity(state.identity, row.identity)
    if identity.mac is None and row.mac is not None:
        identity = replace(identity, mac=row.mac)  # the neighbour table knows it
    muted = row.muted_until is not None and row.muted_until > time.time()
    return MinerRecord(
        id=row.id,
        key=row.key,
        name=display_name(row, identity),
        driver=row.driver,
        identity=identity,
        address=row.address,
        http_port=row.http_port,
        api_port=row.api_port,
        port=port,
        labels=tuple(sorted((row.labels if not row.own_labels else {**row.labels, **row.own_labels}).items())),
        managed=row.managed,
        enabled=row.enabled,
        auto_discovered=row.auto_discovered,
        provisional=row.provisional,
        named=row.name is not None,
        muted=muted,
        muted_until=row.muted_until if muted else None,
        currency=row.currency,
        chipset=row.chipset,
        location_notes=row.location_notes,
        model_alias=row.model_alias,
        auth_failed=state.auth_failed,
        sign_in_refused=state.auth_failed or (polled and state.up is False and state.reason == AuthError.reason),
        up=state.up if polled else None,
        reading=reading,
        expires_at=expires_at,
        poll_duration=None if state.duration is None else Seconds(state.duration),
        poll_errors=dict(state.errors),
        last_success=None if state.last_success is None else UnixSeconds(state.last_success),
        last_error=state.last_error,
        created_at=row.created_at,
        pools_expected=miner.pools_expected,
        usb=miner.usb or _unplugged(row),
        last_seen=UnixSeconds(state.last_success) if state.last_success is not None else row.last_seen,
    )
