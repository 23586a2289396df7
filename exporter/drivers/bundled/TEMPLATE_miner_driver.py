"""A driver to copy: the "Example One", a miner that nobody builds, with a small JSON API over HTTP.

What to do with it, step by step, is in README.md beside this file. In short: copy it to ``<driver_type>_driver.py``,
change what is marked CHANGE, and try it with ``flockwatch try HOST --driver <file>``. This file itself is never loaded.

A driver is a table plus pure functions. It says which requests to send and turns raw answers into a `Reading`; the
program sends, signs in, spaces, retries, counts and stores. So a driver opens no socket, keeps no state between calls,
reads no clock, prints and logs nothing. Everything it may raise is a `MinerError`, and the readers in `fields` raise
the right one (`DecodeError`, with the place) wherever a value is of the wrong kind.

CHANGE: say here which devices and firmware versions this is for, and where the facts come from (the vendor's
description, the firmware's source, answers of a device you have). The next person will want to know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from exporter.drivers import fields
from exporter.drivers.api import (
    Answers,
    ConnectionRules,
    DecodeContext,
    Driver,
    HttpRequest,
    Identification,
    Request,
    Specificity,
)
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence, Plan, Write
from exporter.errors import DecodeError
from exporter.model import Board, Fan, Identity, MinerState, Pool, Reading, Temperature
from exporter.text import normal_mac
from exporter.units import (
    HashesPerSecond,
    Hertz,
    Ratio,
    Rpm,
    Seconds,
    UnixSeconds,
    Volts,
    Watts,
    celsius,
    difficulty,
    gigahashes_per_second,
    megahertz,
    millivolts,
    percent,
    rpm,
    seconds,
    unix_seconds,
    watts,
)

# --- the requests -------------------------------------------------------------------------------------------------
#
# CHANGE: what the device is asked. The answer to a request is found under its key, "GET /api/status". Over the CGMiner
# API (TCP 4028) it is CgminerRequest("summary") with the key "rpc summary". Reads only: what changes a device is a
# command, see the end of this file.

STATUS: Final = HttpRequest("/api/status")
#: `optional`: firmware before 1.2 answers 404, and then there is no such answer instead of a failed poll.
SETTINGS: Final = HttpRequest("/api/settings", optional=True)
RESTART: Final = HttpRequest("/api/restart", method="POST")

#: Until a restarted miner must answer again.
_RESTART_SECONDS: Final = 180.0

#: The device's words for what it does. A word that is not here gives no state rather than a guessed one.
_STATES: Final = {"mining": MinerState.MINING, "starting": MinerState.STARTING, "paused": MinerState.IDLE}


class ExampleDriver(Driver):
    """CHANGE: one line on the family. A file holds exactly one class that derives from `Driver`."""

    # --- metadata ---
    #
    # All eight are required, and all are literals, so that lists and updates read them without running this file.

    #: CHANGE: one lower-case word; a file with the type of a bundled driver replaces that one.
    driver_type: ClassVar[str] = "example"
    #: Semantic versioning: raise the first number when figures change their meaning, the last one for a repair.
    driver_version: ClassVar[str] = "1.0.0"
    display_name: ClassVar[str] = "Example One"
    manufacturer: ClassVar[str] = "Example Miners"
    supported_models: ClassVar[tuple[str, ...]] = ("Example One",)
    #: "http" or "tcp" (the CGMiner API); "udp" and "serial" are for devices that talk by themselves (`new_stream`).
    connection_type: ClassVar[str] = "http"
    default_port: ClassVar[int | None] = 80
    #: The version of the contract in exporter/drivers/api.py that this file was written for.
    interface_version: ClassVar[int] = 1

    # --- what the device can bear ---

    #: CHANGE: most miners have a small web server; be careful until you know yours. `spacing_seconds` is the least time
    #: between two connections, `keep_alive=False` closes each one after its answer.
    rules: ClassVar[ConnectionRules] = ConnectionRules(one_at_a_time=True, keep_alive=False, timeout_seconds=5.0)

    # --- who is it? ---

    #: Asked of every host that is found, so as few and as cheap as possible.
    probes: ClassVar[tuple[Request, ...]] = (STATUS,)

    def identify(self, answers: Answers) -> Identification | None:
        """Whether the host is one of ours; None where it is not.

        Routers, cameras and other miners are asked the same: answers may be missing, HTML, or JSON of something else.
        Decide by a mark that only your family has. `Specificity.CERTAIN` ends the questions; use `SPECIFIC` where
        another driver might know better, `GENERIC` for "speaks a common API". The most specific driver wins.
        """
        answer = answers.get(STATUS.key)
        if answer is None or answer.status != 200:
            return None
        document = answers.document(STATUS.key)
        if not isinstance(document, dict) or document.get("maker") != "Example Miners":
            return None
        return Identification(self.driver_type, Specificity.CERTAIN, _identity(document))

    # `identity_requests` and `decode_identity` may be added where model or MAC are told elsewhere than by the probes.

    # --- the status, every 15 seconds ---

    def status_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        """What is asked at each poll: one request where it can be. `context` tells what is known of the miner."""
        return (STATUS,)

    def decode_status(self, answers: Answers, context: DecodeContext) -> Reading:
        """The answers to `status_requests` as a reading.

        Three rules. Units: never multiply, call the function of `exporter.units` that names the unit the device speaks.
        Unknown: what the device does not say stays None; None gives no sample, and zero is a value. Strict: read
        through `fields` only, which take numbers written as text, and raise `DecodeError` for anything that is none:
        a changed firmware must show as an error, never as a wrong figure.
        """
        document = _status(answers)
        state = fields.text(document, "state", limit=32)
        return Reading(
            identity=_identity(document),
            state=_STATES.get(state or ""),
            # False while the miner is stopped on purpose, so that nobody is woken by an alarm.
            expected_mining=None if state is None else state != "paused",
            work_mode=fields.text(document, "mode", limit=32),
            uptime=_seconds(document, "uptime_s"),
            hashrate=_hashrate(document, "hashrate_ghs"),
            hashrate_average=_hashrate(document, "hashrate_1h_ghs"),
            power=_watts(document, "power_w"),
            fans=_fans(document),
            boards=_boards(document),
            pools=tuple(
                _pool(index, entry, context.received_at) for index, entry in enumerate(fields.tables(document, "pools"))
            ),
            best_share_difficulty=_best_share(document),
        )

    # --- the slow rest, every 60 seconds ---

    def telemetry_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        """What changes seldom or is dear to ask: settings, chips. Leave both functions out where there is no such."""
        return (SETTINGS,)

    def decode_telemetry(self, answers: Answers, context: DecodeContext) -> Reading:
        """Only the part that these answers tell; it is joined to the status."""
        document = answers.optional_document(SETTINGS.key)
        if document is None:
            return Reading()
        document = fields.as_table(document, SETTINGS.key)
        return Reading(
            work_modes=_modes(document),
            power_limit=_watts(document, "power_limit_w"),
        )

    #: (pattern, reason): keys that are left out on purpose. A pattern is "<request key> <path>"; lists are written as
    #: [] and * stands for anything. Secrets belong here: they are read by nobody, and recordings mask them.
    ignored_keys: ClassVar[tuple[tuple[str, str], ...]] = (
        (f"{STATUS.key} wifi_password", "a secret"),
        (f"{SETTINGS.key} display.*", "the screen's brightness is no figure of a miner"),
    )

    # --- commands ---
    #
    # All are optional: whether a driver offers one is found from the methods it has (exporter/drivers/commands.py lists
    # them: restart, pause and resume, identify_light, modes, presets, tuning, pool, fan). A driver sends nothing here
    # either. It makes a plan, which the program shows to a person, carries out, and then checks in later readings:
    # many devices answer "ok" and change nothing, and then the command ends as unconfirmed.

    def restart(self, context: CommandContext) -> Plan:
        """Restart the miner."""
        return Plan(
            effect="The miner restarts and mines again in about a minute.",
            # Never `repeatable`: the device may have begun to restart although its answer got lost. `answers=False`
            # would say that it goes away without an answer; this one answers first.
            writes=lambda _: (Write(RESTART),),
            check=_check_said_ok,
            # It counts its uptime from zero again. That the device said "ok" proves nothing.
            confirmed=_restarted,
            goes_away=True,
            settle_seconds=5.0,
            limit_seconds=_RESTART_SECONDS,
        )

    def supported_modes(self, context: CommandContext) -> tuple[str, ...]:
        """The modes that this device told; never more than that."""
        return () if context.reading is None else context.reading.work_modes

    def set_mode(self, mode: str, context: CommandContext) -> Plan:
        """Change the mode of work. The program has checked that `supported_modes` has it."""
        if context.reading is not None and context.reading.work_mode == mode:
            raise CommandRefused(f"the miner works in mode {mode} already")
        request = HttpRequest("/api/mode", method="POST", body=json.dumps({"mode": mode}).encode())
        return Plan(
            effect=f"The miner works in mode {mode} from now on.",
            # Sent twice it does no harm, so it may be repeated after a lost answer.
            writes=lambda _: (Write(request, repeatable=True),),
            check=_check_said_ok,
            confirmed=lambda evidence: evidence.after.work_mode == mode,
        )


# --- the parts of a reading ---------------------------------------------------------------------------------------
#
# Small functions, each with one part. They are outside the class because they need nothing of it.


def _status(answers: Answers) -> dict[str, Any]:
    """The status as an object. A required answer that is missing or no JSON raises `DecodeError` here."""
    document = fields.as_table(answers.document(STATUS.key), STATUS.key)
    if "hashrate_ghs" not in document:
        # Without this, an answer that is valid JSON but no status ("{}") would be an empty reading.
        raise DecodeError(f"{STATUS.key}: hashrate_ghs is missing")
    return document


def _identity(document: Mapping[str, Any]) -> Identity:
    """MAC or serial number: they stay with the miner when its address changes. At least one should be told."""
    return Identity(
        mac=normal_mac(fields.text(document, "mac", limit=32)),
        serial=fields.text(document, "serial", limit=64),
        make="Example Miners",
        model=fields.text(document, "product", limit=64),
        firmware="Example",
        firmware_version=fields.text(document, "firmware", limit=32),
        hostname=fields.text(document, "hostname", limit=64),
    )


def _hashrate(document: Mapping[str, Any], key: str) -> HashesPerSecond | None:
    value = fields.count(document, key)
    return None if value is None else gigahashes_per_second(value)


def _watts(document: Mapping[str, Any], key: str) -> Watts | None:
    value = fields.count(document, key)
    return None if value is None else watts(value)


def _seconds(document: Mapping[str, Any], key: str) -> Seconds | None:
    value = fields.duration(document, key)
    return None if value is None else seconds(value)


def _fans(document: Mapping[str, Any]) -> tuple[Fan, ...]:
    """Every fan by the device's own number."""
    return tuple(
        Fan(str(index), speed=_rpm(entry), duty=_duty(entry))
        for index, entry in enumerate(fields.tables(document, "fans"))
    )


