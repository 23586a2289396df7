import ipaddress
import re

import pytest

from exporter.config_values import Listen
from exporter.discovery.networks import Interface
from exporter.store.secret import Secret
from exporter.ui_access import is_loopback, setup_link, ui_options
from exporter.web_config import WebConfig

LAN = Interface("eth0", ipaddress.IPv4Interface("192.168.1.5/24"))
LOOPBACK = Interface("lo", ipaddress.IPv4Interface("127.0.0.1/8"))
EVERYWHERE = Listen("", 8080)


def options(addr, web_config=WebConfig(), token=None, *, has_password=False):  # noqa: B008 - frozen
    return ui_options(addr, (), web_config, token, has_password=has_password)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("", False),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("rig.local", False),
    ],
)
def test_what_is_loopback(host, loopback):
    assert is_loopback(host) is loopback
    assert options(Listen(host, 8080)).loopback is loopback
    assert (options(Listen(host, 8080)).setup_token is None) is loopback


def test_there_is_a_link_only_while_nothing_else_lets_anybody_in():
    assert options(EVERYWHERE).setup_token is not None
    assert options(EVERYWHERE, has_password=True).setup_token is None
    assert options(EVERYWHERE, token=Secret("x" * 20)).setup_token is None
    users = options(EVERYWHERE, WebConfig(users={"somebody": "a hash"}))
    assert users.setup_token is None
    assert users.signed_in_before


def test_a_name_for_a_loopback_address_is_that_of_a_proxy():
    made = ui_options(Listen("127.0.0.1", 8080), ("flock.home",), WebConfig(), None, has_password=False)
    assert not made.loopback
    assert made.setup_token is not None


def test_each_start_has_a_link_of_its_own():
    first, second = options(EVERYWHERE), options(EVERYWHERE)
    assert first.setup_token != second.setup_token
    assert len(first.setup_token.reveal()) >= 40
    assert first.setup_token.reveal() not in repr(first)


@pytest.mark.parametrize(
    ("addr", "interfaces", "start"),
    [
        (EVERYWHERE, (LOOPBACK, LAN), "http://192.168.1.5:8081/set-password?token="),
        (Listen("::", 0), (LOOPBACK, LAN), "http://192.168.1.5:8081/set-password?token="),
        (Listen("10.0.0.9", 8080), (LOOPBACK, LAN), "http://10.0.0.9:8081/set-password?token="),
        (Listen("fd00::5", 8080), (), "http://[fd00::5]:8081/set-password?token="),
    ],
)
def test_the_link(addr, interfaces, start):
    made = options(addr)
    assert setup_link(addr, 8081, made, interfaces) == start + made.setup_token.reveal()


def test_the_link_without_any_private_address_names_the_host():
    link = setup_link(EVERYWHERE, 8081, options(EVERYWHERE), (LOOPBACK,))
    assert re.fullmatch(r"http://[^/:]+:8081/set-password\?token=.+", link)


def test_no_link_where_there_is_no_token():
    assert setup_link(EVERYWHERE, 8081, options(EVERYWHERE, has_password=True), (LAN,)) is None
