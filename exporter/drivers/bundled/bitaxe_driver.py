"""Bitaxe and other boards on AxeOS 2.0 to 2.15 (ESP-Miner): one request tells everything.

Source: ESP-Miner 2.15 (system_api_json.c, power.c) and its OpenAPI description; field drift in older releases as
captured. AxeOS counts shares for the device, not for each pool: they stand with the pool in use.
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
)
from exporter.drivers.families import axeos
from exporter.drivers.families.axeos_boards import BOARD_TYPES, BoardType, Regulator
from exporter.drivers.families.axeos_commands import ASIC, AxeOsCommands
from exporter.drivers.families.esp_commands import release
from exporter.model import Board, Chip, DeviceError, Fan, Identity, MinerState, Pool, Psu, Reading, Temperature, replace
from exporter.units import Celsius, Hashes, HashesPerSecond, celsius

_FIRMWARE: Final = "AxeOS"
_KEPT_INFO: Final = HttpRequest(axeos.INFO.path, keep_alive=True)
_MEMORY: Final = {"all": "freeHeap", "internal": "freeHeapInternal", "spiram": "freeHeapSpiram"}


class BitaxeDriver(AxeOsCommands, Driver):
    """AxeOS over HTTP."""

    driver_type: ClassVar[str] = "bitaxe"
    driver_version: ClassVar[str] = "1.1.0"
    display_name: ClassVar[str] = "Bitaxe (AxeOS)"
    manufacturer: ClassVar[str] = "Bitaxe"
    supported_models: ClassVar[tuple[str, ...]] = (
        "Bitaxe Max",
        "Bitaxe Ultra",
        "Bitaxe Supra",
        "Bitaxe Gamma",
        "Bitaxe GammaDuo",
        "Bitaxe GammaTurbo",
        "Bitaxe Hex",
        "Bitaxe SupraHex",
    )
    connection_type: ClassVar[str] = "http"
    default_port: ClassVar[int | None] = 80
    interface_version: ClassVar[int] = 1

    #: Its web server has 7 (2.0) to 20 (2.12) sockets and leaks when they are opened and closed often
    #: (ESP-Miner #356, #262, #1793): one request at a time, and no connection left open where there are few sockets.
    rules: ClassVar[ConnectionRules] = ConnectionRules(keep_alive=False, timeout_seconds=5.0)
    probes: ClassVar[tuple[Request, ...]] = (axeos.INFO,)

    ignored_keys: ClassVar[tuple[tuple[str, str], ...]] = (
        *(
            (f"{axeos.INFO.key} {key}", reason)
            for reason, keys in (
                ("the Wi-Fi network and its password are nobody's business", ("ssid", "wifiPass")),
                ("the address is known, and is no identity", ("ipv4", "ipv6", "fullHostname", "mdnsHostname")),
                ("said better by wifiRSSI and by the answer itself", ("wifiStatus", "apEnabled")),
                (
                    "screen and web interface",
                    ("display", "rotation", "flipscreen", "invertscreen", "displayTimeout", "useCustomWWW"),
                ),
                ("settings of the fan that say nothing of its state", ("manualFanSpeed", "minFanSpeed")),
                ("settings of the fan that say nothing of its state", ("invertfanpolarity",)),
                ("limits of the board type, not a configured limit", ("maxPower", "nominalVoltage")),
                ("a fixed property of the chip", ("smallCoreCount", "isPSRAMAvailable")),
                ("a share of the counted errors", ("errorPercentage",)),
                ("an average between those that are read", ("hashRate_1m",)),
                ("the sum over the chips that are read one by one", ("hashrateMonitor.hashrate",)),
                ("a part of one chip", ("hashrateMonitor.asics[].domains",)),
                ("log settings", ("statsFrequency", "statsLimit")),
                ("what runs is in version", ("axeOSVersion", "idfVersion", "runningPartition", "partitions*")),
                ("whether frequency and voltage may be set freely", ("overclockEnabled",)),
                ("how the pool is reached, not how it fares", ("poolAddrFamily", "poolConnectionInfo")),
                (
                    "pool settings beside its address and user",
                    ("*tratumSuggestedDifficulty", "*tratumExtranonceSubscribe", "*tratumTLS", "*tratumCert"),
                ),
                (
                    "pool settings beside its address and user",
                    ("*tratumDecodeCoinbase", "*tratumProtocol", "*tratumV2*", "useFallbackStratum"),
                ),
                ("a secret, starred out", ("pools[].stratumPassword",)),
                ("about the block being worked on, not about the miner", ("blockHeight", "scriptsig")),
                ("about the block being worked on, not about the miner", ("blockSignals*", "coinbase*")),
                ("a notice on the screen", ("showNewBlock",)),
                ("the logarithm of totalHashes", ("totalLog2Work",)),
                ("the sum of all uptimes, no state", ("totalUptimeSeconds",)),
                ("inner workings of the firmware", ("cpuUsage", "processTime", "responseShareBatch")),
                ("low-water marks of the memory", ("minFreeHeap", "maxAllocHeap")),
                ("shares under way, settled a moment later", ("sharesPending",)),
                ("percent in 2.0 and rpm in some builds of 2.1; fanspeed and fanrpm say it", ("fanSpeed",)),
            )
            for key in keys
        ),
        *(
            (f"{ASIC.key} {key}", reason)
            for key, reason in (
                ("swarmColor", "the colour of the web interface"),
                ("asicCount", "a property of the board type"),
                ("default*", "what could be set, not what is"),
                ("*Options", "what could be set, not what is"),
            )
        ),
    )

    def identify(self, answers: Answers) -> Identification | None:
        document = axeos.probed_info(answers)
        if document is None or "ASICModel" not in document or axeos.has_nerd_marks(document):
            return None
        if "boardVersion" not in document:
            return None
        return Identification(self.driver_type, Specificity.CERTAIN, _identity(document))

    def identity_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return () if context.identity.model is not None else (ASIC,)

    def decode_identity(self, answers: Answers, context: DecodeContext) -> Identity:
        """The name of boards whose version number tells nothing (third-party ones)."""
        document = answers.optional_document(ASIC.key)
        if document is None:
            return Identity()
        document = fields.as_table(document, ASIC.key)
        named = fields.text(document, "deviceModel", limit=64)
        chip = fields.text(document, "ASICModel", limit=64)
        return Identity(model=context.identity.model or named or chip)

    def status_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return (_KEPT_INFO,) if _has_many_sockets(context.identity.firmware_version) else (axeos.INFO,)

    def decode_status(self, answers: Answers, context: DecodeContext) -> Reading:
        document = axeos.info(answers)
        board_type = _board_type(document)
        hour, minutes = axeos.hashrate(document, "hashRate_1h"), axeos.hashrate(document, "hashRate_10m")
        now = axeos.hashrate(document, "hashRate")
        board = _board(document, board_type, now)
        reading = Reading(
            identity=_identity(document),
            uptime=axeos.uptime(document),
            hashrate=now,
            hashrate_average=hour or minutes,
            hashrate_expected=axeos.hashrate(document, "expectedHashrate"),
            hashes=_hashes(document),
            hardware_errors=board.hardware_errors,
            power=axeos.power(document),
            psus=_psus(document, board_type),
            fans=_fans(document, board_type),
            fans_expected=float(board_type.fans) if board_type else None,
            temperature_target=_temperature_target(document),
            boards=(board,),
            boards_expected=1.0,
            pools=_pools(document),
            best_share_difficulty=axeos.share_difficulty(document, "bestDiff"),
            session_best_share_difficulty=axeos.share_difficulty(document, "bestSessionDiff"),
            blocks_found=_blocks_found(document),
            network_difficulty=axeos.set_difficulty(document, "networkDifficulty"),
            memory_free=axeos.memory(document, _MEMORY),
            wifi_signal=axeos.wifi_signal(document),
            reset_reason=fields.text(document, "resetReason", limit=64),
        )
        return _with_state(reading, document)


def _has_many_sockets(version: str | None) -> bool:
    """Whether the release closes the socket unused the longest when all are taken (2.12 and later)."""
    known = release(version)
    return known is not None and known >= (2, 12)


def _board_type(document: Mapping[str, Any]) -> BoardType | None:
    return BOARD_TYPES.get(fields.text(document, "boardVersion", limit=32) or "")


def _identity(document: Mapping[str, Any]) -> Identity:
    """Make and model only where the board version is one of the project's own; others build boards too."""
    version = fields.text(document, "boardVersion", limit=32)
    board_type = _board_type(document)
    if board_type is not None:
        return axeos.same_device("Bitaxe", f"Bitaxe {board_type.family} {version}", _FIRMWARE, document)
    return axeos.same_device(None, fields.text(document, "deviceModel", limit=64), _FIRMWARE, document)


