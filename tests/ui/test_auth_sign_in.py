"""The sign-in in front of the application, over an engine in memory."""

import base64
import re
import time

import bcrypt
import pytest
from werkzeug.security import generate_password_hash

from exporter.errors import StoreError
from exporter.sign_in import SignedInOnly
from exporter.store.secret import Secret
from onboarding_ui import create_app
from onboarding_ui.auth.attempts import Attempts
from onboarding_ui.auth.guard import EXTENSION
from onboarding_ui.auth.sessions import COOKIE, IDLE_SECONDS, LONGEST_SECONDS
from onboarding_ui.auth.tokens import hash_token, new_token
from onboarding_ui.options import UiOptions
from tests.ui.fake_engine import FakeEngine

PASSWORD = "correct horse battery"
MASTER = "a-token-of-the-environment"
PAGES = ("/", "/devices", "/wallets", "/models", "/settings/", "/settings/access", "/diagnostics", "/miners/1", "/none")
OPEN = UiOptions()
ELSEWHERE = UiOptions(loopback=False, setup_token=Secret("setup-token"))


def quick_hash(password):
    """A hash that is checked soon; those the program makes take a tenth of a second of CPU each time."""
    return Secret(generate_password_hash(password, "scrypt:1024:8:1"))


class Site:
    """The application, and a browser in front of it."""

    def __init__(self, options=OPEN, *, password=None):
        self.engine = FakeEngine()
        if password is not None:
            self.engine.access.set_password(quick_hash(password))
        self.app = create_app(self.engine, options)
        # Hours instead of minutes, so that a slow host tries no less often.
        self.app.extensions[EXTENSION].attempts = Attempts("10 per hour", "60 per hour")
        self.browser = self.app.test_client()

    def form(self, page, action, client=None, **fields):
        """Fill the form of a page and send it."""
        client = client or self.browser
        shown = client.get(page).get_data(as_text=True)
        found = re.search(rf'<form method="post" action="{action}">(.*?)</form>', shown, re.DOTALL)
        assert found, shown
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', found[1]))
        return client.post(action, data={**hidden, **fields})

    def sign_in(self, password=PASSWORD, client=None, page="/sign-in"):
        return self.form(page, "/sign-in", client, password=password)


@pytest.fixture
def closed():
    return Site(password=PASSWORD)


def token(site, scope="full", **fields):
    shown, hashed = new_token()
    site.engine.access.add_token(f"token {shown[-6:]}", hashed, scope, **fields)
    return {"Authorization": f"Bearer {shown}"}


# --- who has to sign in ---


def test_on_loopback_without_a_password_everything_is_open():
    site = Site()
    assert site.browser.get("/").status_code == 200
    assert site.browser.get("/api/miners").status_code == 200
    assert site.browser.post("/api/miners/1/rescan").status_code == 200
    assert site.browser.get("/sign-in").headers["Location"] == "/"


def test_with_a_password_everybody_signs_in_also_on_loopback(closed):
    for page in PAGES:
        answer = closed.browser.get(page)
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/sign-in")
    for path in ("/api/miners", "/api/openapi.json", "/api/none"):
        answer = closed.browser.get(path)
        assert answer.status_code == 401
        assert answer.json["field"] is None
        assert "sign in" in answer.json["error"]
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert closed.browser.post("/api/miners/1/rescan").status_code == 401
    assert closed.browser.post("/settings/access/password").status_code == 401


def test_what_is_open_to_everybody_holds_nothing_of_the_flock(closed):
    names = [record.name for record in closed.engine.records.values()]
    for path in ("/sign-in", "/api/health", "/static/icon.svg"):
        with closed.browser.get(path) as answer:
            assert answer.status_code == 200
            assert not [name for name in names if name in answer.get_data(as_text=True)]
    assert closed.browser.get("/static/%2e%2e/templates/base.html").status_code in (303, 404)
    shown = closed.browser.get("/sign-in").get_data(as_text=True)
    assert "/wallets" not in shown
    closed.engine.program.write_error = lambda: "/home/somebody/flock.json: no space left"
    assert "no space left" not in closed.browser.get("/sign-in").get_data(as_text=True)


def test_signing_in_and_out(closed):
    answer = closed.sign_in(page="/sign-in?next=/wallets?x=1")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/wallets?x=1")
    assert closed.browser.get("/").status_code == 200
    assert closed.browser.get("/api/miners").status_code == 200
    out = closed.form("/", "/sign-out")
    assert (out.status_code, out.headers["Location"]) == (303, "/sign-in")
    assert closed.browser.get("/").status_code == 303
    assert closed.engine.access._sessions == {}


