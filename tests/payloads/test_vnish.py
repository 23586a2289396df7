"""Captured VNish answers: 1.2.0-beta10, 1.2.0-rc3, 1.2.6 (in failure) and 1.2.7."""

import pytest

from exporter.drivers.bundled.vnish_driver import VnishDriver
from exporter.model import MinerState
from tests.payloads.agreement import NotCompared, assert_agrees
from tests.payloads.harness import assert_every_key_read, capture_params, file_params, look

NOT_REQUESTED = {
    "http_settings.json": "holds pool passwords; /perf-summary tells the preset",
    "http_metrics.json": "the device's own history; Prometheus keeps ours",
    "http_notes*": "free text of the operator",
    "http_apikeys.json": "asked with a token when an API key is obtained",
    "http_unlock.json": "the answer to a write",
    "http_post_*": "an answer to a write",
    "privileged_*": "an answer to a write",
    "rpc_summary.json": "/api/v1/summary tells more",
    "rpc_pools.json": "/api/v1/summary tells more",
    "rpc_devdetails.json": "tells the driver's name only",
    "http_root.html": "a page, read to identify",
}
KNOWN_FLAWS = {
    ("s19-1.2.6-failure", "hashrate_nominal_hs"): "",
    ("s19-1.2.6-failure", "hashrate_stock_hs"): "no model has a sticker rate of 0: not told while in failure",
}
STATES = {
    "mining": MinerState.MINING,
    "auto-tuning": MinerState.TUNING,
    "failure": MinerState.FAULT,
}


def fans(result, expected):
    return [
        {"id": int(fan.fan), "rpm": fan.speed, "ok": NotCompared("see errors"), "max_rpm": NotCompared("no such value")}
        for fan in result.reading.fans
    ]
