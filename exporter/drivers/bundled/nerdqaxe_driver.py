"""NerdQAxe, NerdAxe, NerdOCTAXE and their relatives on ESP-Miner-NerdQAxePlus.

Source: ESP-Miner-NerdQAxePlus (handler_system.cpp, stratum_manager_*.cpp, handler_can_swarm.cpp) and its v2 API
description. A board that leads others over CAN adds their hash rate to its own in ``hashRate``; they are miners of
their own, so only its own share is shown.
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
from exporter.drivers.families.nerdqaxe_commands import NerdQAxeCommands
from exporter.model import Board, Chip, Fan, Identity, Pool, Psu, Reading, Temperature, replace
from exporter.units import Celsius, HashesPerSecond, amperes, celsius, ratio

_CAN_NODES: Final = HttpRequest("/api/v2/can/nodes", optional=True)
#: `freeHeap` is the external memory here, unlike in AxeOS.
_MEMORY: Final = {"spiram": "freeHeap", "internal": "freeHeapInt"}
#: `stratum.activePoolMode`: 0 primary and fallback, 1 both pools at once.
_DUAL_POOL: Final = 1
#: `autofanspeed`: 0 manual, 1 by a curve, 2 by a target temperature.
_PID: Final = 2
#: Power of boards led over CAN below which there are none (W).
_NO_FLEET: Final = 0.5


class NerdQAxeDriver(NerdQAxeCommands, Driver):
    """ESP-Miner-NerdQAxePlus over HTTP."""

    driver_type: ClassVar[str] = "nerdqaxe"
    driver_version: ClassVar[str] = "1.1.0"
    display_name: ClassVar[str] = "NerdQAxe"
    manufacturer: ClassVar[str] = "NerdQAxe"
    supported_models: ClassVar[tuple[str, ...]] = (
        "NerdAxe",
        "NerdAxeGamma",
        "NerdQAxe+",
        "NerdQAxe++",
        "NerdHaxe",
        "NerdOCTAXE",
        "NerdEKO",
        "NerdQX",
    )
    connection_type: ClassVar[str] = "http"
    default_port: ClassVar[int | None] = 80
    interface_version: ClassVar[int] = 1

    #: The server closes after each answer and has ten sockets.
    rules: ClassVar[ConnectionRules] = ConnectionRules(keep_alive=False, timeout_seconds=5.0)
    probes: ClassVar[tuple[Request, ...]] = (axeos.INFO,)

    ignored_keys: ClassVar[tuple[tuple[str, str], ...]] = (
        *(
            (f"{axeos.INFO.key} {key}", reason)
            for reason, keys in (
                ("the Wi-Fi network is nobody's business", ("ssid",)),
                ("the address is known, and is no identity", ("hostip",)),
                ("said better by wifiRSSI and by the answer itself", ("wifiStatus",)),
                ("screen and web interface", ("flipscreen", "invertscreen", "autoscreenoff", "defaultTheme")),
                ("settings of the fan that say nothing of its state", ("manualFanSpeed", "invertfanpolarity")),
                ("settings of the fan that say nothing of its state", ("pidP", "pidI", "pidD")),
                ("settings of the fan that say nothing of its state", ("fans[].pid.*", "fans[].manualSpeed")),
                ("settings of the fan that say nothing of its state", ("fans[].mode", "fans[].overheatTemp")),
                ("the name of the fan's place", ("fans[].label",)),
                ("limits of the board type, not a configured limit", ("max*", "min*")),
                ("what could be set, not what is", ("default*", "overheat_temp", "jobInterval", "stratumDifficulty")),
                ("the switching frequency of the regulator", ("vrFrequency",)),
                ("a fixed property of the chip", ("smallCoreCount",)),
                ("averages between those that are read", ("hashRate_1m", "hashRate_1d")),
                ("the device's own clock", ("hashRateTimestamp",)),
                ("what runs is in version", ("runningPartition",)),
                ("whether writes need a one-time password", ("otp",)),
                ("pool settings beside its address and user", ("*tratumEnonceSubscribe", "*tratumTLS", "stratum_keep")),
                ("pool settings beside its address and user", ("*tratumProtocol", "*v2AuthorityPubkey")),
                ("pool settings beside its address and user", ("*v2ChannelType", "*oinbaseVerify*", "*oinbaseMaxFee")),
                ("about the block being worked on, not about the miner", ("blockHeaders*",)),
                ("how shares are split between two pools", ("stratum.poolBalance", "stratum.poolMode")),
                ("best of all time, as bestDiff", ("stratum.totalBestDiff",)),
                (
                    "inner state of the pool connection",
                    ("stratum.pools[].verifyBlocked", "stratum.pools[].poolDiffErr"),
                ),
                ("inner state of the pool connection", ("stratum.pools[].activeProtocol", "stratum.pools[].encrypted")),
                ("per pool; the device's best is read", ("stratum.pools[].bestDiff",)),
                ("said once for the device", ("stratum.pools[].networkDifficulty",)),
                ("blocks since the start; all of them are read", ("foundBlocks",)),
                ("the charts of the web interface", ("history*",)),
                ("whether CAN hardware is there; can.enabled decides", ("can.hasExtension",)),
            )
            for key in keys
        ),
        (f"{_CAN_NODES.key} fleet.*", "the sum over boards that are miners of their own"),
        (f"{_CAN_NODES.key} nodes[].*", "the system information tells it, but for the hash rate of the leading board"),
    )

    def identify(self, answers: Answers) -> Identification | None:
        document = axeos.probed_info(answers)
        if document is None or not axeos.has_nerd_marks(document):
            return None
        can = document.get("can")
        leads = isinstance(can, dict) and can.get("enabled") is True
        return Identification(
            self.driver_type, Specificity.CERTAIN, _identity(document), {"can": "leads"} if leads else {}
        )

    def status_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return (axeos.INFO, _CAN_NODES) if context.details.get("can") == "leads" else (axeos.INFO,)

    def decode_status(self, answers: Answers, context: DecodeContext) -> Reading:
        document = axeos.info(answers)
        stratum = fields.table(document, "stratum") or {}
        own = _own_hashrate(document, answers)
        shutdown = fields.flag(document, "shutdown") or False
        total_blocks, blocks = fields.count(document, "totalFoundBlocks"), fields.count(document, "foundBlocks")
        hour, minutes = axeos.hashrate(document, "hashRate_1h"), axeos.hashrate(document, "hashRate_10m")
        return Reading(
            identity=_identity(document),
            state=axeos.running_state(own, stopped=shutdown),
            expected_mining=not shutdown,
            uptime=axeos.uptime(document),
            hashrate=own,
            hashrate_average=hour or minutes,
            duplicate_nonces=fields.count(document, "duplicateHWNonces"),
            power=axeos.power(document),
            psus=_psus(document),
            fans=_fans(document),
            fans_expected=axeos.positive(document, "fanCount"),
            temperature_target=_temperature_target(document),
            boards=(_board(document, own),),
            boards_expected=1.0,
            pools=_pools(document, stratum),
            best_share_difficulty=axeos.share_difficulty(document, "bestDiff"),
            session_best_share_difficulty=axeos.share_difficulty(document, "bestSessionDiff"),
            blocks_found=blocks if total_blocks is None else total_blocks,
            network_difficulty=axeos.set_difficulty(document, "networkDifficulty"),
            memory_free=axeos.memory(document, _MEMORY),
            wifi_signal=axeos.wifi_signal(document),
            reset_reason=fields.text(document, "lastResetReason", limit=64),
        )


def _identity(document: Mapping[str, Any]) -> Identity:
    return axeos.same_device("NerdQAxe", fields.text(document, "deviceModel", limit=64), "NerdQAxe", document)


def _own_hashrate(document: Mapping[str, Any], answers: Answers) -> HashesPerSecond | None:
    """The board's own hash rate; unknown where others' are in the sum and nobody tells it apart."""
    total = axeos.hashrate(document, "hashRate")
    can = fields.table(document, "can") or {}
    if not fields.flag(can, "enabled", "can"):
        return total
    fleet, own_power = fields.count(can, "fleetPower", "can"), fields.count(document, "power")
    nodes = answers.optional_document(_CAN_NODES.key)
    if nodes is not None:
        for node in fields.tables(fields.as_table(nodes, _CAN_NODES.key), "nodes"):
            if fields.flag(node, "isMaster", "nodes[]"):
                return axeos.hashrate(node, "hashRate")
    alone = fleet is not None and own_power is not None and fleet - own_power < _NO_FLEET
    return total if alone else None


def _board(document: Mapping[str, Any], own: HashesPerSecond | None) -> Board:
    chips = _chips(document)
    measured = [chip.temperature for chip in chips if chip.temperature is not None]
    hottest = axeos.temperature(document, "temp")
    inside = axeos.temperature(document, "vrTempInt")
    return Board(
        board="0",
        up=None if own is None else own > 0,
        chip_model=fields.text(document, "ASICModel", limit=32),
        hashrate=own,
        chips_expected=axeos.positive(document, "asicCount"),
        temperatures=() if inside is None else (Temperature("regulator", inside),),
        chip_temperature_min=min(measured, default=None),
        chip_temperature_avg=celsius(sum(measured) / len(measured)) if measured else None,
        chip_temperature_max=hottest if hottest is not None else max(measured, default=None),
        vreg_temperature=axeos.temperature(document, "vrTemp"),
        voltage=axeos.voltage(document, "coreVoltageActual"),
        voltage_target=axeos.voltage(document, "coreVoltage"),
        frequency=axeos.frequency(document, "frequency"),
        chips=chips,
    )


def _chips(document: Mapping[str, Any]) -> tuple[Chip, ...]:
    """The chips whose temperature is measured; 0 means that it is not."""
    values = fields.array(document, "asicTemps")
    entries = [{"asicTemp": value} for value in values]
    temperatures = [axeos.temperature(entry, "asicTemp") for entry in entries]
    return tuple(Chip(str(index), temperature=value) for index, value in enumerate(temperatures) if value is not None)


def _psus(document: Mapping[str, Any]) -> tuple[Psu, ...]:
    voltage, current = axeos.voltage(document, "voltage"), axeos.current(document, "current")
    whole = fields.count(document, "currentA")
    if current is None and whole is not None:
        current = amperes(whole)
    return () if voltage is None and current is None else (Psu("0", input_voltage=voltage, input_current=current),)


def _fans(document: Mapping[str, Any]) -> tuple[Fan, ...]:
    """By channel from 0: the list of newer releases, else the flat keys (a second fan only where there is one)."""
    entries = enumerate(fields.tables(document, "fans"))
    listed = [axeos.fan(str(channel), entry, "rpm", "speedPerc") for channel, entry in entries]
    first = axeos.fan("0", document, "fanrpm", "fanspeed")
    second = axeos.fan("1", document, "fanrpm2", "fanspeed2")
    if second is not None and not second.speed and (fields.count(document, "fanCount") or 0) < 2:
        second = None
    return tuple(fan for fan in (listed or (first, second)) if fan is not None)


def _pools(document: Mapping[str, Any], stratum: Mapping[str, Any]) -> tuple[Pool, ...]:
    """Both configured pools; figures per pool from `stratum`, which lists only the selected one unless both work."""
    entries = fields.tables(stratum, "pools", "stratum")
    dual = fields.number(stratum, "activePoolMode", "stratum") == _DUAL_POOL
    old, new = fields.flag(document, "isUsingFallbackStratum"), fields.flag(stratum, "usingFallback", "stratum")
    selected = int((old if new is None else new) or False)
    whole_device = _device_figures(document)
    pools = []
    for pool in axeos.flat_pools(document, selected):
        number = int(pool.pool)
        active = dual or number == selected
        index = number if dual else 0
        if active and index < len(entries):
            pool = _with_figures(pool, entries[index])
        elif active and not dual:
            pool = replace(whole_device, pool=pool.pool, url=pool.url, user=pool.user, priority=pool.priority)
        pools.append(replace(pool, active=active))
    return tuple(pools)


def _device_figures(document: Mapping[str, Any]) -> Pool:
    """What releases without the `stratum` object tell; it is about the selected pool."""
    loss = fields.count(document, "recentpingloss")
    return Pool(
        "",
        up=fields.flag(document, "isStratumConnected"),
        accepted=fields.count(document, "sharesAccepted"),
        rejected=fields.count(document, "sharesRejected"),
        difficulty=axeos.set_difficulty(document, "poolDifficulty"),
        response_time=axeos.response_time(document, "lastpingrtt"),
        ping_loss=None if loss is None else ratio(loss),
    )


def _with_figures(pool: Pool, entry: Mapping[str, Any]) -> Pool:
    where = "stratum.pools[]"
    loss = fields.count(entry, "pingLoss", where)
    return replace(
        pool,
        up=fields.flag(entry, "connected", where),
        accepted=fields.count(entry, "accepted", where),
        rejected=fields.count(entry, "rejected", where),
        difficulty=axeos.set_difficulty(entry, "poolDifficulty"),
        response_time=axeos.response_time(entry, "pingRtt"),
        ping_loss=None if loss is None else ratio(loss),
    )


def _temperature_target(document: Mapping[str, Any]) -> Celsius | None:
    target = axeos.temperature(document, "pidTargetTemp")
    return target if fields.number(document, "autofanspeed") == _PID else None
