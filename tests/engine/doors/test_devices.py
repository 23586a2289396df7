"""USB boards that wait: listed, held shut, opened, dismissed, read again, named; miners on USB switched off and on."""

import time
from dataclasses import replace

import pytest

from exporter.config_schema import Control
from exporter.engine.doors.devices import DevicesDoor
from exporter.engine.doors.miners import MinersDoor
from exporter.errors import FieldError, ForbiddenError, TakenError, UnavailableError, UnknownError
from exporter.transports.serial import PortError
from tests.engine.doors.calls import ask, door_of, on_disk
from tests.engine.usb_bench import CH340, MAC, RATE, device, quick, run
from tests.protocols.nerdminer_consoles import BOOT, GOOD, PASSWORD, TO_POOL, USER, completed, details

BRIDGE = device("ttyUSB0", "1-1.3", CH340, None)
ONE = device()
MINING = GOOD + completed(0, 310, "310.00") + details()


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    with quick(monkeypatch):
        yield


def second_of(number):
    return completed(0, 310 * number, "310.00") + details(templates=number)


def there_at_start(story, **serial):
    """A story that begins with `BRIDGE` plugged in before the program starts."""

    async def whole(bench):
        if not bench.plugged:
            bench.usb._watcher.stop()
            bench.plugged[BRIDGE.dev_path] = BRIDGE
            bench.usb._watch()
            await bench.settle()
        return await story(bench, door_of(DevicesDoor, bench))

    return whole


def test_a_board_that_waits_tells_its_live_state_and_no_secret(tmp_path):
    async def story(bench):
        door = door_of(DevicesDoor, bench)
        await bench.plug(ONE)
        (waiting,) = door.waiting()
        assert (waiting.state, waiting.status, waiting.held) == ("Booting", "Initializing", False)
        await bench.say(ONE, BOOT + TO_POOL)
        (waiting,) = door.waiting()
        assert (waiting.id, waiting.miner, waiting.dev_path) == (bench.only_waiting().id, MAC, ONE.dev_path)
        assert (waiting.dumped_wallet_address, waiting.suggested_name) == (USER, "shelf3")
        assert waiting.state != "Booting"
        assert PASSWORD not in repr(waiting)

    run(tmp_path, story)


def test_a_port_that_is_held_shut_is_listed_last_with_the_reason_and_without_an_id(tmp_path):
    async def story(bench, door):
        await bench.plug(ONE)
        first, held = door.waiting()
        assert (first.miner, first.held) == (MAC, False)
        assert (held.id, held.dev_path, held.held) == (None, BRIDGE.dev_path, True)
        assert "before the program started" in held.held_reason
        assert bench.ports.opened == [ONE.dev_path]

    run(tmp_path, there_at_start(story))


def test_this_is_a_miner_opens_the_port_now_and_at_later_starts(tmp_path):
    async def first(bench, door):
        with pytest.raises(UnknownError):
            await ask(door.open_port, "/dev/ttyUSB7")
        await ask(door.open_port, BRIDGE.dev_path)
        await bench.settle()
        assert bench.ports.opened == [BRIDGE.dev_path]
        (waiting,) = door.waiting()
        assert (waiting.held, waiting.id) == (False, bench.only_waiting().id)
        with pytest.raises(UnknownError):
            await ask(door.open_port, BRIDGE.dev_path)  # it is open

    async def second(bench, door):
        assert bench.ports.opened == [BRIDGE.dev_path]
        assert [waiting.held for waiting in door.waiting()] == [False]

    run(tmp_path, there_at_start(first))
    run(tmp_path, there_at_start(second), open="known")


def test_what_was_said_of_one_board_does_not_open_another_kind_at_its_place(tmp_path):
    async def first(bench, door):
        await ask(door.open_port, BRIDGE.dev_path)

    async def second(bench):
        other = device("ttyUSB0", BRIDGE.port_path, "10c4:ea60", None)
        await bench.plug(other)
        assert bench.ports.opened == []

    run(tmp_path, there_at_start(first))
    run(tmp_path, second, open="known")


def test_ignored_ports_stay_shut_whatever_a_person_said(tmp_path):
    async def first(bench, door):
        await ask(door.open_port, BRIDGE.dev_path)

    async def second(bench, door):
        assert bench.ports.opened == []
        assert [waiting.dev_path for waiting in door.waiting()] == [None]

    run(tmp_path, there_at_start(first))
    run(tmp_path, there_at_start(second), ignore=(CH340,))


