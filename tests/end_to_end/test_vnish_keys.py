"""API keys of VNish miners: one for each, used again, made anew when it must be, and never shown."""

import json
import signal
import stat

import httpx
import pytest

from tests.end_to_end.programs import Program, Simulator, wait_for

pytestmark = pytest.mark.timeout(120)

PASSWORD = "correct horse 7"


@pytest.fixture
def simulator():
    running = Simulator(count=6)  # the last two are VNish
    yield running
    running.stop()


@pytest.fixture
def program(tmp_path, simulator):
    """Not started yet, so that a test can arrange things before."""
    running = Program(tmp_path, simulator, status=1, telemetry=1, discovery=2)
    running.arguments = ["--log.level", "debug"]
    running.environment["FLOCKWATCH_CREDENTIALS_FILE"] = str(tmp_path / "passwords.yml")
    write_passwords(program=running, passwords=[])
    yield running
    running.stop()


def write_passwords(program, passwords):
    path = program.folder / "passwords.yml"
    path.write_text("".join(f'- {{driver: vnish, password: "{password}"}}\n' for password in passwords) or "[]\n")
    path.chmod(0o600)


def truths(simulator):
    """The truth of both VNish miners."""
    truth = simulator.truth()
    return [truth[device["address"]] for device in simulator.devices if device["kind"] == "vnish"]


def stored_keys(program):
    """The API keys in the database by MAC of the miner."""
    tables = json.loads((program.folder / "data" / "flockwatch.json").read_text())
    macs = {number: row["mac"] for number, row in tables.get("miners", {}).items()}
    return {macs[number]: row["key"] for number, row in tables.get("api_keys", {}).items()}


def until_keys(program, count=2):
    return wait_for(lambda: len(found := stored_keys(program)) == count and found, f"{count} API keys in the database")


def polled_again(program, simulator):
    """Wait for two more rounds of telemetry of every VNish miner, seen by the requests that the devices count."""
    before = [told["traffic"]["http"]["requests"] for told in truths(simulator)]

    def check():
        now = [told["traffic"]["http"]["requests"] for told in truths(simulator)]
        return all(later > earlier + 20 for earlier, later in zip(before, now, strict=True))

    wait_for(check, "two rounds of telemetry")


class Device:
    """What a person does on the device's own page."""

    def __init__(self, device, password="admin"):
        self.url = f"http://{device['address']}:{device['http_port']}/api/v1"
        token = httpx.post(f"{self.url}/unlock", json={"pw": password}, timeout=10).raise_for_status().json()["token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def keys(self):
        listed = httpx.get(f"{self.url}/apikeys", headers=self.headers, timeout=10).raise_for_status().json()
        return {row["key"]: row["description"] for row in listed}

    def revoke(self, key):
        answer = httpx.post(f"{self.url}/apikeys/delete", headers=self.headers, json={"key": key}, timeout=10)
        assert answer.status_code == 200


def test_one_key_for_each_miner_used_again_after_a_restart_and_without_the_database(program, simulator):
    program.start()
    program.until_found(len(simulator.devices))
    first = until_keys(program)
    vnish = [device for device in simulator.devices if device["kind"] == "vnish"]
    assert set(first) == {device["mac"] for device in vnish}
    assert len(set(first.values())) == 2
    for device in vnish:
        assert Device(device).keys() == {first[device["mac"]]: "Flockwatch"}
    assert [told["keys_created"] for told in truths(simulator)] == [1, 1]

    unlocks = [told["unlocks"] for told in truths(simulator)]
    assert program.stop() == 0
    program.start()
    program.until_found(len(simulator.devices))
    polled_again(program, simulator)
    assert stored_keys(program) == first
    assert [told["unlocks"] for told in truths(simulator)] == unlocks, "the stored key needs no password"

    assert program.stop() == 0
    (program.folder / "data" / "flockwatch.json").unlink()
    program.start()
    assert until_keys(program) == first
    assert [told["keys_created"] for told in truths(simulator)] == [1, 1]
    assert all(told["failed_unlocks"] == 0 and told["unexpected_writes"] == [] for told in truths(simulator))


def test_a_revoked_key_is_made_anew(program, simulator):
    program.start()
    program.until_found(len(simulator.devices))
    first = until_keys(program)
    device = simulator.of("vnish")
    person = Device(device)
    person.revoke(first[device["mac"]])
    second = wait_for(lambda: (found := stored_keys(program)) != first and found, "another key in the database")
    assert person.keys() == {second[device["mac"]]: "Flockwatch"}
    polled_again(program, simulator)
    assert stored_keys(program) == second
    assert [told["keys_created"] for told in truths(simulator)] == [2, 1]
    assert program.page().value("miner_up", miner=device["mac"]) == 1


def test_wrong_passwords_are_tried_once_each_and_the_right_one_heals_it(program, simulator):
    for device in simulator.devices:
        if device["kind"] == "vnish":
            simulator.post("fault", address=device["address"], fault="auth", password=PASSWORD)
    write_passwords(program, ["first guess", "second guess"])
    program.start()
    page = program.until_found(len(simulator.devices))
    wait_for(lambda: all(told["failed_unlocks"] == 2 for told in truths(simulator)), "both passwords tried")
    polled_again(program, simulator)
    assert [told["failed_unlocks"] for told in truths(simulator)] == [2, 2]
    page = program.page()
    for told in truths(simulator):
        assert page.value("miner_up", miner=told["mac"]) == 1
        assert page.value("miner_boards_expected", miner=told["mac"]) == 3, "telemetry goes on without a key"

    # A reload that changes no password is no reason to try again.
    program.process.send(signal.SIGHUP)
    program.process.wait_for_line("configuration reloaded")
    polled_again(program, simulator)
    assert [told["failed_unlocks"] for told in truths(simulator)] == [2, 2]
    assert stored_keys(program) == {}

    write_passwords(program, [PASSWORD])
    httpx.post(f"{program.metrics}/-/reload", timeout=30).raise_for_status()
    until_keys(program)
    assert [told["failed_unlocks"] for told in truths(simulator)] == [2, 2]
    assert [told["keys_created"] for told in truths(simulator)] == [1, 1]


def test_keys_and_passwords_are_shown_nowhere(program, simulator):
    for device in simulator.devices:
        if device["kind"] == "vnish":
            simulator.post("fault", address=device["address"], fault="auth", password=PASSWORD)
    write_passwords(program, [PASSWORD])
    program.start()
    program.until_found(len(simulator.devices))
    keys = until_keys(program)
    polled_again(program, simulator)
    told = program.command("backup", "backup.json", status=0)
    shown = {
        "metrics": program.page().text,
        "openmetrics": httpx.get(
            f"{program.metrics}/metrics", headers={"Accept": "application/openmetrics-text"}, timeout=10
        ).text,
        "sd": httpx.get(f"{program.metrics}/sd", timeout=10).text,
        "api": httpx.get(f"{program.ui}/api/miners", timeout=10).text,
        "page": httpx.get(program.ui, timeout=10).text,
        "what backup says": told,
        "rescan": program.command("rescan"),
        "log": program.log(),
    }
    for secret in (*keys.values(), PASSWORD, "password: "):
        for where, text in shown.items():
            assert secret not in text, where
    backup = program.folder / "backup.json"
    assert all(key in backup.read_text() for key in keys.values())
    for file in (backup, program.folder / "data" / "flockwatch.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
