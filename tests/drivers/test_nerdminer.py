"""The console of a NerdMiner: transcripts, captures, and our own consoles in every way of cutting them."""

import itertools
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.drivers.api import StreamSource
from exporter.drivers.bundled.nerdminer_driver import NerdMinerDriver
from exporter.drivers.conformance import reading_faults
from exporter.model import DeviceError, Identity, MinerState
from exporter.model_usb import UsbCondition, UsbState, UsbStatus
from exporter.protocols.nerdminer_config import MASK
from exporter.protocols.nerdminer_shares import ShareEvent
from tests.payloads.harness import shared_folder
from tests.protocols.nerdminer_consoles import (
    BOOT,
    CONNECTED,
    CONSOLES,
    GOOD,
    GURU,
    HARDWARE,
    JOB,
    POOL,
    PORT,
    SECRETS,
    SESSION,
    START,
    TASKS,
    TO_POOL,
    TRYING,
    USER,
    WALLET,
    WIFI,
    completed,
    crlf,
    details,
    dumped,
    lf,
    listing,
    monitor,
    resolved,
    rom,
    share_accepted,
    share_rejected,
    spiffs,
    submit,
    subscribe,
)

NOW = 1_760_000_000.0
TRANSCRIPTS = shared_folder() / "transcripts"
CAPTURES = shared_folder() / "payloads" / "nerdminer"


def expected_transcripts():
    place = TRANSCRIPTS / "expected.json"
    table = json.loads(place.read_text()) if place.exists() else {}
    return {name: end for name, end in table.items() if name != "note"}


EXPECTED = expected_transcripts()
needs_transcripts = pytest.mark.skipif(not EXPECTED, reason=f"{TRANSCRIPTS} is not there")


def fed(*pieces, now=NOW):
    """A console that has been fed, and the readings it gave."""
    console = NerdMinerDriver().new_stream()
    readings = [reading for piece in pieces for reading in console.feed(piece, now)]
    return console, readings


def words(conditions):
    return {condition.value for condition in conditions}


def outcome(console, readings):
    """Everything that a console tells."""
    return (console.view, console.config, console.config_at, console.identity, console.take_shares(), readings)


# --- where consoles end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONSOLES)
def test_where_a_console_ends(name):
    data, end = CONSOLES[name]
    console, _ = fed(data)
    view = console.view
    assert (view.status.value, view.state.value, view.boots) == (end.status, end.state, end.boots)
    assert words(view.conditions) == end.flags
    assert words(view.seen) == end.flags | end.seen
    assert (console.config is not None) is end.config
    assert console.identity.firmware_version == end.version
    if end.config:
        assert (console.config.pool_url, console.config.pool_port) == (POOL, PORT)
        assert (console.config.user, console.config.wallet) == (USER, WALLET)
        assert console.config.firmware_version == end.version


@needs_transcripts
@pytest.mark.parametrize("name", EXPECTED or ["transcripts"])
def test_where_a_transcript_ends(name):
    end = EXPECTED[name]
    console, _ = fed((TRANSCRIPTS / name).read_bytes())
    view = console.view
    assert (view.status.value, view.state.value, view.boots) == (end["status"], end["state"], end["boots"])
    assert set(end.get("flags", ())) <= words(view.conditions)
    assert set(end.get("seen", ())) <= words(view.seen)
    assert not set(end.get("seen", ())) & words(view.conditions)
    assert (console.config is not None) is end["config_captured"]
    if "firmware_version" in end:
        assert console.identity.firmware_version == end["firmware_version"]
    for key in end.get("secrets_masked", ()):
        assert console.config.raw.get(key, MASK) == MASK
    assert "secret-wifi" not in repr(console.config)


@pytest.mark.parametrize("name", CONSOLES)
def test_byte_by_byte(name):
    data, _ = CONSOLES[name]
    pieces = [data[index : index + 1] for index in range(len(data))]
    assert outcome(*fed(*pieces)) == outcome(*fed(data))


def pieces_of(data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(CONSOLES)), st.lists(st.integers(0, 10**6), max_size=25))
def test_pieces_do_not_matter(name, cuts):
    data, _ = CONSOLES[name]
    assert outcome(*fed(*pieces_of(data, cuts))) == outcome(*fed(data))