def _with_state(reading: Reading, document: Mapping[str, Any]) -> Reading:
    """State, faults and whether it is meant to mine. Releases without `miningPaused` cannot be paused."""
    overheat = fields.flag(document, "overheat_mode")
    paused = fields.flag(document, "miningPaused") or False
    errors = []
    if overheat:
        errors.append(DeviceError("overheat", "error", "temperature"))
    if fields.text(document, "power_fault"):
        errors.append(DeviceError("power_fault", "error", "power"))
    fault = fields.text(document, "hardware_fault")
    if fault:
        errors.append(DeviceError("hardware_fault", "error", "fan" if "fan" in fault.lower() else "board"))
    state = MinerState.FAULT if errors else axeos.running_state(reading.hashrate, stopped=paused)
    return replace(reading, state=state, expected_mining=not paused, overheat=overheat, errors=tuple(errors))


def _board(document: Mapping[str, Any], board_type: BoardType | None, now: HashesPerSecond | None) -> Board:
    chips = _chips(document)
    readings = [
        value for key in ("temp", "temp2") if (value := axeos.temperature(document, key)) is not None
    ]  # -1 or 0: no such sensor
    errors = [chip.hardware_errors for chip in chips if chip.hardware_errors is not None]
    counted = fields.count(document, "asicCount")
    actual, configured = axeos.frequency(document, "actualFrequency"), axeos.frequency(document, "frequency")
    return Board(
        board="0",
        up=None if now is None else now > 0,
        chip_model=fields.text(document, "ASICModel", limit=32),
        hashrate=now,
        hashrate_expected=axeos.hashrate(document, "expectedHashrate"),
        chips_working=float(sum(1 for chip in chips if chip.hashrate)) if chips else None,
        chips_expected=counted or (float(board_type.chips) if board_type else None),
        temperatures=tuple(
            Temperature(name, value)
            for name, key in (("1", "boardtemp1"), ("2", "boardtemp2"))
            if (value := axeos.temperature(document, key)) is not None
        ),
        chip_temperature_min=min(readings, default=None),
        chip_temperature_avg=celsius(sum(readings) / len(readings)) if readings else None,
        chip_temperature_max=max(readings, default=None),
        vreg_temperature=axeos.temperature(document, "vrTemp"),
        voltage=axeos.voltage(document, "coreVoltageActual"),
        voltage_target=axeos.voltage(document, "coreVoltage"),
        frequency=actual or configured,
        hardware_errors=sum(errors) if errors else None,
        chips=chips,
    )


