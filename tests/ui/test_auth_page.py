"""The page Access."""

import re

import pytest

from exporter.errors import StoreError
from exporter.store.secret import Secret
from onboarding_ui.auth.sessions import COOKIE
from onboarding_ui.options import SIGNED_IN, UiOptions
from tests.ui.markup import page
from tests.ui.test_auth_sign_in import MASTER, PASSWORD, Site

PAGE = "/settings/access"
NEW = "another long password"


def text(answer):
    return answer.get_data(as_text=True)


def test_a_password_set_on_loopback_is_asked_for_from_then_on():
    site = Site()
    answer = site.form(PAGE, f"{PAGE}/password", password=PASSWORD, repeated=PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}?done=password")
    assert "password was set" in text(site.browser.get(answer.headers["Location"]))
    stranger = site.app.test_client()
    assert stranger.get("/").status_code == 303
    assert site.sign_in(client=stranger).status_code == 303


def test_the_way_back_stands_where_it_does_on_the_other_pages_of_the_settings():
    client = Site().browser
    for path in (PAGE, "/settings/credentials"):
        crumbs = page(client, path).one("nav[@class='crumbs']")
        assert [link.get("href") for link in crumbs.iter("a")] == ["/settings/"]
    assert not [link for link in page(client, PAGE).all("main//a") if "button" in (link.get("class") or "")]


def test_changing_the_password_wants_the_old_one_and_signs_others_out():
    site = Site(password=PASSWORD)
    other = site.app.test_client()
    site.sign_in()
    site.sign_in(client=other)
    before = site.browser.get_cookie(COOKIE).value
    wrong = site.form(PAGE, f"{PAGE}/password", current="wrong one", password=NEW, repeated=NEW)
    assert wrong.status_code == 422
    assert "is wrong" in text(wrong)
    assert other.get("/api/miners").status_code == 200
    assert site.form(PAGE, f"{PAGE}/password", current=PASSWORD, password=NEW, repeated=NEW).status_code == 303
    assert site.browser.get_cookie(COOKIE).value != before
    assert site.browser.get("/api/miners").status_code == 200
    assert other.get("/api/miners").status_code == 401
    assert site.sign_in(PASSWORD, client=other).status_code == 422
    assert site.sign_in(NEW, client=other).status_code == 303


def test_a_stolen_session_cannot_try_passwords_without_end():
    site = Site(password=PASSWORD)
    site.sign_in()
    answers = [site.form(PAGE, f"{PAGE}/password", current=f"wrong {n}", password=NEW, repeated=NEW) for n in range(11)]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("password", "repeated", "words"), [("short", "short", "8 to 256"), (NEW, "x", "not the same")]
)
def test_a_bad_new_password_is_explained(password, repeated, words):
    site = Site()
    answer = site.form(PAGE, f"{PAGE}/password", password=password, repeated=repeated)
    assert answer.status_code == 422
    assert words in text(answer)
    assert NEW not in text(answer)
    assert site.engine.access.password_hash() is None


def test_a_long_password_is_refused_and_never_cut():
    site = Site(password=PASSWORD)
    site.sign_in()
    fields = re.findall(r'<input type="password"[^>]*>', text(site.browser.get(PAGE)))
    assert len(fields) == 4
    assert [field for field in fields if "maxlength" in field] == []
    long = "x" * 257
    answer = site.form(PAGE, f"{PAGE}/password", current=PASSWORD, password=long, repeated=long)
    assert answer.status_code == 422
    assert "8 to 256" in text(answer)


def test_on_loopback_the_password_can_be_removed():
    site = Site(password=PASSWORD)
    site.sign_in()
    remove = f"{PAGE}/password/remove"
    assert site.form(PAGE, remove, current_to_remove="wrong").status_code == 422
    assert site.form(PAGE, remove, current_to_remove=PASSWORD).status_code == 303
    assert site.app.test_client().get("/api/miners").status_code == 200


