"""Driver files added, broken, updated and rolled back while the program polls; the commands; a newcomer's way."""

import re
import threading

import pytest

from exporter.drivers.loader import BUNDLED_FOLDER
from tests.drivers_loader.example_device import example_device
from tests.end_to_end.programs import CLIENT, Program, Simulator, run_command, wait_for

BUNDLED = (BUNDLED_FOLDER / "bitaxe_driver.py").read_text()
VERSION = re.search(r'driver_version.*"(.+)"', BUNDLED)[1]
OLD = BUNDLED.replace(f'"{VERSION}"', '"0.9.0"')
NEWER = BUNDLED.replace(f'"{VERSION}"', '"9.9.9"')
BROKEN = OLD.replace("def decode_status(", "def decode_status((")
SUCCESS = "miner_last_success_timestamp_seconds"
INFO = "miner_exporter_driver_info"

pytestmark = pytest.mark.timeout(240)


def api(program, method, path, status=200):
    answer = CLIENT.request(method, f"{program.ui}/api/miner-drivers{path}", timeout=60)
    assert answer.status_code == status, answer.text
    return answer.json()


def of(listed, driver_type):
    (found,) = [one for one in listed if one["driver_type"] == driver_type]
    return found


def in_use(page, driver_type="bitaxe"):
    """(version, source) of a driver that is loaded."""
    ((labels, _),) = page.values(INFO, driver=driver_type).items()
    return dict(labels)["version"], dict(labels)["source"]


def folder_of(program):
    return program.folder / "data" / "miner_drivers"


def by_miner(program, name):
    """The values of one metric by miner; the whole page of two hundred miners is long."""
    answer = CLIENT.get(f"{program.metrics}/metrics", params={"name[]": name}, timeout=30)
    text = answer.raise_for_status().text
    return {
        miner: float(value)
        for miner, value in re.findall(rf'^{name}{{miner="([^"]+)"}} (\S+)$', text, re.MULTILINE)
    }  # fmt: skip


class Watch:
    """Looks at the page all the time, and keeps what was ever wrong with miners of other drivers."""

    def __init__(self, program, miners):
        self.faults = set()
        self.pages = 0
        self._program, self._miners = program, miners
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self):
        while not self._end.wait(0.5):
            up = by_miner(self._program, "miner_up")
            self.pages += 1
            self.faults |= {(miner, "up", up.get(miner)) for miner in self._miners if up.get(miner) != 1.0}

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


@pytest.mark.timeout(480)
def test_no_poll_of_another_driver_is_lost_while_a_driver_is_exchanged(tmp_path):
    simulator = Simulator(count=200)
    # A poll may take as long as the interval, and none may fail on a busy machine.
    program = Program(tmp_path, simulator, status=6, telemetry=60, discovery=3600)
    try:
        program.start()
        page = program.until_found(200, seconds=120)
        every = {dict(labels)["miner"] for labels in page.values("miner_up")}
        changing = {dict(labels)["miner"] for labels in page.values("miner_info", driver="bitaxe")}
        assert len(every) == 200
        assert changing
        file = folder_of(program) / "bitaxe_driver.py"

        def all_polled_again():
            """Every miner, of whatever driver, has answered a poll that began after now."""
            before = by_miner(program, SUCCESS)
            now = max(before.values())
            assert before.keys() == every

            def check():
                values = by_miner(program, SUCCESS)
                return all(values.get(miner, 0.0) > now for miner in every)

            wait_for(check, "a poll of every miner", 120)

        with Watch(program, every - changing) as watch:
            all_polled_again()
            # Added: a file of the user's in place of the copy, and a driver of a new type.
            file.write_text(OLD)
            (folder_of(program) / "example_driver.py").write_text(
                (BUNDLED_FOLDER / "TEMPLATE_miner_driver.py").read_text()
            )
            listed = api(program, "POST", "/reload")
            assert (of(listed, "bitaxe")["status"], of(listed, "example")["status"]) == ("update-available", "own")
            assert in_use(program.page()) == ("0.9.0", "user")
            all_polled_again()
            # Broken: the bundled one serves.
            file.write_text(BROKEN)
            assert of(api(program, "POST", "/reload"), "bitaxe")["status"] == "error"
            assert in_use(program.page()) == (VERSION, "bundled")
            assert program.page().value("miner_exporter_drivers_rejected") == 1
            all_polled_again()
            # Updated; there is no way back to what is broken.
            done = api(program, "POST", "/update/bitaxe")
            assert (done["result"], done["kept"]) == ("updated", "bitaxe_driver.py.previous")
            assert "syntax error" in api(program, "POST", "/rollback/bitaxe", 400)["error"]
            file.write_text(NEWER)
            api(program, "POST", "/reload")
            assert in_use(program.page()) == ("9.9.9", "user")
            assert api(program, "POST", "/update/bitaxe")["version_before"] == "9.9.9"
            all_polled_again()
            # And rolled back.
            assert api(program, "POST", "/rollback/bitaxe")["version"] == "9.9.9"
            assert in_use(program.page()) == ("9.9.9", "user")
            all_polled_again()

        assert watch.pages > 0
        assert watch.faults == set()

        def every_poll_ended(page):
            """Polls of other drivers: each that began has ended, and none failed."""
            begun = {dict(labels)["driver"]: n for labels, n in page.values("miner_exporter_polls_total").items()}
            ended = page.values("miner_exporter_poll_duration_seconds_count")
            return all(begun[dict(labels)["driver"]] == n for labels, n in ended.items() if "bitaxe" not in str(labels))

        page = program.until(lambda page: every_poll_ended(page) and page, "a moment between polls", 60)
        failures = page.values("miner_exporter_poll_failures_total")
        assert {labels: n for labels, n in failures.items() if n} == {}
        assert sum(page.values("miner_up").values()) == 200
    finally:
        program.stop()
        simulator.stop()


