"""One ordered stream of plug-ins and unplugs."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.discovery.usb_devices import Listing, Plugged, Presence, make_device, natural_order
from tests.usb.boards import board


class Log(list):
    def added(self, device, *, initial):
        self.append(("added", device.dev_path, initial))

    def removed(self, dev_path):
        self.append(("removed", dev_path))


def presence():
    log = Log()
    return Presence(log.added, log.removed), log


def plugged(number, stay=None, **fields):
    return Plugged(board(f"1-1.{number}", dev_path=f"/dev/ttyUSB{number}", **fields), stay)


def listing(*found, unreadable=()):
    return Listing(tuple(found), frozenset(unreadable))


def test_a_listing_reports_each_board_once_in_natural_order():
    who, log = presence()
    boards = [plugged(number, number) for number in (10, 2, 1)]
    who.update(listing(*boards), initial=True)
    who.update(listing(*boards))
    assert log == [("added", f"/dev/ttyUSB{number}", True) for number in (1, 2, 10)]
    assert [device.dev_path for device in who.devices()] == ["/dev/ttyUSB1", "/dev/ttyUSB2", "/dev/ttyUSB10"]


def test_a_missed_unplug_is_made_up_for():
    who, log = presence()
    who.add(plugged(0, 100))
    who.add(plugged(0, 100))
    who.add(plugged(0, 101))
    assert log == [("added", "/dev/ttyUSB0", False), ("removed", "/dev/ttyUSB0"), ("added", "/dev/ttyUSB0", False)]


def test_a_board_that_was_away_between_two_listings_is_reported_anew():
    who, log = presence()
    who.update(listing(plugged(0, 100), plugged(1, 7)), initial=True)
    log.clear()
    who.update(listing(plugged(0, 101), plugged(1, 7)))
    assert log == [("removed", "/dev/ttyUSB0"), ("added", "/dev/ttyUSB0", False)]


def test_another_board_under_the_same_name_is_seen_without_a_trace_in_sysfs():
    who, log = presence()
    who.update(listing(plugged(0, serial="AB12CD34")))
    who.update(listing(plugged(0, serial="EF56AB78")))
    assert [entry[0] for entry in log] == ["added", "removed", "added"]


def test_a_text_that_cannot_be_read_this_time_changes_nothing():
    who, log = presence()
    who.update(listing(plugged(0, 100, serial="AB12CD34")))
    who.update(listing(plugged(0, 100, serial=None)))
    who.update(listing(unreadable=["/dev/ttyUSB0"]))
    assert len(log) == 1


def test_unplugs_come_before_plug_ins():
    who, log = presence()
    who.update(listing(plugged(5, 5)))
    who.update(listing(plugged(1, 1)))
    assert log[1:] == [("removed", "/dev/ttyUSB5"), ("added", "/dev/ttyUSB1", False)]


def test_an_unknown_unplug_is_not_reported():
    who, log = presence()
    who.remove("/dev/ttyUSB0")
    assert log == []


def test_a_check_acts_only_on_what_two_listings_show():
    who, log = presence()
    who.update(listing(plugged(0, 1), plugged(1, 2)))
    log.clear()
    assert not who.confirm(listing(plugged(0, 1), plugged(2, 3)))
    assert log == []
    who.add(plugged(2, 3))  # its event came late
    assert who.confirm(listing(plugged(0, 1), plugged(2, 3)))
    assert log == [("added", "/dev/ttyUSB2", False), ("removed", "/dev/ttyUSB1")]
    assert not who.confirm(listing(plugged(0, 1), plugged(2, 3)))


def test_a_check_wants_the_same_stay_twice():
    who, log = presence()
    assert not who.confirm(listing(plugged(0, 1)))
    assert not who.confirm(listing(plugged(0, 2)))
    assert who.confirm(listing(plugged(0, 2)))
    assert log == [("added", "/dev/ttyUSB0", False)]


def test_attributes_that_are_gone_make_no_device():
    assert make_device("/dev/ttyUSB0", "1-1", None, "7523") is None
    assert make_device("/dev/ttyUSB0", "1-1", "1a86", "") is None
    assert make_device("/dev/ttyUSB0", "", "1a86", "7523") is None
    made = make_device("/dev/ttyUSB0", "1-1", "1A86\n", " 523", "\x00\x01", "USB\nSerial\x07")
    assert (made.usb_id, made.serial_number, made.product) == ("1a86:0523", None, "USB Serial")


def test_natural_order():
    names = ["/dev/ttyACM10", "/dev/ttyACM9", "/dev/ttyUSB1", "/dev/ttyACM"]
    assert sorted(names, key=natural_order) == ["/dev/ttyACM", "/dev/ttyACM9", "/dev/ttyACM10", "/dev/ttyUSB1"]


stays = st.integers(min_value=1, max_value=4)
listings = st.dictionaries(st.integers(min_value=0, max_value=4), stays, max_size=5).map(
    lambda boards: listing(*(plugged(number, stay) for number, stay in boards.items()))
)
moves = st.one_of(
    st.tuples(st.just("update"), listings),
    st.tuples(st.just("confirm"), listings),
    st.tuples(st.just("add"), st.builds(plugged, st.integers(min_value=0, max_value=4), stays)),
    st.tuples(st.just("remove"), st.integers(min_value=0, max_value=4).map(lambda number: f"/dev/ttyUSB{number}")),
)


@given(st.lists(moves, max_size=30))
def test_adds_and_removes_alternate_for_every_device_file(steps):
    who, log = presence()
    for name, argument in steps:
        getattr(who, name)(argument)
    there = set()
    for kind, dev_path, *_ in log:
        assert (dev_path in there) is (kind == "removed")
        there ^= {dev_path}
    assert there == {device.dev_path for device in who.devices()}


@given(st.lists(moves, max_size=10), listings)
def test_after_a_listing_exactly_its_boards_are_there(steps, last):
    who, _ = presence()
    for name, argument in steps:
        getattr(who, name)(argument)
    who.update(last)
    assert set(who.devices()) == {found.device for found in last.plugged}
