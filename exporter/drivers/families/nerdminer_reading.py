"""The figures of one NerdMiner, collected from its console, and the reading they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from exporter.model import Board, DeviceError, Identity, MinerState, Pool, Reading, Temperature
from exporter.model_usb import UsbStatus, UsbView
from exporter.protocols.nerdminer_counters import BestDifficulty, MonotoneCounter
from exporter.protocols.nerdminer_events import Detail, Figure, Progress
from exporter.protocols.nerdminer_shares import ShareLedger
from exporter.units import celsius, difficulty, kilohashes_per_second, megahashes, seconds, unix_seconds

#: Growth from one second to the next that is believed at once: four hours at 1 MH/s, and what a pool may send.
_KHASH_STEP: Final = 2.0**24
_COUNT_STEP: Final = 1000.0
_COLDEST, _HOTTEST = -40.0, 150.0


@dataclass(slots=True)
class Figures:
    """What the telemetry lines told. Counters go on over boots; the rest is of the present boot.

    Attributes:
        rate: KH/s; None until it was told.
        shares: hashes with 32 zero bits, which the firmware calls shares.
        plain: True for a display driver that prints the line of every second only.
    """

    rate: float | None = None
    khashes: MonotoneCounter = field(default_factory=lambda: MonotoneCounter(_KHASH_STEP))
    mhashes: MonotoneCounter = field(default_factory=lambda: MonotoneCounter(_KHASH_STEP))
    shares: MonotoneCounter = field(default_factory=lambda: MonotoneCounter(_COUNT_STEP))
    templates: MonotoneCounter = field(default_factory=lambda: MonotoneCounter(_COUNT_STEP))
    blocks: MonotoneCounter = field(default_factory=lambda: MonotoneCounter(_COUNT_STEP))
    best: BestDifficulty = field(default_factory=BestDifficulty)
    best_submitted: float | None = None
    best_submitted_session: float | None = None
    best_session: float | None = None
    temperature: float | None = None
    time_mining: float | None = None
    plain: bool = False
    jobs: int = 0
    blocks_found: int = 0
    connection_failures: int = 0
    _lines: int = 0
    _details: bool = False

    def restarted(self) -> None:
        """The board booted, or is gone."""
        for counter in (self.khashes, self.mhashes, self.shares, self.templates, self.blocks):
            counter.restarted()
        self.best.restarted()
        self.rate = self.temperature = self.time_mining = None
        self.best_session = self.best_submitted_session = None

    def progress(self, line: Progress, *, saved: bool) -> None:
        """Take the line of every second; `saved`: the board keeps its counters over a boot."""
        self._lines += 1
        self.plain = self._lines > 1 and not self._details
        self.rate = line.rate
        if line.khashes is not None:
            self.khashes.observe(line.khashes, saved=saved)
        if line.shares is not None:
            self.shares.observe(line.shares, saved=saved)
        if line.best_difficulty is not None:
            self._best(line.best_difficulty)

    def detail(self, line: Detail, *, saved: bool) -> None:
        """Take one of the other figures."""
        self._details = True
        self.plain = False
        figure, value = line.figure, line.value
        if figure is Figure.BEST_DIFFICULTY:
            self._best(value)
        elif figure is Figure.TEMPERATURE:
            self.temperature = value if _COLDEST <= value <= _HOTTEST else None
        elif figure is Figure.TIME_MINING:
            self.time_mining = value
        elif figure is Figure.VALID_BLOCKS:
            self.blocks.observe(value, saved=saved)
        elif figure is Figure.BLOCK_TEMPLATES:
            self.templates.observe(value, saved=saved)
        elif figure is Figure.SHARES_32BIT:
            self.shares.observe(value, saved=saved)
        else:
            self.mhashes.observe(value, saved=saved)

    def submitted(self, share: float) -> None:
        """Take the difficulty of a share that was submitted."""
        self.best_submitted = _larger(self.best_submitted, share)
        self.best_submitted_session = _larger(self.best_submitted_session, share)

    def _best(self, value: float) -> None:
        self.best.observe(value)
        self.best_session = value


def _larger(first: float | None, second: float | None) -> float | None:
    return max((value for value in (first, second) if value is not None), default=None)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the console knows beside the figures.

    Attributes:
        booted_at: when the present boot was seen to begin.
        saved: the board keeps its counters over a boot.
        pool_up: whether the board is connected to its pool; None where it did not say.
        wifi_down: the board said that it has no Wi-Fi.
        rejections: rejected shares by reason of the closed list.
    """

    identity: Identity
    view: UsbView
    booted_at: float | None
    saved: bool
    pool_url: str | None
    pool_user: str | None
    pool_up: bool | None
    wifi_down: bool
    reset_reason: str | None
    rejections: Mapping[str, int]


