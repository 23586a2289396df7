"""Which stored miner a find is: by MAC, serial number, neighbour table, and only then by place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.engine.registry import Found, adopt, claimants, match, miner_key, real_serial
from exporter.model import Identity
from exporter.store.database import Database
from exporter.store.secret import Secret

A, B, C = (f"02:00:00:00:00:0{number}" for number in (1, 2, 3))
X, Y, Z = "192.0.2.1", "192.0.2.2", "192.0.2.3"


@pytest.fixture
def db(tmp_path):
    with Database.open(tmp_path / "flockwatch.json") as opened:
        yield opened


def find(address, mac=None, serial=None, driver="rig", **fields):
    return Found(address, 80, 4028, driver, Identity(mac=mac, serial=serial), **fields)


def take(db, *places, now=1000.0, elsewhere=(), **fields):
    return adopt(db, find(*places, **fields), now, elsewhere)


def test_a_new_miner_gets_its_mac_as_key(db):
    done = take(db, X, A)
    assert done.new
    assert (done.row.key, done.row.mac, done.row.address, done.row.provisional) == (A, A, X, False)
    assert (done.row.created_at, done.row.last_seen) == (1000.0, 1000.0)


def test_without_a_mac_the_serial_number_is_the_key_and_without_both_the_place(db):
    assert take(db, X, None, "SN-4711").row.key == "serial:SN-4711"
    row = take(db, Y).row
    assert (row.key, row.provisional) == ("addr:rig:192.0.2.2", True)


@pytest.mark.parametrize("serial", ["", "N/A", "unknown", "0000000000", "123456789", "None", "x", "FFFFFF", "abcdef"])
def test_a_placeholder_identifies_nobody(db, serial):
    assert real_serial(serial) is None
    assert miner_key(Identity(serial=serial), None, "rig", X) == ("addr:rig:192.0.2.1", True)
    assert take(db, X, None, serial).row.id != take(db, Y, None, serial).row.id


def test_a_known_miner_at_a_new_address_keeps_id_key_name_and_history(db):
    first = take(db, X, A).row
    db.miners.update(first.id, name="Left", currency="BTC")
    done = take(db, Y, A, now=2000.0)
    assert not done.new
    assert (done.row.id, done.row.key, done.row.name, done.row.currency) == (first.id, A, "Left", "BTC")
    assert (done.row.address, done.row.last_address, done.moved_from) == (Y, Y, X)
    assert (done.row.created_at, done.row.last_seen) == (1000.0, 1000.0)  # its polls tell when it was seen


def test_two_miners_may_swap_their_addresses(db):
    one, two = take(db, X, A).row, take(db, Y, B).row
    swapped = take(db, Y, A)
    assert swapped.displaced == (two.id,)
    assert db.miners.get(two.id).address is None
    back = take(db, X, B)
    assert back.displaced == ()
    assert (db.miners.get(one.id).address, db.miners.get(two.id).address) == (Y, X)
    assert len(db.miners.all()) == 2


def test_a_serial_number_with_another_mac_is_the_same_miner(db):
    first = take(db, X, A, "SN-4711").row
    done = take(db, Y, B, "SN-4711")
    assert (done.row.id, done.row.key, done.row.mac) == (first.id, A, B)
    assert done.row.identity.mac == B


def test_a_serial_number_that_two_devices_have_does_not_join_them(db):
    first = take(db, X, A, "SN-4711").row
    done = take(db, Y, B, "SN-4711", elsewhere={first.id})
    assert done.new
    assert done.row.key == B
    assert take(db, Z, None, "SN-4711").new  # which of both it is nobody knows
    assert take(db, X, None, "SN-4711").row.id == first.id  # but here one of them is


def test_a_mac_whose_old_miner_has_another_one_now_gets_a_row_of_its_own(db):
    first = take(db, X, A, "SN-4711").row
    take(db, X, B, "SN-4711")  # re-flashed; its key is still the old MAC
    done = take(db, Y, A)
    assert done.new
    assert done.row.id != first.id
    assert done.row.mac == A
    assert take(db, Z, A).row.id == done.row.id


def test_the_neighbour_table_identifies_who_tells_nothing(db):
    row = take(db, X, neighbour_mac=A).row
    assert (row.key, row.mac, row.identity.mac) == (A, A, None)
    moved = take(db, Y, neighbour_mac=A)
    assert (moved.row.id, moved.moved_from) == (row.id, X)


def test_a_device_that_tells_its_own_mac_later_is_still_the_same(db):
    row = take(db, X, neighbour_mac=A).row
    done = take(db, X, B, neighbour_mac=A)
    assert (done.row.id, done.row.key, done.row.mac) == (row.id, A, B)


def test_a_serial_number_beats_a_neighbour_entry_of_another_miner(db):
    one = take(db, X, A).row
    two = take(db, Y, None, "SN-4711").row
    done = take(db, Z, None, "SN-4711", neighbour_mac=A)  # a stale entry
    assert done.row.id == two.id
    assert done.row.mac is None
    assert db.miners.get(one.id).mac == A


def test_a_provisional_miner_becomes_the_real_one(db):
    row = take(db, X).row
    db.miners.update(row.id, name="Attic")
    done = take(db, X, A, "SN-4711")
    assert not done.new
    assert (done.row.id, done.row.key, done.row.provisional) == (row.id, A, False)
    assert (done.row.mac, done.row.serial, done.row.name) == (A, "SN-4711", "Attic")


def test_a_provisional_miner_that_is_a_known_one_gives_it_its_name_and_password(db):
    real = take(db, X, A).row
    db.miners.update(real.id, address=None)
    provisional = take(db, Y).row
    db.miners.update(provisional.id, name="Attic", currency="BTC")
    db.passwords.set(provisional.id, Secret("word"))
    done = take(db, Y, A)
    assert done.merged == (provisional.id,)
    assert done.displaced == ()
    assert (done.row.id, done.row.name, done.row.currency) == (real.id, "Attic", "BTC")
    assert db.passwords.get(real.id).password.reveal() == "word"
    assert db.miners.get(provisional.id) is None


@pytest.mark.parametrize(("real_seen", "target"), [(500.0, 60.0), (2000.0, 75.0)])
def test_what_a_miner_forgets_is_kept_when_a_provisional_row_becomes_part_of_a_known_one(db, real_seen, target):
    """Of what both remember that holds which belongs to the row that was seen last."""
    real = take(db, X, A).row
    db.miners.update(real.id, address=None, last_seen=real_seen)
    provisional = take(db, Y).row
    db.memories.remember(real.id, {"target": 75.0, "duty": 40.0})
    db.memories.remember(provisional.id, {"target": 60.0, "mode": "eco"})
    take(db, Y, A)
    assert dict(db.memories.of(real.id)) == {"target": target, "duty": 40.0, "mode": "eco"}
    assert [memory.id for memory in db.memories.all()] == [real.id]


def test_rows_that_remember_nothing_leave_no_memory_when_they_are_merged(db):
    real = take(db, X, A).row
    db.miners.update(real.id, address=None)
    take(db, Y)
    assert take(db, Y, A).merged
    assert db.memories.all() == ()


def test_a_persons_name_is_not_overwritten_by_that_of_a_provisional_row(db):
    real = take(db, X, A).row
    db.miners.update(real.id, name="Cellar")
    provisional = take(db, Y).row
    db.miners.update(provisional.id, name="Attic")
    assert take(db, Y, A).row.name == "Cellar"


def test_a_device_that_tells_less_than_before_at_its_address_is_still_the_same(db):
    row = take(db, X, A).row
    again = take(db, X)  # its page that tells the MAC timed out
    assert (again.row.id, again.row.key, again.row.provisional) == (row.id, A, False)
    assert take(db, X, driver="other").new


def test_a_device_that_tells_nothing_is_not_the_miner_whose_mac_the_neighbour_table_denies(db):
    row = take(db, X, A).row
    done = take(db, X, neighbour_mac=B)
    assert done.new
    assert done.displaced == (row.id,)


def test_another_device_at_the_address_displaces_the_one_that_was_there(db):
    row = take(db, X, A).row
    done = take(db, X, B)
    assert done.new
    assert done.displaced == (row.id,)
    assert db.miners.get(row.id).address is None
    assert db.miners.get(row.id).last_address == X
    assert [claimed.id for claimed in claimants(db, find(X, C), None)] == [done.row.id]


def test_labels_are_those_of_where_it_was_found(db):
    take(db, X, A, labels={"site": "one", "rack": "7"})
    assert dict(take(db, Y, A, labels={"site": "two"}).row.labels) == {"site": "two"}
    assert dict(take(db, Z, A).row.labels) == {}


def test_a_fixed_entry_marks_its_miner_and_names_it_unless_a_person_did(db):
    row = take(db, X, A).row
    done = take(db, X, A, fixed=True, name="Entry")
    assert (done.row.id, done.row.fixed, done.row.name, done.row.auto_discovered) == (row.id, True, "Entry", True)
    assert take(db, X, A, fixed=True, name="Other").row.name == "Entry"
    assert take(db, Y, B, fixed=True).row.auto_discovered is False


def test_a_fixed_entry_whose_device_has_another_driver_stays_one_row(db):
    row = take(db, X, driver="avalon", fixed=True, answered=False).row
    assert row.last_seen is None
    done = take(db, X, A, driver="avalon_nano", fixed=True)
    assert (done.row.id, done.row.key, done.row.driver) == (row.id, A, "avalon_nano")
    assert len(db.miners.all()) == 1


def test_fixed_entries_may_share_an_address_behind_a_router(db):
    def behind(port, mac=None):
        return adopt(db, Found(X, port, 4028, "rig", Identity(mac=mac), fixed=True, shared_port=port), 1.0)

    one, two = behind(8081), behind(8082)
    assert one.row.key == "addr:rig:192.0.2.1:8081"
    assert two.displaced == ()
    assert behind(8081, A).row.id == one.row.id
    assert behind(8082).row.id == two.row.id
    assert len(db.miners.by_address(X)) == 2


def test_a_usb_boards_serial_number_is_no_network_devices(db):
    board = db.miners.insert(key="serial:SN-4711", driver="nerdminer", serial="SN-4711", port_path="1-1.2")
    done = take(db, X, A, "SN-4711")
    assert done.new
    assert done.row.id != board.id


def test_managed_and_retired_miners_stay_what_they_are(db):
    row = take(db, X, A, managed=False).row
    db.miners.update(row.id, enabled=False)
    done = take(db, Y, A)
    assert (done.row.managed, done.row.enabled) == (False, False)


_finds = st.builds(
    find,
    st.sampled_from((X, Y, Z)),
    st.sampled_from((None, A, B, C)),
    st.sampled_from((None, "SN-1000", "SN-2000", "N/A")),
    st.sampled_from(("rig", "other")),
    neighbour_mac=st.sampled_from((None, A, B, C)),
    fixed=st.booleans(),
    name=st.sampled_from((None, "Attic")),
)


@settings(max_examples=150, deadline=None)
@given(finds=st.lists(st.tuples(_finds, st.booleans()), max_size=12))
def test_after_any_finds_no_two_rows_share_key_mac_or_address_and_ids_are_never_used_again(finds, tmp_path_factory):
    with Database.open(tmp_path_factory.mktemp("adopt") / "flockwatch.json", flush_delay=60.0) as db:
        given_ids = set()
        for number, (found, contested) in enumerate(finds):
            before = {row.id for row in db.miners.all()}
            row = match(db, found)
            elsewhere = {row.id} if contested and row is not None and row.address not in (None, found.address) else ()
            done = adopt(db, found, float(number), elsewhere)
            after = {row.id for row in db.miners.all()}
            assert done.new == (done.row.id not in before)
            assert done.new == (done.row.id not in given_ids)
            given_ids |= after
            assert before - after == set(done.merged)
            assert done.row.address == found.address
            assert db.miners.get(done.row.id) == done.row
            for what in ("key", "mac", "address"):
                values = [value for row in db.miners.all() if (value := getattr(row, what)) is not None]
                assert len(values) == len(set(values)), what
            # Asked again, the same find is the same miner, unless it is known to be elsewhere.
            if not elsewhere:
                assert adopt(db, found, float(number)).row.id == done.row.id
