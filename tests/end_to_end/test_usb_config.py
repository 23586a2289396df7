"""GET_CONFIG: the whole program has simulated boards tell their configuration while it monitors them."""

import contextlib
import json
import re

import pytest

from exporter.control.client import ControlClient
from exporter.errors import UsageError
from tests.end_to_end.programs import wait_for
from tests.end_to_end.test_usb import RATE, Boards, Usb, key_of, running, secrets_of, state_of

pytestmark = pytest.mark.timeout(120)

BOOTS = "miner_usb_boots_total"


def client_of(program):
    return ControlClient.connect(program.folder / "data" / "flockwatch.json")


def get_config(program, miner):
    return client_of(program).call("get_config", {"miner": miner})


def stored_miner(program, key):
    """The id and the row of a miner as the program holds them, and the text of the whole database."""
    text = client_of(program).call("backup")["document"]
    ((number, row),) = ((number, row) for number, row in json.loads(text)["miners"].items() if row["key"] == key)
    return number, row, text


def onboarded(program, boards):
    """Name all boards after the numbers of their ports and wait until they mine."""
    count = len(boards.paths)
    found = program.until_waiting(
        lambda d: len(d) == count and all(device["dumped_pool_url"] for device in d), "the configurations"
    )
    for device in found:
        program.onboard(device["id"], f"Board {boards.paths.index(device['dev_path'])}")
    keys = [key_of(path) for path in boards.paths]
    program.until(lambda page: all(page.value(RATE, miner=key) for key in keys), "the boards to mine")
    return keys


def test_a_monitored_miner_tells_its_configuration_and_mines_on(tmp_path):
    with running(tmp_path, count=2, scenario="good,sd_card", speed=4) as (program, boards):
        keys = onboarded(program, boards)
        secrets = secrets_of(2)
        assert len(secrets) >= 2
        for number, (path, key) in enumerate(zip(boards.paths, keys, strict=True)):
            page = program.page()
            assert state_of(page, key, "status") == "Active"
            boots = page.value(BOOTS, miner=key)
            truth = boards.truth()[path]

            answer = get_config(program, f"Board {number}" if number else key)

            assert (answer["status"], answer["error"]) == ("complete", None)
            config, shown = answer["config"], truth["config"]
            _, row, text = stored_miner(program, key)
            assert json.loads(row["last_config_json"]) == config
            assert shown.items() <= config.items()
            assert {shown["poolString"], shown["btcString"]} <= set(config.values())
            assert row["wallet_address"] == shown["btcString"]
            assert row["pool_url"] == f"{shown['poolString']}:{shown['portNumber']}"
            for secret in secrets:
                assert secret not in json.dumps(answer) + text

            def active_again(page, key=key, boots=boots):
                rebooted = page.value(BOOTS, miner=key) == boots + 1
                return rebooted and state_of(page, key, "status") == "Active" and page.value(RATE, miner=key)

            program.until(active_again, "the board to mine again")
            after = boards.truth()[path]
            assert (after["boots"], after["opens"]) == (truth["boots"] + 1, 1)
            command = json.loads(text)["miner_commands"][str(answer["id"])]
            assert (command["command"], command["status"]) == ("GET_CONFIG", "complete")
        for secret in secrets:
            assert secret not in program.log() + program.page().text


def test_what_cannot_be_done_says_why(tmp_path):
    with running(tmp_path, count=1, speed=4) as (program, boards):
        (key,) = onboarded(program, boards)
        number, row, _ = stored_miner(program, key)
        boards.post(boards.paths[0], plug=False)
        program.until(lambda page: state_of(page, key) == "Not Connected", "the unplug")
        for name in (number, "Board 0"):
            answer = get_config(program, name)
            assert (answer["status"], answer["config"]) == ("error", None)
            # The port has hung up; whether the watcher has looked already decides about the words.
            assert re.search("not plugged in|was unplugged", answer["error"])
        wait_for(lambda: "not plugged in" in get_config(program, number)["error"], "the watcher to look")
        assert stored_miner(program, key)[1]["last_config_json"] == row["last_config_json"]
        with pytest.raises(UsageError, match="no miner is called 'nobody'"):
            get_config(program, "nobody")
        with pytest.raises(UsageError, match="which miner"):
            get_config(program, None)


@contextlib.contextmanager
def found_mining(folder):
    """A board that was mining before the program started."""
    boards = Boards(folder, count=1, uptime=600, speed=4)
    program = Usb(folder, boards)
    try:
        program.start()
        yield program, boards
    finally:
        program.stop()
        boards.stop()


def test_a_new_board_that_mined_before_the_start_is_reset_once(tmp_path):
    with found_mining(tmp_path) as (program, boards):
        (path,) = boards.paths
        truth = wait_for(lambda: (now := boards.truth()[path])["opened"] and now, "the port to be opened")
        assert (truth["boots"], truth["state"]) == (0, "Mining")

        def told(devices):
            return devices[0]["dumped_pool_url"] and devices[0]["state"] == "Mining Authorize"

        (device,) = program.until_waiting(told, "the configuration")
        wait_for(lambda: boards.truth()[path]["state"] == "Mining", "the board to mine again")
        truth = boards.truth()[path]
        config = truth["config"]
        assert (truth["boots"], truth["opens"], truth["host_bytes"]) == (1, 1, 0)
        assert device["dumped_pool_url"] == f"{config['poolString']}:{config['portNumber']}"
        assert device["dumped_wallet_address"] == config["btcString"]
        assert sum("restarting a new board once" in line for line in program.process.lines) == 1
