"""The pure parts of the sign-in."""

import pytest

from exporter.errors import FieldError, StoreError
from exporter.store.secret import Secret
from onboarding_ui.auth.answers import safe_next
from onboarding_ui.auth.attempts import Attempts
from onboarding_ui.auth.hosts import is_own_host, own_names
from onboarding_ui.auth.origin import is_from_here
from onboarding_ui.auth.passwords import check_password, hash_password
from onboarding_ui.auth.setup_link import LIFETIME_SECONDS, SetupLink
from onboarding_ui.auth.tokens import hash_token, may, new_token

NAMES = own_names("Rig.Example.org", ("flock.home", "Proxy.Example."))


@pytest.mark.parametrize(
    "header",
    [
        "127.0.0.1:8080", "192.168.1.5", "[::1]:8080", "[fe80::1]", "8.8.8.8:80", "localhost", "LOCALHOST:8080",
        "app.localhost:1", "rig", "rig.local:8080", "rig.example.org", "RIG.example.org.:8080", "flock.home",
        "proxy.example:443",
    ],
)  # fmt: skip
def test_addresses_and_own_names_are_served(header):
    assert is_own_host(header, NAMES)


@pytest.mark.parametrize(
    "header",
    [
        "", " ", ":8080", "evil.example", "evil.example:8080", "flock.home.evil.example", "localhost.evil.example",
        "127.0.0.1.evil.example", "notlocalhost", "rig.other.org", "[::1", "[localhost]", "[]", "flock.home:x",
        "flock.home:80:80", "user@flock.home", "2130706433.evil", "flock.home/evil",
    ],
)  # fmt: skip
def test_other_names_are_not(header):
    assert not is_own_host(header, NAMES)


def test_a_host_without_a_name_has_no_names():
    assert own_names("") == {"localhost"}


@pytest.mark.parametrize(
    ("host", "origin", "site", "tls"),
    [
        ("127.0.0.1:8080", None, None, False),  # curl
        ("127.0.0.1:8080", "http://127.0.0.1:8080", "same-origin", False),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", None, False),  # a browser on plain HTTP in the network
        ("127.0.0.1:8080", None, "same-origin", False),
        ("127.0.0.1:8080", None, "none", False),
        ("127.0.0.1:8080", "null", "same-origin", False),  # hides where it is, and the browser vouches for it
        ("flock.home", "https://flock.home", "same-origin", False),  # behind a proxy that speaks HTTPS
        ("flock.home:443", "https://flock.home", None, True),
        ("Flock.Home", "http://flock.home:80", None, False),
        ("[::1]:8080", "http://[::1]:8080", None, False),
    ],
)
def test_changes_from_our_own_pages_and_from_programs_pass(host, origin, site, tls):
    assert is_from_here(host, origin, site, tls=tls)


@pytest.mark.parametrize(
    ("host", "origin", "site", "tls"),
    [
        ("127.0.0.1:8080", "http://evil.example", None, False),
        ("127.0.0.1:8080", "http://evil.example", "cross-site", False),
        ("127.0.0.1:8080", None, "cross-site", False),
        ("127.0.0.1:8080", None, "same-site", False),
        ("127.0.0.1:8080", "http://127.0.0.1:3000", "same-site", False),  # another program of this host
        ("127.0.0.1:8080", "http://127.0.0.1:3000", None, False),
        ("127.0.0.1:8080", "http://127.0.0.1", None, False),
        ("127.0.0.1:8080", "http://localhost:8080", None, False),
        ("127.0.0.1:8080", "null", None, False),
        ("127.0.0.1:8080", "null", "cross-site", False),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", "cross-site", False),
        ("127.0.0.1:8080", "http://evil.example", "same-origin", False),
        ("127.0.0.1:8080", "", None, False),
        ("127.0.0.1:8080", "file://", None, False),
        ("127.0.0.1:8080", "chrome-extension://abc", None, False),
        ("127.0.0.1:8080", "http://127.0.0.1:99999", None, False),
        ("flock.home", "http://flock.home", None, True),  # this server speaks HTTPS only
        ("", "http://", None, False),
    ],
)
def test_changes_from_other_places_do_not(host, origin, site, tls):
    assert not is_from_here(host, origin, site, tls=tls)


@pytest.mark.parametrize("target", ["/", "/miners/5?x=1", "/wallets", "/%2f%2fevil.example"])
def test_a_sign_in_leads_back_to_a_path_of_ours(target):
    assert safe_next(target) == target


