"""One line of a NerdMiner's console to typed events; every firmware from 1.1 to 1.8.3 and its forks. Sans-IO.

Several tasks print at once and some prints end without a line end, so a line is searched for every mark it may hold,
never matched from its start. Spellings are the firmware's own ("Autorize", "Imposible", "submition").
Sources: the format strings of NerdMiner_v2 1.1 to 1.8.3, WiFiManager 2.0.16 and 2.0.17, ESP-IDF 4.4, NMMiner's issues.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from exporter.protocols.nerdminer_events import (
    Boot,
    BootMarker,
    Detail,
    DnsFailed,
    Event,
    Figure,
    Job,
    Monitor,
    PoolAddress,
    PoolDifficulty,
    PoolError,
    Progress,
    Seen,
    ShareDifficulty,
    ShareRefused,
    Signal,
    Version,
)
from exporter.protocols.nerdminer_stratum import parse_received, parse_sent
from exporter.text import clean_text

_Maker = Callable[[str, int], Event | None]

_NUMBER: Final = r"\d{1,15}(?:\.\d{1,15})?"
_SUFFIX: Final = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_IP: Final = re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])")


def parse_line(line: str) -> tuple[Event, ...]:
    """What `line` says, in the order in which it says it; empty for what is not known."""
    if line.startswith(">>> "):
        whole = _whole(line)
        if whole is not None:
            return (whole,)
    found: list[tuple[int, Event]] = []
    for mark, make in _RULES:
        if mark in line:
            at = line.find(mark)
            while at >= 0:
                event = make(line, at)
                if event is not None:
                    found.append((at, event))
                at = line.find(mark, at + len(mark))
    if len(found) > 1:
        found.sort(key=lambda entry: entry[0])
    return tuple(event for _, event in found)


def scaled(figure: str, suffix: str) -> float:
    """The number in "1.234K"; the firmware writes K, M, G, T, P and E."""
    return float(figure) * _SUFFIX[suffix]


# --- makers: (line, where the mark stands) -> event -------------------------------------------------------------


def _plain(signal: Signal) -> _Maker:
    event = Seen(signal)
    return lambda line, at: event


def _matched(pattern: str, make: Callable[[re.Match[str]], Event | None]) -> _Maker:
    """Matches `pattern` at the mark."""
    compiled = re.compile(pattern)

    def maker(line: str, at: int) -> Event | None:
        match = compiled.match(line, at)
        return None if match is None else make(match)

    return maker


def _start(_line: str, _at: int) -> Event:
    return Boot(BootMarker.START)


def _address(line: str, at: int, mark: str) -> str | None:
    """The IPv4 address right behind `mark`; None where anything else stands there."""
    match = _IP.match(line, at + len(mark))
    return None if match is None else match[0]


def _connected(line: str, at: int) -> Event | None:
    unset = _address(line, at, "CONNECTED - Current ip: ") == "0.0.0.0"  # noqa: S104
    return None if unset else Seen(Signal.CONNECTED)


def _resolved(address: str) -> Event | None:
    """The address a name was resolved to.

    The firmware prints the same line for a failure, then with 0.0.0.0, and for an address of 15 characters some bytes
    of its own memory: that is no sign of either.
    """
    if _IP.fullmatch(address) is None:
        return None
    return DnsFailed() if address == "0.0.0.0" else Seen(Signal.DNS_RESOLVED)  # noqa: S104


def _dns(line: str, at: int) -> Event | None:
    match = _IP.match(line, at + len("got: "))
    if match is None or "Resolved DNS" not in line[max(0, at - 40) : at]:
        return None
    return _resolved(match[0])


def _difficulty(line: str, at: int) -> Event | None:
    """The pool's difficulty; "Best difficulty" is another figure."""
    match = _DIFFICULTY.match(line, at)
    if match is None or line.endswith("Best ", 0, at):
        return None
    return PoolDifficulty(float(match[1]))


_DIFFICULTY: Final = re.compile(rf"difficulty: ({_NUMBER})")


def _first(match: re.Match[str]) -> float:
    return float(match[1])


def _clock(match: re.Match[str]) -> float:
    days, hours, minutes, whole = (int(match[index]) for index in range(1, 5))
    return float(((days * 24 + hours) * 60 + minutes) * 60 + whole)


def _whole_number(match: re.Match[str]) -> Event:
    return ShareRefused(int(match[1]))


def _progress(match: re.Match[str]) -> Event:
    return Progress(float(match[3]), float(match[1]), float(match[2]))


