"""The central logger: one line a record on standard error, as logfmt or JSON, never with a secret."""

from __future__ import annotations

import logging
import sys
from typing import Final

from logfmter import Logfmter
from pythonjsonlogger.json import JsonFormatter

FORMATS: Final = ("logfmt", "json")
LEVELS: Final = ("debug", "info", "warning", "error")

_TIME: Final = "%Y-%m-%dT%H:%M:%S%z"


def set_up_logging(level: str, log_format: str) -> None:
    """Send the program's log to standard error. Libraries are heard from warning on."""
    formatter: logging.Formatter
    if log_format == "json":
        formatter = JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "ts", "levelname": "level", "name": "logger", "message": "msg"},
            datefmt=_TIME,
        )
    else:
        formatter = Logfmter(
            keys=["ts", "level", "logger"],
            mapping={"ts": "asctime", "level": "levelname", "logger": "name"},
            datefmt=_TIME,
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("exporter", "onboarding_ui"):
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(capture=True)
