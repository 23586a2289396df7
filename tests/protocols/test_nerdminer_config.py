"""The configuration in a console: whole, cut, listed, from a card; and no secret left anywhere."""

import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.protocols.lines import LineSplitter
from exporter.protocols.nerdminer_config import (
    MASK,
    MAX_DUMP,
    ConfigCapture,
    DumpedConfig,
    Source,
    build_config,
    is_secret,
    mask_secrets,
)
from tests.protocols.nerdminer_consoles import (
    AUTHORIZE,
    CONFIG_162,
    CONSOLES,
    PASSWORD,
    POOL,
    PORT,
    SD_FILE,
    SECRETS,
    USER,
    WALLET,
    WIFI,
    crlf,
    dumped,
    listing,
    pretty,
    spiffs,
)


def captured(data):
    """The capture after `data` and the sources that it named."""
    capture = ConfigCapture()
    sources = [source for line in LineSplitter().feed(data + b"\n") if (source := capture.feed(line)) is not None]
    return capture, sources


def test_a_dump():
    capture, sources = captured(spiffs())
    config = capture.config
    assert sources == [Source.DUMP]
    assert (config.pool_url, config.pool_port, config.endpoint) == (POOL, PORT, f"{POOL}:{PORT}")
    assert (config.user, config.wallet, config.worker) == (USER, WALLET, "shelf3")
    assert config.raw == {**dumped(), "poolPassword": MASK}
    assert json.loads(config.to_json())["gmtZone"] == 1
    assert config.firmware_version is None


def test_the_dump_of_1_6_2_ends_in_the_next_print():
    capture, sources = captured(CONFIG_162)
    assert sources == [Source.DUMP]
    assert capture.config.pool_url == POOL
    assert capture.config.saves_counters is True


@pytest.mark.parametrize(
    ("value", "saves"),
    [("0", False), ("1", True), ("true", True), (True, True), (False, False), (..., False), (7, False)],
)
def test_whether_the_counters_are_saved(value, saves):
    assert captured(pretty(dumped(saveStatsToNVS=value)))[0].config.saves_counters is saves


def test_a_file_on_a_card():
    capture, sources = captured(crlf("SDCard: Loading config file") + pretty(SD_FILE))
    assert sources == [Source.DUMP]
    config = capture.config
    assert (config.pool_url, config.pool_port, config.wallet, config.saves_counters) == (POOL, PORT, WALLET, True)
    assert (config.raw["WifiPW"], config.raw["PoolPassword"]) == (MASK, MASK)


def test_the_card_and_what_was_made_of_it_are_one():
    capture, sources = captured(pretty(SD_FILE) + b"\n" + pretty(dumped()))
    assert sources == [Source.DUMP, Source.DUMP]
    assert {"WifiPW", "PoolPassword", "poolPassword"} <= capture.config.raw.keys()
    capture.booted()
    capture.feed("{")
    for line in pretty(dumped()).decode().split("\r\n")[1:]:
        capture.feed(line)
    assert capture.config.raw == {**dumped(), "poolPassword": MASK}


def test_a_compact_dump():
    capture, sources = captured(json.dumps(dumped()).encode() + b"Parsing JSON\n")
    assert sources == [Source.DUMP]
    assert capture.config.raw["poolPassword"] == MASK


def test_the_listing():
    capture, sources = captured(WIFI + listing())
    assert set(sources) == {Source.LISTING}
    config = capture.config
    assert (config.pool_url, config.pool_port, config.user) == (POOL, PORT, USER)
    assert config.raw == {
        "poolString": POOL,
        "portNumber": PORT,
        "poolPassword": MASK,
        "btcString": USER,
        "gmtZone": 1,
    }


def test_a_dump_counts_more_than_the_listing():
    capture, sources = captured(spiffs() + listing(user="bc1qcut"))
    assert sources == [Source.DUMP]
    assert capture.config.user == USER


def test_the_listing_of_the_next_boot_counts():
    capture, _ = captured(spiffs())
    capture.booted()
    assert capture.config.user == USER
    for line in listing(user="bc1qexample2.new").decode().split("\r\n"):
        capture.feed(line)
    assert capture.config.user == "bc1qexample2.new"


@pytest.mark.parametrize("missing", ["poolString", "btcString"])
@pytest.mark.parametrize("value", [..., "", None, 7, ["x"], {"a": 1}])
def test_a_dump_without_pool_or_wallet_is_none(missing, value):
    pairs = dumped(**{missing: value})
    assert captured(json.dumps(pairs).encode())[0].config is None


@pytest.mark.parametrize("port", [0, 65536, -1, "3333", True, None, 3.5])
def test_a_port_that_is_none(port):
    config = captured(pretty(dumped(portNumber=port)))[0].config
    assert config.pool_port is None
    assert config.endpoint == POOL


@pytest.mark.parametrize("end", range(0, len(spiffs()), 7))
def test_a_dump_cut_anywhere_gives_nothing_wrong(end):
    """What is lost is filled by the listing, or by the dump of the next boot."""
    capture, _ = captured(spiffs()[:end] + WIFI)
    assert capture.config is None
    capture, _ = captured(spiffs()[:end] + b"\n" + WIFI + listing())
    assert capture.config.user == USER
    capture, sources = captured(spiffs()[:end] + b"\n" + spiffs())
    assert sources[-1] is Source.DUMP
    assert capture.config.raw == {**dumped(), "poolPassword": MASK}


