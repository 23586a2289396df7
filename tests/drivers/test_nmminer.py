"""NMMiner's datagrams, NMAxe, and what is only named."""

import json

import pytest

from exporter.drivers.api import Answer, Answers, DecodeContext, StreamSource
from exporter.drivers.bundled.nmminer_driver import NMMinerDriver
from exporter.errors import DecodeError, TooLarge
from exporter.model import MinerState
from exporter.protocols import nmminer

DATAGRAM = {
    "IP": "192.0.2.41",
    "BoardType": "NMLotto",
    "HashRate": "98.25K",
    "Share": "2/144",
    "NetDiff": "146.47T",
    "PoolDiff": "0.001",
    "BestDiff": "2.75M",
    "Temp": 0,
    "RSSI": -71,
    "FreeHeap": 143.5,
    "Uptime": "001d 02:03:04",
    "Version": "v0.3.01",
    "PoolInUse": "pool.example.com:3333",
}


def sent(**changes):
    document = {key: value for key, value in {**DATAGRAM, **changes}.items() if value is not ...}
    return json.dumps(document).encode()


def reading(**changes):
    (found,) = NMMinerDriver().new_stream().feed(sent(**changes), 0.0)
    return found


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("113.13K", 113130.0),
        ("1.0154MH/s", 1015400.0),
        ("950", 950.0),
        ("0", 0.0),
        ("2.5 GH/s", 2.5e9),
        ("12kH/s", 12e3),
    ],
)
def test_hash_rates_are_hashes_per_second(text, rate):
    assert nmminer.hash_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "fast", "-3K", "1e5", "12X", "1.2.3K", "nan"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(DecodeError, match="HashRate"):
        nmminer.hash_rate(text)


@pytest.mark.parametrize("text", ["2/144", "2/144/98.6%", " 2 / 144 ", "2/144/98.6"])
def test_shares_are_rejected_before_accepted(text):
    assert nmminer.shares(text) == (2.0, 144.0)


@pytest.mark.parametrize("text", ["144", "2/", "a/b", "-1/3"])
def test_what_are_no_shares_is_refused(text):
    with pytest.raises(DecodeError, match="Share"):
        nmminer.shares(text)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"\xff\xfe", b'{"IP": "0.0.0.0", "WiFiSSID": "x", "WiFiPWD": "y"}', sent(Share=...)],
)
def test_other_datagrams_are_nobodys(data):
    assert NMMinerDriver().identify_datagram(data) is None
    with pytest.raises(DecodeError):
        NMMinerDriver().new_stream().feed(data, 0.0)


def test_a_datagram_of_any_length_is_not_read():
    with pytest.raises(TooLarge):
        nmminer.parse_datagram(sent(Version="x" * 5000))
    assert NMMinerDriver().identify_datagram(sent(Version="x" * 5000)) is None


def test_the_second_uptime_behind_a_carriage_return_is_left_out():
    assert reading(Uptime="000d 00:22:57\r009d 01:02:03").uptime == 22 * 60 + 57


def test_a_board_without_a_sensor_has_no_temperature():
    assert reading(Temp=0).boards[0].temperatures == ()
    assert reading(Temp=48.5).boards[0].temperatures[0].celsius == 48.5


def test_a_standing_miner_is_idle_and_meant_to_mine():
    found = reading(HashRate="0")
    assert (found.state, found.expected_mining, found.hashrate) == (MinerState.IDLE, True, 0.0)


def test_nothing_tells_a_mac():
    found = NMMinerDriver().identify_datagram(sent())
    assert (found.driver_type, found.identity.mac, dict(found.details)) == ("nmminer", None, {"api": "udp"})
    assert reading().identity.mac is None


def test_what_broadcasts_is_not_polled():
    driver = NMMinerDriver()
    assert isinstance(driver, StreamSource)
    assert driver.status_requests(DecodeContext(0.0, details={"api": "udp"})) == ()
    assert [request.key for request in driver.status_requests(DecodeContext(0.0))] == ["GET /api/system/info"]


def nested(**identity):
    document = {"identity": identity, "miner": {"hashRate": 0.001}}
    return {"GET /api/system/info": Answer(json.dumps(document).encode())}


@pytest.mark.parametrize(
    ("model", "make"), [("NMMiner", "NMMiner"), ("NMAxe", "NMAxe"), ("NMQAxe++", "NMAxe"), ("NM-CYD-C5", "NMMiner")]
)
def test_the_nested_answer_is_named_by_its_board(model, make):
    found = NMMinerDriver().identify(Answers(nested(hwModel=model)))
    assert (found.driver_type, found.identity.make, found.identity.model) == ("nmminer", make, model)


def test_the_probe_settles_what_the_board_does_not_say():
    driver = NMMinerDriver()
    assert driver.identify(Answers(nested())) is None
    probe = {"GET /probe": Answer(b'{"model": "NMMiner", "ver": "v2.0.04"}')}
    found = driver.identify(Answers({**nested(), **probe}))
    assert (found.driver_type, found.identity.model, found.identity.firmware_version) == (
        "nmminer",
        "NMMiner",
        "v2.0.04",
    )


def test_a_nested_answer_of_somebody_else_is_left():
    assert NMMinerDriver().identify(Answers(nested(hwModel="Toaster"))) is None


def test_an_axehub_board_is_named_and_not_polled():
    body = {
        "firmware": {"name": "NerdMiner", "version": "1.8", "axehub_compat": 1},
        "device": {"mac": "02:00:5E:10:22:01", "hostname": "nerd", "board": "ESP32-2432S028R"},
    }
    found = NMMinerDriver().identify(Answers({"GET /api/axehub/v1/info": Answer(json.dumps(body).encode())}))
    assert (found.driver_type, found.identity.make, found.identity.model) == (None, "NerdMiner", "ESP32-2432S028R")
    assert found.identity.mac == "02:00:5e:10:22:01"
