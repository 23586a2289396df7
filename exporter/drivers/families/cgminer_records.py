"""Records of the CGMiner API that every miner of that ancestry tells alike: `summary` and `pools`.

Source of the field names and meanings: CGMiner API-README and the spread of captured replies. The unit of a hash rate
is part of its key ("MHS av", "GHS 5s", "KHS av"); whether a firmware keeps to it is the calling driver's judgement.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from time import strptime
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import DecodeContext
from exporter.errors import DecodeError
from exporter.model import Pool, Reading, replace
from exporter.text import MAX_LABEL_LENGTH, clean_text
from exporter.units import (
    Difficulty,
    Hashes,
    HashesPerSecond,
    UnixSeconds,
    difficulty,
    gigahashes_per_second,
    kilohashes_per_second,
    megahashes,
    megahashes_per_second,
    seconds,
    terahashes_per_second,
    unix_seconds,
)

RateUnit = Callable[[float], HashesPerSecond]

#: Key prefix to unit. MHS before KHS: sgminer tells both, KHS rounded to whole numbers.
KEY_UNITS: Final[tuple[tuple[str, RateUnit], ...]] = (
    ("GHS", gigahashes_per_second),
    ("MHS", megahashes_per_second),
    ("KHS", kilohashes_per_second),
    ("THS", terahashes_per_second),
)
#: Windows of a hash rate, shortest first.
WINDOWS: Final = ("5s", "20s", "30s", "rolling", "1m", "5m", "15m", "30m", "av")

#: Keys of one record that say nothing the catalogue asks for, or say it a second time.
UNUSED_SUMMARY_KEYS: Final = (
    ("Getwork", "jobs are counted per pool"),
    ("Getworks", "jobs are counted per pool"),
    ("Rejected", "counted per pool"),
    ("Stale", "counted per pool"),
    ("Difficulty *", "counted per pool"),
    ("Get Failures", "counted per pool"),
    ("Remote Failures", "the pool's answers to submits, not in the catalogue"),
    ("Discarded", "work the firmware threw away, not in the catalogue"),
    ("Expired", "work the firmware threw away, not in the catalogue"),
    ("Local Work", "not in the catalogue"),
    ("Network Blocks", "block changes seen, not in the catalogue"),
    ("Utility", "rate since the start, Prometheus computes it"),
    ("Work Utility", "rate since the start, Prometheus computes it"),
    ("Device Hardware%", "ratio of two counters, Prometheus computes it"),
    ("Device Rejected%", "ratio of two counters, Prometheus computes it"),
    ("Pool Rejected%", "ratio of two counters, Prometheus computes it"),
    ("Pool Stale%*", "ratio of two counters, Prometheus computes it"),
    ("Last getwork", "time of the last job, not in the catalogue"),
)
UNUSED_POOL_KEYS: Final = (
    ("Quota", "setting of load balancing"),
    ("Long Poll", "getwork protocol only"),
    ("Discarded", "work the firmware threw away, not in the catalogue"),
    ("Remote Failures", "the pool's answers to submits, not in the catalogue"),
    ("Diff1 Shares", "the same work in another unit"),
    ("Proxy*", "setting"),
    ("Pass*", "a secret, never kept"),
    ("Difficulty Rejected", "rejected shares are counted, not weighed"),
    ("Difficulty Stale", "stale shares are counted, not weighed"),
    ("Last Share Difficulty", "of one share, not the present difficulty"),
    ("Work Difficulty", "of one piece of work, not the present difficulty"),
    ("Has *", "protocol negotiation"),
    ("Stratum URL", "the URL again"),
    ("Best Share", "taken from summary"),
    ("Pool Rejected%", "ratio of two counters, Prometheus computes it"),
    ("Pool Stale%*", "ratio of two counters, Prometheus computes it"),
    ("Works", "not in the catalogue"),
    ("Bad Work", "not in the catalogue"),
    ("Current Block *", "not in the catalogue"),
    ("AsicBoost", "protocol negotiation"),
)


def ignored(prefix: str, unused: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """`unused` as `Driver.ignored_keys` patterns, e.g. of ``"rpc pools POOLS[]."``."""
    return tuple((prefix + key, reason) for key, reason in unused)


def find_records(document: Any, name: str, where: str = "answer") -> list[dict[str, Any]]:
    """The records called `name` ("POOLS", "SUMMARY", "STATS"). Some firmwares send one object instead of a list.

    Raises:
        DecodeError: the document is no object, or the records are missing or of another shape.
    """
    reply = fields.as_table(document, where)
    records = reply.get(name)
    if records is None:
        raise DecodeError(f"{where}.{name}: missing")
    if isinstance(records, dict):
        return [records]
    return fields.tables(reply, name, where)


_NO_TEXT: Final = frozenset({"", "-", "n/a", "na", "nan", "none", "null", "undefined", "unknow", "unknown"})


@lru_cache(maxsize=4096)
def _words(value: str) -> str | None:
    """`value` cleaned; the same few words come with every poll of every miner."""
    words = clean_text(value)
    return None if words is None or words.lower() in _NO_TEXT else words


def told(record: Mapping[str, Any], key: str, where: str = "answer", limit: int = MAX_LABEL_LENGTH) -> str | None:
    """Cleaned text under `key`, None for the words that mean "no value"."""
    value = record.get(key)
    if type(value) is str and len(value) <= MAX_LABEL_LENGTH:
        return _words(value)
    words = fields.text(record, key, where, limit)
    return None if words is None or words.lower() in _NO_TEXT else words


def reply_time(document: Any) -> float | None:
    """The device's own clock at the reply (STATUS[].When), None where it is not told."""
    status = document.get("STATUS") if isinstance(document, dict) else None
    record = status[0] if isinstance(status, list) and status else status
    return fields.count(record, "When", "STATUS") if isinstance(record, dict) else None