def test_a_dismissed_board_is_let_go_and_comes_back_when_it_is_plugged_in_again(tmp_path):
    async def story(bench):
        door = door_of(DevicesDoor, bench)
        await bench.plug(ONE)
        await bench.say(ONE, BOOT)
        await ask(door.dismiss, door.waiting()[0].id)
        await bench.settle()
        assert (door.waiting(), bench.ports.now) == ((), {})
        with on_disk(bench, tmp_path) as stored:
            assert stored.unconfigured_devices.all() == ()
        bench.usb.apply(bench.usb._settings)
        assert door.waiting() == ()
        bench.unplug(ONE)
        await bench.plug(ONE)
        assert [waiting.miner for waiting in door.waiting()] == [MAC]
        with pytest.raises(UnknownError, match="99"):
            await ask(door.dismiss, 99)

    run(tmp_path, story)


def test_a_dismissed_board_is_asked_about_again_at_the_next_start(tmp_path):
    async def first(bench, door):
        await ask(door.open_port, BRIDGE.dev_path)
        await bench.settle()
        await ask(door.dismiss, door.waiting()[0].id)

    async def second(bench, door):
        assert bench.ports.opened == []
        assert [waiting.held for waiting in door.waiting()] == [True]

    run(tmp_path, there_at_start(first))
    run(tmp_path, there_at_start(second))


def test_capture_restarts_a_board_which_tells_its_configuration_again(tmp_path):
    async def story(bench):
        door = door_of(DevicesDoor, bench)
        port = await bench.plug(ONE)
        await bench.say(ONE, completed(0, 310, "310.00"))
        (waiting,) = door.waiting()
        assert waiting.dumped_wallet_address is None
        before = port.resets
        port.after_reset = GOOD
        await ask(door.capture, waiting.id)
        await bench.settle()
        assert port.resets == before + 1
        assert door.waiting()[0].dumped_wallet_address == USER
        port.fails = PortError(ONE.dev_path, f"{ONE.dev_path}: broken pipe")
        with pytest.raises(UnavailableError, match="broken pipe"):
            await ask(door.capture, waiting.id)
        bench.unplug(ONE)
        with pytest.raises(ForbiddenError, match="not plugged in"):
            await ask(door.capture, waiting.id)
        with pytest.raises(UnknownError, match="99"):
            await ask(door.capture, 99)

    run(tmp_path, story)


def test_a_board_whose_port_is_held_shut_is_not_restarted(tmp_path):
    async def story(bench, door):
        with pytest.raises(ForbiddenError, match="not open"):
            await ask(door.capture, bench.only_waiting().id)
        assert bench.ports.tried == []

    run(tmp_path, there_at_start(story))


def test_nothing_is_restarted_where_the_configuration_forbids_control(tmp_path):
    async def story(bench):
        door, miners = door_of(DevicesDoor, bench), door_of(MinersDoor, bench)
        port = await bench.plug(ONE)
        await bench.say(ONE, MINING)
        before = port.resets
        bench.engine._settings = replace(bench.engine.settings, control=Control(enabled=False))
        with pytest.raises(ForbiddenError, match=r"control\.enabled"):
            await ask(door.capture, bench.only_waiting().id)
        row = await ask(door.onboard, bench.only_waiting().id, "Garage", "BTC")
        with pytest.raises(ForbiddenError, match=r"control\.enabled"):
            await ask(miners.get_config, row.id)
        assert port.resets == before

    run(tmp_path, story)


def test_onboarding_is_on_disk_when_the_call_returns(tmp_path):
    async def story(bench):
        door = door_of(DevicesDoor, bench)
        await bench.plug(ONE)
        await bench.say(ONE, MINING)
        device_id = door.waiting()[0].id
        with pytest.raises(FieldError) as caught:
            await ask(door.onboard, device_id, "Garage", "EUR")
        assert caught.value.field == "currency"
        row = await ask(door.onboard, device_id, "Garage", "BTC", "ESP32-S3", "shelf")
        assert door.waiting() == ()
        with on_disk(bench, tmp_path) as stored:
            kept = stored.miners.get(row.id)
            assert (kept.name, kept.currency, kept.chipset, kept.location_notes) == (
                "Garage",
                "BTC",
                "ESP32-S3",
                "shelf",
            )
            assert stored.unconfigured_devices.all() == ()
        with pytest.raises(UnknownError):
            await ask(door.onboard, device_id, "Attic", "BTC")

    run(tmp_path, story)


# --- miners on USB ---