_PROGRESS: Final = re.compile(
    rf"Completed (\d{{1,15}}) share\(s\), (\d{{1,15}}) Khashes, avg\. hashrate ({_NUMBER}) KH/s"
)
_COUNT: Final = (re.compile(r" *(\d{1,15})\b"), _first)
#: What stands behind ``>>> <figure>:`` and how it is read.
_DETAILS: Final[Mapping[Figure, tuple[re.Pattern[str], Callable[[re.Match[str]], float]]]] = {
    Figure.VALID_BLOCKS: _COUNT,
    Figure.BLOCK_TEMPLATES: _COUNT,
    Figure.BEST_DIFFICULTY: (
        re.compile(rf" *({_NUMBER}) ?([KMGTPE]?)\b"),
        lambda match: scaled(match[1], match[2]),
    ),
    Figure.SHARES_32BIT: _COUNT,
    Figure.TEMPERATURE: (re.compile(r" *(-?\d{1,3}(?:\.\d{1,3})?)\b"), _first),
    Figure.TOTAL_MHASHES: _COUNT,
    Figure.TIME_MINING: (re.compile(r" *(\d{1,6}) +(\d{1,2}):(\d{1,2}):(\d{1,2})"), _clock),
}
_BY_HEAD: Final = {f">>> {figure.value}": (figure, *entry) for figure, entry in _DETAILS.items()}


def _detail(figure: Figure) -> _Maker:
    pattern, convert = _DETAILS[figure]
    skip = len(f">>> {figure.value}:")

    def maker(line: str, at: int) -> Event | None:
        match = pattern.match(line, at + skip)
        return None if match is None else Detail(figure, convert(match))

    return maker


def _whole(line: str) -> Event | None:
    """The event of a line of telemetry that holds nothing else: nearly all lines of a board are of this kind."""
    match = _PROGRESS.fullmatch(line, 4)
    if match is not None:
        return _progress(match)
    head = line.partition(":")[0]
    if head not in _BY_HEAD:
        return None
    figure, pattern, convert = _BY_HEAD[head]
    match = pattern.fullmatch(line, len(head) + 1)
    return None if match is None else Detail(figure, convert(match))