@pytest.mark.parametrize("start", range(20, len(pretty(dumped())) - 30, 5))
def test_bytes_lost_inside_never_make_a_value(start):
    """Fifteen bytes are missing: every value that is kept is one of the file's, or misses bytes inside quotes."""
    text = pretty(dumped())
    capture, _ = captured(text[:start] + text[start + 15 :])
    if capture.config is not None:
        for key, value in capture.config.raw.items():
            if isinstance(value, int) and not isinstance(value, bool):
                assert dumped().get(key) == value


def test_other_tasks_may_print_in_between():
    lines = pretty(dumped()).decode().split("\r\n")
    mixed = crlf(*[part for line in lines for part in (line, "[  612][E][x.cpp:1] y(): z")][:16]) + crlf(*lines[8:])
    assert captured(mixed)[0].config.user == USER


def test_a_brace_opens_nothing_for_long():
    capture, _ = captured(b"{\n" + b"noise\n" * 20 + pretty(dumped()))
    assert capture.config.user == USER
    capture = ConfigCapture()
    capture.feed("{")
    for number in range(2000):
        capture.feed(f'"key{number}": "{"x" * 90}",')
    assert len(repr(pickle.dumps(capture))) < 6 * MAX_DUMP


def test_what_the_board_lost_is_forgotten():
    capture, _ = captured(spiffs())
    capture.forget()
    assert capture.config is None


@pytest.mark.parametrize(
    "key",
    ["poolPassword", "PoolPassword", "WifiPW", "fbPoolPassword", "apiKey", "axhWebhookUrl", "token", "PSK", "wifi_pwd"],
)
def test_secret_keys(key):
    assert is_secret(key)
    config = captured(pretty(dumped(**{key: "s3cr3t-value"})))[0].config
    assert config.raw[key] == MASK
    assert "s3cr3t" not in repr(config) + config.to_json()


@pytest.mark.parametrize("key", ["poolString", "btcString", "gmtZone", "invertColors", "SSID", "fbPortNumber"])
def test_other_keys(key):
    assert not is_secret(key)


def test_a_password_that_is_empty_shows_that_there_is_none():
    assert captured(pretty(dumped(poolPassword="")))[0].config.raw["poolPassword"] == ""
    assert captured(pretty(dumped(poolPassword=1234)))[0].config.raw["poolPassword"] == MASK


def test_a_secret_in_a_url_is_masked():
    config = captured(pretty(dumped(poolString="stratum+tcp://me:hunter2@pool.example.com")))[0].config
    assert config.pool_url == f"stratum+tcp://{MASK}@pool.example.com"


@pytest.mark.parametrize("key", ["poolPword", "WifiP", "axhPoolStatsUrl", "somethingNew"])
def test_a_key_that_nobody_knows_may_be_a_secrets(key):
    raw = captured(pretty(dumped(**{key: PASSWORD, "newFlag": True, "number": 12345678})))[0].config.raw
    assert (raw[key], raw["newFlag"], raw["number"]) == (MASK, True, MASK)


@pytest.mark.parametrize("name", CONSOLES)
def test_no_secret_stays_in_the_capture(name):
    capture = ConfigCapture()
    for line in LineSplitter().feed(CONSOLES[name][0]):
        capture.feed(line)
        kept = pickle.dumps([getattr(capture, slot) for slot in ("_block", "_listed")]) + repr(capture.config).encode()
        for secret in SECRETS:
            assert secret.encode() not in kept


@pytest.mark.parametrize("name", CONSOLES)
def test_lines_for_the_log_hold_no_secret(name):
    for line in LineSplitter().feed(CONSOLES[name][0]):
        masked = mask_secrets(line)
        assert not any(secret in masked for secret in SECRETS)


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ('  "WifiPW": "abc def",', f'  "WifiPW": "{MASK}",'),
        ('  "WifiPW": "abc d', f'  "WifiPW": "{MASK}"'),
        ('  "poolPassword": 1234,', f'  "poolPassword": "{MASK}",'),
        (f"poolPassword: {PASSWORD}", f"poolPassword: {MASK}"),
        ("WiFi connected", "WiFi connected"),
        ('  "gmtZone": 2,', '  "gmtZone": 2,'),
        ("Wallet at https://a:b@pool.example.com", f"Wallet at https://{MASK}@pool.example.com"),
    ],
)
def test_masked_lines(line, masked):
    assert mask_secrets(line) == masked


def test_the_password_of_an_authorisation_is_masked():
    line = AUTHORIZE.decode().split("\n")[1]
    assert mask_secrets(line) == line.replace(PASSWORD, MASK)
    assert PASSWORD not in mask_secrets(line[: line.index(PASSWORD) + len(PASSWORD)])


def test_a_configuration_cannot_be_changed():
    config = build_config(dumped())
    assert isinstance(config, DumpedConfig)
    with pytest.raises(TypeError):
        config.raw["poolString"] = "other"


@settings(deadline=None)
@given(st.lists(st.text(max_size=60) | st.sampled_from(spiffs().decode().split("\r\n")), max_size=40))
def test_nothing_raises(lines):
    capture = ConfigCapture()
    for line in lines:
        capture.feed(line)
    assert capture.config is None or capture.config.user