def test_a_miner_on_usb_tells_its_configuration_one_command_at_a_time(tmp_path):
    async def story(bench):
        miners = door_of(MinersDoor, bench)
        row = await bench.onboarded(ONE, MINING)
        port = bench.ports.now[ONE.dev_path]
        command = await ask(miners.get_config, row.id)
        assert command.status == "pending"
        with pytest.raises(TakenError, match="already"):
            await ask(miners.get_config, row.id)
        await bench.until(lambda: port.resets == 1, "the restart")
        await bench.say(ONE, GOOD)
        await bench.until(lambda: miners.commands(row.id)[-1].status == "complete", "the configuration")
        bench.unplug(ONE)
        with pytest.raises(ForbiddenError, match="not plugged in"):
            await ask(miners.get_config, row.id)
        assert [entry.id for entry in miners.commands(row.id)] == [command.id]
        rig = bench.db.miners.insert(key="02:00:00:00:00:99", driver="bitaxe")
        bench.engine.flock.take_row(rig)
        with pytest.raises(ForbiddenError, match="on USB"):
            await ask(miners.get_config, rig.id)

    run(tmp_path, story)


def test_an_unmanaged_miner_on_usb_keeps_its_port_and_shows_no_value(tmp_path):
    async def story(bench):
        miners = door_of(MinersDoor, bench)
        row = await bench.onboarded(ONE, MINING)
        await bench.say(ONE, second_of(2))
        assert bench.page().value(RATE, miner=MAC) is not None
        await ask(miners.change, row.id, {"managed": False})
        await bench.say(ONE, second_of(3))
        assert bench.page().value(RATE, miner=MAC) is None
        assert bench.page().value("miner_up", miner=MAC) is None
        assert bench.ports.opened == [ONE.dev_path]
        await ask(miners.change, row.id, {"managed": True})
        await bench.say(ONE, second_of(4))
        assert bench.page().value(RATE, miner=MAC) is not None
        assert bench.ports.opened == [ONE.dev_path]

    run(tmp_path, story)


def test_a_retired_miner_on_usb_gives_its_port_back(tmp_path):
    async def story(bench):
        miners = door_of(MinersDoor, bench)
        row = await bench.onboarded(ONE, MINING)
        await ask(miners.change, row.id, {"enabled": False})
        await bench.settle()
        assert bench.ports.now == {}
        assert bench.page().names_of(MAC) == set()
        assert door_of(DevicesDoor, bench).waiting() == ()
        await ask(miners.change, row.id, {"enabled": True})
        await bench.settle()
        assert list(bench.ports.now) == [ONE.dev_path]
        await bench.say(ONE, MINING + second_of(2))
        assert bench.page().value(RATE, miner=MAC) is not None

    run(tmp_path, story)


def test_a_retired_miner_on_usb_stays_retired_when_it_is_plugged_in(tmp_path):
    async def story(bench):
        row = await bench.onboarded(ONE, MINING)
        await ask(door_of(MinersDoor, bench).change, row.id, {"enabled": False})
        bench.unplug(ONE)
        await bench.plug(ONE)
        assert bench.ports.now == {}
        assert bench.waiting == ()

    run(tmp_path, story)


def test_a_miner_on_usb_has_no_password_and_may_be_muted(tmp_path):
    async def story(bench):
        miners = door_of(MinersDoor, bench)
        row = await bench.onboarded(ONE, MINING)
        with pytest.raises(FieldError, match="USB"):
            await ask(miners.change, row.id, {"unlock_pass": "x"})
        await ask(miners.change, row.id, {"muted_until": time.time() + 3600})
        assert bench.page().value("miner_muted", miner=MAC) == 1
        await bench.say(ONE, second_of(2))
        assert await ask(miners.rescan, row.id) is True
        bench.unplug(ONE)
        assert await ask(miners.rescan, row.id) is False

    run(tmp_path, story)


def test_the_console_of_a_miner_on_usb_is_its_exchange(tmp_path):
    async def story(bench):
        miners = door_of(MinersDoor, bench)
        row = await bench.onboarded(ONE, MINING)
        (seen,) = await ask(miners.exchanges, row.id)
        assert seen.request == "console"
        assert "Completed" in seen.body
        assert PASSWORD not in seen.body
        bench.unplug(ONE)
        assert await ask(miners.exchanges, row.id) == ()

    run(tmp_path, story)


def test_a_forgotten_miner_on_usb_waits_to_be_named_again(tmp_path):
    async def story(bench):
        row = await bench.onboarded(ONE, MINING)
        await ask(door_of(MinersDoor, bench).forget, row.id)
        (waiting,) = door_of(DevicesDoor, bench).waiting()
        assert (waiting.miner, waiting.held) == (MAC, False)
        with on_disk(bench, tmp_path) as stored:
            assert stored.miners.all() == ()
            assert len(stored.unconfigured_devices) == 1

    run(tmp_path, story)
