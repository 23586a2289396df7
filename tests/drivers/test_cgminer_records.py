"""Records of the CGMiner API: units in keys, pools, and the four forms of a last share's time."""

import pytest

from exporter.drivers.api import DecodeContext
from exporter.drivers.families.cgminer_records import (
    decode_pools,
    decode_summary,
    find_records,
    hashrate_of,
    reply_time,
)
from exporter.errors import DecodeError

NOW = 1_760_000_000.0
CONTEXT = DecodeContext(received_at=NOW)


def pool(**changes):
    return {"POOL": 0, "URL": "stratum+tcp://pool.example.com:3333", "Status": "Alive", "Accepted": 1, **changes}


def decoded(*pools, when=NOW):
    return decode_pools({"STATUS": [{"When": when}], "POOLS": list(pools)}, CONTEXT)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("GHS 5s", "7903.729", 7903.729e9),
        ("MHS 5s", 6171606.17, 6171606.17e6),
        ("KHS 5s", 41, 41e3),
        ("THS 5s", 1.5, 1.5e12),
        ("GHS 5s", 0, 0.0),
    ],
)
def test_the_unit_is_in_the_key(key, value, expected):
    assert hashrate_of({key: value}, "5s") == pytest.approx(expected)


def test_megahashes_win_over_rounded_kilohashes():
    assert hashrate_of({"KHS av": 41, "MHS av": 0.0406}, "av") == pytest.approx(40600)


def test_a_negative_rate_is_none():
    assert hashrate_of({"GHS 5s": -1}, "5s") is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (1759999990, NOW - 10),
        ("1759999990", NOW - 10),
        ("0:00:11", NOW - 11),
        ("66:18:15", NOW - 66 * 3600 - 18 * 60 - 15),
        (" 0:01:00", NOW - 60),
        ("0", None),
        (0, None),
        ("", None),
        (31279, None),
    ],
)
def test_the_last_share_is_placed_in_time(told, expected):
    assert decoded(pool(**{"Last Share Time": told}))[0].last_share == expected


def test_local_time_is_placed_where_an_unused_pool_tells_the_zone():
    # 2025-10-09 08:53:20 UTC is 16:53:20 at UTC+8, where Unix time 0 is 08:00.
    used = pool(**{"Last Share Time": "Thu Oct  9 16:53:00 2025\n"})
    unused = pool(POOL=1, Accepted=0, **{"Last Share Time": "Thu Jan  1 08:00:00 1970\n"})
    assert decoded(used, unused)[0].last_share == NOW - 20
    assert decoded(used)[0].last_share is None


def test_a_wrong_clock_of_the_device_is_corrected():
    told = pool(**{"Last Share Time": 1_500_000_000})
    assert decoded(told, when=1_500_000_030)[0].last_share == NOW - 30


def test_no_share_lies_in_the_future():
    assert decoded(pool(**{"Last Share Time": 1_760_100_000}))[0].last_share is None


@pytest.mark.parametrize(
    ("word", "up"), [("Alive", True), ("Dead", False), ("Deed", False), ("Rejecting", False), ("Disabled", None)]
)
def test_status_words(word, up):
    assert decoded(pool(Status=word))[0].up is up


def test_counters_of_a_pool():
    found = decoded(
        pool(
            Accepted=" 28.0000", Rejected=2, Stale=1, Getworks=50, Priority=3, Diff="65.5K", User="bc1qexample.rig",
            **{"Get Failures": 4, "Difficulty Accepted": 1e6},
        )
    )[0]  # fmt: skip
    assert (found.accepted, found.rejected, found.stale) == (28, 2, 1)
    assert (found.jobs_received, found.connection_failures, found.priority) == (50, 4, 3)
    assert (found.difficulty, found.difficulty_accepted) == (65500, 1e6)
    assert found.user == "bc1qexample.rig"


def test_empty_slots_are_no_pools():
    assert decoded(pool(URL=""), pool(POOL=1))[0].pool == "1"


def test_one_of_several_open_connections_is_in_use():
    first, second, fee = decoded(
        pool(POOL=0, Priority=1, **{"Stratum Active": True}),
        pool(POOL=1, Priority=0, **{"Stratum Active": True}),
        pool(POOL=2, Priority=9, URL="DevFee", User="DevFee", **{"Stratum Active": True}),
    )
    assert (first.active, second.active, fee.active) == (False, True, True)
    assert (first.fee, fee.fee) == (False, True)


def test_summary():
    record = {
        "Elapsed": 100, "GHS 5s": "10.5", "GHS av": 10.0, "Total MH": 1_000_000, "Hardware Errors": 3,
        "Best Share": 77, "Accepted": 5, "Found Blocks": 1,
    }  # fmt: skip
    reading = decode_summary({"SUMMARY": [record]})
    assert (reading.hashrate, reading.hashrate_average) == (10.5e9, 10e9)
    assert reading.hashes == 1e12
    assert (reading.mining_uptime, reading.hardware_errors, reading.blocks_found) == (100, 3, 1)
    assert reading.best_share_difficulty == reading.session_best_share_difficulty == 77


def test_a_total_in_another_unit_is_not_taken():
    record = {"Elapsed": 1591, "GHS av": 127.45, "Total MH": 202832}
    assert decode_summary({"SUMMARY": [record]}).hashes is None


def test_rates_of_an_uncertain_unit_stay_unknown():
    reading = decode_summary({"SUMMARY": [{"Elapsed": 10, "GHS 5s": 5, "GHS av": 5, "Total MH": 50000}]}, rates=False)
    assert (reading.hashrate, reading.hashrate_average, reading.hashes) == (None, None, None)
    assert reading.mining_uptime == 10


@pytest.mark.parametrize("best", [18446744073709551615, 0])
def test_a_best_share_that_is_not_kept(best):
    assert decode_summary({"SUMMARY": [{"Best Share": best, "Accepted": 9}]}).best_share_difficulty is None


def test_records_may_come_as_one_object():
    assert find_records({"POOLS": {"POOL": 0}}, "POOLS") == [{"POOL": 0}]
    assert reply_time({"STATUS": {"When": 5}}) == 5
    assert reply_time({"STATUS": "S"}) is None


def test_missing_records_are_an_error_with_a_place():
    with pytest.raises(DecodeError, match=r"rpc pools\.POOLS: missing"):
        decode_pools({"STATUS": []}, CONTEXT)
