"""NerdMiner firmwares and boards: what tells one console from another (NerdMiner_v2, releases 1.6.2 to HEAD)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulator.physics import Profile

#: States of a board in the order in which a boot reaches them; the last one means that it mines.
MILESTONES: Final[tuple[str, ...]] = (
    "Booting",
    "WORKER Started",
    "MINER HW Task Started",
    "CONNECTED IP",
    "DNS Resolved",
    "Mining Subscribe",
    "Mining Authorize",
    "Mining",
)


@dataclass(frozen=True, slots=True)
class Firmware:
    """One release.

    Attributes:
        name: how we call it.
        version: what the subscribe request says after "NerdMinerV2/"; None where it says no version.
        port: pool port of the first start.
        spifs: whether lines of the storage start with "SPIFS:" (1.6.3 and later).
        password: whether a pool password is stored and listed (1.6.3 and later).
        looks: whether invertColors and Brightness are stored and the listing is printed twice (1.7.0 and later).
        custom_ap: whether a name for the access point is looked for in flash (1.8.3 and later).
        bad_parameter: whether WiFiManager complains about the id of the password field.
        saved_ap: whether WiFiManager names the network it tries.
        workers: whether the miner tasks are the minerWorker ones (1.8.0 and later); runMiner before.
        pool_api: whether the monitor prints the address of the pool's API.
        portal_seconds: how long the set-up portal stays open without a configuration; None waits for ever.
        portal_saves: whether the defaults are stored when that time is over.
        restarts_offline: whether a failed Wi-Fi ends in a restart; older firmwares go on with the portal open.
    """

    name: str
    version: str | None
    port: int = 21496
    spifs: bool = True
    password: bool = True
    looks: bool = True
    custom_ap: bool = False
    bad_parameter: bool = True
    saved_ap: bool = True
    workers: bool = True
    pool_api: bool = False
    portal_seconds: float | None = 180.0
    portal_saves: bool = False
    restarts_offline: bool = True

    @property
    def agent(self) -> str:
        """The user agent of the subscribe request."""
        return "NerdMinerV2" if self.version is None else f"NerdMinerV2/{self.version}"


V162: Final = Firmware(
    "1.6.2",
    None,
    spifs=False,
    password=False,
    looks=False,
    bad_parameter=False,
    saved_ap=False,
    workers=False,
    portal_seconds=None,
    restarts_offline=False,
)
V163: Final = Firmware("1.6.3", None, looks=False, workers=False, portal_seconds=None, restarts_offline=False)
V170: Final = Firmware("1.7.0", "V1.7.0", workers=False, pool_api=True, portal_saves=True)
V183: Final = Firmware("1.8.3", "V1.8.3", custom_ap=True)
HEAD: Final = Firmware("head", "V1.8.3", port=3333, custom_ap=True)


@dataclass(frozen=True, slots=True)
class BoardModel:
    """A board with its firmware.

    Attributes:
        chip: "esp32" or "esp32s3".
        display: "tft" prints the Completed line, "ssd1306" its own line, "none" the Completed line and statistics.
        usb: the kind of USB identity, a key of `simulator.usb_tree.IDENTITIES`.
        one_button: whether the only button is on GPIO0, so that a long low level erases the configuration.
        card: whether it has a slot for an SD card.
    """

    name: str
    firmware: Firmware
    chip: str
    display: str
    profile: Profile
    usb: str
    one_button: bool = False
    card: bool = False


def _model(
    name: str, firmware: Firmware, chip: str, display: str, kilohash: float, usb: str, **more: bool
) -> BoardModel:
    profile = Profile(
        model=name, hashrate=kilohash * 1e3, power=1.1, fans=0, chip_target=53.0, difficulty=0.0015, reject_ratio=0.02
    )
    return BoardModel(name, firmware, chip, display, profile, usb, **more)


MODELS: Final[Mapping[str, BoardModel]] = {
    model.name: model
    for model in (
        _model("devkit-1.8.3", V183, "esp32", "none", 335.0, "cp2102", one_button=True),
        _model("cyd-1.8.3", V183, "esp32", "tft", 342.0, "ch340", one_button=True, card=True),
        _model("t-display-s3-1.8.3", V183, "esp32s3", "tft", 248.0, "esp32s3"),
        _model("t-display-s3-1.7.0", V170, "esp32s3", "tft", 82.0, "esp32s3"),
        _model("stamp-s3-1.6.3", V163, "esp32s3", "tft", 80.0, "esp32s3", one_button=True),
        _model("devkit-1.6.2", V162, "esp32", "tft", 78.0, "ch340", one_button=True),
        _model("t3-head", HEAD, "esp32", "ssd1306", 350.0, "ch9102", one_button=True),
    )
}

# The mask ROM's text. `reason` is one of the keys below; names differ between the chips.
_REASONS: Final[Mapping[str, Mapping[str, tuple[int, str]]]] = {
    "esp32": {
        "power": (0x1, "POWERON_RESET"),
        "software": (0xC, "SW_CPU_RESET"),
        "brownout": (0xF, "RTCWDT_BROWN_OUT_RESET"),
    },
    "esp32s3": {
        "power": (0x15, "USB_UART_CHIP_RESET"),
        "software": (0xC, "RTC_SW_CPU_RST"),
        "brownout": (0xF, "BROWNOUT_RST"),
    },
}


def rom_text(chip: str, reason: str, *, download: bool = False) -> bytes:
    """What the mask ROM prints after a reset for `reason`: power, software or brownout."""
    number, name = _REASONS[chip][reason]
    reset = f"rst:0x{number:x} ({name}),boot:"
    if chip == "esp32":
        lines = ["ets Jul 29 2019 12:21:46", ""]
        if download:
            lines += [reset + "0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))", "waiting for download"]
        else:
            lines += [
                reset + "0x13 (SPI_FAST_FLASH_BOOT)",
                "configsip: 0, SPIWP:0xee",
                "clk_drv:0x00,q_drv:0x00,d_drv:0x00,cs0_drv:0x00,hd_drv:0x00,wp_drv:0x00",
                "mode:DIO, clock div:2",
                "load:0x3fff0030,len:1184",
                "load:0x40078000,len:13192",
                "load:0x40080400,len:3028",
                "entry 0x400805e4",
            ]
    else:
        lines = ["ESP-ROM:esp32s3-20210327", "Build:Mar 27 2021"]
        if download:
            lines += [reset + "0x0 (DOWNLOAD(USB/UART0))", "waiting for download"]
        else:
            lines += [
                reset + "0x8 (SPI_FAST_FLASH_BOOT)",
                "Saved PC:0x40376af0",
                "SPIWP:0xee",
                "mode:DIO, clock div:1",
                "load:0x3fce3808,len:0x44c",
                "load:0x403c9700,len:0xbe4",
                "load:0x403cc700,len:0x2a38",
                "entry 0x403c98d4",
            ]
    return "".join(line + "\r\n" for line in lines).encode()