@pytest.fixture
def small(tmp_path):
    simulator = Simulator(count=3)
    running = Program(tmp_path, simulator)
    yield running
    running.stop()
    simulator.stop()


def test_the_commands_work_through_the_running_program_and_without_one(small):
    small.start()
    folder = folder_of(small)
    file = folder / "bitaxe_driver.py"
    assert small.command("drivers", "check-updates") == "every driver is up to date\n"
    file.write_text(OLD)
    assert "not loaded yet" in small.command("drivers", "list")
    assert "update available" in small.command("drivers", "reload")
    assert in_use(small.page()) == ("0.9.0", "user")
    listed = small.command("drivers", "check-updates")
    assert "bitaxe" in listed
    assert "vnish" not in listed
    told = small.command("drivers", "update", "bitaxe")
    assert f"bitaxe: updated from 0.9.0 to {VERSION}\n" in told
    assert re.search(r"SHA-256 [0-9a-f]{64}\n", told)
    assert "kept as bitaxe_driver.py.previous" in told
    assert in_use(small.page()) == (VERSION, "bundled")
    assert f"back from {VERSION} to 0.9.0" in small.command("drivers", "rollback", "bitaxe")
    assert in_use(small.page()) == ("0.9.0", "user")
    assert small.stop() == 0

    assert "update available" in small.command("drivers", "list")
    assert f"bitaxe: updated from 0.9.0 to {VERSION}\n" in small.command("drivers", "update", "--all")
    assert file.read_text() == BUNDLED
    assert small.command("drivers", "update", "--all") == "every driver is up to date\n"
    small.command("drivers", "rollback", "bitaxe")
    assert file.read_text() == OLD
    assert "no program runs" in small.command("drivers", "reload", status=2)
    assert "no bundled driver is called 'nobody'" in small.command("drivers", "update", "nobody", status=2)
    assert "name a driver, or say --all" in small.command("drivers", "update", status=2)
    assert "was kept" in small.command("drivers", "rollback", "vnish", status=2)
    small.start()
    wait_for(lambda: in_use(small.page()) == ("0.9.0", "user"), "the file that was gone back to is used on")


def test_a_driver_is_updated_although_targets_yml_is_broken_meanwhile(small):
    small.start()
    file = folder_of(small) / "bitaxe_driver.py"
    file.write_text(OLD)
    api(small, "POST", "/reload")
    small.configuration.write_text("nonsense: true\n")
    assert api(small, "POST", "/update-all")[0]["result"] == "updated"
    assert in_use(small.page()) == (VERSION, "bundled")


