"""USB boards: the whole program with simulated boards on pseudo-terminals."""

import contextlib
import fcntl
import json
import os
import random
import signal
import sys
import time

import pytest

from tests.end_to_end.programs import CLIENT, Process, Program, wait_for

pytestmark = pytest.mark.timeout(120)

RATE = "miner_hashrate_hashes_per_second"


class Boards:
    """A simulated hub in a process of its own."""

    base, http_ports, api_ports, udp_port, devices = "127.0.0", [80], [4028], "null", ()

    def __init__(self, folder, count=2, **options):
        words = [f"--serial-{name}={value}" for name, value in options.items()]
        self.process = Process(
            sys.executable, "-m", "simulator", "--count", 0, "--serial", count, "--serial-folder", folder / "usb",
            "--control-port", 0, "--json", *words,
        )  # fmt: skip
        described = json.loads(self.process.wait_for_line('"ready"'))
        self.control = f"http://127.0.0.1:{described['control_port']}/__sim__"
        self.paths = [board["path"] for board in described["serial"]]

    def truth(self):
        return CLIENT.get(f"{self.control}/truth", timeout=10).raise_for_status().json()

    def post(self, path, **body):
        return CLIENT.post(f"{self.control}/serial", json={"path": path, **body}, timeout=10).raise_for_status().json()

    def boot(self):
        """Start the boards anew now that somebody listens: what they said before was lost."""
        wait_for(lambda: all(board["opened"] for board in self.truth().values()), "the ports to be opened")
        for path in self.paths:
            self.post(path, reset=True)

    def stop(self):
        return self.process.stop()


@contextlib.contextmanager
def running(folder, environment=None, **options):
    """Boards and the program that owns them."""
    boards = Boards(folder, **options)
    program = None
    try:
        program = Usb(folder, boards, environment)
        program.start()
        boards.boot()
        yield program, boards
    finally:
        if program is not None and program.process is not None:
            program.stop()
        boards.stop()


class Usb(Program):
    """The program with `serial.ports`, and no network to search."""

    def configure(self, **settings):
        ports = ", ".join(self.simulator.paths)
        self.configuration.write_text(
            f"database: {{path: {self.folder}/data/flockwatch.json}}\n"
            "network: {subnets: []}\n"
            f"serial: {{ports: [{ports}]}}\n"
            "udp: {nmminer_port: null}\n"
            f"drivers: {{path: {self.folder}/data/miner_drivers}}\n"
        )

    def devices(self):
        return json.loads(self.command("devices", "list", "--json"))

    def until_waiting(self, check, what, seconds=40.0):
        return wait_for(lambda: (found := self.devices()) and check(found) and found, what, seconds)

    def onboard(self, number, name, *more, status=0, currency="BTC"):
        return self.command(
            "devices", "onboard", number, "--name", name, "--currency", currency, *more, status=status
        )  # fmt: skip


def state_of(page, key, name="state"):
    found = page.values(f"miner_usb_{name}", miner=key)
    return next((dict(labels)[name] for labels, value in found.items() if value), None)


def key_of(path):
    return f"port:{path}"


def all_authorized(devices):
    return all(device["state"] == "Mining Authorize" and device["dumped_pool_url"] for device in devices)


def test_from_plug_in_to_mining_and_back(tmp_path):
    with running(tmp_path, count=2, speed=1) as (program, boards):
        found = program.until_waiting(lambda d: len(d) == 2 and all_authorized(d), "two boards that are authorized")
        assert {device["dev_path"] for device in found} == set(boards.paths)
        assert {device["status"] for device in found} == {"Initializing"}
        assert program.page().values("miner_up") == {}
        assert program.page().value("miner_exporter_devices_waiting", source="usb") == 2

        first = next(device for device in found if device["dev_path"] == boards.paths[0])
        assert "99" in program.onboard(99, "Nobody", status=2)
        assert "currency" in program.onboard(first["id"], "Garage", currency="GOLD", status=2)
        assert "name" in program.onboard(first["id"], " ", status=2)
        said = program.onboard(first["id"], "Garage", "--chipset", "ESP32", "--location", "shelf 2")
        assert "Garage" in said
        second = next(device for device in found if device["dev_path"] == boards.paths[1])
        assert "garage" in program.onboard(second["id"], "garage", status=2)
        assert "waits" in program.onboard(first["id"], "Again", status=2)
        program.onboard(second["id"], "Attic", currency="BCH")
        assert program.devices() == []

        keys = dict(zip(boards.paths, map(key_of, boards.paths), strict=True))
        page = program.until(
            lambda page: all(page.value(RATE, miner=key) for key in keys.values()) and page, "both to mine"
        )
        (info,) = page.values("miner_info", miner=keys[boards.paths[0]])
        assert (dict(info)["name"], dict(info)["driver"]) == ("Garage", "nerdminer")
        for path, key in keys.items():
            assert (state_of(page, key), state_of(page, key, "status")) == ("Mining", "Active")

            def same_rate(page, path=path, key=key):
                truth = boards.truth()[path]["printed_hashrate_hs"]
                return page.value(RATE, miner=key) == pytest.approx(truth, rel=1e-3)

            program.until(same_rate, "the simulator's hash rate")
        assert {board["opens"] for board in boards.truth().values()} == {1}

        one, other = boards.paths
        boards.post(one, plug=False)

        def unplugged(page):
            return state_of(page, keys[one]) == "Not Connected" and page

        page = program.until(unplugged, "the unplug")
        assert (state_of(page, keys[one], "status"), page.value("miner_up", miner=keys[one])) == ("Inactive", 0)
        assert RATE not in page.names_of(keys[one])
        assert page.value(RATE, miner=keys[other]) > 0
        boards.post(one, plug=True)
        seen = set()

        def back(page):
            seen.add(state_of(page, keys[one]))
            return page.value(RATE, miner=keys[one])

        program.until(back, "the board to mine again")
        assert seen & {"Booting", "WORKER Started", "CONNECTED IP", "DNS Resolved"}

        assert program.stop() == 0
        program.start()
        program.until(lambda page: all(page.value(RATE, miner=key) for key in keys.values()), "both after a restart")
        assert program.devices() == []
        assert {board["host_bytes"] for board in boards.truth().values()} == {0}


