"""Words that several checks use."""

from __future__ import annotations

from exporter.engine.fleet import MinerRecord

OK = "ok"
WARNING = "warning"
PROBLEM = "problem"
UNKNOWN = "unknown"


def ago(seconds: float) -> str:
    """A time span in words: "40 seconds", "5 minutes", "3 hours", "2 days"."""
    for limit, size, unit in ((120, 1, "second"), (7200, 60, "minute"), (172800, 3600, "hour")):
        if seconds < limit:
            return count(round(seconds / size), unit)
    return count(round(seconds / 86400), "day")


def count(number: int, what: str, many: str | None = None) -> str:
    """A number with its noun: "1 miner", "3 miners"."""
    return f"{number} {what if number == 1 else many or what + 's'}"


def watched(record: MinerRecord) -> bool:
    """Whether the miner is meant to be read."""
    return record.managed and record.enabled
