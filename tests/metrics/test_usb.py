"""What a miner on USB shows."""

import dataclasses

import pytest

from exporter.engine.fleet import UsbRecord
from exporter.metrics.page import PageStore
from exporter.model_usb import LASTING, UsbCondition, UsbState, UsbStatus, UsbView
from tests.metrics.flock import NOW, record

VIEW = UsbView(UsbStatus.INITIALIZING, UsbState.CONNECTED_IP, 1.7e9, frozenset({UsbCondition.DNS_FAILURE}), 3)


def samples(shown):
    store = PageStore()
    store.publish(shown)
    text = b"".join(store.write(openmetrics=False, now_monotonic=NOW)).decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("miner_usb"))
    return {series: float(value) for series, _, value in lines}


def of(found, name):
    return {series: value for series, value in found.items() if series.startswith(name + "{")}


def test_one_state_one_status_and_the_conditions_that_hold():
    found = samples(record(usb=UsbRecord(VIEW, "/dev/ttyUSB0", "1-1.2")))
    for name, size, marks in (
        ("miner_usb_status", len(UsbStatus), ['status="Initializing"']),
        ("miner_usb_state", len(UsbState), ['state="CONNECTED IP"']),
        ("miner_usb_condition", len(LASTING), ['condition="dns_failure"']),
    ):
        values = of(found, name)
        assert len(values) == size
        assert sorted(series for series, value in values.items() if value == 1.0) == [
            series for series in values if any(mark in series for mark in marks)
        ]
        assert sum(values.values()) == len(marks)
    assert list(of(found, "miner_usb_boots_total").values()) == [3.0]
    assert list(of(found, "miner_usb_state_since_timestamp_seconds").values()) == [1.7e9]


def test_an_unplugged_board_stays_and_says_so():
    gone = UsbView(UsbStatus.INACTIVE, UsbState.NOT_CONNECTED, 1.7e9)
    found = samples(record(up=False, reading=None, usb=UsbRecord(gone)))
    assert of(found, "miner_usb_status")['miner_usb_status{miner="02:00:00:00:00:01",status="Inactive"}'] == 1.0


@pytest.mark.parametrize("changes", [{"usb": None}, {"usb": UsbRecord(VIEW), "managed": False}])
def test_others_show_nothing_of_it(changes):
    assert samples(record(**changes)) == {}


def test_a_new_state_is_shown_although_nothing_else_changed():
    store = PageStore()
    first = record(usb=UsbRecord(VIEW))
    store.publish(first)
    later = dataclasses.replace(VIEW, state=UsbState.SUBSCRIBE)
    store.publish(dataclasses.replace(first, usb=UsbRecord(later)))
    text = b"".join(store.write(openmetrics=False, now_monotonic=NOW)).decode()
    assert 'state="Mining Subscribe"} 1' in text
    assert 'state="CONNECTED IP"} 0' in text
