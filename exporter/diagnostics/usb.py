"""Why a board on USB is not read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.diagnostics.facts import Facts
from exporter.diagnostics.words import OK, PROBLEM, WARNING, ago, count
from exporter.engine.api.program import Check
from exporter.model_usb import UsbCondition, UsbState
from exporter.text import clean_text

_GROUP: Final = "usb"
_PORTAL: Final = "Join its Wi-Fi (NerdMinerAP) and enter Wi-Fi, pool and wallet."
_CONDITIONS: Final = {
    UsbCondition.SETUP_PORTAL: ("It shows its set-up portal.", _PORTAL),
    UsbCondition.NO_CONFIG: ("It has no configuration.", _PORTAL),
    UsbCondition.CONFIG_CORRUPT: (
        "It cannot read its configuration.",
        "Enter it again in its portal, or flash the board anew.",
    ),
    UsbCondition.DNS_FAILURE: (
        "It cannot resolve the name of its pool.",
        "Check the pool's name in its portal, and the DNS of its Wi-Fi.",
    ),
    UsbCondition.POOL_UNREACHABLE: (
        "It does not reach its pool.",
        "Check the pool's address and port in its portal, and whether the pool is up.",
    ),
    UsbCondition.AUTHORIZE_REFUSED: (
        "The pool refuses its user.",
        "Check the wallet address and the pool password in its portal.",
    ),
    UsbCondition.BOOT_LOOP: (
        "It restarts again and again.",
        "Try a better cable or supply; then flash the board anew.",
    ),
    UsbCondition.CRASHED: (
        "It has crashed.",
        "Plug it in anew; where that comes back, flash another firmware version.",
    ),
    UsbCondition.DOWNLOAD_MODE: (
        "It waits for a new firmware.",
        "Plug it in anew without holding its button.",
    ),
}


def usb_checks(facts: Facts) -> Iterator[Check]:
    """The host's side, ports that are held shut or cannot be opened, and what is wrong with boards."""
    if not facts.settings.serial.enabled:
        yield Check(_GROUP, "Are boards on USB read?", OK, "No: serial.enabled is false.")
        return
    yield _watching(facts)
    yield _boards(facts)
    for device in facts.usb.waiting:
        if device.held:
            yield Check(
                _GROUP,
                f"Is {device.dev_path} a miner?",
                WARNING,
                f"Its port is held shut: {device.held_reason}.",
                'Say "This is a miner" on the page New devices, or name it in serial.match or serial.ignore.',
            )
    for trouble in facts.usb.troubles:
        yield Check(
            _GROUP,
            f"Can {trouble.dev_path} be opened?",
            PROBLEM,
            trouble.message,
            "Give this user the right to the device file, commonly by the group dialout; the port is tried again.",
        )
    yield from _conditions(facts)


def _watching(facts: Facts) -> Check:
    title = "Are plugs and unplugs noticed?"
    if facts.usb.udev and facts.usb.libudev:
        return Check(_GROUP, title, OK, "Yes, by udev.")
    missing = "no udev daemon runs here" if facts.usb.libudev else "libudev is not installed"
    return Check(
        _GROUP,
        title,
        WARNING,
        f"Only by listing the ports every few seconds: {missing}.",
        "In a container that is usual; mount /dev and allow the devices. Else install udev (libudev1).",
    )


def _boards(facts: Facts) -> Check:
    waiting = sum(not device.held for device in facts.usb.waiting)
    found = f"{count(facts.usb.boards, 'board')} plugged in; {count(waiting, 'board waits', 'boards wait')} for a name."
    if facts.usb.boards:
        return Check(_GROUP, "Which boards are there?", OK, found)
    return Check(
        _GROUP,
        "Which boards are there?",
        OK,
        f"{found} Where one is plugged in: its cable may carry power only, or its USB chip is not one of those known;"
        " serial.match can name it.",
    )


def _conditions(facts: Facts) -> Iterator[Check]:
    for record in facts.snapshot.miners:
        usb = record.usb
        if usb is None or not record.enabled or usb.view.state is UsbState.NOT_CONNECTED:
            continue
        for condition, (found, remedy) in _CONDITIONS.items():
            if condition in usb.view.conditions:
                since = ago(max(0.0, facts.now - usb.view.since))
                state = f"Its state is {usb.view.state.value} since {since}."
                title = f"What is wrong with {clean_text(record.name, 64)}?"
                yield Check(_GROUP, title, PROBLEM, f"{found} {state}", remedy, record.id)
