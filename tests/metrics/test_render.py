"""From a record to samples: what is shown when, and what a hostile or broken value can do."""

from __future__ import annotations

import dataclasses
import logging
import math

import pytest

from exporter.errors import REASONS
from exporter.metrics import spec
from exporter.metrics.catalog import CATALOGUE, RenderOptions
from exporter.metrics.page import PageStore, render
from exporter.metrics.render import Renderer
from exporter.metrics.scopes import FAN, MINER, READING, gauge, gauges
from exporter.model import Board, Chip, Fan, Identity, MinerState, Pool, Reading, Temperature
from tests.metrics.flock import NOW, USB, full_reading, names_in, page_of, record, samples_of, text_of

KEY = "02:00:00:00:00:01"
DURABLE = {f.name for f in CATALOGUE if f.scope.durable and not f.name.startswith("miner_usb_")}


def shown(**reading: object) -> dict[str, float]:
    """The volatile samples of a reading, without the duration of the poll."""
    samples = samples_of(page_of(record(reading=Reading(**reading))))
    return {
        series.replace(f'miner="{KEY}"', "").replace("{,", "{").replace("{}", ""): value
        for series, value in samples.items()
        if series.partition("{")[0] not in DURABLE | {"miner_poll_duration_seconds"}
    }


def test_a_full_reading_fills_the_catalogue():
    full = record(reading=full_reading(), usb=USB, pools_expected=((("0",), True),))
    text = page_of(full, options=RenderOptions(chips=True))
    assert names_in(text) == {family.name for family in CATALOGUE}


def test_values_arrive_unchanged_and_in_their_own_family():
    samples = samples_of(page_of(record(reading=full_reading()), options=RenderOptions(chips=True)))
    miner = f'{{miner="{KEY}"'
    expected = {
        f"miner_hashrate_hashes_per_second{miner}}}": 9.3e13,
        f"miner_hashrate_expected_hashes_per_second{miner}}}": 9.5e13,
        f"miner_hashrate_nameplate_hashes_per_second{miner}}}": 1.0e14,
        f"miner_hashes_total{miner}}}": 8.0e18,
        f"miner_power_watts{miner}}}": 3300.0,
        f"miner_power_limit_watts{miner}}}": 3400.0,
        f"miner_energy_joules_total{miner}}}": 2.8e8,
        f'miner_psu_output_current_amperes{miner},psu="0"}}': 250.0,
        f'miner_psu_temperature_celsius{miner},psu="0",sensor="0"}}': 48.0,
        f'miner_fan_speed_rpm{miner},fan="1"}}': 0.0,
        f'miner_fan_duty_ratio{miner},fan="0"}}': 0.9,
        f'miner_environment_temperature_celsius{miner},position="inlet"}}': 24.0,
        f'miner_board_info{miner},board="1",serial="SN-1",chip_model="BM1"}}': 1.0,
        f'miner_board_temperature_celsius{miner},board="1",sensor="1"}}': 56.0,
        f'miner_board_chips_bad{miner},board="1",kind="hot"}}': 0.0,
        f'miner_board_chips{miner},board="1"}}': 75.0,
        f'miner_board_voltage_target_volts{miner},board="1"}}': 13.1,
        f'miner_chip_frequency_hertz{miner},board="1",chip="7"}}': 4.9e8,
        f'miner_pool_shares_accepted_total{miner},pool="0"}}': 900.0,
        f'miner_pool_rejections_total{miner},pool="0",reason="other"}}': 3.0,
        f'miner_pool_response_time_seconds{miner},pool="0"}}': 0.045,
        f'miner_system_memory_free_bytes{miner},region="internal"}}': 65000.0,
        f"miner_wifi_signal_dbm{miner}}}": -61.0,
        f'miner_reset_reason_info{miner},reason="power on"}}': 1.0,
        f'miner_error_active{miner},code="E1",severity="warning",component="fan"}}': 1.0,
    }
    assert {series: samples.get(series) for series in expected} == expected


def test_an_empty_reading_shows_nothing_volatile_but_the_poll():
    assert names_in(page_of(record())) == DURABLE | {"miner_poll_duration_seconds"}


def test_zero_is_a_value_and_none_is_no_sample():
    assert shown(power=0.0, hashrate=None, overheat=False) == {"miner_power_watts": 0.0, "miner_overheat": 0.0}
    assert shown(fans=(Fan("0", 0.0, None),)) == {'miner_fan_speed_rpm{fan="0"}': 0.0}


@pytest.mark.parametrize("state", MinerState)
def test_every_state_is_told_and_one_is_set(state):
    samples = shown(state=state)
    assert samples == {f'miner_state{{state="{each.value}"}}': float(each is state) for each in MinerState}