def test_where_the_page_was_comes_back_after_the_sign_in(closed):
    asked = closed.browser.get("/miners/1?seconds=3600")
    assert asked.headers["Location"] == "/sign-in?next=%2Fminers%2F1%3Fseconds%3D3600"
    assert closed.sign_in(page=asked.headers["Location"]).headers["Location"] == "/miners/1?seconds=3600"


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/%5Cevil.example", "javascript:1"])
def test_a_sign_in_never_leads_elsewhere(closed, target):
    assert closed.sign_in(page=f"/sign-in?next={target}").headers["Location"] == "/"


def test_the_cookie(closed):
    cookie = closed.sign_in().headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    value = closed.browser.get_cookie(COOKIE).value
    (session,) = closed.engine.access._sessions.values()
    assert session.token_hash.reveal() == hash_token(value)
    assert value not in session.token_hash.reveal()
    assert session.expires_at - session.created_at == IDLE_SECONDS


def test_over_tls_the_cookies_are_sent_over_tls_only():
    site = Site(UiOptions(tls=True), password=PASSWORD)
    answers = [site.browser.get("/sign-in"), site.sign_in()]
    cookies = [cookie for answer in answers for cookie in answer.headers.getlist("Set-Cookie")]
    assert any(cookie.startswith(COOKIE) for cookie in cookies)
    assert all("Secure" in cookie for cookie in cookies if "Max-Age=0" not in cookie)


