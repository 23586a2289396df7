"""What an operator does with the running program: reload, backup, rescan, stop, kill."""

import json
import re
import signal
import stat

import httpx
import pytest

from tests.end_to_end.programs import ROOT, Program, Simulator, complaints, run_command, wait_for

pytestmark = pytest.mark.timeout(120)

RELOADED = "miner_exporter_config_last_reload_successful"
SUCCESS = "miner_last_success_timestamp_seconds"
QUICK = {"status": 1, "telemetry": 2, "discovery": 1}


@pytest.fixture
def simulator():
    running = Simulator(count=5)
    yield running
    running.stop()


@pytest.fixture
def program(tmp_path, simulator):
    running = Program(tmp_path, simulator, **QUICK)
    yield running
    running.stop()


def post_reload(program, **headers):
    return httpx.post(f"{program.metrics}/-/reload", headers=headers, timeout=30)


# --- reload -------------------------------------------------------------------------------------------------------


def test_new_intervals_and_networks_take_effect_by_a_reload(program, simulator):
    half = f"{simulator.base}.0/30"  # the first two miners
    program.configure(subnets=half, status=3600, telemetry=3600, discovery=3600)
    program.start()
    first = program.until_found(2)
    assert len(first.values("miner_up")) == 2
    program.configure(**QUICK)
    program.process.send(signal.SIGHUP)
    page = program.until_found(len(simulator.devices))

    def polled_twice(later):
        return all(later.samples[SUCCESS, labels] > before + 1.5 for labels, before in first.values(SUCCESS).items())

    program.until(polled_twice, "two more polls of the miners that were known before")
    program.process.wait_for_line("configuration reloaded")
    assert page.value(RELOADED) == 1
    assert len([entry for entry in program.entries() if entry["msg"] == "configuration reloaded"]) == 1


def test_a_bad_file_changes_nothing_and_the_reload_says_so(program, simulator):
    program.start()
    page = program.until_found(len(simulator.devices))
    loaded = page.value("miner_exporter_config_last_reload_success_timestamp_seconds")
    good = program.configuration.read_text()
    program.configuration.write_text(good.replace("timeout_ms: 300", "timeout_ms: soon\n  timeuot: 1"))
    answer = post_reload(program)
    assert answer.status_code == 500
    assert "timeout_ms" in answer.text
    assert f"{program.configuration}:5" in answer.text
    assert "timeuot" in answer.text
    page = program.page()
    assert page.value(RELOADED) == 0
    assert page.value("miner_exporter_config_last_reload_success_timestamp_seconds") == loaded
    wait_for(lambda: program.page().value(SUCCESS, miner=simulator.devices[0]["mac"]) > loaded + 2, "polls go on")
    program.process.send(signal.SIGHUP)
    wait_for(lambda: len([e for e in program.entries() if e["msg"].startswith("reload failed")]) == 2, "its log line")
    program.configuration.write_text(good)
    assert post_reload(program).status_code == 200
    assert program.page().value(RELOADED) == 1
    assert sum(program.page().values("miner_up").values()) == len(simulator.devices)


def test_what_needs_a_restart_is_named_until_it_is_done(program):
    program.start()
    program.configure(**QUICK, more='metrics: {addr: "127.0.0.1:1"}')
    for number in (1, 2):
        assert post_reload(program).status_code == 200
        # What the program has said arrives here a moment after its answer.
        wait_for(lambda wanted=number: program.log().count('"configuration reloaded"') == wanted, "its log line")
        named = [entry for entry in program.entries() if "next start: metrics.addr" in entry["msg"]]
        assert len(named) == number
    assert program.page().value(RELOADED) == 1


def test_a_reload_is_for_programs_on_this_host(program):
    program.start()
    assert post_reload(program, **{"X-Forwarded-For": "192.0.2.9"}).status_code == 403
    assert post_reload(program, Origin="http://evil.example").status_code == 403
    assert httpx.get(f"{program.metrics}/-/reload", timeout=10).status_code == 405


