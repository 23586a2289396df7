"""The sign-in of the real program: the one-time link, tokens, restarts, and nothing secret in log or database."""

import json
import re

import httpx
import pytest

from tests.end_to_end.programs import Program, Simulator, wait_for

PASSWORD = "correct horse battery staple"
CHANGED = "an entirely different one"
WRONG = "not the right password"
MASTER = "0123456789abcdef-of-the-environment"
ANYWHERE = ("--ui.listen-address", "0.0.0.0:0")
LINK = "the web UI has no password yet"


@pytest.fixture(scope="module")
def few_miners():
    running = Simulator(count=2)
    yield running
    running.stop()


@pytest.fixture
def start(tmp_path, few_miners):
    """Start the program once more, each time over the same database; returns it."""
    running = []

    def go(*arguments, **environment):
        while running:
            running.pop().stop()
        program = Program(tmp_path, few_miners, environment)
        program.arguments = list(arguments)
        running.append(program)
        return program.start()

    yield go
    while running:
        running.pop().stop()


def fill(browser, page, action, **fields):
    """Fill the form of a page and send it, as a browser does."""
    shown = browser.get(page).raise_for_status().text
    form = re.search(rf'<form method="post" action="{action}">(.*?)</form>', shown, re.DOTALL)[1]
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    origin = f"http://{browser.base_url.host}:{browser.base_url.port}"
    return browser.post(action, data={**hidden, **fields}, headers={"Origin": origin})


def browser_of(program):
    return httpx.Client(base_url=program.ui, timeout=20)


def link_of(program):
    entry = json.loads(program.process.wait_for_line(LINK))
    assert entry["level"] == "WARNING"
    return httpx.URL(entry["link"])


def test_on_loopback_plain_curl_works_and_other_sites_do_not_get_in(start):
    program = start()
    with browser_of(program) as client:
        assert client.get("/api/miners").status_code == 200
        assert client.post("/api/miners/scan", headers={"User-Agent": "curl/8"}).status_code == 202
        foreign = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert client.post("/api/miners/scan", headers=foreign).status_code == 403
        assert client.get("/api/miners", headers={"Host": "evil.example"}).status_code == 403
        assert client.get("/set-password?token=").status_code == 403
    assert LINK not in program.log()


def test_from_the_link_to_the_sign_in_and_over_restarts(start, tmp_path):
    program = start(*ANYWHERE)
    link = link_of(program)
    assert link.path == "/set-password"
    secrets = [PASSWORD, CHANGED, WRONG]
    with browser_of(program) as browser, browser_of(program) as stranger:
        assert browser.get("/api/miners").status_code == 401
        assert browser.get("/").headers["Location"] == "/sign-in"
        path = f"/set-password?token={link.params['token']}"
        assert fill(browser, path, "/set-password", password=PASSWORD, repeated=PASSWORD).status_code == 303
        assert browser.get("/api/miners").status_code == 200
        assert stranger.get(path).status_code == 403
        assert stranger.get("/api/miners").status_code == 401
        assert fill(stranger, "/sign-in", "/sign-in", password=WRONG).status_code == 422
        assert fill(stranger, "/sign-in", "/sign-in", password=PASSWORD).status_code == 303
        page = fill(browser, "/settings/access", "/settings/access/tokens", name="grafana", scope="read", days="7").text
        token = re.search(r'id="new-token">(fw_[\w-]+)<', page)[1]
        bearer = {"Authorization": f"Bearer {token}"}
        made = browser.post("/api/tokens", json={"name": "script", "scope": "full"}).raise_for_status().json()
        secrets += [token, made["token"], *(cookie.value for cookie in [*browser.cookies.jar, *stranger.cookies.jar])]
        assert httpx.get(f"{program.ui}/api/miners", headers=bearer).status_code == 200
        assert httpx.post(f"{program.ui}/api/miners/scan", headers=bearer).status_code == 403
        assert httpx.get(f"{program.ui}/api/miners", headers={"Authorization": "Bearer fw_none"}).status_code == 401
        kept = {"name": "flockwatch_session", "value": browser.cookies["flockwatch_session"], "domain": "127.0.0.1"}
    logs = [program.log()]

    program = start(*ANYWHERE)
    assert LINK not in program.log()
    with browser_of(program) as browser, browser_of(program) as stranger:
        assert httpx.get(f"{program.ui}/api/miners", headers=bearer).status_code == 200
        browser.cookies.set(**kept)
        assert browser.get("/api/miners").status_code == 200
        action = "/settings/access/password"
        changed = fill(browser, "/settings/access", action, current=PASSWORD, password=CHANGED, repeated=CHANGED)
        assert changed.status_code == 303
        stranger.cookies.set(**kept)
        assert stranger.get("/api/miners").status_code == 401
        assert browser.get("/api/miners").status_code == 200
        secrets += [cookie.value for cookie in browser.cookies.jar]
        metrics = httpx.get(f"{program.metrics}/metrics").text
        with browser_of(program) as other:
            assert fill(other, "/sign-in", "/sign-in", password=PASSWORD).status_code == 422
            assert fill(other, "/sign-in", "/sign-in", password=CHANGED).status_code == 303
            assert fill(other, "/", "/sign-out").status_code == 303
            assert other.get("/api/miners").status_code == 401
    program.stop()
    logs.append(program.log())

    database = (tmp_path / "data" / "flockwatch.json").read_text()
    assert "scrypt:" in database
    assert "grafana" in database
    for where in (*logs, database, metrics):
        assert [secret for secret in secrets if secret in where] == []
    setup_token = link.params["token"]
    assert logs[0].count(setup_token) == 1
    assert setup_token not in logs[1] + database + metrics


def test_each_start_without_a_password_prints_a_link_of_its_own(start):
    first = link_of(start(*ANYWHERE))
    program = start(*ANYWHERE)
    assert link_of(program).params["token"] != first.params["token"]
    with browser_of(program) as browser:
        assert browser.get(f"/set-password?token={first.params['token']}").status_code == 403


def test_with_a_token_of_the_environment(start):
    program = start(*ANYWHERE, FLOCKWATCH_API_TOKEN=MASTER)
    with browser_of(program) as browser:
        assert browser.get("/api/miners").status_code == 401
        assert browser.get("/api/miners", headers={"Authorization": f"Bearer {MASTER}"}).status_code == 200
        assert fill(browser, "/sign-in", "/sign-in", password=MASTER).status_code == 303
        assert browser.get("/api/miners").status_code == 200
        shown = [browser.get(path).text for path in ("/settings/access", "/settings/", "/api/settings", "/diagnostics")]
    wait_for(lambda: "signed in" in program.log(), "the sign-in in the log")
    assert LINK not in program.log()
    assert MASTER not in "".join([program.log(), *shown])


def test_a_short_token_stops_the_start(tmp_path, few_miners):
    program = Program(tmp_path, few_miners, {"FLOCKWATCH_API_TOKEN": "short"})
    process = program.launch()
    line = process.wait_for_line("flockwatch: ")
    assert "FLOCKWATCH_API_TOKEN: must have 16 to 256 characters" in line
    assert process.child.wait(20) == 2
    process.stop()