def test_elsewhere_it_cannot():
    site = Site(UiOptions(loopback=False), password=PASSWORD)
    site.sign_in()
    shown = text(site.browser.get(PAGE))
    assert "/password/remove" not in shown
    form_token = re.search(r'name="csrf_token" value="([^"]+)"', shown)[1]
    data = {"csrf_token": form_token, "current_to_remove": PASSWORD}
    assert site.browser.post(f"{PAGE}/password/remove", data=data).status_code == 422
    assert site.engine.access.password_hash() is not None


def test_a_token_is_shown_once_and_works():
    site = Site(password=PASSWORD)
    site.sign_in()
    made = site.form(PAGE, f"{PAGE}/tokens", name="grafana", scope="read", days="30")
    assert made.status_code == 200
    shown = re.search(r'id="new-token">(fw_[\w-]+)<', text(made))[1]
    again = text(site.browser.get(PAGE))
    assert "grafana" in again
    assert shown not in again
    (row,) = site.engine.access.tokens()
    assert row.token_hash.reveal() not in again
    assert row.expires_at - row.created_at == pytest.approx(30 * 86400, abs=60)
    program = site.app.test_client()
    headers = {"Authorization": f"Bearer {shown}"}
    assert program.get("/api/miners", headers=headers).status_code == 200
    assert program.post("/api/miners/1/rescan", headers=headers).status_code == 403
    assert site.form(PAGE, f"{PAGE}/tokens/{row.id}/revoke").headers["Location"] == f"{PAGE}?done=revoked"
    assert program.get("/api/miners", headers=headers).status_code == 401
    form_token = re.search(r'name="csrf_token" value="([^"]+)"', again)[1]
    gone = site.browser.post(f"{PAGE}/tokens/{row.id}/revoke", data={"csrf_token": form_token})
    assert gone.status_code == 404


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"name": "", "scope": "read"}, 422, "1 to 64"),
        ({"name": "x" * 65, "scope": "read"}, 422, "1 to 64"),
        ({"name": "x", "scope": "root"}, 422, "read or full"),
        ({"name": "x", "scope": "read", "days": "1000"}, 422, "one of the choices"),
        ({"name": "Taken", "scope": "read"}, 409, "called so"),
    ],
)
def test_a_bad_token_is_explained_and_what_was_given_stays(fields, status, words):
    site = Site()
    site.engine.access.add_token("taken", Secret("a" * 64), "full")
    answer = site.form(PAGE, f"{PAGE}/tokens", **{"days": "", **fields})
    assert answer.status_code == status
    assert words in text(answer)
    assert "name: " not in text(answer)
    assert f'value="{fields["name"]}"' in text(answer)
    assert len(site.engine.access.tokens()) == 1


def test_signing_out_everywhere():
    site = Site(password=PASSWORD)
    other = site.app.test_client()
    site.sign_in()
    site.sign_in(client=other)
    assert site.form(PAGE, f"{PAGE}/sessions/end").status_code == 303
    assert site.browser.get("/api/miners").status_code == other.get("/api/miners").status_code == 401


def test_a_full_disk_is_told():
    site = Site()
    site.engine.fault = StoreError("the disk is full")
    answer = site.form(PAGE, f"{PAGE}/tokens", name="x", scope="read", days="")
    assert answer.status_code == 503
    assert "the disk is full" in text(answer)


def test_hostile_names_stay_text():
    site = Site()
    site.engine.access.add_token("<script>alert(1)</script>", Secret("a" * 64), "full")
    assert "<script>alert" not in text(site.browser.get(PAGE))
    assert "password was set" not in text(site.browser.get(f"{PAGE}?done=<b>"))


@pytest.mark.parametrize(
    ("options", "password", "words"),
    [
        (UiOptions(), None, "Nobody is asked for anything"),
        (UiOptions(), PASSWORD, "A password is set"),
        (UiOptions(api_token=Secret(MASTER)), None, "FLOCKWATCH_API_TOKEN"),
        (UiOptions(signed_in_before=True), None, "--web.config.file"),
    ],
)
def test_the_page_says_what_is_asked_for_now(options, password, words):
    site = Site(options, password=password)
    if options.signed_in_before:
        site.browser.environ_base[SIGNED_IN] = True
    if password or options.api_token is not None:
        site.sign_in(password or MASTER)
    assert words in text(site.browser.get(PAGE))