@needs_transcripts
@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(EXPECTED) or ["transcripts"]), st.lists(st.integers(0, 10**6), max_size=25))
def test_pieces_of_a_transcript_do_not_matter(name, cuts):
    data = (TRANSCRIPTS / name).read_bytes()
    assert outcome(*fed(*pieces_of(data, cuts))) == outcome(*fed(data))


@pytest.mark.parametrize("device", ["serial-pr486", "serial-i723"])
def test_captured_consoles(device):
    folder = CAPTURES / device
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    expected = json.loads((folder / "expected_derived.json").read_text())
    console, readings = fed((folder / "serial_115200.txt").read_bytes())
    assert len(readings) == expected["samples"]
    assert readings[-1].hashrate == pytest.approx(expected["last"]["hashrate_hs"])
    assert readings[-1].hashes == pytest.approx(expected["last"]["khashes"] * 1000.0)
    assert console.shares_32bit == expected["last"]["shares"]
    assert console.view.status is UsbStatus.ACTIVE


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "noise",
    [
        b"x" * 100_000,
        b"\xff" * 100_000,
        b"\0" * 100_000,
        bytes(range(256)) * 400,
        b"{" * 50_000,
        b"{\n" * 20_000,
        b'"poolString": ' * 5000,
        b">>> Completed " * 5000,
        b"  Receiving: " + b"[" * 50_000 + b"\n",
        b"rst:0x" * 1000 + b"\n",
    ],
    ids=lambda noise: repr(noise[:12]),
)
def test_floods_change_nothing(noise):
    console, readings = fed(GOOD + completed(0, 10, "300.0"), noise, b"\n", completed(0, 20, "310.0"))
    assert console.view.status is UsbStatus.ACTIVE
    assert readings[-1].hashrate == pytest.approx(310_000.0)
    assert len(pickle.dumps(console._splitter)) < 10_000


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=80) | st.sampled_from([data for data, _ in CONSOLES.values()]), max_size=6))
def test_nothing_raises(pieces):
    console, readings = fed(*pieces)
    assert not [fault for reading in readings for fault in reading_faults(reading)]
    assert console.view.status in UsbStatus


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(CONSOLES)), st.integers(0, 10**6), st.integers(1, 200))
def test_lost_bytes_never_make_a_wrong_reading(name, start, length):
    data, _ = CONSOLES[name]
    start %= len(data)
    _, readings = fed(data[:start] + data[start + length :])
    assert not [fault for reading in readings for fault in reading_faults(reading)]
    assert all(reading.hashrate is None or reading.hashrate < 1e9 for reading in readings)