def test_an_unknown_state_or_mode_tells_nothing():
    assert shown(state=None, work_mode=None, work_modes=("eco", "turbo")) == {}


def test_the_work_mode_is_one_of_those_known():
    assert shown(work_mode="eco", work_modes=("turbo", "eco")) == {
        'miner_work_mode{mode="eco"}': 1.0,
        'miner_work_mode{mode="turbo"}': 0.0,
    }
    assert shown(work_mode="custom") == {'miner_work_mode{mode="custom"}': 1.0}


def test_several_boards_stand_in_one_family():
    boards = (Board("0", power=1.0, temperatures=(Temperature("a", 5.0),)), Board("1"), Board("2", power=3.0))
    assert shown(boards=boards) == {
        'miner_board_power_watts{board="0"}': 1.0,
        'miner_board_power_watts{board="2"}': 3.0,
        'miner_board_temperature_celsius{board="0",sensor="a"}': 5.0,
    }


def test_fee_pools_give_no_series():
    pools = (Pool("0", accepted=5.0), Pool("1", accepted=7.0, url="stratum+tcp://fee.example:1", fee=True))
    assert shown(pools=pools) == {'miner_pool_shares_accepted_total{pool="0"}': 5.0}


def test_chips_only_when_switched_on():
    reading = Reading(boards=(Board("0", chips=(Chip("0", 50.0), Chip("1", 51.0))),))
    assert "miner_chip" not in page_of(record(reading=reading))
    samples = samples_of(page_of(record(reading=reading), options=RenderOptions(chips=True)))
    assert samples[f'miner_chip_temperature_celsius{{miner="{KEY}",board="0",chip="1"}}'] == 51.0


@pytest.mark.parametrize(
    ("options", "user"), [(RenderOptions(), ""), (RenderOptions(pool_user=True), "bc1qexample.rig")]
)
def test_the_pool_user_is_redacted_unless_switched_on(options, user):
    text = page_of(record(reading=full_reading()), options=options)
    assert f'url="stratum+tcp://pool.example:3333",user="{user}"}} 1' in text
    assert ("bc1qexample" in text) is bool(user)


@pytest.mark.parametrize(
    ("told", "shown_url"),
    [
        ("stratum+tcp://me:secret@pool.example:3333", "stratum+tcp://pool.example:3333"),
        ("me:secret@pool.example:3333", "pool.example:3333"),
        ("//me:s@pool.example", "//pool.example"),
        ("pool.example:3333", "pool.example:3333"),
        (None, ""),
    ],
)
def test_credentials_in_a_pool_url_are_never_shown(told, shown_url):
    text = page_of(record(reading=Reading(pools=(Pool("0", url=told, user="u"),))))
    assert f'url="{shown_url}",user=""' in text
    assert "secret" not in text


# --- conditions of the miner --------------------------------------------------------------------------------------


def test_a_failed_poll_removes_everything_volatile_at_once():
    store = PageStore()
    store.publish(record(reading=full_reading()))
    store.publish(record(up=False, reading=None, poll_errors={"timeout": 2}))
    samples = samples_of(text_of(store))
    assert {series.partition("{")[0] for series in samples} == DURABLE
    assert samples[f'miner_up{{miner="{KEY}"}}'] == 0.0
    assert samples[f'miner_poll_errors_total{{miner="{KEY}",reason="timeout"}}'] == 2.0


@pytest.mark.parametrize("up", [False, None])
def test_a_reading_without_a_successful_poll_is_not_shown(up):
    assert names_in(page_of(record(up=up, reading=full_reading()))) == DURABLE


def test_after_a_restart_an_offline_miner_is_still_there():
    forgotten = record(up=None, reading=None, address=None, last_success=None, expires_at=0.0)
    samples = samples_of(page_of(forgotten))
    assert samples[f'miner_up{{miner="{KEY}"}}'] == 0.0
    assert {series.partition("{")[0] for series in samples} == DURABLE - {"miner_last_success_timestamp_seconds"}
    assert 'ip=""' in page_of(forgotten)


def test_every_reason_is_counted_from_zero():
    samples = samples_of(page_of(record(poll_errors={"auth": 3})))
    for reason in REASONS:
        expected = 3.0 if reason == "auth" else 0.0
        assert samples[f'miner_poll_errors_total{{miner="{KEY}",reason="{reason}"}}'] == expected


@pytest.mark.parametrize("now", [NOW, NOW + 1e6])
def test_a_listed_miner_has_its_identity_only(now):
    samples = samples_of(page_of(record(managed=False, reading=full_reading()), now=now))
    assert {series.partition("{")[0] for series in samples} == {"miner_info", "miner_managed"}
    assert samples[f'miner_managed{{miner="{KEY}"}}'] == 0.0