#: (mark, maker): a mark is text that the line must hold; the maker judges what stands around it.
_RULES: Final[tuple[tuple[str, _Maker], ...]] = (
    # Telemetry, once a second.
    ("Completed ", _matched(_PROGRESS.pattern, _progress)),
    (
        "Hashrate: ",
        _matched(
            rf"Hashrate: ({_NUMBER}) KH/s \| Shares: (\d{{1,15}}) \| Best diff: ({_NUMBER}) ?([KMGTPE]?)",
            lambda match: Progress(float(match[1]), float(match[2]), None, scaled(match[3], match[4])),
        ),
    ),
    *((f">>> {figure.value}:", _detail(figure)) for figure in Figure),
    (
        "inRun>",
        _matched(
            r"inRun>\w+\) - Client: connected>(\w+) / subscribed>(\w+) / wificonnected>(true|false)",
            lambda match: Monitor(match[1] == "true", match[2] == "true", match[3] == "true"),
        ),
    ),
    # The pool.
    ("Receiving: ", parse_received),
    ("Sending  : ", parse_sent),
    ("[MINING NOTIFY]", lambda line, at: Job(parsed=True)),
    ("difficulty: ", _difficulty),
    (
        "Current pool diff : ",
        _matched(rf"Current pool diff : ({_NUMBER})", lambda match: PoolDifficulty(float(match[1]))),
    ),
    (
        "Current diff share: ",
        _matched(rf"Current diff share: ({_NUMBER})", lambda match: ShareDifficulty(float(match[1]))),
    ),
    ("Refuse submition ", _matched(r"Refuse submition (\d{1,10})\b", _whole_number)),
    (
        "ERROR: ",
        _matched(
            r"ERROR: (-?\d{1,6}) \| reason: ?(.*)", lambda match: PoolError(int(match[1]), clean_text(match[2], 80))
        ),
    ),
    ("Valid block found", _plain(Signal.BLOCK_FOUND)),
    ("Valid completed with nonce", _plain(Signal.BLOCK_FOUND)),
    ("==> Mining subscribe", _plain(Signal.SUBSCRIBE)),
    (">>> Work aborted", _plain(Signal.SUBSCRIBE_ABORTED)),
    ("==> Autorize work", _plain(Signal.AUTHORIZE)),
    ("==> Authorize work", _plain(Signal.AUTHORIZE)),
    ("Imposible to connect to :", _plain(Signal.POOL_UNREACHABLE)),
    ("Impossible to connect to :", _plain(Signal.POOL_UNREACHABLE)),
    ("got: ", _dns),
    ("DNS Failed for ", _matched(r"DNS Failed for ([\w.-]{1,253})?", lambda match: DnsFailed(match[1]))),
    # Tasks.
    ("[WORKER] Started", _plain(Signal.WORKER)),
    ("Started runMiner Task", _plain(Signal.HARDWARE)),
    ("Started minerWorker", _matched(r"Started minerWorker\w* Task", lambda match: Seen(Signal.HARDWARE))),
    ("CONNECTED - Current ip", _connected),
    ("[Error] - current status:", _plain(Signal.WIFI_DOWN)),
    # Wi-Fi and the set-up portal.
    ("AutoConnect: SUCCESS", _plain(Signal.WIFI_UP)),
    ("STA IP Address:", _plain(Signal.WIFI_UP)),
    ("Connect to new AP [SUCCESS]", _plain(Signal.WIFI_UP)),
    ("WiFi connected", _plain(Signal.WIFI_UP)),
    ("AutoConnect: FAILED", _plain(Signal.WIFI_DOWN)),
    ("Connect to new AP Failed", _plain(Signal.WIFI_DOWN)),
    ("StartAP with SSID", _plain(Signal.PORTAL)),
    ("Starting Web Portal", _plain(Signal.PORTAL)),
    ("Entered Configuration Mode", _plain(Signal.PORTAL)),
    ("Config SSID:", _plain(Signal.PORTAL)),
    ("Button pressed to force start config mode", _plain(Signal.PORTAL)),
    # The configuration file.
    ("SPIFS: No config file available", _plain(Signal.NO_CONFIG)),
    ("as there is no saved config", _plain(Signal.NO_CONFIG)),
    ("SPIFS: Error parsing config file", _plain(Signal.CONFIG_CORRUPT)),
    ("SPIFS: Error opening config file", _plain(Signal.CONFIG_CORRUPT)),
    ("SPIFS: Mounting failed", _plain(Signal.CONFIG_CORRUPT)),
    ("Failed to load json config", _plain(Signal.CONFIG_CORRUPT)),
    ("Failed to mount FS", _plain(Signal.CONFIG_CORRUPT)),
    ("Erasing Config, restarting", _plain(Signal.CONFIG_WIPED)),
    ("SPIFS: Erasing config file", _plain(Signal.CONFIG_WIPED)),
    # Boot and crash.
    ("ets ", _matched(r"ets [A-Z][a-z]{2} +\d{1,2} \d{4}", lambda match: Boot(BootMarker.BANNER))),
    ("ESP-ROM:", lambda line, at: Boot(BootMarker.BANNER)),
    (
        "rst:0x",
        _matched(
            r"rst:0x[0-9a-fA-F]{1,4}(?: \(([A-Z][A-Z0-9_]{1,39})\))?", lambda match: Boot(BootMarker.RESET, match[1])
        ),
    ),
    ("NerdMiner v2 starting", _start),
    ("NerdMinerv2 started", _start),
    ("(DOWNLOAD", _plain(Signal.DOWNLOAD)),
    ("waiting for download", _plain(Signal.DOWNLOAD)),
    ("Guru Meditation Error", _plain(Signal.CRASH)),
    ("abort() was called", _plain(Signal.CRASH)),
    ("assert failed: ", _plain(Signal.CRASH)),
    ("CORRUPT HEAP", _plain(Signal.CRASH)),
    ("Stack smashing protect failure", _plain(Signal.CRASH)),
    ("Brownout detector was triggered", _plain(Signal.CRASH)),
    ("Task watchdog got triggered", _plain(Signal.CRASH)),
    ("Rebooting...", _plain(Signal.CRASH)),
    ("Firmware Version: ", _matched(r"Firmware Version: ([\w.+-]{1,40})", lambda match: Version(match[1]))),
    # NMMiner, older and newer wording.
    (
        "Resolving pool address ",
        _matched(r"Resolving pool address \S+ to IP ([\d.]+)", lambda match: _resolved(match[1])),
    ),
    (
        "stratum: resolving [",
        _matched(r"stratum: resolving \[[^\]]+\] -> \[([^\]]*)\]", lambda match: _resolved(match[1])),
    ),
    (
        "Connected to pool ",
        _matched(r"Connected to pool ([\w.-]{1,253}):(\d{1,5})\b", lambda match: PoolAddress(match[1], int(match[2]))),
    ),
)