def everything_in(value, seen=None):
    """The text of every object that a console keeps, private parts too."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, type) or callable(value):
        return ""
    seen.add(id(value))
    parts = [repr(value)]
    if isinstance(value, dict):
        parts += [everything_in(part, seen) for pair in value.items() for part in pair]
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts += [everything_in(part, seen) for part in value]
    names = [*getattr(value, "__dict__", {}), *getattr(type(value), "__slots__", ())]
    parts += [everything_in(getattr(value, name), seen) for name in names if hasattr(value, name)]
    return "\n".join(parts)


@pytest.mark.parametrize("name", CONSOLES)
def test_no_secret_is_kept(name, caplog):
    caplog.set_level("DEBUG")
    data, _ = CONSOLES[name]
    console, readings = fed(data)
    kept = everything_in(console) + repr(readings) + caplog.text
    assert "UsbView" in kept
    assert not [secret for secret in SECRETS if secret in kept]


# --- readings --------------------------------------------------------------------------------------------------------


def test_a_reading_for_every_second_of_a_board_without_details():
    _, readings = fed(GOOD, completed(0, 310, "310.00") + completed(1, 640, "999.9") + completed(1, 990, "1001"))
    assert [reading.hashrate for reading in readings] == pytest.approx([310e3, 999.9e3, 1001e3])
    assert [reading.hashes for reading in readings] == pytest.approx([310e3, 640e3, 990e3])


def test_a_reading_for_every_second_of_a_board_with_details():
    """The first second gives two: only then it is known that more lines follow."""
    seconds = [completed(0, 300 * n, "300.0") + details(templates=n, clock=f"0  00:00:0{n}") for n in range(1, 5)]
    _, readings = fed(GOOD, *seconds)
    assert [reading.block_templates for reading in readings] == [None, 1.0, 2.0, 3.0, 4.0]
    assert [reading.mining_uptime for reading in readings] == [None, 1.0, 2.0, 3.0, 4.0]


def test_lost_details_lose_no_second():
    whole = completed(0, 300, "300.0") + details()
    _, readings = fed(GOOD, whole, completed(0, 600, "300.0"), completed(0, 900, "310.0"), completed(0, 1200, "320.0"))
    assert [reading.hashrate for reading in readings[2:]] == pytest.approx([310e3])


def test_the_whole_reading():
    console, readings = fed(
        GOOD,
        completed(0, 310, "310.00") + details(),
        submit(4) + share_accepted(4) + submit(5, "2.500000000000") + share_rejected(5),
        completed(2, 640, "320.10")
        + details(blocks=1, templates=2, best="1.25K", shares=2, temperature="61", clock="1  00:00:02"),
    )
    reading = readings[-1]
    assert reading.identity == Identity(
        make="NerdMiner", model="NerdMiner v2", firmware="NerdMiner", firmware_version="V1.8.3"
    )
    assert (reading.state, reading.expected_mining, reading.errors) == (MinerState.MINING, True, ())
    assert reading.hashrate == pytest.approx(320_100.0)
    assert reading.hashes == pytest.approx(640_000.0)
    assert (reading.uptime, reading.mining_uptime) == (0.0, 86402.0)
    assert (reading.blocks_found, reading.block_templates) == (1.0, 2.0)
    assert (reading.best_share_difficulty, reading.session_best_share_difficulty) == (1250.0, 1250.0)
    assert reading.reset_reason == "POWERON_RESET"
    (board,) = reading.boards
    assert board.up is True
    assert [(sensor.position, sensor.celsius) for sensor in board.temperatures] == [("0", 61.0)]
    (pool,) = reading.pools
    assert (pool.url, pool.user, pool.up, pool.active) == (f"{POOL}:{PORT}", USER, True, True)
    assert (pool.accepted, pool.rejected, pool.rejections) == (1.0, 1.0, (("stale", 1.0),))
    assert (pool.difficulty, pool.difficulty_accepted) == pytest.approx((0.0002, 0.0002))
    assert (pool.last_share, pool.jobs_received, pool.connection_failures) == (NOW, 1.0, 0.0)
    assert console.shares_32bit == 2.0
    assert console.take_shares() == (
        ShareEvent(NOW, 0.000512345678, True),
        ShareEvent(NOW, 2.5, False, "Job not found"),
    )
    assert console.take_shares() == ()


def test_the_uptime_counts_from_the_boot_that_was_seen():
    console = NerdMinerDriver().new_stream()
    console.feed(GOOD, 1000.0)
    (reading,) = console.feed(completed(0, 10, "300.0"), 1060.0)
    assert reading.uptime == 60.0


def test_the_uptime_of_a_board_that_ran_already_is_its_time_of_mining():
    _, readings = fed(completed(0, 10, "300.0") + details(clock="2  01:00:00"))
    assert readings[-1].uptime == readings[-1].mining_uptime == 176_400.0


def test_a_time_of_mining_that_goes_on_over_boots_is_no_uptime():
    _, readings = fed(
        listing(), spiffs(dumped(saveStatsToNVS=True)), completed(0, 1, "3.0") + details(clock="9  00:00:00")
    )
    assert (readings[-1].uptime, readings[-1].mining_uptime) == (None, 777_600.0)


def test_what_the_console_does_not_tell_is_unknown():
    _, readings = fed(lf(">>> Hashrate: 345.6 KH/s | Shares: 2 | Best diff: 1.5K"))
    (reading,) = readings
    assert reading.hashrate == pytest.approx(345_600.0)
    assert reading.best_share_difficulty == 1500.0
    assert (reading.hashes, reading.uptime, reading.blocks_found, reading.block_templates) == (None,) * 4
    assert reading.boards[0].temperatures == ()
    assert (reading.pools[0].url, reading.pools[0].up, reading.pools[0].difficulty) == (None, None, None)


@pytest.mark.parametrize("temperature", ["-99", "200", "999"])
def test_a_temperature_that_cannot_be_is_none(temperature):
    _, readings = fed(completed(0, 1, "3.0") + details(temperature=temperature))
    assert readings[-1].boards[0].temperatures == ()


def test_a_board_with_a_display_counts_by_its_messages():
    second = completed(0, 1, "3.0")
    _, readings = fed(GOOD, second, second, JOB + crlf("CONGRATULATIONS! Valid block found"), second)
    assert [reading.block_templates for reading in readings] == [None, 1.0, 2.0]
    assert [reading.blocks_found for reading in readings] == [None, 0.0, 1.0]


def test_counters_go_on_over_a_boot():
    life = completed(5, 100_000, "300.0") + details(templates=40, shares=5, mhashes=100, clock="0  00:05:00")
    _, readings = fed(GOOD, life, rom("0xc (SW_CPU_RESET)") + START + spiffs() + WIFI, completed(1, 300, "300.0"),
                      details(templates=2, shares=1))  # fmt: skip
    assert readings[-1].hashes == pytest.approx(100_300_000.0)
    assert readings[-1].block_templates == 42.0


def test_counters_of_a_board_that_saves_them_are_not_counted_twice():
    boot = rom() + START + spiffs(dumped(saveStatsToNVS=True)) + WIFI + TO_POOL + SESSION
    _, readings = fed(boot, completed(5, 100_000, "300.0"), boot, completed(5, 99_000, "300.0"))
    assert readings[-1].hashes == pytest.approx(100_000_000.0)


def test_counters_wrap_at_32_bit():
    rates = [completed(0, khashes % 2**32, "900.0") for khashes in range(2**32 - 1800, 2**32 + 3600, 900)]
    _, readings = fed(GOOD, *rates)
    assert readings[-1].hashes == pytest.approx((2**32 + 2700) * 1000.0)


def test_nothing_is_invented_when_we_begin_to_listen():
    console, readings = fed(completed(12, 123456, "301.2") + share_accepted(9) + completed(12, 123757, "301.1"))
    pool = readings[-1].pools[0]
    assert (pool.accepted, pool.rejected) == (0.0, 0.0)
    assert console.take_shares() == ()
    assert console.shares_32bit == 12.0


def test_the_state_of_the_miner():
    assert fed(BOOT + TASKS, completed(0, 0, "0.00"))[1][-1].state is MinerState.STARTING
    assert fed(GOOD, completed(0, 0, "0.00"))[1][-1].state is MinerState.IDLE
    assert fed(GOOD, completed(0, 5, "0.50"))[1][-1].state is MinerState.MINING
    unreachable = crlf(f"Imposible to connect to : {POOL}")
    console, readings = fed(GOOD, unreachable + completed(0, 0, "0.00"))
    assert readings[-1].state is MinerState.FAULT
    assert (readings[-1].pools[0].up, readings[-1].pools[0].connection_failures) == (False, 1.0)
    assert console.view.conditions == {UsbCondition.POOL_UNREACHABLE}
    assert console.view.status is UsbStatus.ACTIVE
    console.feed(subscribe(), NOW)
    assert not console.view.conditions


def test_wifi_that_is_lost_is_an_error_of_the_device():
    console, readings = fed(GOOD, crlf("[Error] - current status: 6") + completed(0, 5, "0.00"))
    assert readings[-1].errors == (DeviceError("wifi_down", "error", "network"),)
    assert readings[-1].state is MinerState.FAULT
    (reading,) = console.feed(CONNECTED + completed(0, 5, "0.00"), NOW)
    assert reading.errors == ()


# --- state -----------------------------------------------------------------------------------------------------------


def test_dns_failures_of_other_names_are_none_of_the_pools():
    failed = "[  1][E][WiFiGeneric.cpp:1583] hostByName(): DNS Failed for "
    console, _ = fed(BOOT + TASKS + CONNECTED + crlf(failed + "prices.example.org"))
    assert not console.view.conditions
    console.feed(crlf(failed + POOL), NOW)
    assert console.view.conditions == {UsbCondition.DNS_FAILURE}
    console.feed(resolved(), NOW)
    assert not console.view.conditions


def test_the_flags_of_the_monitor_tell_where_a_board_stands_that_ran_already():
    assert fed(monitor(wifi="false"))[0].view.state is UsbState.BOOTING
    assert fed(monitor())[0].view.state is UsbState.CONNECTED_IP
    assert fed(monitor(connected="true"))[0].view.state is UsbState.DNS_RESOLVED
    assert fed(monitor(connected="true", subscribed="true"))[0].view.state is UsbState.SUBSCRIBE


def test_forks_name_themselves():
    assert fed(subscribe("HAN_SOLOminer/V2.1"))[0].identity.firmware == "HAN_SOLOminer"
    assert fed(subscribe("HAN_SOLOminer/V2.1"))[0].identity.firmware_version == "V2.1"
    assert fed(subscribe("NMMiner/1.5"))[0].identity == Identity(
        make="NMMiner", firmware="NMMiner", firmware_version="1.5"
    )
    assert fed(subscribe("null"))[0].identity.firmware == "NerdMiner"
    assert fed(crlf("Firmware Version: v1.8.3-4-gabc"))[0].identity.firmware_version == "v1.8.3-4-gabc"


def test_nmminer():
    console, readings = fed(
        lf("[W/INFO] Resolving pool address pool.example.com to IP 198.51.100.4")
        + lf("[I/INFO] Connected to pool pool.example.com:3333", "[I/NM] hello")
        + completed(0, 1, "0.00")
    )
    assert console.view.state is UsbState.DNS_RESOLVED
    assert readings[-1].pools[0].url == "pool.example.com:3333"


def test_a_version_stays_over_a_boot():
    console, _ = fed(GOOD, BOOT)
    assert console.config.firmware_version == "V1.8.3"
    console.feed(TO_POOL + subscribe("NerdMinerV2/V1.9.0"), NOW)
    assert console.config.firmware_version == "V1.9.0"


def test_a_capture_is_told_by_its_time():
    console = NerdMinerDriver().new_stream()
    console.feed(spiffs(), 10.0)
    assert console.config_at == 10.0
    first = console.config
    console.feed(rom() + START + TRYING, 20.0)
    assert (console.config_at, console.config) == (10.0, first)
    console.feed(spiffs(), 21.0)
    assert (console.config_at, console.config) == (21.0, first)


def test_the_plug():
    console, _ = fed(GOOD, completed(0, 500, "300.0"), b">>> Compl")
    console.unplug(NOW + 5)
    assert (console.view.status, console.view.state) == (UsbStatus.INACTIVE, UsbState.NOT_CONNECTED)
    assert console.feed(GOOD + completed(0, 900, "300.0"), NOW + 6) == ()
    assert console.view.state is UsbState.NOT_CONNECTED
    console.plug(NOW + 9)
    assert (console.view.status, console.view.state, console.view.since) == (
        UsbStatus.INITIALIZING,
        UsbState.BOOTING,
        NOW + 9,
    )
    assert console.config is not None
    (reading,) = console.feed(b"eted 0 share(s)\n" + completed(0, 30, "300.0"), NOW + 10)
    assert reading.hashes == pytest.approx(530_000.0)
    assert reading.reset_reason is None


def test_a_board_is_there_from_the_first_call_on():
    console = NerdMinerDriver().new_stream()
    console.tick(50.0)
    assert (console.view.status, console.view.state, console.view.since) == (
        UsbStatus.INITIALIZING,
        UsbState.BOOTING,
        50.0,
    )


def test_a_boot_loop_passes_with_time():
    console = NerdMinerDriver().new_stream()
    for number in range(5):
        console.feed(rom() + START + GURU, 100.0 + number)
    assert UsbCondition.BOOT_LOOP in console.view.conditions
    console.tick(100.0 + 2000)
    assert UsbCondition.BOOT_LOOP not in console.view.conditions


def test_the_view_and_the_state_change_with_every_step():
    console = NerdMinerDriver().new_stream()
    states = []
    for step in (BOOT, TASKS, HARDWARE, CONNECTED, resolved(), subscribe(), SESSION[len(subscribe()) :]):
        console.feed(step, NOW)
        states.append(console.view.state)
    assert states == [
        UsbState.BOOTING,
        UsbState.WORKER_STARTED,
        UsbState.HARDWARE_STARTED,
        UsbState.CONNECTED_IP,
        UsbState.DNS_RESOLVED,
        UsbState.SUBSCRIBE,
        UsbState.MINING,
    ]
    view = console.view
    console.feed(completed(0, 3, "300.0") + details(), NOW + 9)
    assert console.view is view


def test_the_driver_takes_no_datagram():
    driver = NerdMinerDriver()
    assert isinstance(driver, StreamSource)
    assert driver.identify_datagram(completed(0, 3, "300.0")) is None
    assert (driver.connection_type, driver.default_port, driver.probes) == ("serial", None, ())
    assert driver.new_stream().period == 1.0
