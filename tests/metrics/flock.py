"""Records and pages for the tests of the page."""

from __future__ import annotations

import dataclasses
import re

from hypothesis import strategies as st

from exporter.engine.fleet import MinerRecord, UsbRecord
from exporter.errors import REASONS
from exporter.metrics.catalog import RenderOptions
from exporter.metrics.page import PageStore
from exporter.model import (
    Board,
    Chip,
    DeviceError,
    Fan,
    Identity,
    MinerState,
    Pool,
    Psu,
    Reading,
    Temperature,
)
from exporter.model_usb import UsbState, UsbStatus, UsbView

NOW = 1000.0
SAMPLE = re.compile(r"(?P<name>[a-z_:]+[a-z0-9_]*)(?P<labels>\{.*\})? (?P<value>\S+)")


USB = UsbRecord(UsbView(UsbStatus.ACTIVE, UsbState.MINING, 1.7e9, boots=1), "/dev/ttyUSB0", "1-1.2")


def record(miner_id: int = 1, **changes: object) -> MinerRecord:
    """A healthy miner with an empty reading that expires a minute after `NOW`."""
    base = MinerRecord(
        id=miner_id,
        key=f"02:00:00:00:00:{miner_id:02x}",
        name=f"miner {miner_id}",
        driver="bitaxe",
        identity=Identity(make="Maker", model="Model"),
        address=f"192.0.2.{miner_id}",
        up=True,
        reading=Reading(),
        expires_at=NOW + 60.0,
        poll_duration=0.1,
        last_success=1.7e9,
    )
    return dataclasses.replace(base, **changes)


def full_reading() -> Reading:
    """A reading in which every part is told and no value is that of another."""
    chip = Chip("7", 61.5, 1.1e11, 4.9e8, 0.31, 3.0)
    board = Board(
        "1",
        up=True,
        serial="SN-1",
        chip_model="BM1",
        hashrate=3.1e13,
        hashrate_expected=3.2e13,
        chips_working=75.0,
        chips_expected=76.0,
        chips_bad=(("dead", 1), ("hot", 0)),
        temperatures=(Temperature("0", 55.0), Temperature("1", 56.0)),
        chip_temperature_min=58.0,
        chip_temperature_avg=60.0,
        chip_temperature_max=66.0,
        coolant_temperatures=(Temperature("inlet", 31.0),),
        vreg_temperature=70.0,
        voltage=12.9,
        voltage_target=13.1,
        frequency=5.25e8,
        power=1100.0,
        hardware_errors=12.0,
        chips=(chip,),
    )
    pool = Pool(
        "0",
        url="stratum+tcp://pool.example:3333",
        user="bc1qexample.rig",
        up=True,
        active=True,
        priority=0.0,
        accepted=900.0,
        rejected=4.0,
        stale=2.0,
        rejections=(("duplicate", 1.0), ("other", 3.0)),
        difficulty_accepted=1.5e9,
        difficulty=65536.0,
        last_share=1.70000001e9,
        response_time=0.045,
        ping_loss=0.01,
        jobs_received=5000.0,
        connection_failures=1.0,
    )
    return Reading(
        state=MinerState.MINING,
        work_mode="eco",
        work_modes=("eco", "turbo"),
        expected_mining=True,
        fault_light=False,
        overheat=False,
        errors=(DeviceError("E1", "warning", "fan"),),
        uptime=86400.0,
        mining_uptime=86000.0,
        hashrate=9.3e13,
        hashrate_average=9.2e13,
        hashrate_expected=9.5e13,
        hashrate_nameplate=1.0e14,
        hashes=8.0e18,
        hardware_errors=33.0,
        duplicate_nonces=1.0,
        power=3300.0,
        power_limit=3400.0,
        energy=2.8e8,
        psus=(Psu("0", 231.0, 14.3, 13.0, 250.0, 4200.0, (Temperature("0", 48.0),)),),
        fans=(Fan("0", 5800.0, 0.9), Fan("1", 0.0, 0.0)),
        fans_expected=4.0,
        environment_temperatures=(Temperature("inlet", 24.0),),
        coolant_temperatures=(Temperature("outlet", 44.0),),
        temperature_target=65.0,
        boards=(board,),
        boards_expected=3.0,
        pools=(pool,),
        best_share_difficulty=4.29e9,
        session_best_share_difficulty=1.31e5,
        block_templates=311.0,
        blocks_found=0.0,
        network_difficulty=1.1e14,
        memory_free=(("internal", 65000.0),),
        wifi_signal=-61.0,
        reset_reason="power on",
    )