def test_a_retired_miner_disappears():
    store = PageStore()
    store.publish(record())
    store.publish(record(enabled=False))
    assert text_of(store) == ""
    assert len(store) == 0
    page = render(record(enabled=False), RenderOptions())
    assert not any((*page.live, *page.durable, page.down))


@pytest.mark.parametrize(("now", "alive"), [(NOW, True), (NOW + 59.9, True), (NOW + 60.0, False), (NOW + 1e9, False)])
def test_an_expired_reading_is_never_shown(now, alive):
    text = page_of(record(reading=full_reading()), now=now)
    samples = samples_of(text)
    assert samples[f'miner_up{{miner="{KEY}"}}'] == float(alive)
    assert ("miner_power_watts" in text) is alive
    assert f'miner_last_success_timestamp_seconds{{miner="{KEY}"}}' in samples


def test_muting_is_shown():
    assert samples_of(page_of(record(muted=True)))[f'miner_muted{{miner="{KEY}"}}'] == 1.0


def test_a_refused_sign_in_is_shown_while_the_miner_is_down():
    shown = samples_of(page_of(record(sign_in_refused=True, up=False, reading=None)))
    assert shown[f'miner_sign_in_refused{{miner="{KEY}"}}'] == 1.0
    assert samples_of(page_of(record()))[f'miner_sign_in_refused{{miner="{KEY}"}}'] == 0.0


# --- identity -----------------------------------------------------------------------------------------------------


def test_identity_and_the_union_of_configured_labels():
    one = record(1, labels=(("site", "hall 1"),), identity=Identity(firmware="VNish", serial="S1"))
    two = record(2, labels=(("rack", "r7"),))
    text = page_of(one, two, options=RenderOptions(label_names=("rack", "site")))
    assert (
        f'miner_info{{miner="{KEY}",name="miner 1",ip="192.0.2.1",driver="bitaxe",make="",model="",firmware="VNish",'
        'firmware_version="",hostname="",serial="S1",rack="",site="hall 1"} 1' in text
    )
    assert 'rack="r7",site=""} 1' in text


def test_a_label_beyond_the_union_is_kept_and_a_forbidden_one_is_not():
    text = page_of(record(labels=(("group", "g"), ("ip", "forged"), ("__x", "y"))))
    assert 'group="g"' in text
    assert "forged" not in text
    assert "__x" not in text


def test_only_info_changes_with_the_address():
    before, after = record(reading=full_reading()), record(reading=full_reading(), address="192.0.2.200")
    changed = set(page_of(after).splitlines()) - set(page_of(before).splitlines())
    assert [line.partition("{")[0] for line in changed] == ["miner_info"]


# --- rendering again ----------------------------------------------------------------------------------------------


def test_chunks_are_used_again_only_while_nothing_changed():
    renderer = Renderer(RenderOptions())
    first = record(reading=full_reading())
    page = renderer.render(first)
    reading = dataclasses.replace(
        full_reading(),
        power=3301.0,
        state=MinerState.FAULT,
        fans=(Fan("0", 5801.0, 0.9), Fan("5", 1.0, 0.0)),
        boards=(dataclasses.replace(full_reading().boards[0], board="9"),),
        pools=(),
    )
    for second in (
        dataclasses.replace(first, reading=reading),
        dataclasses.replace(first, last_success=1.8e9, name="renamed"),
        dataclasses.replace(first, last_success=1.8e9),
        dataclasses.replace(first, poll_errors={"auth": 1}, muted=True, up=False),
        dataclasses.replace(first, key="02:00:00:00:00:99"),
        dataclasses.replace(first, managed=False),
    ):
        again, fresh = renderer.render(second, page), renderer.render(second)
        assert (again.live, again.durable, again.down) == (fresh.live, fresh.durable, fresh.down)
        assert again.live != page.live or again.durable != page.durable


def test_a_counter_that_is_raised_in_place_is_shown():
    counts = {"timeout": 1}
    renderer = Renderer(RenderOptions())
    page = renderer.render(record(poll_errors=counts))
    counts["timeout"] = 2
    again = renderer.render(record(poll_errors=counts), page)
    assert b'reason="timeout"} 2' in b"".join(again.durable)


# --- isolation ----------------------------------------------------------------------------------------------------


def _raise(_: object) -> float:
    raise ZeroDivisionError("planted")


