"""/sd?shard=: a flock divided among several Prometheus servers."""

import json
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.engine.fleet import FleetSnapshot
from exporter.errors import UsageError
from exporter.metrics.service_discovery import WHOLE, Shard, parse_shard, target_groups
from tests.metrics.flock import record


def keys(flock, shard):
    groups = json.loads(b"".join(target_groups(FleetSnapshot(flock), shard)))
    return [group["targets"][0] for group in groups]


@given(count=st.integers(0, 60), of=st.integers(1, 20))
def test_each_miner_is_in_exactly_one_part(count, of):
    flock = tuple(record(number) for number in range(count))
    parts = [keys(flock, Shard(number, of)) for number in range(of)]
    assert sorted(key for part in parts for key in part) == sorted(each.key for each in flock)


def test_parts_are_of_about_the_same_size():
    flock = tuple(record(number, key=f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}") for number in range(4000))
    sizes = [len(keys(flock, Shard(number, 4))) for number in range(4)]
    assert min(sizes) > 900
    assert sum(sizes) == 4000


def test_a_miner_stays_in_its_part_when_others_leave():
    flock = tuple(record(number) for number in range(40))
    before = keys(flock, Shard(1, 3))
    assert keys(flock[20:], Shard(1, 3)) == [key for key in before if key in {each.key for each in flock[20:]}]


@pytest.mark.parametrize(("query", "shard"), [("", WHOLE), ("shard=0&of=1", WHOLE), ("shard=3&of=16", Shard(3, 16))])
def test_what_is_asked_for(query, shard):
    assert parse_shard(parse_qs(query, keep_blank_values=True)) == shard


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("shard=3", "give of="),
        ("of=3", "give shard="),
        ("shard=3&of=3", "0 to 2"),
        ("shard=-1&of=3", "0 to 2"),
        ("shard=1.5&of=3", "0 to 2"),
        ("shard=%C2%B2&of=3", "0 to 2"),
        ("shard=&of=3", "0 to 2"),
        ("shard=1&shard=2&of=3", "0 to 2"),
        ("shard=0&of=0", "1 to 1024"),
        ("shard=0&of=1025", "1 to 1024"),
        ("shard=0&of=3&of=4", "1 to 1024"),
        ("shard=0&of=" + "9" * 5000, "1 to 1024"),
    ],
)
def test_a_part_that_there_is_not_is_refused(query, says):
    with pytest.raises(UsageError, match=says):
        parse_shard(parse_qs(query, keep_blank_values=True))