def hashrate_of(record: Mapping[str, Any], *names: str, where: str = "answer") -> HashesPerSecond | None:
    """The first of `names` ("5s", "av") that the record tells, with the unit of its key; None where none is there.

    All windows of a name are tried in all units before the next name. A negative figure is no value.
    """
    for name in names:
        for prefix, unit in KEY_UNITS:
            value = fields.count(record, f"{prefix} {name}", where)
            if value is not None:
                return unit(value)
    return None


#: Beyond this a "best share" is the all-ones word some firmwares start from (StrongU: 18446744073709551615).
_BEST_LIMIT: Final = 1e18


def best_share(record: Mapping[str, Any], where: str = "answer") -> Difficulty | None:
    """ "Best Share", None where the firmware evidently keeps none: shares were accepted but the best is still zero."""
    value = fields.suffixed_number(record, "Best Share", where)
    accepted = fields.count(record, "Accepted", where)
    if value is None or not 0 <= value < _BEST_LIMIT or (value == 0 and accepted):
        return None
    return difficulty(value)


def total_hashes(record: Mapping[str, Any], where: str = "answer") -> Hashes | None:
    """ "Total MH", only where it agrees within a tenth with the average rate times the elapsed time.

    The counter of several firmwares is not in MH; then their rate keys are as doubtful, which the caller may judge.
    """
    total = fields.count(record, "Total MH", where)
    average = hashrate_of(record, "av", where=where)
    elapsed = fields.count(record, "Elapsed", where)
    if total is None or average is None or not elapsed:
        return None
    told, computed = megahashes(total), average * elapsed
    return told if abs(told - computed) <= 0.1 * computed else None


def decode_summary(document: Any, where: str = "rpc summary", *, rates: bool = True) -> Reading:
    """The `summary` reply as a part of a reading.

    Args:
        document: the whole reply ({"STATUS": ..., "SUMMARY": [...]}).
        where: the place that errors name.
        rates: False where the unit of this firmware's hash rates is not certain: they stay None.

    "Elapsed" is the time of the mining process, not of the control board. "Best Share" is forgotten when that
    process restarts: it is the best of the session and the best that the miner knows of.
    """
    records = find_records(document, "SUMMARY", where)
    if not records:
        return Reading()
    record = records[0]
    elapsed = fields.count(record, "Elapsed", where)
    best = best_share(record, where)
    return Reading(
        mining_uptime=None if elapsed is None else seconds(elapsed),
        hashrate=hashrate_of(record, *WINDOWS, where=where) if rates else None,
        hashrate_average=hashrate_of(record, "av", where=where) if rates else None,
        hashes=total_hashes(record, where) if rates else None,
        hardware_errors=fields.count(record, "Hardware Errors", where),
        best_share_difficulty=best,
        session_best_share_difficulty=best,
        blocks_found=fields.count(record, "Found Blocks", where),
    )


# --- pools ----------------------------------------------------------------------------------------------------

#: Status word to "is it up". "Deed" is a stock Antminer's misspelling; a disabled pool is neither up nor down.
_POOL_UP: Final[Mapping[str, bool | None]] = {
    "alive": True,
    "dead": False,
    "deed": False,
    "rejecting": False,
    "disabled": None,
}


def pool_up(status: str | None) -> bool | None:
    """Whether the pool's status word means that the pool is up; None for a disabled one and for unknown words."""
    return None if status is None else _POOL_UP.get(status.lower())


_FEE_MARKS: Final = ("devfee", "dev fee", "dev_fee")
#: Before this a Unix time is the uptime of a board whose clock was not set yet.
_EARLIEST: Final = 1_000_000_000
#: The device's clock may be off; from this many seconds on its time stamps are corrected by the difference.
_CLOCK_TOLERANCE: Final = 60.0
_CTIME: Final = re.compile(r"\w{3} (\w{3} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4})\\?n?")


