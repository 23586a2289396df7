"""Drivers updated and rolled back on their page: the real program, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from exporter.drivers.loader import BUNDLED_FOLDER
from tests.end_to_end.programs import Program, Simulator

pytestmark = pytest.mark.timeout(180)

BUNDLED = (BUNDLED_FOLDER / "bitaxe_driver.py").read_text()
VERSION = re.search(r'driver_version.*"(.+)"', BUNDLED)[1]
PAGE = "/settings/miner-driver-updates"


@pytest.fixture
def program(tmp_path):
    simulator = Simulator(count=1)
    running = Program(tmp_path, simulator)
    try:
        yield running.start()
    finally:
        running.stop()
        simulator.stop()


def test_a_driver_is_loaded_updated_and_rolled_back(program, window):
    shown = window(program.ui)
    page = shown.page
    file = program.folder / "data" / "miner_drivers" / "bitaxe_driver.py"
    file.write_text(BUNDLED.replace(f'"{VERSION}"', '"0.9.0"'))
    shown.open(PAGE)
    row = page.locator("tr[data-key='bitaxe']")
    expect(row).to_contain_text("Not loaded yet")

    page.get_by_role("button", name="Load changed files").click()
    expect(row).to_contain_text("0.9.0, yours")
    expect(row).to_contain_text("Update available")
    expect(row).not_to_contain_text("Not loaded yet")

    row.get_by_role("button", name="Update: bitaxe").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text(f"bitaxe {VERSION}")
    expect(question).to_contain_text(re.compile(r"SHA-256 is [0-9a-f]{64}"))
    question.get_by_role("button", name="Cancel").click()
    assert "0.9.0" in file.read_text()
    row.get_by_role("button", name="Update: bitaxe").click()
    page.get_by_role("dialog").get_by_role("button", name="Update").click()
    expect(page.locator("#messages")).to_contain_text(f"bitaxe is {VERSION} now.")
    expect(row).to_contain_text("Up to date")
    assert file.read_text() == BUNDLED

    row.get_by_role("button", name="Go back: bitaxe").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back to 0.9.0").click()
    expect(page.locator("#messages")).to_contain_text("bitaxe is back at 0.9.0.")
    expect(row).to_contain_text("0.9.0, yours")


def test_a_broken_file_is_told_and_an_update_mends_it(program, window):
    shown = window(program.ui)
    page = shown.page
    file = program.folder / "data" / "miner_drivers" / "bitaxe_driver.py"
    file.write_text(BUNDLED.replace("def decode_status(", "def decode_status(("))
    shown.open(PAGE)
    page.get_by_role("button", name="Load changed files").click()
    told = page.locator("[data-key='error-bitaxe']")
    expect(told).to_contain_text("syntax error in line")
    expect(told).to_contain_text("serves in its place")
    told.get_by_text("Traceback").first.click()
    expect(told.locator("pre")).to_be_visible()
    page.locator("tr[data-key='bitaxe']").get_by_role("button", name="Use the program's: bitaxe").click()
    page.get_by_role("dialog").get_by_role("button", name="Use the program's").click()
    expect(page.locator("tr[data-key='bitaxe']")).to_contain_text("Up to date")
    expect(told).to_have_count(0)
    # The kept file is broken: the refusal stays until it is dismissed.
    page.locator("tr[data-key='bitaxe']").get_by_role("button", name="Go back: bitaxe").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back").click()
    expect(page.locator("#messages .message.bad")).to_contain_text("cannot be used")
