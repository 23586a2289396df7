"""Every page in both themes and on a phone: nothing serious for axe-core, nothing wider than the screen, pictures."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.chromium import PHONE
from tests.browser.pages import EMPTY, PAGES
from tests.ui.fake_engine import FakeEngine

ALL = {**PAGES, **EMPTY}
#: The rules of axe-core that look at colours; the others read the markup, which is the same in both themes.
OF_COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
#: What was fine need not be described.
FAULTS_ONLY = {"resultTypes": ["violations"]}


@pytest.fixture
def engine(request):
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    return FakeEngine(empty=parameters.get("name") in EMPTY)


def serious(page, **options):
    """What axe-core finds serious or critical on a page: rule, and the places."""
    found = Axe().run(page, options={**FAULTS_ONLY, **options}).response["violations"]
    return [
        (one["id"], one["help"], [node["html"][:200] for node in one["nodes"]][:5])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def unfold(page):
    """Open everything that can be unfolded, so that it is checked as well."""
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


def check_as_it_is(shown, name):
    """What a window shows is fit for everybody as it stands, in both themes and on a phone; keeps pictures of it."""
    page, desk = shown.page, shown.page.viewport_size
    shown.keep(f"{name}-light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) != light
    shown.keep(f"{name}-dark")
    page.set_viewport_size(PHONE)
    shown.keep(f"{name}-dark-phone")

    unfold(page)
    assert shown.overflow() == 0
    page.set_viewport_size(desk)
    assert shown.overflow() == 0
    assert serious(page, **OF_COLOURS) == []
    page.emulate_media(color_scheme="light")
    assert serious(page) == []


@pytest.mark.parametrize("name", ALL)
def test_a_page_is_fit_for_everybody(window, served, name):
    shown = window(served, theme="light")
    assert shown.open(ALL[name]) == 200
    check_as_it_is(shown, name)


def test_the_colours_a_person_chose_stay(window, served):
    shown = window(served, theme="light")
    shown.open("/wallets")
    shown.page.get_by_label("Colours").select_option("dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = shown.page.evaluate(ground)
    shown.open("/models")
    assert shown.page.evaluate(ground) == dark
    assert shown.page.locator("html").get_attribute("data-theme") == "dark"
    shown.page.get_by_label("Colours").select_option("auto")
    assert shown.page.evaluate(ground) != dark


@pytest.mark.parametrize("name", ["drivers", "models"])
def test_nothing_of_a_table_lies_outside_of_a_phone(window, served, name):
    shown = window(served, size=PHONE)
    shown.open(PAGES[name])
    cells = shown.page.locator("main tbody :is(th, td) > *, main tbody :is(th, td)")
    ends = cells.evaluate_all("all => all.map((one) => one.getBoundingClientRect().right)")
    assert ends
    assert max(ends) <= PHONE["width"]
    if name == "drivers":
        below = shown.page.locator("#drivers + p").bounding_box()["y"]
        above = shown.page.locator("#drivers").bounding_box()
        assert below - (above["y"] + above["height"]) >= 8
