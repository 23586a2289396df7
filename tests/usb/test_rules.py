"""Which ports may be opened, and what identifies a board."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config_schema import Serial
from exporter.discovery.usb_identity import is_placeholder, shared_serials, usb_identity
from exporter.discovery.usb_rules import CHIPS, Action, matches, may_open, needs_dtr
from tests.usb.boards import S3_MAC, board

ZIGBEE = board(usb_id="0451:16a8", serial="L1000ABC")


def decide(device, *, known=False, running=False, allowed=False, **settings):
    return may_open(
        device, Serial(**settings), lambda _: known, plugged_in_while_running=running, allowed_by_person=allowed
    ).action


@pytest.mark.parametrize(
    ("mode", "running", "expected"),
    [
        ("known", False, Action.WAIT),
        ("known", True, Action.WAIT),
        ("hotplug", False, Action.WAIT),
        ("hotplug", True, Action.OPEN),
        ("all", False, Action.OPEN),
        ("all", True, Action.OPEN),
    ],
)
def test_an_unknown_board_is_opened_as_serial_open_says(mode, running, expected):
    assert decide(board(), open=mode, running=running) is expected


@pytest.mark.parametrize("mode", ["known", "hotplug", "all"])
@pytest.mark.parametrize("running", [False, True])
class TestInEveryMode:
    def test_a_known_miner_is_opened(self, mode, running):
        assert decide(board(), known=True, open=mode, running=running) is Action.OPEN

    def test_a_board_that_a_person_named_is_opened(self, mode, running):
        assert decide(board(), allowed=True, open=mode, running=running) is Action.OPEN

    def test_other_devices_are_never_opened(self, mode, running):
        assert decide(ZIGBEE, open=mode, running=running) is Action.IGNORE

    def test_a_match_opens_other_devices(self, mode, running):
        assert decide(ZIGBEE, match=("0451:16a8",), open=mode, running=running) is Action.OPEN

    def test_ignore_wins_over_everything(self, mode, running):
        device = board(serial="A1B2C3D4", dev_path="/dev/ttyUSB3")
        others = {"match": ("1a86:7523",), "ports": ("/dev/ttyUSB3",), "open": mode}
        decided = decide(device, known=True, running=running, allowed=True, ignore=("a1b2*",), **others)
        assert decided is Action.IGNORE

    def test_ports_opens_by_file_name_and_by_link(self, mode, running):
        link = "/dev/serial/by-id/usb-board"
        assert decide(ZIGBEE, ports=("/dev/ttyUSB0",), open=mode, running=running) is Action.OPEN
        linked = dataclasses.replace(ZIGBEE, aliases=(link,))
        assert decide(linked, ports=(link,), open=mode, running=running) is Action.OPEN
        assert decide(ZIGBEE, ports=(link,), open=mode, running=running) is Action.IGNORE

    def test_nothing_is_opened_when_switched_off(self, mode, running):
        off = {"enabled": False, "match": ("*",), "ports": ("/dev/ttyUSB0",), "open": mode}
        assert decide(board(), known=True, allowed=True, running=running, **off) is Action.IGNORE


def test_the_reason_says_what_to_do():
    waiting = may_open(board(), Serial(), lambda _: False, plugged_in_while_running=False)
    assert "plug it in again" in waiting.reason
    ignored = may_open(ZIGBEE, Serial(), lambda _: False, plugged_in_while_running=True)
    assert "0451:16a8" in ignored.reason
    assert "serial.match" in ignored.reason


@pytest.mark.parametrize("usb_id", sorted(CHIPS))
def test_every_chip_of_the_table_is_a_possible_miner(usb_id):
    assert usb_id == usb_id.lower()
    assert decide(board(usb_id=usb_id), running=True) is Action.OPEN
    assert needs_dtr(board(usb_id=usb_id)) is CHIPS[usb_id].native


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("303a:1001", True),
        ("303a:*", True),
        ("303a:1002", False),
        (S3_MAC, True),
        (S3_MAC.lower(), True),
        ("02:00:5e:10:*", True),
        ("1-1.*", True),
        ("1-1", False),
        ("2-*", False),
        ("/dev/ttyACM7", True),
        ("", False),
    ],
)
def test_patterns(pattern, found):
    device = board("1-1.2", "303a:1001", S3_MAC, dev_path="/dev/ttyACM7")
    assert matches(device, (pattern,)) is found


def test_a_pattern_does_not_match_what_is_missing():
    assert not matches(board(serial=None), ("?????*:none", "N*ne"))


class TestIdentity:
    def test_the_serial_number_of_an_s3_is_its_mac(self):
        identity = usb_identity(board("1-1.2", "303a:1001", S3_MAC))
        assert (identity.mac, identity.serial, identity.port_path) == ("02:00:5e:10:00:01", None, "1-1.2")
        assert identity.key == "02:00:5e:10:00:01"

    def test_twelve_hex_digits_of_another_maker_are_no_mac(self):
        identity = usb_identity(board("1-1.2", "10c4:ea60", "02005E100001"))
        assert identity.mac is None
        assert identity.key == "serial:02005E100001"

    @pytest.mark.parametrize("serial", ["5AA6052218", "a8f5b6e0c1d2ee11b3e4", "DN04ABCD", "10234"])
    def test_a_unique_serial_number_identifies(self, serial):
        assert usb_identity(board(serial=serial)).key == f"serial:{serial}"

    @pytest.mark.parametrize(
        "serial",
        [
            None, "0", "1", "0001", "0002", "0123", "123", "1234", "12345678", "1234567890", "0123456789", "0000000000",
            "0123456789ABCDEF", "9876543210", "N/A", "n/a", "None", "unknown", "FFFFFFFF", "xxxx", "-", "....",
            "To be filled by O.E.M.", "USB Serial", "Default string", "SerialNumber",
        ],
    )  # fmt: skip
    def test_placeholders_do_not(self, serial):
        assert usb_identity(board("1-1.4", serial=serial)).key == "port:1-1.4"

    def test_the_product_name_as_serial_number_does_not(self):
        assert usb_identity(board("1-1.4", serial="CP2102 Bridge", product="CP2102 Bridge")).key == "port:1-1.4"

    @pytest.mark.parametrize("serial", ["5AA6052218", S3_MAC])
    def test_a_serial_number_of_two_boards_does_not(self, serial):
        one, other = (board(port, "303a:1001", serial, dev_path=f"/dev/ttyACM{port}") for port in ("1-1.1", "1-1.2"))
        assert usb_identity(one, (other,)).key == "port:1-1.1"
        assert usb_identity(other, (one, other)).key == "port:1-1.2"
        assert usb_identity(other, (), shared_serials((one, other))).key == "port:1-1.2"
        assert usb_identity(other).key != "port:1-1.2"

    def test_two_interfaces_of_one_board_are_no_two_boards(self):
        one, other = (board("1-1.1", "0403:6010", "FT8ABCDE", dev_path=f"/dev/ttyUSB{n}") for n in (0, 1))
        assert usb_identity(one, (one, other)).key == "serial:FT8ABCDE"

    @pytest.mark.parametrize("mac", ["00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF"])
    def test_an_impossible_mac_does_not_identify_as_one(self, mac):
        assert usb_identity(board("1-2", "303a:1001", mac)).key == "port:1-2"


serials = st.one_of(st.none(), st.sampled_from(["0001", "5AA6052218", S3_MAC, "N/A", "AB12CD34"]), st.text(max_size=20))
hubs = st.lists(st.tuples(serials, st.sampled_from(sorted(CHIPS))), min_size=1, max_size=8)


@given(hubs)
def test_boards_at_different_ports_never_share_a_key(plugged):
    devices = [board(f"1-1.{n}", usb_id, serial, dev_path=f"/dev/tty{n}") for n, (serial, usb_id) in enumerate(plugged)]
    keys = [usb_identity(device, devices).key for device in devices]
    assert len(set(keys)) == len(devices)


@given(hubs, st.integers(min_value=0, max_value=7))
def test_the_key_changes_with_the_port_only_where_nothing_else_identifies(plugged, chosen):
    devices = [board(f"1-1.{n}", usb_id, serial, dev_path=f"/dev/tty{n}") for n, (serial, usb_id) in enumerate(plugged)]
    device = devices[chosen % len(devices)]
    others = [other for other in devices if other is not device]
    before = usb_identity(device, others)
    after = usb_identity(dataclasses.replace(device, port_path="2-7"), others)
    assert (before.key == after.key) is (before.mac is not None or before.serial is not None)
    assert after.key == before.key or after.key == "port:2-7"


@given(st.integers(min_value=0, max_value=999), st.integers(min_value=0, max_value=16))
def test_small_numbers_are_placeholders_with_any_zeros(number, zeros):
    assert is_placeholder("0" * zeros + str(number))


@given(
    st.builds(board, usb_id=st.sampled_from([*sorted(CHIPS), "0451:16a8", ""]), serial=serials),
    st.sampled_from(["known", "hotplug", "all"]),
    st.booleans(),
)
def test_nothing_but_the_table_is_opened_unasked(device, mode, running):
    action = decide(device, open=mode, running=running)
    assert (action is Action.IGNORE) is (device.usb_id not in CHIPS)
