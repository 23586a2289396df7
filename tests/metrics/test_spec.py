"""The naming rules of metrics, checked on the tables and on planted mistakes."""

from __future__ import annotations

import re

import pytest

from exporter.metrics import spec
from exporter.metrics.catalog import CATALOGUE, RenderOptions, allowed_label_name, families, label_names
from exporter.metrics.scopes import BOARD, READING, gauge, gauges
from exporter.metrics.selfmetrics import SELF_METRICS
from exporter.metrics.spec import MetricSpec, SpecError, check_declaration
from tests.metrics.flock import record

EVERY = (*CATALOGUE, *SELF_METRICS)

#: What a unit that is no base unit looks like at the end or inside of a name, written down apart from the product.
FOREIGN = re.compile(
    r"_(?:ms|millis|milliseconds|minutes|hours|days|mv|millivolts|ma|milliamps|amps|kw|mw|wh|kwh|ghs?|ths?|mhs?|hs|"
    r"mhz|khz|ghz|hz|gh|th|percent|percentage|pct|fahrenheit|kelvin|kb|mb|kib|mib|jth|secs?|sec|temp|temps|volt|watt)"
    r"(?:_|$)"
)


@pytest.mark.parametrize("name", [each.name for each in EVERY])
def test_names_hold_no_foreign_unit(name):
    assert FOREIGN.search(name) is None
    assert name.startswith("miner_")


@pytest.mark.parametrize(
    "stem",
    [
        "frequency_mhz",
        "asic_hashrate_ghs",
        "hashrate_ths",
        "core_voltage_mv",
        "fan_speed_percent",
        "uptime_ms",
        "energy_kwh",
        "temperature_fahrenheit",
        "power",
        "temp",
        "voltage",
        "memory_kib",
    ],
)
@pytest.mark.parametrize("unit", [spec.COUNT, spec.BOOL, spec.HERTZ, spec.RATIO])
def test_a_name_outside_the_whitelist_is_refused(stem, unit):
    with pytest.raises(SpecError):
        check_declaration(f"miner_{stem}", "gauge", unit, "Some help.", ("miner",))


@pytest.mark.parametrize(
    ("name", "kind", "unit", "help_text", "labels"),
    [
        ("power_watts", "gauge", spec.WATTS, "Power.", ()),
        ("miner_Power_watts", "gauge", spec.WATTS, "Power.", ()),
        ("miner__power_watts", "gauge", spec.WATTS, "Power.", ()),
        ("miner_power_watts", "counter", spec.WATTS, "Power.", ()),
        ("miner_power_watts_total", "gauge", spec.WATTS, "Power.", ()),
        ("miner_power_watts", "gauge", spec.VOLTS, "Power.", ()),
        ("miner_last_timestamp_seconds", "gauge", spec.SECONDS, "A time.", ()),
        ("miner_uptime_seconds", "gauge", spec.UNIX_SECONDS, "A time.", ()),
        ("miner_power_watts", "gauge", spec.WATTS, "", ()),
        ("miner_power_watts", "gauge", spec.WATTS, "Two\nlines.", ()),
        ("miner_power_watts", "gauge", spec.WATTS, "No full stop", ()),
        ("miner_power_watts", "gauge", spec.WATTS, "Power.", ("type",)),
        ("miner_power_watts", "gauge", spec.WATTS, "Power.", ("instance",)),
        ("miner_power_watts", "gauge", spec.WATTS, "Power.", ("Board",)),
        ("miner_power_watts", "gauge", spec.WATTS, "Power.", ("__name__",)),
        ("miner_power_watts", "gauge", spec.WATTS, "Power.", ("board", "board")),
        ("miner_boot_info_total", "counter", spec.INFO, "Info.", ()),
    ],
)
def test_a_wrong_declaration_is_refused(name, kind, unit, help_text, labels):
    with pytest.raises(SpecError, match=re.escape(name)):
        check_declaration(name, kind, unit, help_text, labels)


def test_value_and_values_exclude_each_other():
    with pytest.raises(SpecError):
        MetricSpec("miner_power_watts", "gauge", spec.WATTS, "Power.", READING)
    with pytest.raises(SpecError):
        MetricSpec(
            "miner_power_watts", "gauge", spec.WATTS, "Power.", READING, lambda _: 1.0, ("a",), lambda _: (((), 1.0),)
        )
    with pytest.raises(SpecError):
        gauges("miner_power_watts", spec.WATTS, "Power.", READING, (), lambda _: ())
    with pytest.raises(SpecError, match="named twice"):
        gauges("miner_board_power_watts", spec.WATTS, "Power.", BOARD, ("board",), lambda _: ())
    assert gauge("miner_power_watts", spec.WATTS, "Power.", READING, lambda _: 1.0).all_labels == ("miner",)


def test_every_family_carries_the_miner_first_and_only_info_carries_identity():
    identity = {"ip", "name", "hostname", "model", "make", "firmware", "firmware_version", "driver"}
    for family in CATALOGUE:
        assert family.all_labels[0] == "miner"
        if family.name != "miner_info":
            assert identity.isdisjoint(family.all_labels), family.name
    info = next(family for family in CATALOGUE if family.name == "miner_info")
    assert info.all_labels == (
        "miner",
        "name",
        "ip",
        "driver",
        "make",
        "model",
        "firmware",
        "firmware_version",
        "hostname",
        "serial",
    )


def test_durable_families_are_those_that_alarms_need():
    assert {family.name for family in CATALOGUE if family.scope.durable} == {
        "miner_up",
        "miner_info",
        "miner_managed",
        "miner_muted",
        "miner_sign_in_refused",
        "miner_last_success_timestamp_seconds",
        "miner_poll_errors_total",
        "miner_usb_status",
        "miner_usb_state",
        "miner_usb_state_since_timestamp_seconds",
        "miner_usb_condition",
        "miner_usb_boots_total",
    }


def test_chip_families_are_off_by_default():
    shown = {family.name for family in families(RenderOptions())}
    assert not any(name.startswith("miner_chip_") for name in shown)
    more = {family.name for family in families(RenderOptions(chips=True))} - shown
    assert len(more) == 5
    assert all(name.startswith("miner_chip_") for name in more)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        *(("site", True), ("Rack_2", True), ("env", True)),
        *(("miner", False), ("ip", False), ("serial", False), ("job", False), ("le", False)),
        *(("__site", False), ("1st", False), ("a-b", False), ("", False)),
    ],
)
def test_configured_label_names(name, allowed):
    assert allowed_label_name(name) is allowed


def test_label_names_are_the_union_over_the_flock():
    flock = [record(1, labels=(("site", "a"),)), record(2, labels=(("ip", "x"), ("rack", "b")))]
    assert label_names(flock) == ("rack", "site")


def test_headers_of_both_formats():
    text = spec.text_header("miner_energy_joules_total", "counter", 'Back\\slash "quoted".').decode()
    assert text == (
        '# HELP miner_energy_joules_total Back\\\\slash "quoted".\n# TYPE miner_energy_joules_total counter\n'
    )
    openmetrics = spec.openmetrics_header("miner_energy_joules_total", "counter", spec.JOULES, 'Back\\slash "q".')
    assert openmetrics.decode() == (
        "# TYPE miner_energy_joules counter\n"
        "# UNIT miner_energy_joules joules\n"
        '# HELP miner_energy_joules Back\\\\slash \\"q\\".\n'
    )
    assert b"UNIT" not in spec.openmetrics_header("miner_up", "gauge", spec.BOOL, "Up.")
