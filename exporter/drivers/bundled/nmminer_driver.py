"""NMMiner and NMAxe: 2.x over HTTP, NMMiner 0.3 to 1.x by the datagrams it broadcasts.

Sources: NMController's README (datagram), the NMMiner wiki and ESP-Miner-NMAxe's API description (HTTP). The hash rate
is in GH/s in the system information and in H/s in ``/probe`` and in the datagram. No answer holds a MAC.
"""

from __future__ import annotations

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
    Stream,
)
from exporter.drivers.families import axehub, axeos
from exporter.drivers.families.nmminer_commands import NMMinerCommands
from exporter.errors import DecodeError, TooLarge
from exporter.model import Board, Fan, Identity, Pool, Psu, Reading, Temperature
from exporter.protocols import nmminer
from exporter.units import HashesPerSecond, hashes_per_second, kibibytes, seconds

_PROBE: Final = HttpRequest("/probe")
_INFO: Final = axeos.INFO


class NMMinerDriver(NMMinerCommands, Driver):
    """NMMiner over HTTP and UDP."""

    driver_type: ClassVar[str] = "nmminer"
    driver_version: ClassVar[str] = "1.1.0"
    display_name: ClassVar[str] = "NMMiner and NMAxe"
    manufacturer: ClassVar[str] = "NMTech"
    supported_models: ClassVar[tuple[str, ...]] = ("NMMiner", "NMLotto", "NMAxe", "NMAxeGamma", "NMQAxe++")
    connection_type: ClassVar[str] = "http"
    default_port: ClassVar[int | None] = 80
    interface_version: ClassVar[int] = 1

    rules: ClassVar[ConnectionRules] = ConnectionRules(keep_alive=False, timeout_seconds=5.0)
    probes: ClassVar[tuple[Request, ...]] = (_INFO, _PROBE, axehub.INFO)

    ignored_keys: ClassVar[tuple[tuple[str, str], ...]] = (
        *(
            (f"{_INFO.key} {key}", reason)
            for reason, keys in (
                ("a secret", ("stratum.pwd",)),
                ("the Wi-Fi network is nobody's business", ("identity.ssid",)),
                ("the name on the screen", ("identity.displayName",)),
                ("the build; the version is read", ("identity.appSha256",)),
                ("file system, no state", ("storage.*",)),
                ("low-water mark of the memory", ("miner.minFreeHeap",)),
                ("the sum of all uptimes, no state", ("miner.uptimeEver",)),
                ("one share's difficulty", ("miner.lastDiff",)),
                ("words for paused", ("miner.state", "miner.pauseReason")),
                ("a fixed property of the chip", ("asic.smallCoreCnt",)),
            )
            for key in keys
        ),
        *(
            (f"{_PROBE.key} {key}", reason)
            for key, reason in (
                ("sw", "the size of the screen"),
                ("sh", "the size of the screen"),
                ("hr", "the status tells it"),
                ("sbd", "the status tells it"),
                ("ebd", "the status tells it"),
                ("ut", "the status tells it"),
            )
        ),
        (f"{axehub.INFO.key} *", "names a device that another way of polling would be needed for"),
        *(
            (f"udp {key}", reason)
            for key, reason in (
                ("IP", "the sender's address is known"),
                ("ip", "the sender's address is known"),
                ("LastDiff", "one share's difficulty"),
                ("Progress", "a bar on the screen"),
                ("Valid", "no document says what it counts"),
            )
        ),
    )

    def identify(self, answers: Answers) -> Identification | None:
        probe, info = _object(answers, _PROBE.key), _object(answers, _INFO.key)
        identity, miner = info.get("identity"), info.get("miner")
        if not isinstance(identity, dict) or not isinstance(miner, dict) or "hashRate" not in miner:
            return axehub.seen(answers)
        if not any(str(model).upper().startswith("NM") for model in (probe.get("model"), identity.get("hwModel"))):
            return None
        return Identification(self.driver_type, Specificity.CERTAIN, _identity(info, probe), {"api": "http"})

    def identify_datagram(self, data: bytes) -> Identification | None:
        try:
            document = nmminer.parse_datagram(data)
        except (DecodeError, TooLarge):
            return None
        if not isinstance(document.get("BoardType", ""), str):
            return None
        return Identification(self.driver_type, Specificity.CERTAIN, _datagram_identity(document), {"api": "udp"})

    def new_stream(self) -> Stream:
        return NMMinerStream()

    def status_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        """None for what broadcasts: its stream tells everything."""
        return () if context.details.get("api") == "udp" else (_INFO,)

    def decode_status(self, answers: Answers, context: DecodeContext) -> Reading:
        document = fields.as_table(answers.document(_INFO.key), _INFO.key)
        miner = fields.table(document, "miner")
        if miner is None:
            raise DecodeError(f"{_INFO.key}: miner is missing")
        now = axeos.hashrate(miner, "hashRate")
        paused = fields.flag(miner, "paused", "miner") or False
        power = fields.table(document, "power") or {}
        identity = fields.table(document, "identity") or {}
        return Reading(
            identity=_identity(document, {}),
            state=axeos.running_state(now, stopped=paused),
            expected_mining=not paused,
            uptime=axeos.uptime(miner),
            hashrate=now,
            power=axeos.power(power),
            psus=_psus(power),
            fans=_fans(document),
            boards=(_board(document, now),),
            boards_expected=1.0,
            pools=_pools(document, miner),
            best_share_difficulty=axeos.share_difficulty(miner, "bestDiffEver"),
            session_best_share_difficulty=axeos.share_difficulty(miner, "bestDiffSession"),
            blocks_found=fields.count(miner, "blkhits", "miner"),
            network_difficulty=axeos.set_difficulty(miner, "networkDiff"),
            memory_free=axeos.memory(miner, {"all": "freeHeap"}),
            wifi_signal=axeos.wifi_signal(identity, "rssi"),
        )