PLANTED = (
    gauge("miner_up", spec.BOOL, "Up.", MINER, lambda record: record.up is True),
    gauge("miner_power_watts", spec.WATTS, "Power.", READING, lambda reading: reading.power),
    gauge("miner_uptime_seconds", spec.SECONDS, "Up time.", READING, _raise),
    gauges("miner_work_mode", spec.STATES, "Mode.", READING, ("mode",), _raise),
    gauge("miner_fan_duty_ratio", spec.RATIO, "Duty.", FAN, lambda fan: _raise(fan) if fan.fan == "bad" else 0.5),
    gauges(
        "miner_reset_reason_info",
        spec.INFO,
        "Reason.",
        FAN,
        ("reason",),
        lambda fan: _raise(fan) if fan.fan == "bad" else (((fan.fan,), 1.0),),
    ),
)


def test_a_raising_value_function_costs_its_own_sample_only(caplog):
    faults: list[str] = []
    store = PageStore(specs=PLANTED, on_fault=faults.append)
    with caplog.at_level(logging.ERROR):
        store.publish(record(1, reading=Reading(power=5.0, fans=(Fan("bad"), Fan("good")))))
        store.publish(record(2, reading=Reading(power=6.0, fans=(Fan("bad"),))))
    assert samples_of(text_of(store)) == {
        'miner_up{miner="02:00:00:00:00:01"}': 1.0,
        'miner_up{miner="02:00:00:00:00:02"}': 1.0,
        'miner_power_watts{miner="02:00:00:00:00:01"}': 5.0,
        'miner_power_watts{miner="02:00:00:00:00:02"}': 6.0,
        'miner_fan_duty_ratio{miner="02:00:00:00:00:01",fan="good"}': 0.5,
        'miner_reset_reason_info{miner="02:00:00:00:00:01",fan="good",reason="good"}': 1.0,
    }
    assert faults.count("raised") == len(faults) == 8
    # Each family is told of once, with its cause.
    assert len(caplog.records) == 4
    assert all(entry.exc_info for entry in caplog.records)


def repr_of(value: object) -> str:
    return repr(value)[:12]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "12", b"1", [1.0], 10**400], ids=repr_of)
def test_what_is_no_number_is_left_out_and_counted(value):
    faults: list[str] = []
    store = PageStore(on_fault=faults.append)
    store.publish(record(reading=Reading(power=value, uptime=7.0, fans=(Fan("0", value), Fan("1", value)))))
    text = text_of(store)
    assert "miner_power_watts" not in text
    assert "miner_fan_speed_rpm" not in text
    assert "miner_uptime_seconds" in text
    assert faults == ["raised"] * 3


def test_a_counter_below_zero_is_left_out():
    assert shown(hashes=-1.0, blocks_found=-0.0, wifi_signal=-5.0) == {
        "miner_blocks_found_total": 0.0,
        "miner_wifi_signal_dbm": -5.0,
    }


@pytest.mark.parametrize("value", [1, 10**20, True])
def test_whole_numbers_and_truth_values_are_numbers(value):
    assert shown(power=value) == {"miner_power_watts": float(value)}


def test_of_two_items_with_the_same_name_the_first_is_kept(caplog):
    faults: list[str] = []
    store = PageStore(on_fault=faults.append)
    fans = (Fan("0", 100.0), Fan("0", 200.0), Fan("1", 300.0))
    temperatures = (Temperature("a", 1.0), Temperature("a", 2.0))
    with caplog.at_level(logging.WARNING):
        store.publish(record(reading=Reading(fans=fans, environment_temperatures=temperatures)))
    samples = samples_of(text_of(store))
    assert samples[f'miner_fan_speed_rpm{{miner="{KEY}",fan="0"}}'] == 100.0
    assert samples[f'miner_fan_speed_rpm{{miner="{KEY}",fan="1"}}'] == 300.0
    assert samples[f'miner_environment_temperature_celsius{{miner="{KEY}",position="a"}}'] == 1.0
    assert faults == ["duplicate", "duplicate"]
    assert len(caplog.records) == 2


def test_an_item_whose_labels_cannot_be_made_costs_its_scope_only():
    store = PageStore()
    store.publish(record(reading=Reading(power=1.0, fans=(None,))))  # type: ignore[arg-type]
    text = text_of(store)
    assert "miner_power_watts" in text
    assert "miner_fan_speed_rpm" not in text


@pytest.mark.parametrize(
    ("told", "written"),
    [
        ('a"b', r"a\"b"),
        ("a\\b", r"a\\b"),
        ("a\nb", r"a\nb"),
        ("a\r\tb", "a\ufffd\ufffdb"),
        ("\ud800", "\ufffd"),
        ("é中", "é中"),
        ("x" * 5000, "x" * 512),
    ],
)
def test_label_values_are_escaped_and_bounded(told, written):
    text = page_of(record(reading=Reading(reset_reason=told)))
    assert f'miner_reset_reason_info{{miner="{KEY}",reason="{written}"}} 1.0\n' in text
