"""Ports of USB boards: which are opened, reloads, shared serial numbers, trouble, GET_CONFIG."""

import asyncio
import json
import logging

import pytest

from exporter.config_schema import Serial
from exporter.errors import UsageError
from exporter.transports.serial import PortBusy, PortDenied, PortVanished
from tests.engine.usb_bench import CH340, MAC, RATE, device, quick, run
from tests.protocols import nerdminer_consoles as console
from tests.protocols.nerdminer_consoles import (
    BOOT,
    GOOD,
    PASSWORD,
    PORT,
    TO_POOL,
    USER,
    completed,
    details,
)

ONE = device()
MINING = GOOD + completed(0, 310, "310.00") + details()
BRIDGE = device("ttyUSB0", "1-1.3", CH340, None)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    with quick(monkeypatch):
        yield


def second_of(number):
    return completed(0, 310 * number, "310.00") + details(templates=number)


class TestWhoMayBeOpened:
    @pytest.mark.parametrize(
        ("settings", "at_start", "plugged_in"),
        [
            ({"open": "known"}, [], []),
            ({"open": "hotplug"}, [], ["/dev/ttyUSB1"]),
            ({"open": "all"}, ["/dev/ttyUSB0"], ["/dev/ttyUSB0", "/dev/ttyUSB1"]),
            ({"open": "known", "match": (CH340,)}, ["/dev/ttyUSB0"], ["/dev/ttyUSB0", "/dev/ttyUSB1"]),
            ({"open": "known", "ports": ("/dev/ttyUSB0",)}, ["/dev/ttyUSB0"], ["/dev/ttyUSB0"]),
        ],
    )
    def test_by_settings(self, tmp_path, settings, at_start, plugged_in):
        first, second = device("ttyUSB0", "1-1", CH340, None), device("ttyUSB1", "1-2", CH340, None)

        async def story(bench):
            await bench.settle()
            assert bench.ports.opened == at_start
            await bench.plug(second)
            assert sorted(bench.ports.opened) == plugged_in
            assert len(bench.waiting) == 2
            unopened = [row for row in bench.waiting if row.dev_path not in plugged_in]
            assert {row.status for row in unopened} <= {None}
            assert all(row.port_path for row in unopened)

        def with_one(bench):
            bench.plugged[first.dev_path] = first

        run_with(tmp_path, with_one, story, **settings)

    def test_naming_a_board_that_waits_unopened_opens_it(self, tmp_path):
        async def story(bench):
            assert bench.ports.tried == []
            row = await bench.engine.onboard(bench.only_waiting().id, "Garage", "BTC")
            assert (row.status, row.state) == ("Initializing", "Booting")
            await bench.settle()
            assert bench.ports.opened == ["/dev/ttyUSB0"]
            await bench.say(BRIDGE, second_of(1))
            assert bench.shown("port:1-1.3") == ("Active", "Mining")
            assert bench.page().value("miner_usb_state_since_timestamp_seconds", miner="port:1-1.3") > 1e9

        run_with(tmp_path, lambda bench: bench.plugged.update({BRIDGE.dev_path: BRIDGE}), story)

    def test_ignored_boards_are_neither_listed_nor_opened(self, tmp_path):
        async def story(bench):
            await bench.plug(BRIDGE)
            await bench.plug(device("ttyACM5", "1-5", "0451:16a8", "L1000ABC"))
            assert (bench.waiting, bench.ports.tried) == ((), [])
            assert bench.meter.usb_ports == {"nerdminer": 0}
            bench.unplug(BRIDGE)

        run(tmp_path, story, ignore=("1-1.3",))

    def test_the_lines_are_held_where_the_chip_has_usb_of_its_own(self, tmp_path):
        async def story(bench):
            assert (await bench.plug(ONE)).hold_lines
            assert not (await bench.plug(BRIDGE)).hold_lines

        run(tmp_path, story)

    def test_a_board_with_two_serial_ports_has_one_owner(self, tmp_path):
        one = device("ttyUSB0", "1-4", "0403:6010", None)
        other = device("ttyUSB1", "1-4", "0403:6010", None)

        async def story(bench):
            await bench.plug(one)
            await bench.plug(other)
            assert bench.ports.opened == ["/dev/ttyUSB0"]
            assert bench.only_waiting().dev_path == "/dev/ttyUSB0"
            bench.unplug(one)
            bench.unplug(other)
            assert bench.only_waiting().state == "Not Connected"

        run(tmp_path, story)


