"""Hosts and ports of pools, however they are written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.wallets.pool_place import PoolPlace, read_host, read_place, without_user


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("stratum+tcp://solo.ckpool.org:3333", "solo.ckpool.org", 3333),
        ("STRATUM+TCP://Solo.CKPool.ORG:3333/", "solo.ckpool.org", 3333),
        ("stratum+ssl://solo.ckpool.org.:3334", "solo.ckpool.org", 3334),
        ("solo.ckpool.org:3333", "solo.ckpool.org", 3333),
        ("//solo.ckpool.org:3333", "solo.ckpool.org", 3333),
        ("solo.ckpool.org", "solo.ckpool.org", 3333),
        (" solo.ckpool.org \n", "solo.ckpool.org", 3333),
        ("http://pool.example/path?x#y", "pool.example", 80),
        ("https://pool.example", "pool.example", 443),
        (
            "stratum2+tcp://v2.pool.example:34255/9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh",
            "v2.pool.example",
            34255,
        ),
        ("stratum+tcp://user:secret@pool.example:1", "pool.example", 1),
        ("stratum+tcp://10.0.0.5:3333", "10.0.0.5", 3333),
        ("[2001:DB8:0::1]:3333", "2001:db8::1", 3333),
        ("stratum+tcp://[fe80::1%eth0]:3333", "fe80::1", 3333),
        ("2001:db8::1", "2001:db8::1", 3333),
        ("stratum+tcp://bücher.example:3333", "xn--bcher-kva.example", 3333),
        ("my_pool:3333", "my_pool", 3333),
    ],
)
def test_places(url, host, port):
    assert read_place(url) == PoolPlace(host, port)


@pytest.mark.parametrize(
    "url",
    [
        *(None, "", "   ", "stratum+tcp://", "stratum+tcp://:3333", "a b", "a..b", "-.example", "1.2.3", "x" * 600),
        *("host:0", "host:65536", "host:99999999", "example.com:port", "[::1", "[zz]:1", "\ud800.example"),
    ],
)
def test_no_places(url):
    assert read_place(url) is None


def test_a_place_is_shown_as_it_is_written():
    assert str(PoolPlace("pool.example", 1)) == "pool.example:1"
    assert read_place(str(PoolPlace("::1", 2))) == PoolPlace("::1", 2)


def test_a_host_alone_means_any_port():
    assert read_host("Pool.Example.") == ("pool.example", None)
    assert read_host("[::1]:5") == ("::1", 5)
    assert read_host("http://pool.example") is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("stratum+tcp://user:p@ss@pool.example:1/x@y", "stratum+tcp://pool.example:1/x@y"),
        ("user:secret@pool.example:1", "pool.example:1"),
        ("stratum+tcp://pool.example:1", "stratum+tcp://pool.example:1"),
        (None, None),
    ],
)
def test_users_and_passwords_are_left_out(url, shown):
    assert without_user(url) == shown


@settings(deadline=None)
@given(st.text(max_size=80))
def test_what_is_read_can_be_written_and_read_again(text):
    place = read_place(text)
    assert place is None or read_place(str(place)) == place
