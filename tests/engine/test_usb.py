"""Boards on USB from plug-in to unplug: staged, named, heard, gone, back."""

import asyncio
import json

import pytest

from exporter.engine import usb_board
from exporter.engine.onboarding import TakenError
from exporter.model_usb import UsbStatus
from tests.engine.usb_bench import CH340, MAC, RATE, device, quick, run
from tests.protocols import nerdminer_consoles as console
from tests.protocols.nerdminer_consoles import (
    BOOT,
    GOOD,
    POOL,
    PORT,
    TO_POOL,
    USER,
    completed,
    details,
    share_accepted,
    share_rejected,
    submit,
)

ONE = device()
MINING = GOOD + completed(0, 310, "310.00") + details()
BRIDGE = device("ttyUSB0", "1-1.3", CH340, None)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    with quick(monkeypatch):
        yield


@pytest.fixture
def steady(monkeypatch):
    """Nothing happens by the clock."""
    monkeypatch.setattr("exporter.engine.usb._TICK_SECONDS", 3600.0)


def second_of(number):
    return completed(0, 310 * number, "310.00") + details(templates=number)


class TestStaging:
    def test_a_new_board_waits_and_its_states_advance(self, tmp_path):
        async def story(bench):
            port = await bench.plug(ONE)
            row = bench.only_waiting()
            assert (row.key, row.mac, row.serial_number) == (MAC, MAC, MAC.upper())
            assert (row.dev_path, row.port_path) == ("/dev/ttyACM0", "1-1.2")
            assert (row.vendor_id, row.product_id) == ("303a", "1001")
            assert (row.status, row.state) == ("Initializing", "Booting")
            assert row.discovered_at is not None
            seen = []
            session = (console.subscribe(), console.AUTHORIZE, console.ACCEPTED, console.JOB, second_of(1))
            for part in (BOOT, console.TASKS, console.HARDWARE, console.CONNECTED, console.resolved(), *session):
                await bench.say(ONE, part)
                seen.append((bench.only_waiting().status, bench.only_waiting().state))
            assert {status for status, _ in seen} == {"Initializing"}
            assert list(dict.fromkeys(state for _, state in seen)) == [
                "Booting", "WORKER Started", "MINER HW Task Started", "CONNECTED IP", "DNS Resolved",
                "Mining Subscribe", "Mining Authorize",
            ]  # fmt: skip
            row = bench.only_waiting()
            assert (row.dumped_pool_url, row.dumped_wallet_address) == (f"{POOL}:{PORT}", USER)
            assert row.dumped_firmware_version == "V1.8.3"
            assert json.loads(row.config_json)["btcString"] == USER
            assert bench.page().values("miner_up") == {}
            assert bench.db.miners.all() == ()
            assert bench.ports.opened == ["/dev/ttyACM0"]
            assert port.resets == 0
            assert (bench.meter.waiting, bench.meter.usb_ports) == (1, {"nerdminer": 1})

        run(tmp_path, story)

    def test_an_unplugged_one_stays_in_the_list_with_what_it_told(self, tmp_path):
        async def story(bench):
            await bench.plug(ONE)
            await bench.say(ONE, GOOD)
            before = bench.only_waiting()
            bench.unplug(ONE)
            row = bench.only_waiting()
            assert (row.status, row.state, row.dev_path, row.port_path) == ("Inactive", "Not Connected", None, None)
            assert (row.id, row.dumped_pool_url) == (before.id, f"{POOL}:{PORT}")
            await bench.plug(device("ttyACM3", "1-1.4"))
            row = bench.only_waiting()
            assert (row.id, row.dev_path, row.port_path) == (before.id, "/dev/ttyACM3", "1-1.4")
            assert (row.status, row.state, row.dumped_wallet_address) == ("Initializing", "Booting", USER)

        run(tmp_path, story)

    def test_what_another_board_told_at_the_same_port_is_not_shown_for_a_board_without_serial(self, tmp_path):
        async def story(bench):
            await bench.plug(BRIDGE)
            await bench.say(BRIDGE, GOOD)
            bench.unplug(BRIDGE)
            assert bench.only_waiting().dumped_pool_url is not None
            await bench.plug(BRIDGE)
            assert (bench.only_waiting().key, bench.only_waiting().dumped_pool_url) == ("port:1-1.3", None)

        run(tmp_path, story)

    def test_a_running_board_is_reset_once_to_tell_its_configuration(self, tmp_path, monkeypatch):
        monkeypatch.setattr(usb_board, "_PATIENCE_FOR_DUMP", 0.0)

        async def story(bench):
            port = await bench.plug(ONE)
            await bench.say(ONE, second_of(1))
            await bench.until(lambda: port.resets, "a reset")
            await bench.say(ONE, second_of(2))
            await asyncio.sleep(0.05)
            assert port.resets == 1
            await bench.say(ONE, MINING)
            assert bench.only_waiting().dumped_wallet_address == USER

        run(tmp_path, story)

    @pytest.mark.parametrize(
        "text",
        [b"", b"Zigbee coordinator 3.1\r\n", console.rom() + console.START + console.NO_CONFIG + console.PORTAL,
         console.PORTAL + console.TASKS, GOOD],
    )  # fmt: skip
    def test_others_are_never_reset(self, tmp_path, monkeypatch, text):
        monkeypatch.setattr(usb_board, "_PATIENCE_FOR_DUMP", 0.0)

        async def story(bench):
            port = await bench.plug(ONE)
            await bench.say(ONE, text)
            await asyncio.sleep(0.05)
            assert port.resets == 0

        run(tmp_path, story)

    def test_several_boards_at_once(self, tmp_path):
        boards = [device(f"ttyACM{n}", f"1-1.{n}", serial=f"02:00:5E:10:00:{n:02X}") for n in range(1, 9)]

        async def story(bench):
            for found in boards:
                await bench.plug(found)
            for cut in range(0, len(MINING), 700):
                for found in boards:
                    await bench.say(found, MINING[cut : cut + 700])
            assert len(bench.waiting) == 8
            assert {row.state for row in bench.waiting} == {"Mining Authorize"}
            assert {row.dumped_wallet_address for row in bench.waiting} == {USER}
            assert sorted(bench.ports.opened) == [found.dev_path for found in boards]

        run(tmp_path, story)