def test_behind_a_proxy_that_speaks_https_too(closed):
    shown = closed.browser.get("/sign-in").get_data(as_text=True)
    form_token = re.search(r'name="csrf_token" value="([^"]+)"', shown)[1]
    answer = closed.browser.post(
        "/sign-in",
        data={"csrf_token": form_token, "password": PASSWORD},
        headers={"Host": "localhost", "Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status_code == 303
    assert "Secure" in next(cookie for cookie in answer.headers.getlist("Set-Cookie") if cookie.startswith(COOKIE))


def test_each_sign_in_has_a_cookie_of_its_own_and_ends_the_one_before(closed):
    closed.sign_in()
    first = closed.browser.get_cookie(COOKIE).value
    closed.sign_in()
    second = closed.browser.get_cookie(COOKIE).value
    assert first != second
    assert list(closed.engine.access._sessions) == [hash_token(second)]
    stranger = closed.app.test_client()
    stranger.set_cookie(COOKIE, first)
    assert stranger.get("/api/miners").status_code == 401


def test_a_cookie_that_somebody_chose_is_not_taken_over(closed):
    closed.browser.set_cookie(COOKIE, "chosen-by-somebody-else")
    closed.sign_in()
    assert closed.browser.get_cookie(COOKIE).value != "chosen-by-somebody-else"
    stranger = closed.app.test_client()
    stranger.set_cookie(COOKIE, "chosen-by-somebody-else")
    assert stranger.get("/api/miners").status_code == 401


def move(site, created, expires):
    """Put the only session at other times, in seconds from now."""
    access, now = site.engine.access, time.time()
    ((token_hash, session),) = access._sessions.items()
    access.end_session(token_hash)
    access.add_session(session.token_hash, now + created, now + expires)


def test_a_session_ends_without_use(closed):
    closed.sign_in()
    move(closed, -IDLE_SECONDS, -1)
    assert closed.browser.get("/api/miners").status_code == 401


def test_a_session_that_is_used_lasts_but_not_for_ever(closed):
    closed.sign_in()
    move(closed, -86400, IDLE_SECONDS - 86400 * 2)
    assert closed.browser.get("/api/miners").status_code == 200
    (session,) = closed.engine.access._sessions.values()
    assert session.expires_at == pytest.approx(time.time() + IDLE_SECONDS, abs=60)
    move(closed, 2 * 86400 - LONGEST_SECONDS, 100)
    assert closed.browser.get("/api/miners").status_code == 200
    (session,) = closed.engine.access._sessions.values()
    assert session.expires_at == pytest.approx(session.created_at + LONGEST_SECONDS, abs=1)


def test_a_full_disk_keeps_nobody_out(closed):
    def full(*_):
        raise StoreError("no space left")

    closed.engine.access.extend_session = full
    closed.sign_in()
    move(closed, -86400, 86400)
    assert closed.browser.get("/api/miners").status_code == 200


# --- wrong passwords ---


def test_a_wrong_password_is_refused_beside_the_field(closed):
    answer = closed.sign_in("wrong password")
    assert answer.status_code == 422
    assert "is wrong" in answer.get_data(as_text=True)
    assert "wrong password" not in answer.get_data(as_text=True)
    assert closed.browser.get("/").status_code == 303
    assert closed.sign_in("x" * 100_000).status_code == 422
    assert closed.sign_in().status_code == 303


def test_who_tries_too_often_has_to_wait(closed):
    answers = [closed.sign_in("wrong password") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 3600
    assert closed.sign_in().status_code == 429  # the right one is not looked at either
    other = closed.app.test_client()
    other.environ_base["REMOTE_ADDR"] = "127.0.0.2"
    assert closed.sign_in(client=other).status_code == 303


def test_a_right_password_clears_the_tries(closed):
    for _ in range(3):
        assert [closed.sign_in("wrong password").status_code for _ in range(9)] == [422] * 9
        assert closed.sign_in().status_code == 303


# --- the first password ---


def test_elsewhere_a_password_is_required():
    site = Site(ELSEWHERE)
    for page in PAGES:
        assert site.browser.get(page).headers["Location"].startswith("/sign-in")
    assert "one-time link printed in the log" in site.browser.get("/sign-in").get_data(as_text=True)
    assert site.browser.get("/api/miners").status_code == 401
    assert site.browser.post("/api/miners/1/rescan").status_code == 401
    shown = site.browser.get("/sign-in").get_data(as_text=True)
    assert "<form" not in shown


def test_the_link_sets_the_first_password_once():
    site = Site(ELSEWHERE)
    link = "/set-password?token=setup-token"
    answer = site.form(link, "/set-password", password=PASSWORD, repeated=PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert site.browser.get("/").status_code == 200
    stranger = site.app.test_client()
    assert stranger.get(link).status_code == 403
    assert stranger.get("/").headers["Location"] == "/sign-in"
    assert site.sign_in(client=stranger).status_code == 303
    assert stranger.get("/api/miners").status_code == 200


def test_another_link_does_not_set_it():
    site = Site(ELSEWHERE)
    for wrong in ("", "setup-toke", "setup-token2", "%00", "é"):
        answer = site.browser.get(f"/set-password?token={wrong}")
        assert answer.status_code == 403
        assert "<form method" not in answer.get_data(as_text=True)
    shown = site.browser.get("/set-password?token=setup-token").get_data(as_text=True)
    form_token = re.search(r'name="csrf_token" value="([^"]+)"', shown)[1]
    data = {"csrf_token": form_token, "token": "wrong", "password": PASSWORD, "repeated": PASSWORD}
    assert site.browser.post("/set-password", data=data).status_code == 403
    assert site.engine.access.password_hash() is None


def test_the_link_ends_when_there_is_a_password_by_any_way():
    site = Site(ELSEWHERE)
    site.engine.access.set_password(quick_hash(PASSWORD))
    assert site.browser.get("/set-password?token=setup-token").status_code == 403


def test_a_bad_first_password_is_explained_beside_its_field_and_the_link_stays():
    site = Site(ELSEWHERE)
    link = "/set-password?token=setup-token"
    short = site.form(link, "/set-password", password="short", repeated="short")
    assert short.status_code == 422
    assert "8 to 256 characters" in short.get_data(as_text=True)
    differs = site.form(link, "/set-password", password=PASSWORD, repeated=PASSWORD + "x")
    assert differs.status_code == 422
    assert "not the same" in differs.get_data(as_text=True)
    assert PASSWORD not in differs.get_data(as_text=True)
    site.engine.fault = StoreError("the disk is full")
    full = site.form(link, "/set-password", password=PASSWORD, repeated=PASSWORD)
    assert full.status_code == 503
    assert "The disk is full" in full.get_data(as_text=True)
    site.engine.fault = None
    assert site.form(link, "/set-password", password=PASSWORD, repeated=PASSWORD).status_code == 303


def test_on_loopback_there_is_no_link():
    assert Site().browser.get("/set-password?token=").status_code == 403


# --- tokens ---


def test_a_token_opens_the_api_without_a_cookie(closed):
    headers = token(closed)
    assert closed.browser.get("/api/miners", headers=headers).status_code == 200
    answer = closed.browser.post("/api/miners/1/rescan", headers={**headers, "Origin": "http://dashboard.example"})
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


def test_a_token_that_may_only_read_changes_nothing(closed):
    headers = token(closed, "read")
    assert closed.browser.get("/api/miners", headers=headers).status_code == 200
    assert closed.browser.head("/api/miners", headers=headers).status_code == 200
    for method, path in (
        ("POST", "/api/miners/1/rescan"),
        ("PATCH", "/api/miners/1"),
        ("DELETE", "/api/miners/1"),
        ("PUT", "/api/settings/credentials"),
        ("POST", "/api/tokens"),
        ("GET", "/api/tokens"),
        ("GET", "/api/settings/credentials"),
        ("GET", "/api/miners/1/exchanges"),
        ("GET", "/api//miners/1/exchanges"),
        ("GET", "/settings/access"),
        ("GET", "/"),
    ):
        answer = closed.browser.open(path, method=method, headers=headers, follow_redirects=True)
        assert answer.status_code == 403, path
    assert 1 in closed.engine.records


@pytest.mark.parametrize("options", [OPEN, ELSEWHERE, UiOptions(api_token=Secret(MASTER))])
@pytest.mark.parametrize("wrong", ["Bearer fw_unknown", "Bearer", "Bearer ", "bearer é", "Bearer a b"])
def test_a_wrong_token_is_refused_also_where_none_is_needed(options, wrong):
    answer = Site(options).browser.get("/api/miners", headers={"Authorization": wrong})
    assert answer.status_code == 401
    assert "not known" in answer.json["error"]


def test_a_token_ends_when_it_is_revoked_or_its_time_is_over(closed):
    over = token(closed, expires_at=time.time() - 1)
    assert closed.browser.get("/api/miners", headers=over).status_code == 401
    headers = token(closed, expires_at=time.time() + 60)
    assert closed.browser.get("/api/miners", headers=headers).status_code == 200
    closed.engine.access.revoke_token(closed.engine.access.tokens()[-1].id)
    assert closed.browser.get("/api/miners", headers=headers).status_code == 401


@pytest.mark.parametrize("loopback", [True, False])
def test_with_a_token_of_the_environment_everybody_needs_one(loopback):
    site = Site(UiOptions(loopback=loopback, api_token=Secret(MASTER)))
    assert site.browser.get("/api/miners").status_code == 401
    assert site.browser.get("/api/miners", headers={"Authorization": f"Bearer {MASTER}"}).status_code == 200
    assert site.browser.get("/").status_code == 303
    assert "API token" in site.browser.get("/sign-in").get_data(as_text=True)
    assert site.sign_in(PASSWORD).status_code == 422
    assert site.sign_in(MASTER).status_code == 303
    assert site.browser.get("/api/miners").status_code == 200
    assert MASTER not in site.browser.get("/settings/access").get_data(as_text=True)


def test_who_forgot_the_password_signs_in_with_the_token_of_the_environment():
    site = Site(UiOptions(loopback=False, api_token=Secret(MASTER)), password=PASSWORD)
    site.sign_in(MASTER)
    new = "another password"
    page = "/settings/access"
    answer = site.form(page, f"{page}/password", current=MASTER, password=new, repeated=new)
    assert answer.status_code == 303
    other = site.app.test_client()
    assert site.sign_in(new, client=other).status_code == 303


USERS = {"prom": bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()}
SIGNED = {"Authorization": f"Basic {base64.b64encode(b'prom:open sesame').decode()}"}


def site_with_users(**options):
    """The application behind users of the web configuration, as the program puts it there."""
    site = Site(UiOptions(loopback=False, signed_in_before=True, **options), password=PASSWORD)
    site.app.wsgi_app = SignedInOnly(site.app.wsgi_app, USERS)
    return site


def test_users_of_the_web_configuration_need_no_second_sign_in():
    browser = site_with_users().browser
    for path in ("/", "/api/miners"):
        assert browser.get(path, headers=SIGNED).status_code == 200
        assert browser.get(path).status_code == 401
    foreign = browser.post("/api/miners/1/rescan", headers={**SIGNED, "Origin": "http://evil.example"})
    assert foreign.status_code == 403


def test_beside_such_users_programs_have_tokens_for_the_api():
    site = site_with_users(api_token=Secret(MASTER))
    browser = site.browser
    made = browser.post("/api/tokens", json={"name": "Grafana", "scope": "read"}, headers=SIGNED)
    reader = {"Authorization": f"Bearer {made.json['token']}"}
    assert browser.get("/api/miners", headers=reader).status_code == 200
    assert browser.get("/api/settings/credentials", headers=reader).status_code == 403
    assert browser.post("/api/miners/1/rescan", headers=reader).status_code == 403
    for full in (token(site), {"Authorization": f"bearer  {MASTER}"}):
        assert browser.post("/api/miners/1/rescan", headers=full).status_code == 200
        assert browser.get("/", headers=full).status_code == 401  # pages are for people
        assert browser.get("/settings/access", headers=full).status_code == 401
    browser.delete(f"/api/tokens/{made.json['id']}", headers=SIGNED)
    assert browser.get("/api/miners", headers=reader).status_code == 401


@pytest.mark.parametrize(
    "given",
    ["Bearer", "Bearer ", "Bearer fw_none", "Bearer\tfw_none", "bearerfw", "Basic x, Bearer y", " Bearer", "\xa0"],
)
def test_beside_such_users_what_is_no_token_opens_nothing(given):
    site = site_with_users()
    for path in ("/api/miners", "/api/openapi.json", "/api/health", "/", "/sign-in", "/api"):
        answer = site.browser.get(path, headers={"Authorization": given})
        assert answer.status_code == 401, path


def test_beside_such_users_a_session_of_before_opens_nothing():
    site = Site(UiOptions(loopback=False), password=PASSWORD)
    site.sign_in()
    cookie = site.browser.get_cookie(COOKIE).value
    assert site.browser.get("/api/miners").status_code == 200
    app = create_app(site.engine, UiOptions(loopback=False, signed_in_before=True))
    app.wsgi_app = SignedInOnly(app.wsgi_app, USERS)
    browser = app.test_client()
    browser.set_cookie(COOKIE, cookie)
    for headers in ({}, {"Authorization": "Bearer fw_none"}):
        assert browser.get("/api/miners", headers=headers).status_code == 401


# --- other sites ---


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"])
def test_a_name_that_is_not_ours_is_refused(host):
    site = Site()
    for path in ("/", "/api/miners", "/sign-in", "/static/icon.svg"):
        answer = site.browser.get(path, headers={"Host": host})
        assert answer.status_code == 403
        assert "http.allowed_hosts" in answer.get_data(as_text=True)
    assert site.browser.get("/api/miners", headers={"Host": host}).json["field"] is None


def test_addresses_and_allowed_names_are_served():
    site = Site(UiOptions(allowed_hosts=("flock.home",)))
    for host in ("127.0.0.1:8080", "192.168.1.2", "[::1]:8080", "localhost", "flock.home:8080"):
        assert site.browser.get("/api/miners", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP"])
def test_nobody_comes_through_a_proxy_without_a_password(header):
    site = Site()
    for path in ("/", "/api/miners"):
        answer = site.browser.get(path, headers={header: "203.0.113.9"})
        assert answer.status_code == 403
        assert "proxy" in answer.get_data(as_text=True)
    closed = Site(password=PASSWORD)
    assert closed.browser.get("/sign-in", headers={header: "203.0.113.9"}).status_code == 200


FOREIGN = (
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("signed_in", [False, True])
def test_another_site_changes_nothing_through_the_browser(headers, signed_in):
    site = Site(password=PASSWORD if signed_in else None)
    if signed_in:
        site.sign_in()
    for method, path in (("DELETE", "/api/miners/1"), ("POST", "/api/miners/1/rescan"), ("POST", "/sign-out")):
        answer = site.browser.open(path, method=method, headers=headers)
        assert answer.status_code == 403
        assert "another site" in answer.get_data(as_text=True)
    assert 1 in site.engine.records
    assert site.browser.get("/api/miners").status_code == 200
    assert site.browser.get("/", headers=headers).status_code == 200  # a link to us is fine


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/set-password", "/settings/access/password",
                                  "/settings/access/password/remove", "/settings/access/tokens",
                                  "/settings/access/tokens/1/revoke", "/settings/access/sessions/end"])  # fmt: skip
def test_every_form_wants_its_token(path):
    site = Site()
    for data in ({}, {"csrf_token": "made-up"}):
        answer = site.browser.post(path, data=data)
        assert answer.status_code == 400
        assert "load the page again" in answer.get_data(as_text=True)


def test_the_token_of_another_browser_is_no_use(closed):
    other = closed.app.test_client()
    shown = other.get("/sign-in").get_data(as_text=True)
    form_token = re.search(r'name="csrf_token" value="([^"]+)"', shown)[1]
    closed.browser.get("/sign-in")
    assert closed.browser.post("/sign-in", data={"csrf_token": form_token, "password": PASSWORD}).status_code == 400


def test_a_script_that_refreshes_a_page_is_told_and_not_led_elsewhere(closed):
    answer = closed.browser.get("/", headers={"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"})
    assert answer.status_code == 401


def test_refusals_are_hardened_too(closed):
    for answer in (closed.browser.get("/api/miners"), closed.browser.get("/", headers={"Host": "evil.example"})):
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