def page_of(*records: MinerRecord, options: RenderOptions | None = None, now: float = NOW) -> str:
    """The page of `records` in the text format 0.0.4."""
    store = PageStore(options)
    for each in records:
        store.publish(each)
    return text_of(store, now=now)


def text_of(store: PageStore, *, openmetrics: bool = False, now: float = NOW, **given: object) -> str:
    return b"".join(store.write(openmetrics, now, **given)).decode()


def samples_of(text: str) -> dict[str, float]:
    """Value by name and labels. Fails on a series that is there twice, and on a line that is no sample."""
    found: dict[str, float] = {}
    for line in text.split("\n"):
        if line and not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            series = match["name"] + (match["labels"] or "")
            assert series not in found, f"twice: {series}"
            found[series] = float(match["value"])
    return found


def names_in(text: str) -> set[str]:
    return {series.partition("{")[0] for series in samples_of(text)}


# --- arbitrary readings -------------------------------------------------------------------------------------------

#: Text as hostile as Python's: quotes, backslashes, line ends, control characters, lone surrogates.
hostile_text = st.one_of(
    st.text(max_size=12),
    st.text(alphabet='ab"\\\n\r\t{},= #\x00\x7f\x85\u2028\ud800é', max_size=12),
)
numbers = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 1e-300, 1e300, 1.7976931348623157e308, 5e-324, 1e16, 123456789012345680.0, -1.0]),
    st.floats(),
    st.integers(min_value=-(10**30), max_value=10**30),
)
_flags = st.one_of(st.none(), st.booleans())
_texts = st.one_of(st.none(), hostile_text)


def _many(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(strategy, max_size=3).map(tuple)


_temperatures = _many(st.builds(Temperature, hostile_text, numbers))


def _filled(kind: type, **given: st.SearchStrategy) -> st.SearchStrategy:
    """Builds `kind` with numbers where nothing else is given."""
    fields = {field.name: numbers for field in dataclasses.fields(kind)}
    return st.builds(kind, **{**fields, **given})


_chips = _filled(Chip, chip=hostile_text, grade=st.none())
_boards = _filled(
    Board,
    board=hostile_text,
    up=_flags,
    serial=_texts,
    chip_model=_texts,
    chips_bad=st.one_of(st.none(), _many(st.tuples(hostile_text, numbers))),
    temperatures=_temperatures,
    coolant_temperatures=_temperatures,
    chips=_many(_chips),
)
_pools = _filled(
    Pool,
    pool=hostile_text,
    url=_texts,
    user=_texts,
    up=_flags,
    active=_flags,
    fee=st.booleans(),
    rejections=_many(st.tuples(hostile_text, numbers)),
)
readings = _filled(
    Reading,
    identity=st.just(Identity()),
    state=st.one_of(st.none(), st.sampled_from(MinerState)),
    work_mode=_texts,
    work_modes=_many(hostile_text),
    expected_mining=_flags,
    fault_light=_flags,
    overheat=_flags,
    errors=_many(st.builds(DeviceError, hostile_text, hostile_text, hostile_text)),
    psus=_many(_filled(Psu, psu=hostile_text, temperatures=_temperatures)),
    fans=_many(_filled(Fan, fan=hostile_text)),
    environment_temperatures=_temperatures,
    coolant_temperatures=_temperatures,
    boards=_many(_boards),
    pools=_many(_pools),
    memory_free=_many(st.tuples(hostile_text, numbers)),
    reset_reason=_texts,
)
label_sets = st.dictionaries(st.sampled_from(["site", "rack", "group", "ip", "__x", "1st"]), hostile_text, max_size=3)


@st.composite
def flocks(draw: st.DrawFn) -> list[MinerRecord]:
    """Some miners in any condition."""
    return [
        record(
            miner_id,
            name=draw(hostile_text),
            address=draw(st.one_of(st.none(), st.just("192.0.2.9"))),
            identity=draw(st.builds(Identity, make=_texts, model=_texts, firmware=_texts, hostname=_texts)),
            labels=tuple(sorted(draw(label_sets).items())),
            managed=draw(st.booleans()),
            enabled=draw(st.booleans()),
            muted=draw(st.booleans()),
            up=draw(_flags),
            reading=draw(st.one_of(st.none(), readings)),
            expires_at=draw(st.sampled_from([NOW - 1.0, NOW, NOW + 1.0])),
            poll_duration=draw(numbers),
            last_success=draw(numbers),
            poll_errors=draw(st.dictionaries(st.sampled_from(REASONS), st.integers(0, 10**20), max_size=3)),
        )
        for miner_id in range(1, draw(st.integers(1, 4)) + 1)
    ]
