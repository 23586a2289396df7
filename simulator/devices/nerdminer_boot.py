"""From reset to the firmware's tasks: ROM text, storage, Wi-Fi and the set-up portal."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from simulator.chance import between, mix
from simulator.devices.nerdminer_config import first_config, pretty
from simulator.devices.nerdminer_firmware import rom_text
from simulator.devices.nerdminer_pool import worker
from simulator.devices.nerdminer_state import BoardState, Steps, crlf, lf, together
from simulator.devices.nerdminer_tasks import loop, miners, monitor

#: Seconds between a restart by software and the ROM's text.
_RESTART = 0.25
#: Milliseconds after which WiFiManager gives up the stored network.
_CONNECT_MS = 40_500
_PORTAL_IP = "192.168.4.1"
_PORTAL_NAME = "NerdMinerAP"

#: A part of a boot; it returns whether the boot goes on.
Part = Generator[tuple[float, bytes], None, bool]


def life(board: BoardState, reason: str = "power") -> Steps:
    """Everything that is printed from a reset on; ends when the board falls silent for good."""
    after: str | None = reason
    while after is not None:
        after = yield from _boot(board, after)


def _boot(board: BoardState, reason: str) -> Generator[tuple[float, bytes], None, str | None]:
    """One boot; the reason of the next one, None where there is none."""
    yield _RESTART, rom_text(board.model.chip, reason, download=board.download)
    board.begin()
    board.boots += 1
    board.boots_without_mining += 1
    board.reach("Booting")
    if board.download:
        board.flag("download_mode")
        return None
    yield from _greeting(board)
    for part in (_storage, _network):
        if not (yield from part(board)):
            return board.restart
    yield 0.2, crlf("") + crlf("Initiating tasks...")
    yield 0.02, crlf("[MONITOR] started")
    board.tasks_from = board.now
    if board.scenario.crash == "guru":
        yield 0.3, _guru(board)
        board.flag("crashed")
        return "software"
    yield from together(board, worker(board), miners(board), monitor(board), loop(board))
    return board.restart


def _greeting(board: BoardState) -> Steps:
    if board.model.card or board.card is not None:
        inserted = "Inserted." if board.card is not None else "Not inserted."
        yield 0.2, b"".join(crlf(f"SDCard: {text}") for text in ("init SD card interface.", "SPI mode.", inserted))
    yield 0.3, crlf("NerdMiner v2 starting......")
    if board.model.display == "none":
        yield 0.05, crlf("No display driver initialized") + crlf("Initializing...")
    elif board.model.display == "ssd1306":
        yield 0.05, crlf("SSD1306 128x64 display driver initialized")
    if board.firmware.custom_ap:
        # The flash is erased there: 0xFF up to the end of a buffer that nobody terminated.
        raw = b"DEBUG: Raw flash data: '" + b"\xff" * 128 + b"\x3f'\r\n"
        yield 0.1, crlf("DEBUG: Attempting to read custom AP name from flash at 0x3F0000...")
        yield 0.01, crlf("DEBUG: Successfully read from flash") + raw
        yield 0.01, crlf("DEBUG: WEBFLASHER_CONFIG marker not found - no custom config")
        yield 0.01, crlf("DEBUG: Using default AP name")


# Storage ------------------------------------------------------------------------------------------------------


def _storage(board: BoardState) -> Part:
    if not board.firmware.spifs:
        return (yield from _old_storage(board))
    yield 0.1, crlf("SPIFS: Mounting File System...")
    if board.stored is None and board.card is None:
        yield 0.3, crlf(f"[{_milliseconds(board):6d}][E][SPIFFS.cpp:96] begin(): Mounting SPIFFS failed! Error: -1")
    yield 0.1, crlf("SPIFS: Mounted")
    if board.stored is None:
        yield 0.05, crlf("SPIFS: No config file available!")
        board.config_gone("no_config")
        if board.card is not None:
            yield from _read_card(board)
            return False
        return True
    yield 0.05, crlf("SPIFS: Loading config file")
    if board.corrupt:
        yield 0.02, lf("null") + crlf("SPIFS: Error parsing config file!")
        board.config_gone("config_corrupt")
        return True
    yield 0.02, pretty(board.stored.document(board.firmware)) + b"\n"
    board.config_shown(board.stored)
    return True


def _old_storage(board: BoardState) -> Part:
    """Release 1.6.2 and before: other words, and no end of line after the document."""
    yield 0.1, crlf("Mounting File System...")
    yield 0.1, crlf("mounted file system")
    if board.stored is None:
        yield 0.05, crlf("Forcing config mode as there is no saved config")
        board.config_gone("no_config")
        return True
    yield 0.05, crlf("reading config file") + crlf("Opened configuration file")
    if board.corrupt:
        yield 0.02, b"null" + crlf("Failed to load json config")
        board.config_gone("config_corrupt")
        yield 0.02, crlf("Forcing config mode as there is no saved config")
        board.config_gone("no_config")
        return True
    yield 0.02, pretty(board.stored.document(board.firmware)) + crlf("Parsing JSON")
    board.config_shown(board.stored)
    return True


def _read_card(board: BoardState) -> Steps:
    config = board.card
    if config is None:
        return
    yield 0.05, crlf("SDCard: Inserted.") + crlf("SDCard: Loading config file")
    yield 0.02, pretty(config.card(board.ssid, board.wifi_password)) + b"\n"
    yield 0.02, lf(f"Carteira Lida SDs:{config.wallet}")
    board.stored = config
    board.corrupt = False
    yield from _save(board)
    yield 0.05, crlf("SDCard: Settings transfered to internal memory. Restarting now.")
    board.restart = "software"


def _save(board: BoardState) -> Steps:
    """The configuration is written; the dump shows it."""
    config = board.config
    if board.firmware.spifs:
        yield 0.05, crlf("SPIFS: Already Mounted") + crlf("SPIFS: Saving configuration.")
    else:
        yield 0.05, crlf("Saving configuration...")
    yield 0.02, pretty(config.document(board.firmware)) + b"\n"
    board.config_shown(config)


# Wi-Fi --------------------------------------------------------------------------------------------------------


def _network(board: BoardState) -> Part:
    board.lossy = board.scenario.lossy
    if board.firmware.bad_parameter:
        yield 0.05, crlf("*wm:[ERROR] parameter IDs can only contain alpha numeric chars ")
    yield 0.05, crlf("AllDone: ")
    if board.stored is None or board.corrupt:
        return (yield from _forced_portal(board))
    yield 0.05, crlf("*wm:AutoConnect ")
    if board.firmware.saved_ap:
        yield 0.05, crlf(f"*wm:Connecting to SAVED AP: {board.ssid}")
    if not board.has_wifi:
        return (yield from _failed_network(board))
    yield between(1.2, 3.5, board.seed, board.boots, 111), crlf("*wm:AutoConnect: SUCCESS ")
    yield 0.02, crlf(f"*wm:STA IP Address: {board.ip}")
    board.wifi = True
    yield 0.05, crlf("") + crlf("WiFi connected") + crlf(f"IP address: {board.ip}")
    yield 0.02, board.config.listing(board.firmware)
    if board.firmware.looks:
        yield 0.02, board.config.listing(board.firmware)
    return True


def _failed_network(board: BoardState) -> Part:
    taken = _CONNECT_MS + mix(board.seed, board.boots, 112) % 100
    yield taken / 1e3, crlf(f"*wm:AutoConnect: FAILED for  {taken} ms")
    yield from _open_portal(board)
    if not board.firmware.restarts_offline:
        # The portal stays open beside the tasks.
        yield 0.1, crlf("Failed to connect and hit timeout")
        return True
    yield board.firmware.portal_seconds or 180.0, crlf("*wm:config portal has timed out ")
    yield 0.1, crlf("*wm:config portal exiting ")
    yield 0.1, crlf("Failed to connect to configured WIFI, and hit timeout")
    board.restart = "software"
    return False


def _open_portal(board: BoardState) -> Steps:
    yield 0.2, crlf(f"*wm:StartAP with SSID:  {_PORTAL_NAME}")
    board.flag("setup_portal")
    yield 0.5, crlf(f"*wm:AP IP address: {_PORTAL_IP}")
    yield 0.02, crlf("Entered Configuration Mode")
    yield 0.02, crlf(f"Config SSID: {_PORTAL_NAME}") + crlf(f"Config IP Address: {_PORTAL_IP}")
    yield 0.05, crlf("*wm:Starting Web Portal ")


def _forced_portal(board: BoardState) -> Part:
    firmware, user = board.firmware, board.scenario.portal_user
    yield from _open_portal(board)
    patience = firmware.portal_seconds
    if user is not None and (patience is None or user < patience):
        yield from _portal_used(board, user)
        return False
    if patience is None:
        return False
    yield patience, crlf("*wm:config portal has timed out ")
    yield 0.1, crlf("*wm:config portal exiting ")
    if firmware.portal_saves:
        board.stored, board.corrupt = first_config(firmware), False
        yield 0.05, crlf("failed to connect and hit timeout")
        yield from _save(board)
        board.restart = "software"
        return False
    yield 0.05, board.config.listing(firmware)
    return True


def _portal_used(board: BoardState, seconds: float) -> Steps:
    yield seconds, crlf("*wm:5 networks found")
    yield 8.0, crlf("Should save config") + crlf(f"*wm:Connecting to NEW AP: {board.ssid}")
    yield 2.5, crlf("*wm:Connect to new AP [SUCCESS] ") + crlf("*wm:Got IP Address: ") + crlf(f"*wm:{board.ip} ")
    board.flags.discard("setup_portal")
    # The portal of these firmwares has no field for the password.
    password = first_config(board.firmware).password
    board.stored, board.corrupt = replace(board.own_config(), password=password), False
    board.has_wifi = True
    yield 0.05, crlf("Should save config") + crlf("*wm:config portal exiting ")
    yield 0.05, crlf("failed to connect and hit timeout")
    yield from _save(board)
    board.restart = "software"


# Ends ---------------------------------------------------------------------------------------------------------


def _milliseconds(board: BoardState) -> int:
    return int((board.now - board.booted) * 1000)


def _guru(board: BoardState) -> bytes:
    """A stack overflow of the monitor task, as the panic handler shows it."""
    place = 0x40090000 + mix(board.seed, 113) % 0x10000
    stack = 0x3FFD0000 + mix(board.seed, 114) % 0xF000
    return b"".join(
        crlf(text)
        for text in (
            "Guru Meditation Error: Core  1 panic'ed (Unhandled debug exception). ",
            "Debug exception reason: Stack canary watchpoint triggered (Monitor) ",
            "Core  1 register dump:",
            f"PC      : {place:#010x}  PS      : 0x00060036  A0      : 0x80095d98  A1      : {stack:#010x}  ",
            "",
            f"Backtrace: {place - 3:#010x}:{stack:#010x} 0x40095d95:{stack + 32:#010x} |<-CORRUPTED",
            "",
            "",
            f"ELF file SHA256: {mix(board.seed, 115):016x}",
            "",
            "Rebooting...",
        )
    )
