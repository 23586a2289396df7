"""Status and telemetry become one reading."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.engine.merge import merge_identity, merge_readings
from exporter.model import Board, Chip, Fan, Identity, Reading
from exporter.units import celsius, hashes_per_second, rpm, watts

TELEMETRY = Reading(
    power=watts(99.0),
    work_mode="eco",
    boards=(Board("1", serial="B1", chips=(Chip("0"),)), Board("2", serial="B2")),
)


def test_the_status_wins_where_both_speak_and_zero_is_a_word():
    status = Reading(power=watts(0.0), hashrate=hashes_per_second(0.0))
    merged = merge_readings(status, TELEMETRY)
    assert merged.power == 0.0
    assert merged.hashrate == 0.0
    assert merged.work_mode == "eco"


def test_boards_are_joined_by_their_number_and_missing_ones_added():
    status = Reading(boards=(Board("1", chip_temperature_max=celsius(70.0)),))
    merged = merge_readings(status, TELEMETRY)
    assert merged.boards == (
        Board("1", chip_temperature_max=celsius(70.0), serial="B1", chips=(Chip("0"),)),
        Board("2", serial="B2"),
    )


def test_without_telemetry_the_status_itself_is_returned():
    status = Reading(fans=(Fan("0", rpm(1200)),))
    assert merge_readings(status, None) is status
    assert merge_readings(status, Reading()) is status


def test_an_identity_is_completed_and_never_forgotten():
    known = Identity(mac="02:00:00:00:00:01", model="S19")
    assert merge_identity(Identity(), known) is known
    assert merge_identity(Identity(model="S19 Pro"), known) == Identity(mac="02:00:00:00:00:01", model="S19 Pro")


_rate = st.one_of(st.none(), st.floats(0, 1e15).map(hashes_per_second))
_readings = st.builds(
    Reading,
    hashrate=_rate,
    power=st.one_of(st.none(), st.floats(0, 1e4).map(watts)),
    boards=st.lists(st.sampled_from("123"), unique=True).map(lambda numbers: tuple(Board(n) for n in numbers)),
)


@given(_readings, _readings)
def test_nothing_the_status_tells_is_changed_and_boards_stay_unique(status, telemetry):
    merged = merge_readings(status, telemetry)
    if status.hashrate is not None:
        assert merged.hashrate == status.hashrate
    else:
        assert merged.hashrate == telemetry.hashrate
    numbers = [board.board for board in merged.boards]
    assert sorted(numbers) == sorted(set(numbers))
    assert set(numbers) == {b.board for b in status.boards} | {b.board for b in telemetry.boards}
