"""The harness itself, on captures made here."""

import json

import pytest

from exporter.drivers.api import Driver, HttpRequest
from exporter.model import Identity, Reading
from tests.payloads.agreement import NotCompared, compare, rows_of, same, summary_lines
from tests.payloads.harness import (
    assert_every_key_read,
    leaves,
    load_capture,
    look,
    request_keys,
    shown_path,
    track,
    unread,
)


class Reader(Driver):
    driver_type = "reader"
    probes = ()
    ignored_keys = (("GET /api/v1/summary chains[].sn", "a serial"), ("GET /api/v1/summary old*", "gone"))

    def identify(self, answers):
        return None

    def status_requests(self, context):
        return (HttpRequest("/api/v1/summary"),)

    def decode_status(self, answers, context):
        document = answers.document("GET /api/v1/summary")
        chains = document["chains"]
        return Reading(identity=Identity(model=document.get("model")), hashrate=sum(chain["rate"] for chain in chains))


@pytest.fixture
def capture(tmp_path):
    folder = tmp_path / "vnish" / "device"
    folder.mkdir(parents=True)
    summary = {"model": "S19", "chains": [{"rate": 1, "sn": "x"}, {"rate": 2, "hot": 1}], "old": {"a": 1}}
    (folder / "http_summary.json").write_text(json.dumps(summary))
    (folder / "privileged_reboot.json").write_text("{}")
    (folder / "meta.json").write_text(json.dumps({"requests": {}}))
    (folder / "expected.json").write_text(json.dumps({"source": "x", "rate": 3, "model": "S21", "fans": [1]}))
    return load_capture(folder)


@pytest.mark.parametrize(
    ("family", "stem", "keys"),
    [
        ("vnish", "http_autotune_presets", ["GET /api/v1/autotune/presets"]),
        ("vnish", "http_perf-summary", ["GET /api/v1/perf-summary"]),
        ("vnish", "http_root", ["GET /"]),
        ("vnish", "http_post_unlock", ["POST /api/v1/unlock"]),
        ("antminer-stock", "http_get_network_info_401", ["GET /cgi-bin/get_network_info.cgi"]),
        ("antminer-stock", "rpc_summary+devs+pools_truncated", ["rpc summary", "rpc devs", "rpc pools"]),
        ("bitaxe", "http_system_info", ["GET /api/system/info"]),
        ("nmminer", "http_probe", ["GET /probe"]),
        ("avalon", "mmid0_estats", ["rpc estats"]),
        ("avalon", "rpctext_estats_truncated", ["rpc estats"]),
        ("vnish", "privileged_settings", []),
        ("nmminer", "udp12345_status", []),
    ],
)
def test_file_names_become_request_keys(family, stem, keys):
    assert request_keys(family, stem, {}) == keys


def test_the_request_named_by_a_capture_wins():
    named = {
        "http_conf": "/cgi-bin/conf.cgi",
        "rpc_x": '{"command":"summary+pools"}',
        "rpc_y": '{"command":"a","parameter":"0"}',
    }
    found = [request_keys("vnish", stem, named) for stem in named]
    assert found == [["GET /cgi-bin/conf.cgi"], ["rpc summary", "rpc pools"], ["rpc a|0"]]


def test_reads_are_recorded_by_place():
    seen = set()
    document = track({"a": {"b": [{"c": 1}, {"c": 2}]}, "d": [1, 2], "e": None}, seen)
    assert document["a"].get("b")[1]["c"] == 2
    assert "e" in document
    assert isinstance(document["a"], dict)
    assert seen == {("a",), ("a", "b"), ("a", "b", 1, "c"), ("e",)}


def test_every_value_is_a_leaf_and_plain_lists_are_one():
    document = {"a": {"b": [{"c": 1}, {"c": []}]}, "d": [1, 2], "e": {}}
    assert [shown_path(path) for path in leaves(document)] == ["a.b[].c", "a.b[].c", "d", "e"]


def test_iterating_is_no_reading():
    seen = set()
    document = track({"a": 1, "b": 2}, seen)
    assert sorted(document) == ["a", "b"]
    assert list(document.values()) == [1, 2]
    assert unread("GET /x", document, seen, Reader()) == ["a", "b"]


def test_unread_keys_of_one_list_entry_are_found(capture):
    result = look(Reader(), capture)
    assert result.reading.hashrate == 3
    assert result.unread("http_summary.json") == ["GET /api/v1/summary chains[].hot"]
    with pytest.raises(AssertionError, match=r"chains\[\]\.hot"):
        assert_every_key_read(result, "http_summary.json", {})


def test_a_file_nobody_asks_for_needs_a_reason(capture):
    result = look(Reader(), capture)
    with pytest.raises(AssertionError, match="not requested"):
        assert_every_key_read(result, "privileged_reboot.json", {})
    assert_every_key_read(result, "privileged_reboot.json", {"privileged_*": "an answer to a write"})
    with pytest.raises(AssertionError, match="listed as not requested"):
        assert_every_key_read(result, "http_summary.json", {"http_*": "wrong"})


GETTERS = {
    "rate": lambda result, _: result.reading.hashrate,
    "model": lambda result, _: result.reading.identity.model,
    "fans": lambda result, _: NotCompared("no fans here"),
}


def test_rows_carry_a_verdict(capture):
    rows = compare(look(Reader(), capture), "expected.json", GETTERS, {})
    assert [(row.key, row.verdict) for row in rows] == [
        ("rate", "agrees"),
        ("model", "differs"),
        ("fans", "not compared"),
    ]
    flawed = compare(look(Reader(), capture), "expected.json", GETTERS, {("device", "model"): "a slip"})
    assert flawed[1].verdict == "known flaw"
    lines = summary_lines(rows, every_row=False)
    assert any(line.startswith("differs: vnish/device model") for line in lines)


def test_an_expected_key_without_a_getter_is_an_error(capture):
    with pytest.raises(AssertionError, match="no getter for 'model'"):
        compare(look(Reader(), capture), "expected.json", {"rate": GETTERS["rate"]}, {})


@pytest.mark.parametrize(
    ("expected", "got", "agree"),
    [(1, 1.0, True), (1e12, 1e12 + 1, True), (1, 1.1, False), (True, 1, False), ("a", "a", True), (None, 0, False)],
)
def test_what_counts_as_the_same(expected, got, agree):
    assert same(expected, got) is agree


def test_rows_travel_with_the_reports(capture):
    rows = compare(look(Reader(), capture), "expected.json", GETTERS, {})

    class Report:
        user_properties = (("other", 1), ("agreement", json.dumps([vars(row) for row in rows])))

    assert rows_of(iter([Report()])) == rows
