"""The statistics file that ckpool keeps of each user, which its web servers hand out as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from exporter.drivers.fields import count, suffixed_number, tables, text
from exporter.units import Difficulty, UnixSeconds, difficulty, hashes_per_second, unix_seconds
from exporter.wallets.adapters.api import PoolStatistics, WorkerStatistics, json_object
from exporter.wallets.pool_user import split_user

#: Key in the file -> window as a Prometheus duration. Rates are in H/s with a metric suffix ("1.23T").
_WINDOWS: Final = {"hashrate1m": "1m", "hashrate5m": "5m", "hashrate1hr": "1h", "hashrate1d": "1d", "hashrate7d": "7d"}
#: The one shown for a single worker: one minute is mostly luck.
_OF_WORKER: Final = "hashrate5m"


def decode_ckpool(body: bytes) -> PoolStatistics:
    """What a user's file says. `shares_accepted` counts in shares of difficulty 1, as ckpool does.

    Raises:
        DecodeError: it is no such file.
    """
    document = json_object(body)
    rates = ((window, suffixed_number(document, key)) for key, window in _WINDOWS.items())
    workers = count(document, "workers")
    return PoolStatistics(
        hashrates=tuple((window, hashes_per_second(rate)) for window, rate in rates if rate is not None),
        workers_count=None if workers is None else int(workers),
        workers=tuple(_worker(entry) for entry in tables(document, "worker")),
        best_share_difficulty=_best(document),
        shares_accepted=count(document, "shares"),
        last_share=_time(document),
    )


def _worker(entry: Mapping[str, Any]) -> WorkerStatistics:
    rate = suffixed_number(entry, _OF_WORKER, "worker")
    return WorkerStatistics(
        name=split_user(text(entry, "workername", "worker", limit=512)).worker or "",
        hashrate=None if rate is None else hashes_per_second(rate),
        best_share_difficulty=_best(entry),
        last_share=_time(entry),
    )


def _best(entry: Mapping[str, Any]) -> Difficulty | None:
    """Of all times; old servers know the present round only."""
    found = [best for key in ("bestever", "bestshare") if (best := suffixed_number(entry, key)) is not None]
    return difficulty(max(found)) if found else None


def _time(entry: Mapping[str, Any]) -> UnixSeconds | None:
    """Unix time of the last share; 0 stands for none yet."""
    at = count(entry, "lastshare")
    return unix_seconds(at) if at else None