# --- a newcomer's way, as README.md of the driver folder tells it ------------------------------------------------


def test_from_the_template_to_a_driver_in_use(tmp_path):
    simulator = Simulator(count=3)
    with example_device(f"{simulator.base}.200") as (device, place):
        port = int(place.rpartition(":")[2])
        simulator.http_ports = [*simulator.http_ports, port]
        program = Program(tmp_path, simulator, discovery=3, status=2, telemetry=2)
        try:
            _go_the_way(program, simulator, device, place)
        finally:
            program.stop()
            simulator.stop()


def _go_the_way(program, simulator, device, place):
    program.start()
    program.until_found(3)
    mine = program.folder / "example_driver.py"
    mine.write_text((folder_of(program) / "TEMPLATE_miner_driver.py").read_text())

    shown = program.command("try", place, "--driver", mine)
    assert "Example Miners Example One" in shown
    samples = dict(re.findall(r"^(\w+)\{[^}]*\} (\S+)$", shown, re.MULTILINE))
    assert 1.0725e12 in [float(value) for name, value in samples.items() if "hashrate" in name]
    told = program.command("record", place, "--driver", mine, "--output", program.folder / "recordings")
    assert "answers; read them once" in told
    recorded = "".join(path.read_text() for path in (program.folder / "recordings").rglob("*") if path.is_file())
    assert "hunter2" not in recorded

    tested = program.command("drivers", "test", mine, "--fixtures", program.folder / "recordings")
    assert tested.count("ok    ") == 2
    assert "FAULT" not in tested

    (folder_of(program) / "example_driver.py").write_text(mine.read_text())
    assert "Example One" in program.command("drivers", "reload")
    page = program.until_found(4)
    assert page.value("miner_info", miner="02:00:5e:10:00:01", driver="example", model="Example One") == 1.0
    program.until(
        lambda page: page.value("miner_exporter_polls_total", driver="example") >= 2, "polls counted by driver"
    )
    # Its restart command, as the web page sends it.
    listed = CLIENT.get(f"{program.ui}/api/miners", timeout=10).json()
    (known,) = [miner for miner in listed if miner["mac_address"] == "02:00:5e:10:00:01"]
    answer = CLIENT.post(f"{program.ui}/api/miners/{known['id']}/restart", timeout=60)
    assert answer.status_code < 300, answer.text
    run = f"{program.ui}/api/commands/{answer.json()['id']}"
    wait_for(lambda: CLIENT.get(run, timeout=10).json()["state"] == "confirmed", "the restart to be seen")
    assert [asked for asked in device.asked if asked[0] == "POST"] == [("POST", "/api/restart", b"")]
    assert known["miner_type"] == "example"


def test_a_faulty_driver_is_told_what_is_wrong(tmp_path):
    (tmp_path / "targets.yml").write_text("")
    good = (BUNDLED_FOLDER / "TEMPLATE_miner_driver.py").read_text()

    def tested(text, *more, mode=0o644):
        file = tmp_path / "mine_driver.py"
        file.write_text(text)
        file.chmod(mode)
        done = run_command("drivers", "test", file, *more, folder=tmp_path)
        return done.returncode, done.stdout + done.stderr

    status, told = tested(good)
    assert status == 0
    assert "No recording of a device of example was given" in told
    assert tested(good, mode=0o664)[0] == 0
    status, told = tested(good, mode=0o666)
    assert (status, "chmod o-w" in told) == (1, True)
    status, told = tested(good.replace("class ExampleDriver(Driver):", "class ExampleDriver(Driver)"))
    assert (status, "syntax error in line" in told) == (1, True)
    status, told = tested(re.sub(r" +display_name: .*\n", "", good))
    assert (status, "display_name is missing" in told) == (1, True)
    status, told = tested(good + "\nraise RuntimeError('not ready')\n")
    assert (status, "RuntimeError: not ready" in told, "Traceback" in told) == (1, True, True)
    status, told = tested(good.replace('or document.get("maker") != "Example Miners"', ""))
    assert status == 1
    assert "FAULT" in told
    assert "identifies a host that answers" in told
    assert tested(good, "--fixtures", tmp_path / "nowhere")[0] == 2
