"""What can happen to a NerdMiner: named scenarios for tests and demos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scenario:
    """How a board starts and what befalls it. Times are seconds after the tasks have started.

    Attributes:
        config: "stored", "missing", "corrupt", or "card" (only on the SD card, moved to flash at the first start).
        wifi: whether the stored network can be joined.
        portal_user: seconds after which somebody completes the set-up portal; None nobody does.
        dns: whether names resolve.
        pool: "good", "refused" (no TCP), "aborts" (empty extranonce), or "unauthorized".
        crash: "guru" dies when the tasks start, at every boot; "brownout" after `crash_after`.
        lossy: whether lines are lost and cut, as on the native USB of an S3.
        noise: whether floods, garbage, cut lines and pointer bytes get in between.
        download: whether the chip waits in the ROM loader after power-on.
    """

    config: str = "stored"
    wifi: bool = True
    portal_user: float | None = None
    dns: bool = True
    pool: str = "good"
    crash: str | None = None
    crash_after: float = 30.0
    block_after: float | None = None
    wiped_after: float | None = None
    wifi_lost_after: float | None = None
    pool_lost_after: float | None = None
    lossy: bool = False
    noise: bool = False
    download: bool = False


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "good": Scenario(),
    "wrong_wifi": Scenario(wifi=False),
    "no_config": Scenario(config="missing"),
    "portal_saved": Scenario(config="missing", portal_user=60.0),
    "corrupt_config": Scenario(config="corrupt"),
    "sd_card": Scenario(config="card"),
    "dns_failure": Scenario(dns=False),
    "pool_refused": Scenario(pool="refused"),
    "pool_lost": Scenario(pool_lost_after=30.0),
    "subscribe_aborted": Scenario(pool="aborts"),
    "authorize_refused": Scenario(pool="unauthorized"),
    "guru": Scenario(crash="guru"),
    "brownout": Scenario(crash="brownout"),
    "cdc_loss": Scenario(lossy=True),
    "noise": Scenario(noise=True),
    "block_found": Scenario(block_after=20.0),
    "config_wiped": Scenario(wiped_after=20.0),
    "wifi_lost": Scenario(wifi_lost_after=20.0),
    "download_mode": Scenario(download=True),
}