def test_labels_of_networks_come_and_go_with_the_configuration(program, simulator):
    program.start()
    program.until_found(len(simulator.devices))
    key = simulator.devices[0]["mac"]

    def site(page):
        (labels,) = page.values("miner_info", miner=key)
        return dict(labels).get("site")

    assert site(program.page()) is None
    labelled = f"{{cidr: {simulator.base}.0/24, labels: {{site: hall-1}}}}"
    program.configure(**QUICK, subnets=labelled)
    assert post_reload(program).status_code == 200
    program.until(lambda page: site(page) == "hall-1", "the label of the network")
    program.configure(**QUICK)
    assert post_reload(program).status_code == 200
    program.until(lambda page: site(page) is None, "the label to go")


def test_labels_that_a_person_gives_stand_on_every_miner_until_they_are_taken_away(program, simulator):
    program.start()
    program.until_found(len(simulator.devices))
    miner = next(m for m in httpx.get(f"{program.ui}/api/miners", timeout=10).json() if m["status"] == "online")

    def label(rack):
        url = f"{program.ui}/api/miners/{miner['id']}"
        assert httpx.patch(url, json={"labels": {"rack": rack}}, timeout=30).status_code == 200

    def racks(page):
        return {dict(labels)["miner"]: dict(labels).get("rack") for labels in page.values("miner_info")}

    label("4")
    shown = racks(program.page())
    assert shown[miner["miner"]] == "4"
    assert len(shown) == len(simulator.devices)
    assert {rack for key, rack in shown.items() if key != miner["miner"]} == {""}  # the same names on all of them
    assert post_reload(program).status_code == 200
    assert racks(program.page())[miner["miner"]] == "4"
    program.stop()
    program.start()
    program.until(lambda page: racks(page).get(miner["miner"]) == "4", "the label after a start")
    label(None)
    assert set(racks(program.page()).values()) == {None}


# --- one program for each database --------------------------------------------------------------------------------


def test_a_second_program_on_the_same_database_is_refused(program, simulator):
    program.start()
    program.until_found(len(simulator.devices))
    second = run_command("run", "--config.file", program.configuration, folder=program.folder)
    (line,) = complaints(second)
    assert f"in use by process {program.process.child.pid}" in line
    assert sum(program.page().values("miner_up").values()) == len(simulator.devices)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_in_order(program, simulator, number):
    program.start()
    program.until_found(len(simulator.devices))
    assert program.stop(number) == 0
    assert program.entries()[-1]["msg"] == "stopping"
    assert not [entry for entry in program.entries() if entry["level"] in ("WARNING", "ERROR", "CRITICAL")]
    data = program.folder / "data"
    tables = json.loads((data / "flockwatch.json").read_text())
    assert len(tables["miners"]) == len(simulator.devices)
    assert all(row["last_seen"] for row in tables["miners"].values())
    left = {path.name for path in data.iterdir()} - {"flockwatch.shares"}  # where a counter stepped meanwhile
    assert left == {"flockwatch.json", "flockwatch.json.lock", "miner_drivers"}


def test_signals_while_it_starts_are_no_accident(program):
    process = program.launch()
    process.wait_for_line("drivers loaded")
    process.send(signal.SIGHUP)
    process.send(signal.SIGTERM)
    assert process.stop() == 0


def test_the_database_outlives_a_kill(program, simulator):
    program.start()
    program.until_found(len(simulator.devices))
    keys = {dict(labels)["miner"] for labels in program.page().values("miner_up")}
    program.process.child.kill()
    program.process.stop()
    program.start()
    page = program.until_found(len(simulator.devices))
    assert {dict(labels)["miner"] for labels in page.values("miner_up")} == keys
    assert "miners are known" in program.command("rescan")


# --- backup and restore -------------------------------------------------------------------------------------------