class NMMinerStream:
    """One sender's datagrams. Each one is a whole status."""

    period: float = 5.0

    def feed(self, data: bytes, now: float) -> tuple[Reading, ...]:
        """The reading in one datagram. Raises `DecodeError` or `TooLarge` where it holds none."""
        return (decode_datagram(nmminer.parse_datagram(data)),)


def decode_datagram(document: Mapping[str, Any]) -> Reading:
    """The reading in a parsed datagram."""
    where = "udp"
    rate_text, share_text = fields.text(document, "HashRate", where), fields.text(document, "Share", where)
    now = None if rate_text is None else hashes_per_second(nmminer.hash_rate(rate_text))
    rejected, accepted = (None, None) if share_text is None else nmminer.shares(share_text)
    uptime, heap = fields.duration(document, "Uptime", where), fields.count(document, "FreeHeap", where)
    warmth = axeos.temperature(document, "Temp")
    return Reading(
        identity=_datagram_identity(document),
        state=axeos.running_state(now, stopped=False),
        expected_mining=True,
        uptime=None if uptime is None else seconds(uptime),
        hashrate=now,
        boards=(
            Board(
                board="0",
                up=None if now is None else now > 0,
                hashrate=now,
                temperatures=() if warmth is None else (Temperature("0", warmth),),
            ),
        ),
        boards_expected=1.0,
        pools=(
            Pool(
                "0",
                url=fields.text(document, "PoolInUse", where),
                active=True,
                accepted=accepted,
                rejected=rejected,
                difficulty=axeos.set_difficulty(document, "PoolDiff"),
            ),
        ),
        best_share_difficulty=axeos.share_difficulty(document, "BestDiff"),
        network_difficulty=axeos.set_difficulty(document, "NetDiff"),
        memory_free=() if heap is None else (("all", kibibytes(heap)),),
        wifi_signal=axeos.wifi_signal(document, "RSSI"),
    )


def _object(answers: Answers, key: str) -> Mapping[str, Any]:
    """A probe's answer, empty where it is missing or is no object."""
    try:
        document = answers.optional_document(key)
    except DecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _identity(info: Mapping[str, Any], probe: Mapping[str, Any]) -> Identity:
    """The system information's words, completed from `/probe`, which names the maker's line only ("NMMiner")."""
    identity = fields.table(info, "identity") or {}
    told = [fields.text(identity, key, "identity", 64) for key in ("hwModel", "fwVersion", "hostName")]
    probed = [fields.text(probe, key, "probe", 64) for key in ("model", "ver", "hostname")]
    model, version, hostname = (first or second for first, second in zip(told, probed, strict=True))
    make = "NMAxe" if model is not None and "axe" in model.lower() else "NMMiner"
    return Identity(make=make, model=model, firmware=make, firmware_version=version, hostname=hostname)


def _datagram_identity(document: Mapping[str, Any]) -> Identity:
    return Identity(
        make="NMMiner",
        model=fields.text(document, "BoardType", "udp", 64),
        firmware="NMMiner",
        firmware_version=fields.text(document, "Version", "udp", 64),
    )


def _board(document: Mapping[str, Any], now: HashesPerSecond | None) -> Board:
    asic, temps = fields.table(document, "asic") or {}, fields.table(document, "temps") or {}
    return Board(
        board="0",
        up=None if now is None else now > 0,
        chip_model=fields.text(asic, "model", "asic", 32),
        hashrate=now,
        chips_working=fields.count(asic, "count", "asic"),
        chip_temperature_max=axeos.temperature(temps, "asic"),
        vreg_temperature=axeos.temperature(temps, "vcore"),
        voltage=axeos.voltage(asic, "vcoreReal"),
        voltage_target=axeos.voltage(asic, "vcoreReq"),
        frequency=axeos.frequency(asic, "freqReq"),
    )


def _psus(power: Mapping[str, Any]) -> tuple[Psu, ...]:
    voltage, current = axeos.voltage(power, "vbus"), axeos.current(power, "ibus")
    return () if voltage is None and current is None else (Psu("0", input_voltage=voltage, input_current=current),)


def _fans(document: Mapping[str, Any]) -> tuple[Fan, ...]:
    fans = []
    for index, entry in enumerate(fields.tables(document, "fans")):
        number = fields.text(entry, "id", "fans[]", 16) or str(index)
        fans.append(axeos.fan(number, entry, "rpm", "speed"))
    return tuple(fan for fan in fans if fan is not None)


def _pools(document: Mapping[str, Any], miner: Mapping[str, Any]) -> tuple[Pool, ...]:
    """The pool in use; the other one stands in the settings only."""
    stratum = fields.table(document, "stratum") or {}
    return (
        Pool(
            "0",
            url=fields.text(stratum, "url", "stratum"),
            user=fields.text(stratum, "user", "stratum"),
            active=True,
            accepted=fields.count(miner, "sAccepted", "miner"),
            rejected=fields.count(miner, "sRejected", "miner"),
            difficulty=axeos.set_difficulty(miner, "poolDiff"),
        ),
    )