class TestOnboarding:
    def test_a_board_that_is_plugged_in_goes_on_as_the_miner_without_reopening(self, tmp_path):
        async def story(bench):
            row = await bench.onboarded(ONE, MINING, chipset="ESP32-S3", location_notes="shelf")
            assert bench.waiting == ()
            assert (row.status, row.state, row.name, row.currency) == ("Active", "Mining", "Garage", "BTC")
            assert (row.dev_path, row.port_path, row.attrs_serial) == ("/dev/ttyACM0", "1-1.2", MAC.upper())
            assert (row.pool_url, row.wallet_address, row.nerdminer_vrs) == (f"{POOL}:{PORT}", USER, "V1.8.3")
            assert bench.shown(MAC) == ("Active", "Mining")
            await bench.say(ONE, second_of(2))
            page = bench.page()
            assert page.value(RATE, miner=MAC) == 310_000.0
            assert page.value("miner_up", miner=MAC) == 1
            assert bench.ports.opened == ["/dev/ttyACM0"]
            assert bench.meter.targets == {("nerdminer", "usb"): 1}
            assert bench.meter.usb_ports == {"nerdminer": 1}

        run(tmp_path, story)

    def test_an_unplugged_one_is_named_too_and_comes_back_as_the_miner(self, tmp_path):
        async def story(bench):
            await bench.plug(ONE)
            await bench.say(ONE, GOOD)
            bench.unplug(ONE)
            row = await bench.engine.onboard(bench.only_waiting().id, "Garage", "BTC")
            assert (row.status, row.state, row.dev_path, row.port_path) == ("Inactive", "Not Connected", None, None)
            assert bench.shown(MAC) == ("Inactive", "Not Connected")
            await bench.plug(ONE)
            assert bench.shown(MAC) == ("Initializing", "Booting")
            await bench.say(ONE, MINING)
            assert bench.shown(MAC) == ("Active", "Mining")

        run(tmp_path, story)

    def test_pulled_out_while_the_disk_is_waited_for(self, tmp_path):
        async def story(bench):
            await bench.plug(ONE)
            await bench.say(ONE, MINING)
            naming = asyncio.create_task(bench.engine.onboard(bench.only_waiting().id, "Garage", "BTC"))
            await asyncio.sleep(0)
            bench.unplug(ONE)
            row = await naming
            assert (row.status, row.state, row.dev_path) == ("Inactive", "Not Connected", None)
            assert bench.shown(MAC) == ("Inactive", "Not Connected")

        run(tmp_path, story)

    def test_a_mac_that_a_miner_of_the_network_has_is_refused(self, tmp_path):
        async def story(bench):
            bench.db.miners.insert(key="addr:nmminer:192.0.2.9", driver="nmminer", mac=MAC, name="Attic")
            await bench.plug(ONE)
            with pytest.raises(TakenError, match="Attic"):
                await bench.engine.onboard(bench.only_waiting().id, "Garage", "BTC")

        run(tmp_path, story)

    def test_a_forgotten_miner_waits_again_and_its_port_stays_open(self, tmp_path):
        async def story(bench):
            row = await bench.onboarded(ONE, MINING)
            await bench.engine.forget(row.id)
            assert bench.db.miners.all() == ()
            waiting = bench.only_waiting()
            assert (waiting.key, waiting.state, waiting.dumped_wallet_address) == (MAC, "Mining Authorize", USER)
            assert bench.page().values("miner_up") == {}
            await bench.say(ONE, second_of(3))
            again = await bench.engine.onboard(waiting.id, "Garage", "BTC")
            assert again.id != row.id
            assert bench.shown(MAC) == ("Active", "Mining")
            assert bench.ports.opened == ["/dev/ttyACM0"]

        run(tmp_path, story)