@dataclass(frozen=True, slots=True)
class Clock:
    """What is needed to place a device's own time stamps.

    Attributes:
        received_at: our Unix time at which the reply arrived.
        device: the device's Unix time at the reply, None where not told.
        zone: seconds east of UTC of its ctime texts, None where unknown.
    """

    received_at: float
    device: float | None = None
    zone: float | None = None

    def place(self, stamp: float) -> UnixSeconds | None:
        """A Unix time of the device's clock as one of ours; None for what was never, or is yet to come."""
        if stamp < _EARLIEST:
            return None
        if self.device is not None and abs(self.device - self.received_at) > _CLOCK_TOLERANCE:
            stamp += self.received_at - self.device
        return unix_seconds(stamp) if 0 <= stamp <= self.received_at + _CLOCK_TOLERANCE else None

    def ago(self, age: float | None) -> UnixSeconds | None:
        """`age` seconds before the reply."""
        return None if age is None or age > self.received_at else unix_seconds(self.received_at - age)


def _ctime(words: str) -> float | None:
    match = _CTIME.fullmatch(" ".join(words.split()))
    if match is None:
        return None
    try:
        return float(timegm(strptime(match[1], "%b %d %H:%M:%S %Y")))
    except ValueError:
        return None


def _zone_of(records: list[dict[str, Any]]) -> float | None:
    """Seconds east of UTC, from a pool that had no share yet: its ctime text is the local time of Unix time 0."""
    for record in records:
        words = record.get("Last Share Time")
        local = _ctime(words) if isinstance(words, str) else None
        if local is not None and abs(local) <= 14 * 3600:
            return local
    return None


def last_share(
    record: Mapping[str, Any], clock: Clock, key: str = "Last Share Time", where: str = "answer"
) -> UnixSeconds | None:
    """When the last share was accepted; None for "never" and for what cannot be placed in time.

    Four forms are sent: a Unix time as number or as text, an age "h:mm:ss" (hours may exceed 99), and the local time
    in ctime form ("Tue Oct 16 02:35:08 2018"), placed only where the time zone is known.
    """
    value = record.get(key)
    if isinstance(value, str):
        words = value.strip()
        if ":" in words:
            local = _ctime(words)
            if local is not None:
                return None if clock.zone is None else clock.place(local - clock.zone)
            return clock.ago(fields.duration(record, key, where))
    stamp = fields.count(record, key, where)
    return None if stamp is None else clock.place(stamp)


def is_fee(*names: str | None) -> bool:
    """Whether a pool's URL, user or type marks the firmware developer's own pool."""
    return any(mark in (name or "").lower() for name in names for mark in _FEE_MARKS)


def present_difficulty(record: Mapping[str, Any], where: str = "answer") -> Difficulty | None:
    """The share difficulty the pool asks for now; None while there was none (0 or "")."""
    for key in ("Stratum Difficulty", "Diff"):
        value = fields.suffixed_number(record, key, where)
        if value is not None and value > 0:
            return difficulty(value)
    return None


def decode_pool(record: Mapping[str, Any], clock: Clock, index: int, where: str = "rpc pools") -> Pool | None:
    """The record at `index` of `pools`; None for an empty slot."""
    url = told(record, "URL", where)
    number = fields.count(record, "POOL", where)
    user = told(record, "User", where)
    status = fields.text(record, "Status", where)
    accepted = fields.count(record, "Accepted", where)
    weighed = fields.count(record, "Difficulty Accepted", where)
    shared = last_share(record, clock, where=where)
    pool = Pool(
        pool=str(index if number is None else int(number)),
        url=url,
        user=user,
        up=pool_up(status),
        active=fields.flag(record, "Stratum Active", where),
        priority=fields.count(record, "Priority", where),
        fee=is_fee(url, user),
        accepted=accepted,
        rejected=fields.count(record, "Rejected", where),
        stale=fields.count(record, "Stale", where),
        difficulty_accepted=None if weighed is None else difficulty(weighed),
        difficulty=present_difficulty(record, where),
        last_share=shared if accepted != 0 else None,
        jobs_received=fields.count(record, "Getworks", where),
        connection_failures=fields.count(record, "Get Failures", where),
    )
    return pool if url is not None else None


def only_one_active(pools: tuple[Pool, ...]) -> tuple[Pool, ...]:
    """`pools` where at most one of the owner's is active.

    "Stratum Active" is true for every open connection; with the usual failover strategy work comes from the one of
    best priority among them.
    """
    open_ones = [pool for pool in pools if pool.active and pool.up is not False and not pool.fee]
    if len(open_ones) < 2:
        return pools
    chosen = min(open_ones, key=lambda pool: (pool.priority is None, pool.priority or 0.0))
    return tuple(
        replace(pool, active=False) if pool.active and pool in open_ones and pool is not chosen else pool
        for pool in pools
    )


def decode_pools(document: Any, context: DecodeContext, where: str = "rpc pools") -> tuple[Pool, ...]:
    """The `pools` reply. Slots without a URL are no pools; the order is the device's."""
    records = find_records(document, "POOLS", where)
    clock = Clock(context.received_at, reply_time(document), _zone_of(records))
    pools = (decode_pool(record, clock, index, f"{where}.POOLS[{index}]") for index, record in enumerate(records))
    return only_one_active(tuple(pool for pool in pools if pool is not None))
