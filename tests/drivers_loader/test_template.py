"""The template keeps the contract it explains, and does what its texts say."""

import json
import re
import shutil

import pytest

from exporter.drivers.api import Answer, Answers, DecodeContext, HttpRequest, Specificity
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence
from exporter.drivers.conformance import check_driver, check_without_device
from exporter.drivers.conformance_commands import check_commands
from exporter.drivers.files import TEMPLATE
from exporter.drivers.fixture import Fixture, load_fixture, replay, write_fixture
from exporter.drivers.loader import BUNDLED_FOLDER, load_drivers, load_single
from exporter.errors import DecodeError
from exporter.model import Identity, MinerState, Reading
from tests.drivers_loader.example_device import SETTINGS, STATUS

NOW = 1_760_000_000.0
README = (BUNDLED_FOLDER / "README.md").read_text()


def answer(document, status=200):
    return Answer(json.dumps(document).encode(), status)


@pytest.fixture
def driver():
    return load_single(BUNDLED_FOLDER / TEMPLATE).driver


@pytest.fixture
def fixture(driver, tmp_path):
    """A recording of the example device, with what the template makes of it."""
    answers = {"GET /api/status": answer(STATUS), "GET /api/settings": answer(SETTINGS)}
    made = Fixture("example", "Example One", "1.4.0", answers, received_at=NOW)
    write_fixture(tmp_path / "recording", made, replay(driver, made))
    return load_fixture(tmp_path / "recording")


def reading_of(driver, **changes):
    return driver.decode_status(Answers({"GET /api/status": answer({**STATUS, **changes})}), DecodeContext(NOW))


def test_it_keeps_the_contract(driver, fixture):
    assert check_without_device(driver) == []
    assert check_driver(driver, fixture) == []
    assert check_commands(driver, fixture) == []


def test_it_is_never_loaded_and_a_copy_of_it_is(tmp_path):
    folder = tmp_path / "drivers"
    assert "example" not in load_drivers(folder).drivers
    assert (folder / TEMPLATE).is_file()
    shutil.copyfile(folder / TEMPLATE, folder / "example_driver.py")
    found = load_drivers(folder)
    assert found.rejected == ()
    assert found.drivers["example"].display_name == "Example One"


def test_it_tells_who_the_device_is(driver):
    found = driver.identify(Answers({"GET /api/status": answer(STATUS)}))
    assert (found.driver_type, found.specificity) == ("example", Specificity.CERTAIN)
    assert found.identity == Identity(
        "02:00:5e:10:00:01", "EX-0001", "Example Miners", "Example One", "Example", "1.4.0", "example-1"
    )
    assert driver.identify(Answers({"GET /api/status": answer({**STATUS, "maker": "Others"})})) is None
    assert driver.identify(Answers({"GET /api/status": answer(STATUS, status=401)})) is None
    assert driver.identify(Answers({})) is None


def test_its_reading_is_in_base_units(driver):
    reading = reading_of(driver)
    assert (reading.hashrate, reading.hashrate_average) == (1.0725e12, 1.069e12)
    assert (reading.power, reading.uptime, reading.work_mode) == (18.5, 86461.0, "eco")
    assert (reading.state, reading.expected_mining) == (MinerState.MINING, True)
    assert (reading.fans[0].speed, reading.fans[0].duty) == (4100.0, 0.55)
    (board,) = reading.boards
    assert (board.chip_model, board.frequency, board.voltage) == ("BM1370", 525e6, 1.15)
    assert board.temperatures[0].celsius == 58.5
    (pool,) = reading.pools
    assert (pool.accepted, pool.rejected, pool.active, pool.last_share) == (1200.0, 3.0, True, NOW - 12)
    assert reading.best_share_difficulty == 4.29e9
    assert "hunter2" not in repr(reading)


def test_what_is_not_told_stays_unknown(driver):
    told = {"maker": "Example Miners", "hashrate_ghs": None}
    reading = driver.decode_status(Answers({"GET /api/status": answer(told)}), DecodeContext(NOW))
    identity = Identity(make="Example Miners", firmware="Example")
    assert reading == Reading(identity=identity)
    assert reading_of(driver, state="dreaming").state is None
    assert reading_of(driver, state="paused").expected_mining is False
    assert driver.decode_telemetry(Answers({}), DecodeContext(NOW)) == Reading()


def test_a_changed_firmware_is_an_error(driver):
    with pytest.raises(DecodeError, match="hashrate_ghs: expected a number"):
        reading_of(driver, hashrate_ghs={"now": 5})
    with pytest.raises(DecodeError, match="hashrate_ghs is missing"):
        driver.decode_status(Answers({"GET /api/status": answer({})}), DecodeContext(NOW))


def test_its_slow_part(driver):
    reading = driver.decode_telemetry(Answers({"GET /api/settings": answer(SETTINGS)}), DecodeContext(NOW))
    assert (reading.work_modes, reading.power_limit) == (("eco", "turbo"), 25.0)


def test_its_restart_is_sent_once_and_seen_by_the_uptime(driver):
    plan = driver.restart(CommandContext(DecodeContext(NOW), reading_of(driver)))
    (write,) = plan.writes(Answers({}))
    assert write.request == HttpRequest("/api/restart", method="POST")
    assert not write.repeatable
    before = reading_of(driver)
    assert not plan.confirmed(Evidence(before, before))
    assert not plan.confirmed(Evidence(before, reading_of(driver, uptime_s=86999), went_away=True))
    assert plan.confirmed(Evidence(before, reading_of(driver, uptime_s=20)))
    assert plan.confirmed(Evidence(reading_of(driver, uptime_s=10), reading_of(driver, uptime_s=20), went_away=True))
    with pytest.raises(CommandRefused, match="update under way"):
        plan.check(Answers({"POST /api/restart": answer({"ok": False, "message": "update under way"})}))


def test_its_modes_are_those_the_device_told(driver):
    reading = Reading(work_mode="eco", work_modes=("eco", "turbo"))
    context = CommandContext(DecodeContext(NOW), reading)
    assert driver.supported_modes(context) == ("eco", "turbo")
    assert driver.supported_modes(CommandContext(DecodeContext(NOW))) == ()
    plan = driver.set_mode("turbo", context)
    (write,) = plan.writes(Answers({}))
    assert (write.request.key, json.loads(write.request.body), write.repeatable) == (
        "POST /api/mode", {"mode": "turbo"}, True,
    )  # fmt: skip
    assert plan.confirmed(Evidence(reading, reading_of(driver, mode="turbo")))
    assert not plan.confirmed(Evidence(reading, reading))
    with pytest.raises(CommandRefused, match="already"):
        driver.set_mode("eco", context)


def test_the_readme_names_what_there_is():
    api = (BUNDLED_FOLDER.parent / "api.py").read_text()
    for name in re.findall(r"`([a-z_]+)`", README):
        if name.startswith(("decode_", "identity_", "status_", "telemetry_", "driver_", "new_stream")):
            assert name in api, name
    assert TEMPLATE in README