@pytest.mark.parametrize(
    "target",
    [
        None, "", "//evil.example", "/\\evil.example", "\\\\evil.example", "http://evil.example", "javascript:alert(1)",
        "/\n/evil.example", "/\t/evil.example", "evil", "/" + "a" * 3000, "/\x00",
    ],
)  # fmt: skip
def test_a_sign_in_leads_nowhere_else(target):
    assert safe_next(target) == "/"


def test_a_token_is_long_and_random_and_stored_as_its_hash():
    (first, first_hash), (second, second_hash) = new_token(), new_token()
    assert first.startswith("fw_")
    assert len(first) >= 40
    assert first != second
    assert first_hash.reveal() == hash_token(first) != second_hash.reveal()
    assert len(first_hash.reveal()) == 64
    assert first not in first_hash.reveal()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/miners", True),
        ("HEAD", "/api/miners/5", True),
        ("GET", "/api/wallet/5/shares", True),
        ("POST", "/api/miners", False),
        ("DELETE", "/api/miners/5", False),
        ("OPTIONS", "/api/miners", False),
        ("GET", "/api/miners/5/exchanges", False),
        ("GET", "/api/miners/5/exchanges/", False),
        ("GET", "/api/settings/credentials", False),
        ("GET", "/api/tokens", False),
        ("GET", "/api/tokens/5", False),
        ("GET", "/", False),
        ("GET", "/settings/access", False),
    ],
)
def test_what_a_token_that_may_only_read_may(method, path, allowed):
    assert may("read", method, path) is allowed
    assert may("full", method, path)


def test_a_password_is_known_by_its_hash():
    stored = hash_password("correct horse", "correct horse")
    assert check_password(stored, "correct horse")
    assert not check_password(stored, "correct horsf")
    assert not check_password(stored, "")
    assert not check_password(None, "")
    assert not check_password(None, "correct horse")
    assert "correct" not in stored.reveal()
    assert stored.reveal().startswith("scrypt:")
    assert hash_password("correct horse").reveal() != stored.reveal()


def test_the_bounds_of_a_password():
    longest = "x" * 256
    assert check_password(hash_password(longest), longest)
    assert not check_password(hash_password(longest), longest + "x")
    for wrong in ("", "1234567", "x" * 257):
        with pytest.raises(FieldError, match="8 to 256") as refused:
            hash_password(wrong)
        assert refused.value.field == "password"
    with pytest.raises(FieldError, match="not the same") as refused:
        hash_password("12345678", "12345679")
    assert refused.value.field == "repeated"


def test_tries_are_counted_by_address():
    attempts = Attempts("3 per hour", "100 per hour")
    assert [attempts.take("192.0.2.1") for _ in range(3)] == [None] * 3
    assert 3000 < attempts.take("192.0.2.1") <= 3600
    assert attempts.take("192.0.2.2") is None
    attempts.forgive("192.0.2.1")
    assert attempts.take("192.0.2.1") is None


def test_a_host_cannot_change_its_address_to_try_more():
    attempts = Attempts("2 per hour", "100 per hour")
    assert attempts.take("2001:db8::1") is None
    assert attempts.take("2001:db8::2%eth0") is None
    assert attempts.take("2001:db8::3") is not None
    assert attempts.take("2001:db8:0:1::3") is None
    assert attempts.take("::ffff:192.0.2.1") is None
    assert attempts.take("192.0.2.1") is None
    assert attempts.take("192.0.2.1") is not None
    assert attempts.take(None) is None


def test_tries_are_counted_in_total_and_a_flood_from_one_place_uses_up_its_own_only():
    attempts = Attempts("2 per hour", "5 per hour")
    for _ in range(50):
        attempts.take("192.0.2.1")
    assert [attempts.take(f"192.0.2.{number}") for number in (2, 3, 4)] == [None] * 3
    assert attempts.take("192.0.2.5") is not None


def test_the_link_opens_once():
    link, done = SetupLink(Secret("right")), []
    assert link.opens("right")
    assert not link.opens("wrong")
    assert not link.use("wrong", lambda: done.append("wrong"))
    assert link.use("right", lambda: done.append("right"))
    assert not link.use("right", lambda: done.append("again"))
    assert not link.opens("right")
    assert done == ["right"]


def test_the_link_stays_when_the_password_could_not_be_stored():
    link = SetupLink(Secret("right"))

    def fail():
        raise StoreError("disk full")

    with pytest.raises(StoreError):
        link.use("right", fail)
    assert link.use("right", lambda: None)


def test_the_link_ends_after_a_day_and_none_opens_without_a_token():
    now = [100.0]
    link = SetupLink(Secret("right"), lambda: now[0])
    now[0] += LIFETIME_SECONDS - 1
    assert link.opens("right")
    now[0] += 2
    assert not link.opens("right")
    assert not SetupLink(None).opens("")