def make_reading(figures: Figures, ledger: ShareLedger, around: Surroundings, now: float) -> Reading:
    """The reading at Unix time `now`."""
    rate = None if figures.rate is None else kilohashes_per_second(figures.rate)
    hashes = None
    if figures.khashes.total is not None:
        hashes = megahashes(figures.khashes.total / 1000.0)
    elif figures.mhashes.total is not None:
        hashes = megahashes(figures.mhashes.total)
    best = _larger(figures.best.value, figures.best_submitted)
    session = _larger(None if around.saved else figures.best_session, figures.best_submitted_session)
    uptime = _uptime(figures, around, now)
    warmth = figures.temperature
    return Reading(
        identity=around.identity,
        state=_state(figures, around),
        expected_mining=True,
        errors=(DeviceError("wifi_down", "error", "network"),) if around.wifi_down else (),
        uptime=None if uptime is None else seconds(uptime),
        mining_uptime=None if figures.time_mining is None else seconds(figures.time_mining),
        hashrate=rate,
        hashes=hashes,
        boards=(
            Board(
                board="0",
                up=None if rate is None else rate > 0,
                hashrate=rate,
                temperatures=() if warmth is None else (Temperature("0", celsius(warmth)),),
            ),
        ),
        boards_expected=1.0,
        pools=(_pool(figures, ledger, around),),
        best_share_difficulty=None if best is None else difficulty(best),
        session_best_share_difficulty=None if session is None else difficulty(session),
        blocks_found=_counted(figures.blocks, figures.blocks_found, plain=figures.plain),
        block_templates=_counted(figures.templates, figures.jobs, plain=figures.plain),
        reset_reason=around.reset_reason,
    )


def _counted(counter: MonotoneCounter, events: int, *, plain: bool) -> float | None:
    """The board's own count; our count of its messages only where it surely prints none."""
    if counter.total is not None:
        return counter.total
    return float(events) if plain else None


def _uptime(figures: Figures, around: Surroundings, now: float) -> float | None:
    """Since the boot that we saw; else the time mining, unless the board keeps that over a boot."""
    if around.booted_at is not None:
        return max(0.0, now - around.booted_at)
    return None if around.saved else figures.time_mining


def _state(figures: Figures, around: Surroundings) -> MinerState:
    troubled = bool(around.view.conditions) or around.wifi_down
    if around.view.status is UsbStatus.ACTIVE:
        if figures.rate is None or figures.rate > 0:
            return MinerState.MINING
        return MinerState.FAULT if troubled else MinerState.IDLE
    return MinerState.FAULT if troubled else MinerState.STARTING


def _pool(figures: Figures, ledger: ShareLedger, around: Surroundings) -> Pool:
    total, target = ledger.difficulty_accepted, ledger.pool_difficulty
    return Pool(
        "0",
        url=around.pool_url,
        user=around.pool_user,
        up=around.pool_up,
        active=around.view.status is UsbStatus.ACTIVE,
        accepted=float(ledger.accepted),
        rejected=float(ledger.rejected),
        rejections=tuple(sorted((reason, float(number)) for reason, number in around.rejections.items())),
        difficulty_accepted=None if total is None else difficulty(total),
        difficulty=None if target is None else difficulty(target),
        last_share=None if ledger.last_accepted is None else unix_seconds(ledger.last_accepted),
        jobs_received=float(figures.jobs),
        connection_failures=float(figures.connection_failures),
    )
