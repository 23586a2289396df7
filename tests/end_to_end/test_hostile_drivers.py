"""Driver files that hang or want to end the program, and a listener that dies: the program serves, or ends in order."""

import json
import sys
import time

import pytest

from exporter.drivers.loader import BUNDLED_FOLDER
from tests.end_to_end.programs import CLIENT, Process, Program, Simulator

BUNDLED = (BUNDLED_FOLDER / "bitaxe_driver.py").read_text()
ENDS = ("raise KeyboardInterrupt", "import asyncio\nraise asyncio.CancelledError", "raise SystemExit")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def program(tmp_path):
    simulator = Simulator(count=5)
    made = Program(tmp_path, simulator)
    yield made
    made.stop()
    simulator.stop()


def put(program, more):
    folder = program.folder / "data" / "miner_drivers"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    path = folder / "bitaxe_driver.py"
    path.write_text(f"{BUNDLED}\n{more}\n")
    path.chmod(0o644)


def bitaxe(drivers):
    (found,) = [one for one in drivers if one["driver_type"] == "bitaxe"]
    return found


def test_a_file_that_does_not_end_holds_up_neither_the_start_nor_the_end(program):
    put(program, "import time\ntime.sleep(600)")
    program.start()
    one = bitaxe(CLIENT.get(f"{program.ui}/api/miner-drivers").json())
    assert (one["status"], one["source"]) == ("error", "bundled")
    assert "did not finish loading" in one["error"]
    program.until_found(len(program.simulator.devices))
    # As it hangs still, it is not begun again: the answer comes soon, and the end too.
    one = bitaxe(CLIENT.post(f"{program.ui}/api/miner-drivers/reload", timeout=60).json())
    assert "finished loading" in one["error"]
    assert program.stop() == 0


def test_sigterm_while_a_file_hangs_at_the_start_ends_the_program(program):
    put(program, f"open({str(program.folder / 'begun')!r}, 'w').close()\nimport time\ntime.sleep(600)")
    process = program.launch()
    while not (program.folder / "begun").exists():
        assert process.child.poll() is None, program.log()
        time.sleep(0.05)
    assert process.stop() == 0


def test_a_file_that_wants_to_end_the_program_ends_its_own_load(program):
    program.start()
    for more in (*ENDS, *ENDS):
        put(program, f"{more}  # {time.monotonic()}")
        one = bitaxe(CLIENT.post(f"{program.ui}/api/miner-drivers/reload", timeout=60).json())
        assert (one["status"], one["source"]) == ("error", "bundled")
        assert more.split()[-1].rpartition(".")[2] in one["error"]
    for address in (program.ui, f"{program.metrics}/-/healthy"):
        assert CLIENT.get(address).status_code == 200
    assert program.stop() == 0


DYING = """
import sys
from exporter import cli, web_server

def close(connection):
    raise MemoryError("planted")

web_server._Connection.close = close
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("listener", ["ui", "metrics"])
def test_a_listener_that_dies_ends_the_program_with_an_error(program, listener):
    program.process = Process(
        sys.executable, "-c", DYING, "run", "--config.file", program.configuration, "--log.format", "json",
        "--web.listen-address", "127.0.0.1:0", "--ui.listen-address", "127.0.0.1:0", folder=program.folder,
    )  # fmt: skip
    ready = json.loads(program.process.wait_for_line('"ready"'))
    CLIENT.get(f"http://127.0.0.1:{ready[listener]}/")
    assert program.process.child.wait(60) == 1
    what = {"ui": "the web UI", "metrics": "the metrics listener"}[listener]
    assert program.process.wait_for_line(f"flockwatch: {what} has stopped by itself")
    assert [one for one in program.entries() if one["level"] == "CRITICAL"]
