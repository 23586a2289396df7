"""Which requests only ask. Pure.

What is not known to ask counts as a write: a monitor must not change a device by a slip, and each maker has words of
its own for what changes one.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

#: Commands of the CGMiner API that only ask, in all the programs that speak it.
_ASK: Final = frozenset(
    {
        # CGMiner and its relatives
        "asc", "asccount", "check", "coin", "config", "devdetails", "devs", "edevs", "estats", "gpu", "gpucount", "lcd",
        "litestats", "minerstats", "notify", "pga", "pgacount", "pools", "privileged", "proc", "proccount",
        "procdetails", "procs", "stats", "summary", "usbstats", "version",
        # Whatsminer, beside get_...
        "status",
        # BOSminer, LuxOS
        "events", "fans", "frequencyget", "groups", "healthchipget", "limits", "power", "profiles", "session",
        "tempctrl", "temps", "tunerstatus", "voltageget",
        # Auradine
        "ipreport", "psu", "temperature",
    }
)  # fmt: skip
#: Those that ask without a parameter, and may set with one.
_ASK_ALONE: Final = frozenset({"fan", "frequency", "led", "mode", "voltage"})
_GETTERS: Final = ("get_", "get.")

#: Words in a path by which a device may act at a mere GET ("/cgi-bin/reboot.cgi").
_ACTS: Final = frozenset({"facrst", "factoryreset", "poweroff", "reset", "restore", "set", "update"})
#: Those that count within a longer word too ("minerreboot"). Not "reset", which is in "preset".
_ACTS_WITHIN: Final = ("reboot", "restart", "shutdown", "upgrade")
_SEGMENTS: Final = re.compile(r"[/?&=;]")
#: "minerReboot2" is miner, Reboot, 2; "APIReset" is API, Reset.
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def asks(command: str, parameter: str | None = None) -> bool:
    """Whether a command of the CGMiner API, or each of several joined by ``+``, only asks."""
    return all(_asks(one.strip().lower(), parameter) for one in command.split("+"))


def _asks(command: str, parameter: str | None) -> bool:
    if command in _ASK_ALONE:
        return parameter is None
    return command in _ASK or (command.startswith(_GETTERS) and command not in _GETTERS)


def path_acts(path: str) -> bool:
    """Whether a device may act when this path is asked by GET, as far as the words in it and in its query tell."""
    return any(_acts(segment) for segment in _SEGMENTS.split(unquote(path)))


def _acts(segment: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(segment)]
    if words[:1] == ["get"]:
        return False
    if "factory" in words and "info" not in words:
        return True
    return any(word in _ACTS or any(act in word for act in _ACTS_WITHIN) for word in words)