class TestReload:
    def test_switched_on_and_off(self, tmp_path):
        async def story(bench):
            bench.plugged[ONE.dev_path] = ONE
            assert bench.watchers == []
            bench.usb.apply(Serial(open="all"))
            await bench.settle()
            assert bench.ports.opened == ["/dev/ttyACM0"]
            await bench.say(ONE, GOOD)
            bench.usb.apply(Serial(enabled=False))
            assert bench.ports.now == {}
            assert not bench.watchers[-1].running
            assert bench.only_waiting().state == "Not Connected"
            bench.usb.apply(Serial(open="all"))
            await bench.settle()
            assert list(bench.ports.now) == ["/dev/ttyACM0"]
            assert sum(watcher.running for watcher in bench.watchers) == 1

        run(tmp_path, story, enabled=False)

    def test_open_ports_stay_open_and_what_may_be_opened_now_is(self, tmp_path):
        async def story(bench):
            await bench.plug(ONE)
            bench.usb.apply(Serial(open="all"))
            await bench.settle()
            assert bench.ports.opened == ["/dev/ttyACM0", "/dev/ttyUSB0"]
            bench.usb.apply(Serial(open="all", ports=("/dev/ttyS9",)))
            bench.usb.apply(Serial(open="known", ports=("/dev/ttyS8",)))
            await bench.settle()
            assert bench.ports.opened == ["/dev/ttyACM0", "/dev/ttyUSB0"]
            assert len(bench.ports.now) == 2

        run_with(tmp_path, lambda bench: bench.plugged.update({BRIDGE.dev_path: BRIDGE}), story)

    def test_new_ports_are_found_and_those_that_went_meanwhile_are_missed(self, tmp_path):
        fixed = device("ttyS9", "/dev/ttyS9", "", None)

        async def story(bench):
            await bench.plug(ONE)
            bench.plugged.clear()
            bench.plugged[fixed.dev_path] = fixed
            bench.usb.apply(Serial(ports=("/dev/ttyS9",)))
            await bench.settle()
            assert list(bench.ports.now) == ["/dev/ttyS9"]
            assert {row.key: row.state for row in bench.waiting} == {MAC: "Not Connected", "port:/dev/ttyS9": "Booting"}

        run(tmp_path, story)

    def test_ignored_from_now_on_and_not_any_more(self, tmp_path):
        async def story(bench):
            await bench.onboarded(ONE, MINING)
            bench.usb.apply(Serial(ignore=("303a:*",)))
            assert bench.ports.now == {}
            assert bench.shown(MAC) == ("Inactive", "Not Connected")
            bench.usb.apply(Serial())
            await bench.settle()
            assert list(bench.ports.now) == ["/dev/ttyACM0"]
            assert bench.shown(MAC) == ("Initializing", "Booting")

        run(tmp_path, story)


class TestTwins:
    ONE = device("ttyUSB0", "1-1", "10c4:ea60", "BATCH-77A")
    OTHER = device("ttyUSB1", "1-2", "10c4:ea60", "BATCH-77A")

    def test_waiting_ones_are_told_apart_by_their_ports(self, tmp_path):
        async def story(bench):
            await bench.plug(self.ONE)
            assert bench.only_waiting().key == "serial:BATCH-77A"
            await bench.plug(self.OTHER)
            assert [row.key for row in bench.waiting] == ["port:1-1", "port:1-2"]
            await bench.say(self.OTHER, GOOD)
            assert [row.dumped_wallet_address for row in bench.waiting] == [None, USER]

        async def alone(bench):
            await bench.plug(self.OTHER)
            assert [row.dev_path for row in bench.waiting] == [None, "/dev/ttyUSB1"]

        run(tmp_path, story)
        run(tmp_path, alone)

    def test_a_miner_keeps_its_label_when_a_second_one_comes(self, tmp_path):
        async def story(bench):
            row = await bench.onboarded(self.ONE, MINING)
            await bench.plug(self.OTHER)
            assert bench.only_waiting().key == "port:1-2"
            await bench.say(self.ONE, second_of(2))
            assert bench.page().value(RATE, miner=row.key) == 310_000.0

        async def after(bench):
            await bench.plug(self.OTHER)
            await bench.plug(self.ONE)
            assert bench.only_waiting().dev_path == "/dev/ttyUSB1"
            assert bench.shown("serial:BATCH-77A") == ("Initializing", "Booting")

        run(tmp_path, story)
        run(tmp_path, after)

    def test_placeholders_are_no_news(self, tmp_path, caplog):
        async def story(bench):
            await bench.plug(device("ttyUSB0", "1-1", "10c4:ea60", "0001"))
            await bench.plug(device("ttyUSB1", "1-2", "10c4:ea60", "0001"))
            assert [row.key for row in bench.waiting] == ["port:1-1", "port:1-2"]

        run(tmp_path, story)
        assert "share a serial" not in caplog.text


