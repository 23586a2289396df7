"""A made-up flock in which every kind of record is there once."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from exporter.engine.fleet import MinerRecord, SeenHost, UsbRecord
from exporter.model import (
    Board,
    Chip,
    ChipGrade,
    DeviceError,
    Fan,
    Identity,
    MinerState,
    Pool,
    Preset,
    Psu,
    Reading,
    Temperature,
)
from exporter.model_usb import UsbCondition, UsbState, UsbStatus, UsbView
from exporter.store.rows import MinerRow, ModelRow

#: Device text as nasty as it may get after cleaning: mark-up, quotes, a formula, a right-to-left override.
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}=cmd|"
BTC_ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
BCH_ADDRESS = "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"
DAY = 86400.0


def mac(number: int) -> str:
    return f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"


def pools(worker: str, accepted: float | None = 1520.0, rejected: float | None = 6.0) -> tuple[Pool, ...]:
    """The owner's pool, a spare one, and the firmware developer's."""
    return (
        Pool(
            "0",
            url="stratum+tcp://solo.ckpool.org:3333",
            user=f"{BTC_ADDRESS}.{worker}",
            up=True,
            active=True,
            priority=0.0,
            accepted=accepted,
            rejected=rejected,
            stale=1.0,
            rejections=(("stale", 2.0), ("duplicate", 1.0)),
            difficulty=65536.0,
            difficulty_accepted=9.9e7,
            last_share=time.time() - 20,
            response_time=0.041,
        ),
        Pool("1", url="stratum+tcp://public-pool.io:21496", user=f"{BTC_ADDRESS}.{worker}", up=False, active=False),
    )


FEE_POOL = Pool("2", url="DevFee", user="developer", up=True, active=False, fee=True, accepted=31.0, rejected=0.0)


def small_reading(rate: float = 1.07e12, worker: str = "rig", **changes: Any) -> Reading:
    """A miner with one board and one fan, as a Bitaxe."""
    board = Board(
        "0",
        up=True,
        chip_model="BM1370",
        hashrate=rate,
        chips_working=1.0,
        chips_expected=1.0,
        chip_temperature_avg=58.5,
        chip_temperature_max=58.5,
        vreg_temperature=61.0,
        voltage=1.15,
        frequency=5.25e8,
    )
    return dataclasses.replace(
        Reading(
            state=MinerState.MINING,
            work_mode=None,
            expected_mining=True,
            uptime=3.2 * DAY,
            hashrate=rate,
            hashrate_average=rate * 0.99,
            hashrate_expected=1.1e12,
            power=18.4,
            fans=(Fan("0", 4100.0, 0.62),),
            boards=(board,),
            pools=pools(worker),
            best_share_difficulty=4.29e9,
            session_best_share_difficulty=1.3e7,
            wifi_signal=-58.0,
        ),
        **changes,
    )


def large_reading(worker: str = "s19", *, chips: int = 126, boards: int = 3) -> Reading:
    """A miner with three boards of many chips, some of them bad."""
    grades = {7: ChipGrade.SLOW, 31: ChipGrade.HOT, 90: ChipGrade.DEAD}

    def chip(number: int, board: int) -> Chip:
        grade = grades.get(number, ChipGrade.GOOD) if board == 1 else ChipGrade.GOOD
        rate = 0.0 if grade is ChipGrade.DEAD else 8.2e10 * (0.6 if grade is ChipGrade.SLOW else 1 + number % 5 / 100)
        heat = 84.0 if grade is ChipGrade.HOT else 61.0 + number % 7
        return Chip(str(number), heat, rate, 5.25e8, 0.31, float(number % 3), grade)

    def one(number: int) -> Board:
        bad = (("dead", 1), ("hot", 1), ("slow", 1)) if number == 1 else (("dead", 0), ("hot", 0), ("slow", 0))
        return Board(
            str(number),
            up=True,
            serial=f"SN-{number}",
            chip_model="BM1362",
            hashrate=3.1e13,
            hashrate_expected=3.33e13,
            chips_working=float(chips - (number == 1)),
            chips_expected=float(chips),
            chips_bad=bad,
            temperatures=(Temperature("0", 55.0), Temperature("1", 56.5)),
            chip_temperature_min=58.0,
            chip_temperature_avg=63.0,
            chip_temperature_max=84.0 if number == 1 else 69.0,
            voltage=12.9,
            frequency=5.25e8,
            power=1100.0,
            hardware_errors=12.0,
            chips=tuple(chip(place, number) for place in range(chips)),
        )

    return Reading(
        state=MinerState.MINING,
        work_mode="3250",
        work_modes=("2600", "3250", "3600"),
        expected_mining=True,
        fault_light=False,
        overheat=False,
        errors=(DeviceError("chip_dead", "warning", "chip"),),
        uptime=9 * DAY,
        mining_uptime=8.9 * DAY,
        hashrate=9.3e13,
        hashrate_average=9.25e13,
        hashrate_expected=1.0e14,
        hashrate_nameplate=1.04e14,
        hardware_errors=33.0,
        power=3310.0,
        power_limit=3600.0,
        energy=2.8e9,
        psus=(Psu("0", 231.0, 14.3, 13.0, 250.0, 4200.0, (Temperature("0", 48.0),)),),
        fans=tuple(Fan(str(number), 5800.0 + 20 * number, 0.9) for number in range(4)),
        fans_expected=4.0,
        environment_temperatures=(Temperature("inlet", 24.0),),
        boards=tuple(one(number) for number in range(boards)),
        boards_expected=3.0,
        pools=(*pools(worker, 42_000.0, 212.0), FEE_POOL),
        blocks_found=0.0,
    )


@dataclass
class Seed:
    """A record and what the store keeps of the same miner."""

    record: MinerRecord
    row: dict[str, Any] = field(default_factory=dict)

    def stored(self) -> MinerRow:
        """The row that goes with the record."""
        one = self.record
        labels = {"own_labels": MappingProxyType(dict(one.labels))}
        fields = {
            "id": one.id,
            "key": one.key,
            "driver": one.driver,
            "mac": one.identity.mac,
            "serial": one.identity.serial,
            "name": one.name if one.named else None,
            "address": one.address,
            "last_address": one.address,
            "http_port": one.http_port,
            "api_port": one.api_port,
            "managed": one.managed,
            "enabled": one.enabled,
            "auto_discovered": one.auto_discovered,
            "provisional": one.provisional,
            "created_at": one.created_at,
            "last_seen": one.last_seen,
            "identity": one.identity,
        }
        return MinerRow(**{**fields, **labels, **self.row})


def seed(number: int, driver: str, make: str, model: str, row: dict[str, Any] | None = None, **changes: Any) -> Seed:
    """One healthy miner of the flock, with what differs from it."""
    now = time.time()
    serial = f"SERIAL-{number:04d}" if driver in ("vnish", "antminer") else None
    base: dict[str, Any] = {
        "id": number,
        "key": mac(number),
        "name": f"{driver}-{number}",
        "driver": driver,
        "identity": Identity(mac(number), serial, make, model, make, "2.9.1", f"{driver}{number}"),
        "address": f"192.0.2.{number % 250 + 1}",
        "http_port": 80,
        "api_port": 4028,
        "port": 4028 if driver in ("avalon", "avalon_nano", "cgminer", "antminer") else 80,
        "named": True,
        "up": True,
        "reading": small_reading(),
        "expires_at": time.monotonic() + 3600,
        "poll_duration": 0.12,
        "last_success": now - 4,
        "created_at": now - 30 * DAY,
        "last_seen": now - 4,
    }
    stored = {"currency": "BTC", **(row or {})}
    told = {each: stored.get(each) for each in ("currency", "muted_until", "chipset", "location_notes", "model_alias")}
    return Seed(MinerRecord(**{**base, **told, **changes}), stored)


def _usb(state: UsbState, status: UsbStatus, port: str | None, *, conditions: frozenset[UsbCondition] = frozenset()):
    view = UsbView(status, state, time.time() - 40, conditions, boots=1)
    return UsbRecord(view, None if port is None else f"/dev/ttyACM{port[-1]}", port)


def flock() -> list[Seed]:
    """Twenty miners: healthy, troubled, unknown, retired and hostile ones."""
    hour_ago, gone = time.time() - 3600, {"up": False, "reading": None}
    identity = Identity(None, "A1B2C3", "NerdMiner", "NerdMinerV2", "NerdMiner", "1.8.3", None)
    on_usb = {"identity": identity, "address": None, "http_port": None, "api_port": None, "port": None}
    usb_row = {"pool_url": "public-pool.io:21496", "wallet_address": f"{BTC_ADDRESS}.desk", "nerdminer_vrs": "1.8.3"}
    config = '{"PoolUrl": "public-pool.io", "PoolPort": 21496, "PoolPassword": "<secret>"}'
    nerd = Reading(state=MinerState.MINING, hashrate=78_500.0, uptime=7200.0, pools=pools("desk", 12.0, 0.0)[:1])
    return [
        seed(1, "bitaxe", "Bitaxe", "Bitaxe Gamma 601", name="garage", labels=(("site", "home"),)),
        seed(2, "nerdqaxe", "NerdQaxe", "NerdQAxe++",
             reading=small_reading(4.8e12, hashrate_expected=4.9e12, power=76.0)),
        seed(
            3,
            "vnish",
            "Bitmain",
            "Antminer S19j Pro",
            {"model_alias": "s19jpro"},
            reading=large_reading(),
            labels=(("group", "old"), ("rack", "r1"), ("site", "hall-1")),
        ),
        seed(4, "antminer", "Bitmain", "Antminer S19", up=False, reading=None, auth_failed=True,
             last_error="HTTP 401: the device wants another password", poll_errors={"auth": 1},
             labels=(("rack", "r1"), ("site", "hall-1"))),
        seed(5, "avalon_nano", "Canaan", "Avalon Nano 3S",
             reading=small_reading(6.0e12, work_mode="eco", work_modes=("eco", "turbo"))),
        seed(6, "avalon", "Canaan", "Avalon Q", reading=small_reading(9.0e13, hashrate_expected=9.0e13, power=1670.0)),
        seed(7, "cgminer", "MicroBT", "Whatsminer M30S", {"currency": "BCH"}, reading=large_reading("m30s", chips=0)),
        seed(8, "nmminer", "NMMiner", "ESP32-2432S028R",
             reading=small_reading(1.0e6, hashrate_expected=None, power=None)),
        seed(9, "nerdminer", "NerdMiner", "NerdMinerV2", {**usb_row, "last_config_json": config}, **on_usb,
             key="serial:A1B2C3", reading=nerd, usb=_usb(UsbState.MINING, UsbStatus.ACTIVE, "1-1.2"), name="desk"),
        seed(10, "nerdminer", "NerdMiner", "NerdMinerV2", usb_row, **on_usb, key="serial:A1B2C4", **gone,
             usb=_usb(UsbState.CONNECTED_IP, UsbStatus.INITIALIZING, "1-1.3",
                      conditions=frozenset({UsbCondition.DNS_FAILURE}))),
        seed(11, "bitaxe", "Bitaxe", "Bitaxe Ultra 204", {"last_address": "192.0.2.77"}, **gone, address=None,
             name="attic", last_error="no answer within 5 s", poll_errors={"timeout": 41},
             last_seen=hour_ago, last_success=hour_ago),
        seed(12, "bitaxe", "Bitaxe", "Bitaxe Supra 401", {"currency": None}, up=None, reading=None, named=False,
             last_success=None),
        seed(13, "vnish", "Bitmain", "Antminer T21", managed=False, up=None, reading=None, last_success=None),
        seed(14, "cgminer", "Bitmain", "Antminer S9", enabled=False, up=None, reading=None, name="old-s9",
             last_seen=hour_ago),
        seed(15, "bitaxe", "Bitaxe", "Bitaxe Max 102", {"muted_until": time.time() + 7200}, muted=True, **gone,
             last_error="connection refused", poll_errors={"refused": 3}),
        seed(16, "bitaxe", HOSTILE, HOSTILE, {"currency": None}, name=HOSTILE * 200, named=False,
             reading=small_reading(worker=HOSTILE), labels=(("site", HOSTILE),)),
        seed(17, "cgminer", "LuxOS", "Antminer S21", identity=Identity(make="LuxOS", model="Antminer S21"),
             key="addr:cgminer:192.0.2.18", provisional=True, named=False),
        seed(18, "avalon", "Canaan", "Avalon Mini 3", reading=Reading(state=MinerState.STARTING, uptime=12.0)),
        seed(19, "antminer", "Bitmain", "Antminer S21 Hyd.", reading=dataclasses.replace(
            large_reading(boards=1, chips=400), fans=(), state=MinerState.FAULT, overheat=True,
            coolant_temperatures=(Temperature("inlet", 31.0), Temperature("outlet", 44.0)),
            errors=(DeviceError("over_temperature", "error", "temperature"),))),
        seed(20, "nerdminer", "NerdMiner", "NerdMinerV2", usb_row, **on_usb, key="port:1-1.4", **gone, name="shelf",
             usb=_usb(UsbState.NOT_CONNECTED, UsbStatus.INACTIVE, None), last_seen=hour_ago),
    ]  # fmt: skip


def large_flock(count: int) -> list[Seed]:
    """`count` healthy miners, for measurements."""
    reading = large_reading(chips=0)
    return [
        seed(number, "vnish", "Bitmain", "Antminer S19j Pro", {"model_alias": "s19jpro"}, reading=reading,
             labels=(("site", f"hall-{number % 4}"),))
        for number in range(1, count + 1)
    ]  # fmt: skip


SEEN = (SeenHost("192.0.2.200", "Braiins", "Antminer S19", "Braiins OS", "02:00:00:00:0f:01", time.time() - 60),)

MODELS = (
    ModelRow(
        1,
        "s19jpro",
        "Antminer S19j Pro",
        "sha256d",
        3,
        126,
        (
            Preset("2600", "2600 W ~ 84 TH", 2600.0, 8.4e13, modified_psu_required=False),
            Preset("3250", "3250 W ~ 100 TH", 3250.0, 1.0e14, modified_psu_required=False),
            Preset("4200", "4200 W ~ 118 TH", 4200.0, 1.18e14, modified_psu_required=True),
        ),
        "3250",
        time.time() - DAY,
    ),
    ModelRow(2, "t21", "Antminer T21", "sha256d", 3, 108, None, None, time.time() - DAY),
)