def _chips(document: Mapping[str, Any]) -> tuple[Chip, ...]:
    monitor = fields.table(document, "hashrateMonitor")
    if monitor is None:
        return ()
    return tuple(
        Chip(str(index), hashrate=axeos.hashrate(entry, "total"), hardware_errors=fields.count(entry, "errorCount"))
        for index, entry in enumerate(fields.tables(monitor, "asics", "hashrateMonitor"))
    )


def _psus(document: Mapping[str, Any], board_type: BoardType | None) -> tuple[Psu, ...]:
    """Input voltage, and the current where the board is known to measure it there or behind the regulator."""
    voltage, current = axeos.voltage(document, "voltage"), axeos.current(document, "current")
    if voltage is None and current is None:
        return ()
    psu = Psu("0", input_voltage=voltage)
    if current is None or board_type is None:
        return (psu,)
    if board_type.regulator is Regulator.INA260:
        return (replace(psu, input_current=current),)
    return (replace(psu, output_current=current),)


def _fans(document: Mapping[str, Any], board_type: BoardType | None) -> tuple[Fan, ...]:
    """One fan, two where the board has two connectors or the second one turns."""
    speed_key = "fanrpm" if "fanrpm" in document else "fanSpeedRpm"
    first, second = axeos.fan("1", document, speed_key, "fanspeed"), axeos.fan("2", document, "fan2rpm", None)
    if second is not None and not second.speed and (board_type is None or board_type.fans < 2):
        second = None
    return tuple(fan for fan in (first, second) if fan is not None)


def _pools(document: Mapping[str, Any]) -> tuple[Pool, ...]:
    fallback = fields.flag(document, "isUsingFallbackStratum") or False
    flat = axeos.flat_pools(document, int(fallback))
    pools = _numbered_pools(document, fallback=fallback) or flat
    figures = replace(
        Pool(""),
        accepted=fields.count(document, "sharesAccepted"),
        rejected=fields.count(document, "sharesRejected"),
        rejections=axeos.rejections(document),
        difficulty=axeos.set_difficulty(document, "poolDifficulty") or axeos.set_difficulty(document, "stratumDiff"),
        response_time=axeos.response_time(document, "responseTime"),
        jobs_received=fields.count(document, "workReceived"),
    )
    return tuple(
        replace(figures, pool=pool.pool, url=pool.url, user=pool.user, active=True, priority=pool.priority)
        if pool.active
        else pool
        for pool in pools
    )


def _numbered_pools(document: Mapping[str, Any], *, fallback: bool) -> tuple[Pool, ...]:
    """The pools of 2.15, by their own number; the primary and the secondary are two of up to eight."""
    entries = fields.tables(document, "pools")
    order = [fields.count(document, "primaryPoolIndex"), fields.count(document, "secondaryPoolIndex")]
    pools = []
    for entry in entries:
        number = fields.count(entry, "id", "pools[]")
        if number is None:
            continue
        pools.append(
            Pool(
                f"{number:.0f}",
                url=axeos.pool_url(entry, "stratumURL", "stratumPort"),
                user=fields.text(entry, "stratumUser", "pools[]"),
                active=number == order[int(fallback)],
                priority=float(order.index(number)) if number in order else None,
            )
        )
    return tuple(pools)


def _temperature_target(document: Mapping[str, Any]) -> Celsius | None:
    """Only while the firmware steers the fan."""
    target = axeos.temperature(document, "temptarget")
    return target if fields.flag(document, "autofanspeed") else None


def _blocks_found(document: Mapping[str, Any]) -> float | None:
    """A count; a truth value in some releases between 2.11 and 2.13."""
    value = document.get("blockFound")
    return float(value) if isinstance(value, bool) else fields.count(document, "blockFound")


def _hashes(document: Mapping[str, Any]) -> Hashes | None:
    value = fields.count(document, "totalHashes")
    return None if value is None else Hashes(value)
