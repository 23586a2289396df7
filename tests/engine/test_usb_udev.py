"""From udev's event to the tables, with libumockdev's bus."""

import json
import os
import subprocess
import sys

import pytest

from tests.usb.mock_bus import PRELOAD, ROOT

WAITS = ["unconfigured_devices", "port:1-1.3", None, None, "/dev/ttyUSB0", "1-1.3"]
KEY = "02:00:5e:10:00:01"


@pytest.mark.timeout(100)
def test_a_board_is_staged_named_unplugged_and_found_again_at_another_port():
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.usb_on_mock_bus"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": PRELOAD},
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["opened"] == ["/dev/ttyACM0", "/dev/ttyACM3"]
    assert told["steps"] == [
        [WAITS, ["unconfigured_devices", KEY, "Initializing", "Mining Authorize", "/dev/ttyACM0", "1-1.2"]],
        [WAITS, ["miners", KEY, "Active", "Mining", "/dev/ttyACM0", "1-1.2"]],
        [WAITS, ["miners", KEY, "Inactive", "Not Connected", None, None]],
        [WAITS, ["miners", KEY, "Active", "Mining", "/dev/ttyACM3", "2-1.4"]],
    ]