class TestTroubleWithPorts:
    @pytest.mark.parametrize(
        "error",
        [PortDenied("/dev/ttyACM0", "may not be opened; it belongs to group dialout"),
         PortBusy("/dev/ttyACM0", "is held by minicom")],
    )  # fmt: skip
    def test_one_line_in_the_log_and_it_is_tried_again_until_it_opens(self, tmp_path, caplog, error):
        async def story(bench):
            bench.ports.errors["/dev/ttyACM0"] = [error] * 5
            await bench.plug(ONE)
            assert bench.only_waiting().state == "Booting"
            await bench.until(lambda: bench.ports.opened, "the port")
            assert len(bench.ports.tried) == 6
            await bench.say(ONE, GOOD)
            assert bench.only_waiting().state == "Mining Authorize"

        run(tmp_path, story)
        assert [str(error) in record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
            True
        ]

    def test_a_known_miner_says_what_is_the_matter(self, tmp_path):
        async def story(bench):
            await bench.onboarded(ONE, MINING)
            bench.unplug(ONE)
            bench.ports.errors["/dev/ttyACM0"] = [PortBusy("/dev/ttyACM0", "it is held by minicom")] * 1000
            await bench.plug(ONE)
            assert bench.engine.snapshot().miners[0].last_error == "it is held by minicom"
            assert bench.shown(MAC) == ("Initializing", "Booting")
            bench.unplug(ONE)
            tried = len(bench.ports.tried)
            await asyncio.sleep(0.03)
            assert len(bench.ports.tried) == tried

        run(tmp_path, story)

    @pytest.mark.parametrize("named", [True, False])
    @pytest.mark.parametrize(
        "text",
        [b"", console.rom(), BOOT, BOOT + console.TASKS, BOOT + TO_POOL, BOOT + TO_POOL + console.subscribe(),
         BOOT + TO_POOL + console.subscribe() + console.AUTHORIZE, MINING, MINING[:-40]],
    )  # fmt: skip
    def test_it_vanishes_in_any_state_and_comes_back(self, tmp_path, named, text):
        async def story(bench):
            await bench.plug(ONE)
            if named:
                await bench.engine.onboard(bench.only_waiting().id, "Garage", "BTC")
            if text:
                await bench.say(ONE, text)
            bench.ports.now["/dev/ttyACM0"].vanish()

            def row():
                return bench.db.miners.get(1) if named else bench.only_waiting()

            assert (row().status, row().state, row().dev_path) == ("Inactive", "Not Connected", None)
            if named:
                assert bench.shown(MAC) == ("Inactive", "Not Connected")
            await bench.until(lambda: bench.ports.now, "the port again")
            assert (row().status, row().state, row().dev_path) == ("Initializing", "Booting", "/dev/ttyACM0")
            await bench.say(ONE, MINING)
            assert row().state == ("Mining" if named else "Mining Authorize")
            bench.ports.now["/dev/ttyACM0"].vanish()
            bench.unplug(ONE)
            await asyncio.sleep(0.03)
            assert bench.ports.now == {}
            await bench.plug(ONE)
            assert row().state == "Booting"

        run(tmp_path, story)