def test_a_backup_of_the_running_program_is_restored_when_it_has_ended(program, simulator):
    program.start()
    program.until_found(len(simulator.devices))
    backup = program.folder / "kept.json"
    assert str(backup) in program.command("backup", backup)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert len(json.loads(backup.read_text())["miners"]) == len(simulator.devices)
    assert "there is a file already" in program.command("backup", backup, status=2)
    program.command("backup", backup, "--force")
    assert "in use by process" in program.command("restore", backup, status=2)
    assert program.stop() == 0

    database = program.folder / "data" / "flockwatch.json"
    database.write_text("{}")
    assert str(database) in program.command("restore", backup)
    assert database.read_bytes() == backup.read_bytes()
    assert database.with_name("flockwatch.json.before-restore").read_text() == "{}"
    again = program.folder / "again.json"
    program.command("backup", again)
    assert json.loads(again.read_text())["miners"] == json.loads(backup.read_text())["miners"]
    backup.write_text("[1, 2")
    assert str(backup) in program.command("restore", backup, status=2)
    assert json.loads(database.read_text())["miners"] == json.loads(again.read_text())["miners"]
    simulator.stop()
    program.start()
    assert len(program.page().values("miner_up")) == len(simulator.devices)


# --- rescan -------------------------------------------------------------------------------------------------------


def test_rescan_asks_one_miner_by_any_of_its_names_or_searches(program, simulator):
    program.configure(status=3600, telemetry=3600, discovery=3600)
    program.start()
    program.until_found(len(simulator.devices))
    device = simulator.of("bitaxe")
    listed = httpx.get(f"{program.ui}/api/miners", timeout=10).json()
    (known,) = [miner for miner in listed if miner["mac_address"] == device["mac"]]
    for name in (device["mac"], device["mac"].upper(), device["address"], known["name"], str(known["id"])):
        before = program.page().value(SUCCESS, miner=device["mac"])
        assert program.command("rescan", name) == "the miner answers\n"
        assert program.page().value(SUCCESS, miner=device["mac"]) > before
    simulator.post("fault", address=device["address"], fault="vanish")
    assert program.command("rescan", device["mac"], status=1) == "the miner does not answer\n"
    assert program.page().value("miner_up", miner=device["mac"]) == 0
    simulator.post("fault", address=device["address"], fault=None)
    simulator.post("add", kind="bitaxe", model="gamma-2.12", address=f"{simulator.base}.60", mac="02:00:5e:00:53:02")
    told = program.command("rescan")
    assert re.search(rf"{len(simulator.devices) + 1} miners are known", told)
    program.until_found(len(simulator.devices) + 1)
    assert "no miner is called 'nobody'" in program.command("rescan", "nobody", status=2)
    assert program.stop() == 0
    assert "no program runs on this database" in program.command("rescan", status=2)


# --- drivers ------------------------------------------------------------------------------------------------------


def test_a_broken_driver_of_the_user_is_rejected_and_the_bundled_one_serves(program, simulator):
    program.start()
    program.until_found(len(simulator.devices))
    assert program.page().value("miner_exporter_drivers_rejected") == 0
    assert "rejected" not in program.command("drivers", "list")
    file = program.folder / "data" / "miner_drivers" / "bitaxe_driver.py"
    original = file.read_text()
    file.write_text(original.replace("def decode_status(", "def decode_status(("))
    assert post_reload(program).status_code == 200
    assert program.page().value("miner_exporter_drivers_rejected") == 1
    before = program.page().value(SUCCESS, miner=simulator.of("bitaxe")["mac"])
    program.until(
        lambda page: page.value(SUCCESS, miner=simulator.of("bitaxe")["mac"]) > before + 1,
        "polls by the bundled driver",
    )
    assert sum(program.page().values("miner_up").values()) == len(simulator.devices)
    listed = program.command("drivers", "list", status=1)
    assert f"rejected: {file}" in listed
    assert "bundled" in listed
    file.write_text(original)
    assert post_reload(program).status_code == 200
    assert program.page().value("miner_exporter_drivers_rejected") == 0


def test_looking_at_the_drivers_leaves_no_folder_behind(tmp_path):
    (tmp_path / "targets.yml").write_text("")
    done = run_command("drivers", "list", folder=tmp_path)
    assert done.returncode == 0
    assert "nmminer" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["targets.yml"]


# --- without a program --------------------------------------------------------------------------------------------


def test_check_config_tells_of_a_good_file(program):
    assert program.command("check-config") == f"{program.configuration}: valid\n"


def test_the_shipped_configuration_is_valid():
    assert run_command("check-config", ROOT / "targets.yml").returncode == 0