def _rpm(entry: Mapping[str, Any]) -> Rpm | None:
    value = fields.count(entry, "rpm", "fans")
    return None if value is None else rpm(value)


def _duty(entry: Mapping[str, Any]) -> Ratio | None:
    value = fields.count(entry, "percent", "fans")
    return None if value is None else percent(value)


def _boards(document: Mapping[str, Any]) -> tuple[Board, ...]:
    """One board with one chip. A miner with several boards gives one `Board` for each, numbered as it counts them."""
    chip = fields.table(document, "chip")
    if chip is None:
        return ()
    warm = fields.number(chip, "temperature_c", "chip")
    return (
        Board(
            board="0",
            chip_model=fields.text(chip, "model", "chip", limit=32),
            hashrate=_hashrate(document, "hashrate_ghs"),
            temperatures=() if warm is None else (Temperature("chip", celsius(warm)),),
            frequency=_frequency(chip),
            voltage=_voltage(chip),
        ),
    )


def _frequency(chip: Mapping[str, Any]) -> Hertz | None:
    value = fields.count(chip, "frequency_mhz", "chip")
    return None if value is None else megahertz(value)


def _voltage(chip: Mapping[str, Any]) -> Volts | None:
    value = fields.count(chip, "voltage_mv", "chip")
    return None if value is None else millivolts(value)


