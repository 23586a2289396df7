"""The first visit of a program that other hosts reach: one-time link, password, sign-in, sign-out."""

import re

import pytest
from playwright.sync_api import expect

from tests.end_to_end.programs import Program

pytestmark = pytest.mark.timeout(120)

PASSWORD = "a long enough one"


class Alone:
    """No flock at all."""

    base, http_ports, api_ports, udp_port, devices = "127.0.0", [80], [4028], "null", ()


@pytest.fixture
def program(tmp_path):
    """The program with its web UI on every interface, as in a hall; the browser comes over loopback."""
    running = Program(tmp_path, Alone(), subnets="")
    try:
        running.launch("--ui.listen-address", ":0")
        line = running.process.wait_for_line("/set-password?token=")
        running.process.wait_for_line('"ready"')
        running.link = re.search(r"https?://\S*:(\d+)(/set-password\?token=[\w-]+)", line)
        running.ui = f"http://127.0.0.1:{running.link[1]}"
        yield running
    finally:
        running.stop()


def test_the_link_of_the_log_sets_the_password_that_everybody_needs(program, window):
    shown = window(program.ui)
    page = shown.page
    shown.open("/")
    expect(page.get_by_role("heading", name="No password yet")).to_be_visible()
    assert page.request.get("/api/miners").status == 401
    shown.keep("flow-no-password-yet")

    shown.open(program.link[2])
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill("another")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_label("The same again")).to_have_attribute("aria-invalid", "true")
    shown.keep("flow-set-password")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    page.wait_for_url(lambda url: "set-password" not in url)

    other = window(program.ui)
    other.open(program.link[2])
    expect(other.page.get_by_text("This link does not work")).to_be_visible()
    other.open("/wallets")
    assert "/sign-in" in other.page.url
    field = other.page.locator("main").get_by_label("Password")
    field.fill("not the right one")
    other.page.get_by_role("button", name="Sign in").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    other.keep("flow-sign-in")
    field.fill(PASSWORD)
    field.press("Enter")
    other.page.wait_for_url("**/wallets")
    expect(other.page.get_by_role("heading", name="Wallets", exact=True)).to_be_visible()
    assert other.page.request.get("/api/miners").status == 200
    cookies = {cookie["name"]: cookie for cookie in other.context.cookies()}
    assert cookies["flockwatch_session"]["httpOnly"]
    assert cookies["flockwatch_session"]["sameSite"] in ("Lax", "Strict")

    other.page.get_by_role("button", name="Sign out").click()
    other.page.wait_for_url("**/sign-in")
    other.open("/")
    assert "/sign-in" in other.page.url
    assert other.page.request.get("/api/miners").status == 401
    assert PASSWORD not in program.log()