def secrets_of(count, seed=1):
    """What the simulated boards must not have shown anywhere."""
    from simulator.devices.nerdminer import NerdMiner
    from simulator.serial_options import board_specs

    specs = board_specs(count, seed=seed, scenarios=("good", "sd_card"))
    found = {text for spec in specs for text in NerdMiner(spec, 0.0).secrets() if text}
    return {text for text in found if len(text) > 3}


def test_no_secret_is_shown_anywhere(tmp_path):
    with running(tmp_path, count=4, scenario="good,sd_card", speed=4) as (program, _):
        found = program.until_waiting(
            lambda d: len(d) == 4 and all(device["dumped_pool_url"] for device in d), "four configurations"
        )
        program.onboard(found[0]["id"], "Garage")
        program.until(lambda page: page.value(RATE, miner=found[0]["miner"]), "one to mine")
        secrets = secrets_of(4)
        assert len(secrets) >= 4
        page, listed = program.page().text, json.dumps(program.devices()) + program.command("devices", "list")
        program.stop()
        stored = (tmp_path / "data" / "flockwatch.json").read_text()
        assert "*****" in stored
        for secret in secrets:
            for place in (page, listed, stored, program.log()):
                assert secret not in place


def test_killed_while_naming_a_board_is_in_one_list(tmp_path):
    chance = random.Random(5)
    with running(tmp_path, count=1, uptime=600) as (program, boards):
        (device,) = program.until_waiting(lambda d: d[0]["state"] == "Mining Authorize", "a board that mines")
        for turn in range(4):
            naming = Process(
                sys.executable, "-m", "exporter", "devices", "onboard", device["id"], "--name", "Garage", "--currency",
                "BTC", "--config.file", program.configuration, folder=tmp_path,
            )  # fmt: skip
            # Most of its time the command imports; the kill falls before, into, or after the transaction.
            wait_until = time.monotonic() + chance.uniform(0.3, 0.9) * (turn + 1) / 2
            wait_for(lambda end=wait_until: time.monotonic() > end, "a moment")
            program.stop(signal.SIGKILL)
            naming.stop()
            stored = json.loads((tmp_path / "data" / "flockwatch.json").read_text())
            staged, miners = stored.get("unconfigured_devices", {}), stored.get("miners", {})
            assert (len(staged), len(miners)) in ((1, 0), (0, 1))
            program.start()
            if miners:
                break
        else:
            program.until_waiting(lambda d: d[0]["dev_path"], "the board")
            program.onboard(device["id"], "Garage")
        program.until(lambda page: page.value(RATE, miner=key_of(boards.paths[0])), "the board to mine")
        assert program.devices() == []


def test_a_port_that_another_program_holds_is_named_and_opened_later(tmp_path):
    boards = Boards(tmp_path, count=1, uptime=600)
    program = Usb(tmp_path, boards)
    holder = os.open(boards.paths[0], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        program.start()
        program.process.wait_for_line("is held by")
        assert program.devices()[0]["state"] == "Booting"
        os.close(holder)
        holder = None
        program.until_waiting(lambda d: d[0]["state"] == "Mining Authorize", "the board")
        assert sum("is held by" in line for line in program.process.lines) == 1
    finally:
        if holder is not None:
            os.close(holder)
        program.stop()
        boards.stop()


def test_a_port_that_is_not_allowed_names_the_group(tmp_path):
    """As another user, since root may open everything."""
    if os.geteuid() != 0:
        pytest.skip("needs root to run the program as somebody else")
    boards = Boards(tmp_path, count=1)
    try:
        real = os.path.realpath(boards.paths[0])
        os.chown(real, 0, 20)
        os.chmod(real, 0o660)
        script = (
            "import asyncio, concurrent.futures.thread, os, sys\n"
            "from exporter.transports.serial import PortDenied, SerialPort\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "try:\n    asyncio.run(SerialPort.open(sys.argv[1], print, print))\n"
            "except PortDenied as error:\n    print(error)\n"
        )
        process = Process(sys.executable, "-c", script, real)
        assert "dialout" in process.wait_for_line("belongs to group")
        process.stop()
    finally:
        boards.stop()


def test_lists_and_names_also_while_no_program_runs(tmp_path):
    with running(tmp_path, count=2, speed=4) as (program, boards):
        assert "no new device" not in program.command("devices", "list")
        program.until_waiting(lambda d: len(d) == 2 and all_authorized(d), "two boards that are authorized")
        assert program.stop() == 0
        # The simulator looks at its ports now and then.
        wait_for(lambda: all(not board["opened"] for board in boards.truth().values()), "the ports to be closed")
        found = program.devices()
        assert {(device["state"], device["dev_path"]) for device in found} == {("Not Connected", None)}
        assert "unplugged" in program.command("devices", "list")
        assert "99" in program.onboard(99, "Nobody", status=2)
        program.onboard(found[0]["id"], "Garage")
        program.start()
        program.until(lambda page: page.value(RATE, miner=found[0]["miner"]), "the board to mine")
        assert [device["id"] for device in program.devices()] == [found[1]["id"]]
