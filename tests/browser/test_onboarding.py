"""From a board that is plugged in to a miner of the flock: the real program, simulated boards, a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.end_to_end.programs import CLIENT, wait_for
from tests.end_to_end.test_usb import Boards, Usb

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def usb(tmp_path):
    """The program, and two boards that are switched on once the browser looks."""
    boards = Boards(tmp_path, count=2, speed=2)
    program = Usb(tmp_path, boards)
    try:
        program.start()
        yield program, boards
    finally:
        program.stop()
        boards.stop()


def miners(program):
    return CLIENT.get(f"{program.ui}/api/miners", timeout=10).raise_for_status().json()


def test_a_board_is_named_while_it_boots_and_mines_as_one_of_the_flock(usb, window):
    program, boards = usb
    shown = window(program.ui)
    page = shown.page
    shown.open("/devices")
    cards = page.locator("#usb article")
    expect(cards).to_have_count(2, timeout=30_000)  # without loading the page again
    first = cards.filter(has_text=boards.paths[0])
    # What a person types into the form survives the refreshes of the states around it.
    first.get_by_label("Location notes").fill("shelf 2")
    boards.boot()
    expect(first.locator("[aria-current=step]")).to_have_text("Mining Authorize", timeout=30_000)
    truth = boards.truth()[boards.paths[0]]["config"]
    wallet, _, worker = truth["btcString"].partition(".")
    expect(first).to_contain_text(f"{truth['poolString']}:{truth['portNumber']}")
    expect(first.locator("code.address")).to_have_attribute("title", wallet)
    expect(first.get_by_label("Location notes")).to_have_value("shelf 2")
    expect(first.get_by_label("Miner name")).to_have_value(worker)
    shown.keep("flow-onboarding")

    first.get_by_role("button", name="Onboard").click()
    assert miners(program) == [], "a currency is required, and the browser says so"
    first.get_by_label("Miner name").fill("Garage")
    first.get_by_label("Currency").select_option("BTC")
    first.get_by_label("Chipset").fill("ESP32-S3")
    first.get_by_role("button", name="Onboard").click()
    page.wait_for_url(re.compile(r"/miners/\d+$"))
    expect(page.locator("#messages")).to_contain_text("in the flock")
    expect(page.locator("h1")).to_contain_text("Garage")
    (miner,) = miners(program)
    assert (miner["name"], miner["currency"], miner["chipset"]) == ("Garage", "BTC", "ESP32-S3")
    assert miner["location_notes"] == "shelf 2"
    wait_for(lambda: miners(program)[0]["hashrate"], "the board to mine")

    shown.open("/devices")
    expect(cards).to_have_count(1)
    cards.get_by_label("Miner name").fill("garage")
    cards.get_by_label("Currency").select_option("BCH")
    cards.get_by_role("button", name="Onboard").click()
    field = cards.get_by_label("Miner name")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(cards.locator(".field-error").first).to_contain_text("garage")
    expect(field).to_be_focused()
    field.fill("Attic")
    cards.get_by_role("button", name="Onboard").click()
    page.wait_for_url(re.compile(r"/miners/\d+$"))
    shown.open("/devices")
    expect(page.get_by_text("No board waits")).to_be_visible()


def test_the_configuration_is_read_again_and_its_command_is_seen_to_end(usb, window):
    program, boards = usb
    boards.boot()
    found = program.until_waiting(
        lambda devices: len(devices) == 2 and all(d["dumped_pool_url"] for d in devices), "both"
    )
    device = next(device for device in found if device["dev_path"] == boards.paths[0])
    program.onboard(device["id"], "Garage")
    (miner,) = miners(program)
    wait_for(lambda: miners(program)[0]["hashrate"], "the board to mine")
    boots = boards.truth()[boards.paths[0]]["boots"]

    shown = window(program.ui)
    page = shown.page
    shown.open(f"/miners/manage/{miner['id']}")
    expect(page.get_by_text("Writing a configuration is not offered.")).to_be_visible()
    page.get_by_role("button", name="Read again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("restarts")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert boards.truth()[boards.paths[0]]["boots"] == boots, "nothing happens before a person agrees"

    page.get_by_role("button", name="Read again").click()
    dialog.get_by_role("button", name="Read again").click()
    row = page.locator("tr[data-key^=command-]").first
    expect(row).to_contain_text("Read the configuration")
    expect(row).to_contain_text("Complete", timeout=60_000)
    assert boards.truth()[boards.paths[0]]["boots"] == boots + 1
    expect(page.locator("table.config")).to_contain_text(boards.truth()[boards.paths[0]]["config"]["poolString"])
    shown.keep("flow-read-configuration")
