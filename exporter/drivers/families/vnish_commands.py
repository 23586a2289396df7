"""Commands of VNish: mining restarted, stopped and started, the light, presets, fans, pools.

Sources: the vendor's OpenAPI descriptions 1.2.6, 1.2.7 and 1.3.4 (every request here may be signed by an API key; GET
/settings by nothing else), captured answers, and what other programs found: /settings says yes also where nothing
changes (pyasic #245), an untuned preset starts a tuning run (asic-rs #284), /find-miner of 1.2 toggles whatever
it is told. So the state is read before, and every effect after.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import Answers, Auth, HttpRequest
from exporter.drivers.commands import (
    CommandContext,
    CommandRefused,
    Evidence,
    Plan,
    PoolRules,
    PoolSetting,
    Write,
)
from exporter.drivers.families import vnish_telemetry as telemetry
from exporter.drivers.families.cgminer_records import told
from exporter.drivers.families.vnish_settings import (
    MODEL,
    PERFORMANCE,
    PRESETS,
    SETTINGS,
    STATUS,
    fan_plan,
    pool_plan,
    post,
    preset_plan,
    refuse_errors,
)
from exporter.model import MinerState, Preset
from exporter.units import Ratio, ratio

_RELEASE: Final = re.compile(r"v?(\d{1,4})\.(\d{1,4})")
_WORKING: Final = frozenset({MinerState.STARTING, MinerState.TUNING, MinerState.MINING})
_RESTART_SECONDS: Final = 180.0
_STATE_SECONDS: Final = 90.0
_LIGHT_SECONDS: Final = 20.0