def _pool(index: int, entry: Mapping[str, Any], now: float) -> Pool:
    """A pool. Devices tell ages ("12 seconds ago"); `now` is when the answer came, since a driver has no clock."""
    age = fields.duration(entry, "last_share_s_ago", "pools")
    last: UnixSeconds | None = None if age is None or age > now else unix_seconds(now - age)
    return Pool(
        pool=str(index),
        url=fields.text(entry, "url", "pools"),
        user=fields.text(entry, "user", "pools"),
        active=fields.flag(entry, "active", "pools"),
        accepted=fields.count(entry, "accepted", "pools"),
        rejected=fields.count(entry, "rejected", "pools"),
        last_share=last,
    )


def _best_share(document: Mapping[str, Any]) -> Any:
    value = fields.suffixed_number(document, "best_share")  # "4.29G"
    return None if value is None or value < 0 else difficulty(value)


def _modes(document: Mapping[str, Any]) -> tuple[str, ...]:
    modes = fields.array(document, "modes", SETTINGS.key)
    found = (fields.text({"mode": mode}, "mode", SETTINGS.key, limit=32) for mode in modes)
    return tuple(mode for mode in found if mode is not None and mode.isalnum())


def _check_said_ok(answers: Answers) -> None:
    """The device answers {"ok": false, "message": "..."} where it refuses; its words are what a person is shown."""
    for key, answer in answers.items():
        if answer.status != 200:
            continue  # a refusal in any case
        document = fields.as_table(answers.document(key), key)
        if fields.flag(document, "ok", key) is False:
            raise CommandRefused(fields.text(document, "message", key) or "the miner refuses")


def _restarted(evidence: Evidence) -> bool:
    before = None if evidence.before is None else evidence.before.uptime
    after = evidence.after.uptime
    if after is None:
        return False
    # One that had just started may have counted past its old uptime before it was looked at; then its absence counts.
    return (before is not None and after < before) or (evidence.went_away and after <= _RESTART_SECONDS)