class TestGetConfig:
    def test_the_board_is_restarted_and_its_configuration_kept_with_secrets_masked(self, tmp_path):
        async def story(bench):
            row = await bench.onboarded(ONE, MINING)
            await bench.say(ONE, second_of(2))
            port = bench.ports.now["/dev/ttyACM0"]
            other = console.rom() + console.START + console.spiffs(console.dumped(poolString="other.example.org"))
            port.after_reset = other
            command = bench.usb.get_config(row.id)
            assert (command.status, command.command, command.miner_id) == ("pending", "GET_CONFIG", row.id)
            assert bench.usb.get_config(row.id) == command  # one restart is enough
            done = await bench.until(lambda: ended(bench, command), "the end")
            assert (done.status, done.error, port.resets) == ("complete", None, 1)
            assert done.ended_at >= done.created_at
            stored = bench.db.miners.get(row.id)
            assert json.loads(stored.last_config_json)["poolString"] == "other.example.org"
            assert stored.pool_url == f"other.example.org:{PORT}"
            assert PASSWORD not in bench.db.encoded().decode()
            assert bench.shown(MAC) == ("Initializing", "Booting")
            assert len(bench.ports.opened) == 1
            assert [c.status for c in bench.db.miner_commands.of(row.id)] == ["complete"]

        run(tmp_path, story)

    def test_a_board_that_leaves_usb_for_a_moment(self, tmp_path):
        async def story(bench):
            row = await bench.onboarded(ONE, MINING)
            port = bench.ports.now["/dev/ttyACM0"]
            port.fails = PortVanished("/dev/ttyACM0", "gone")
            command = bench.usb.get_config(row.id)
            await bench.settle()
            bench.unplug(ONE)
            assert ended(bench, command) is None
            await bench.plug(ONE)
            await bench.say(ONE, BOOT)
            done = await bench.until(lambda: ended(bench, command), "the end")
            assert (done.status, done.error) == ("complete", None)

        run(tmp_path, story)

    @pytest.mark.parametrize("seconds", [0.5])
    @pytest.mark.parametrize(
        ("trouble", "message"),
        [("unplugged", "not plugged in"), ("silent", "told no configuration within 0.5 s"),
         ("pulled", "unplugged meanwhile"), ("busy", "held by minicom"), ("reset", "no reset here")],
    )  # fmt: skip
    def test_errors(self, tmp_path, seconds, trouble, message):
        async def story(bench):
            row = await bench.onboarded(ONE, MINING)
            if trouble in ("unplugged", "busy"):
                bench.unplug(ONE)
            if trouble == "busy":
                bench.ports.errors["/dev/ttyACM0"] = [PortBusy("/dev/ttyACM0", "held by minicom")] * 1000
                await bench.plug(ONE)
            if trouble == "reset":
                bench.ports.now["/dev/ttyACM0"].fails = PortDenied("/dev/ttyACM0", "no reset here")
            command = bench.usb.get_config(row.id)
            if trouble == "pulled":
                await bench.settle()
                bench.unplug(ONE)
            done = await bench.until(lambda: ended(bench, command), "the end")
            assert done.status == "error"
            assert message in done.error

        run(tmp_path, story, config_seconds=seconds)

    def test_only_for_miners_on_usb(self, tmp_path):
        async def story(bench):
            other = bench.db.miners.insert(key="02:00:00:00:00:99", driver="bitaxe")
            for wrong in (other.id, 77):
                with pytest.raises(UsageError, match=str(wrong)):
                    bench.usb.get_config(wrong)

        run(tmp_path, story)

    def test_a_forgotten_miners_command_ends_quietly(self, tmp_path):
        async def story(bench):
            row = await bench.onboarded(ONE, MINING)
            bench.usb.get_config(row.id)
            await bench.engine.forget(row.id)
            await bench.settle()
            assert bench.db.miner_commands.all() == ()

        run(tmp_path, story, config_seconds=0.02)


def ended(bench, command):
    row = bench.db.miner_commands.get(command.id)
    return row if row.status in ("complete", "error") else None


def run_with(folder, prepare, story, **options):
    """As `run`, with something plugged in before the program starts."""

    async def with_more(bench):
        prepare(bench)
        for found in bench.plugged.values():
            bench.watchers[-1].added(found, initial=True)
        await bench.settle()
        return await story(bench)

    run(folder, with_more, **options)
