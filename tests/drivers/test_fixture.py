"""Fixtures written and read again, and a conformance check that finds what it is there to find."""

import json

import pytest

from exporter.drivers.api import Answer, Driver, HttpRequest, Identification, Specificity
from exporter.drivers.conformance import check_driver, check_foreign
from exporter.drivers.fixture import Fixture, file_name, load_fixture, reading_to_json, replay, write_fixture
from exporter.errors import UsageError
from exporter.model import Identity, MinerState, Pool, Reading
from exporter.units import hashes_per_second


class Toy(Driver):
    """Decodes {"name": .., "rate": ..}."""

    driver_type = "toy"
    driver_version = "1.0.0"
    display_name = "Toy"
    manufacturer = "Toys"
    supported_models = ("Toy",)
    connection_type = "http"
    default_port = 80
    interface_version = 1
    probes = (HttpRequest("/toy"),)

    def identify(self, answers):
        found = answers.optional_document("GET /toy")
        if isinstance(found, dict) and found.get("name") == "toy":
            return Identification("toy", Specificity.SPECIFIC, Identity(make="Toys"))
        return None

    def status_requests(self, context):
        return (HttpRequest("/toy"),)

    def decode_status(self, answers, context):
        document = answers.document("GET /toy")
        rate = document.get("rate") if isinstance(document, dict) else None
        usable = type(rate) in (int, float) and 0 <= rate < 1e20
        return Reading(hashrate=hashes_per_second(float(rate)) if usable else None, state=MinerState.MINING)


def fixture(driver=None, **body):
    made = Fixture("toy", "Toy", "1.0", {"GET /toy": Answer(json.dumps({"name": "toy", "rate": 5, **body}).encode())})
    return Fixture("toy", "Toy", "1.0", made.answers, expected=replay(driver or Toy(), made).to_json())


def test_written_and_read_again(tmp_path):
    made = Fixture(
        "toy",
        "Toy",
        "1.0",
        {
            "GET /toy": Answer(b'{"name": "toy", "rate": 5}', 200, {"server": "x"}),
            "rpc version": Answer(b"Ver[1]", 200),
        },
        details={"api": "http"},
        stream=(b'{"a": 1}', b"line\r\n"),
        received_at=1700000000.0,
    )
    result = replay(Toy(), fixture())
    write_fixture(tmp_path / "toy-1.0", made, result)
    read = load_fixture(tmp_path / "toy-1.0")
    assert dict(read.answers) == dict(made.answers)
    assert (read.driver, read.model, read.firmware, read.received_at) == ("toy", "Toy", "1.0", 1700000000.0)
    assert (dict(read.details), read.stream) == ({"api": "http"}, made.stream)
    assert read.expected == result.to_json()
    names = {path.name for path in (tmp_path / "toy-1.0").iterdir()}
    assert {"fixture.json", "reading.json", "http_toy.json", "rpc_version.txt", "stream_1.txt"} <= names


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("GET /api/v1/summary", "http_api_v1_summary"),
        ("rpc summary", "rpc_summary"),
        ("rpc ascset|0,help", "rpc_ascset_0_help"),
        ("GET /", "http"),
        ("GET /../../etc/passwd", "http_.._.._etc_passwd"),
    ],
)
def test_file_names_hold_no_path(key, name):
    assert file_name(key) == name


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"driver": "toy", "model": "x", "firmware": "1", "answers": 3}'])
def test_a_broken_fixture_names_its_file(tmp_path, content):
    (tmp_path / "fixture.json").write_text(content)
    with pytest.raises(UsageError, match="fixture"):
        load_fixture(tmp_path)


def test_a_missing_answer_file_is_named(tmp_path):
    table = {"driver": "toy", "model": "x", "firmware": "1", "answers": {"GET /toy": {"file": "gone.json"}}}
    (tmp_path / "fixture.json").write_text(json.dumps(table))
    with pytest.raises(UsageError, match=r"gone\.json"):
        load_fixture(tmp_path)


def test_a_reading_as_json_holds_only_what_is_known():
    reading = Reading(
        state=MinerState.IDLE, hashrate=hashes_per_second(0.0), pools=(Pool("0", rejections=(("stale", 2.0),)),)
    )
    assert reading_to_json(reading) == {
        "identity": {},
        "state": "idle",
        "hashrate": 0.0,
        "pools": [{"pool": "0", "fee": False, "rejections": [["stale", 2.0]]}],
    }


def test_a_driver_that_keeps_the_contract_has_no_faults():
    assert check_driver(Toy(), fixture()) == []


class Crashes(Toy):
    def decode_status(self, answers, context):
        return Reading(hashrate=hashes_per_second(answers.document("GET /toy")["rate"] * 1.0))


class LetsGarbageThrough(Toy):
    def decode_status(self, answers, context):
        document = answers.document("GET /toy")
        rate = document.get("rate") if isinstance(document, dict) else None
        number = rate if isinstance(rate, (int, float)) else 0
        return Reading(hashrate=hashes_per_second(number), work_mode=str(rate))


class Writes(Toy):
    def status_requests(self, context):
        return (HttpRequest("/toy"), HttpRequest("/toy/restart", method="POST", optional=True))


class ClaimsEverything(Toy):
    def identify(self, answers):
        return Identification("greedy", Specificity.CERTAIN, Identity())


class WithoutReason(Toy):
    ignored_keys = (("GET /toy x", ""),)


@pytest.mark.parametrize(
    ("driver", "fault"),
    [
        (Crashes, "KeyError escaped"),
        (Crashes, "TypeError escaped"),
        (LetsGarbageThrough, "status.hashrate is inf"),
        (LetsGarbageThrough, "status.hashrate is negative"),
        (LetsGarbageThrough, "status.work_mode holds 'None'"),
        (Writes, "POST /toy/restart may write"),
        (ClaimsEverything, "to everything"),
        (WithoutReason, "has no reason"),
    ],
)
def test_each_breach_is_found(driver, fault):
    assert any(fault in found for found in check_driver(driver(), fixture(driver())))


def test_a_changed_reading_is_shown_with_its_place():
    made = fixture()
    changed = Fixture("toy", "Toy", "1.0", made.answers, expected={**made.expected, "status": {"hashrate": 6.0}})
    assert any(
        "status differs from reading.json: .hashrate: expected 6.0, got 5.0" in f for f in check_driver(Toy(), changed)
    )


def test_a_driver_that_claims_the_device_of_another_is_found():
    assert check_foreign(ClaimsEverything(), Toy(), fixture()) == ["toy claims toy/Toy with CERTAIN"]
    assert check_foreign(Toy(), Toy(), fixture()) == []