class TestMiners:
    def test_unplugged_the_series_are_gone_at_once_and_the_miner_stays(self, tmp_path):
        async def story(bench):
            row = await bench.onboarded(ONE, MINING)
            await bench.say(ONE, second_of(2))
            assert RATE in bench.page().names_of(MAC)
            bench.unplug(ONE)
            page = bench.page()
            assert page.value("miner_up", miner=MAC) == 0
            assert not {RATE, "miner_pool_shares_accepted_total", "miner_uptime_seconds"} & page.names_of(MAC)
            assert bench.shown(MAC) == ("Inactive", "Not Connected")
            stored = bench.db.miners.get(row.id)
            assert (stored.status, stored.state) == ("Inactive", "Not Connected")
            assert (stored.dev_path, stored.port_path) == (None, None)
            (record,) = bench.engine.snapshot().miners
            assert (record.usb.dev_path, record.usb.port_path) == (None, None)

        run(tmp_path, story)

    def test_back_at_another_port_it_goes_on_with_its_row_and_its_counters(self, tmp_path):
        async def story(bench):
            row = await bench.onboarded(ONE, MINING + submit(4) + share_accepted(4) + submit(5) + share_rejected(5))
            await bench.say(ONE, second_of(2))
            accepted = bench.page().value("miner_pool_shares_accepted_total", miner=MAC)
            boots = bench.page().value("miner_usb_boots_total", miner=MAC)
            assert (accepted, boots) == (1, 1)
            bench.unplug(ONE)
            moved = device("ttyACM7", "2-3.1")
            await bench.plug(moved)
            assert bench.shown(MAC) == ("Initializing", "Booting")
            stored = bench.db.miners.get(row.id)
            assert (stored.dev_path, stored.port_path) == ("/dev/ttyACM7", "2-3.1")
            await bench.say(moved, MINING)
            assert bench.page().value("miner_pool_shares_accepted_total", miner=MAC) == 1
            assert bench.page().value("miner_usb_boots_total", miner=MAC) == 2
            assert [(event.accepted, event.difficulty) for event in bench.usb.shares_of(row.id)] == [
                (True, pytest.approx(0.000512345678)),
                (False, pytest.approx(0.000512345678)),
            ]
            assert len(bench.db.miners.all()) == 1

        run(tmp_path, story)

    def test_authorize_alone_is_not_active(self, tmp_path):
        async def story(bench):
            await bench.onboarded(ONE, BOOT)
            await bench.say(ONE, TO_POOL + console.subscribe() + console.AUTHORIZE)
            assert bench.shown(MAC) == ("Initializing", "Mining Authorize")
            assert bench.page().value("miner_up", miner=MAC) == 0
            await bench.say(ONE, console.ACCEPTED)
            assert bench.shown(MAC) == ("Active", "Mining")

        run(tmp_path, story)

    def test_a_reboot_takes_the_figures_away(self, tmp_path):
        async def story(bench):
            await bench.onboarded(ONE, MINING)
            await bench.say(ONE, second_of(2))
            await bench.say(ONE, console.rom())
            assert bench.shown(MAC) == ("Initializing", "Booting")
            assert RATE not in bench.page().names_of(MAC)

        run(tmp_path, story)

    def test_readings_write_nothing_to_the_disk(self, tmp_path, steady):
        async def story(bench):
            await bench.onboarded(ONE, MINING)
            await bench.say(ONE, second_of(2))
            await bench.plug(BRIDGE)
            await bench.say(BRIDGE, MINING)
            await bench.db.commit()
            for number in range(3, 30):
                await bench.say(ONE, submit(number + 20) + share_accepted(number + 20) + second_of(number))
                await bench.say(BRIDGE, second_of(number))
                assert not bench.db.unsaved
            assert bench.page().value("miner_pool_shares_accepted_total", miner=MAC) == 27

        run(tmp_path, story)

    def test_after_a_restart_everything_is_inactive_until_it_is_found(self, tmp_path):
        async def first(bench):
            await bench.onboarded(ONE, MINING)
            await bench.say(ONE, second_of(2))
            await bench.plug(BRIDGE)

        async def second(bench):
            row = bench.db.miners.by_key(MAC)
            assert (row.status, row.state, row.dev_path) == ("Inactive", "Not Connected", None)
            assert (bench.only_waiting().status, bench.only_waiting().dev_path) == ("Inactive", None)
            assert bench.shown(MAC) == ("Inactive", "Not Connected")
            assert bench.page().value("miner_info", miner=MAC, firmware_version="V1.8.3") == 1
            await bench.plug(ONE)
            await bench.say(ONE, second_of(9))  # it went on mining meanwhile: no boot, no dump
            assert bench.shown(MAC) == ("Active", "Mining")
            assert bench.db.miners.by_key(MAC).pool_url == f"{POOL}:{PORT}"

        run(tmp_path, first)
        run(tmp_path, second)

    def test_a_killed_program_leaves_nothing_that_looks_plugged_in(self, tmp_path):
        async def first(bench):
            await bench.onboarded(ONE, MINING)
            command = bench.usb.get_config(1)
            assert command.status == "pending"

        run(tmp_path, first)

        async def pretend(bench):
            bench.db.miners.update(1, status="Active", state="Mining", dev_path="/dev/ttyACM0", port_path="1-1.2")
            bench.db.miner_commands.add(1, "GET_CONFIG")
            bench.start()
            assert bench.db.miners.get(1).status == "Inactive"
            assert {command.status for command in bench.db.miner_commands.all()} == {"error"}
            bench.usb._timer.cancel()

        run(tmp_path, pretend)

    @pytest.mark.parametrize(("managed", "enabled"), [(False, True), (True, False)])
    def test_a_miner_that_is_only_listed_shows_nothing_live(self, tmp_path, managed, enabled):
        async def story(bench):
            row = await bench.onboarded(ONE, MINING)
            miner = bench.engine.flock.get(row.id)
            bench.engine.flock.update(miner, managed=managed, enabled=enabled)
            await bench.say(ONE, second_of(2))
            page = bench.page()
            assert RATE not in page.names_of(MAC)
            assert page.values("miner_usb_state", miner=MAC) == {}
            assert bench.engine.snapshot().miners[0].up is None
            bench.engine.flock.update(miner, managed=True, enabled=True)
            await bench.say(ONE, second_of(3))
            assert bench.page().value(RATE, miner=MAC) == 310_000.0
            assert len(bench.ports.opened) == 1

        run(tmp_path, story)


def test_a_state_is_on_the_page_before_anything_else_happens(tmp_path):
    async def story(bench):
        await bench.onboarded(ONE, BOOT)
        bench.ports.now["/dev/ttyACM0"].on_data(TO_POOL)
        assert bench.shown(MAC) == (UsbStatus.INITIALIZING.value, "DNS Resolved")

    run(tmp_path, story)


def test_a_driver_of_ones_own_that_reads_no_console_is_not_used_for_usb(tmp_path):
    class Mute:
        period = 1.0

        def feed(self, data, now):
            return ()

    async def story(bench):
        driver = bench.engine._drivers.drivers["nerdminer"]
        driver.new_stream = Mute
        await bench.plug(ONE)
        await bench.say(ONE, GOOD)
        assert bench.only_waiting().state == "Mining Authorize"

    run(tmp_path, story)
