"""The door to the history: from memory, and from a real Prometheus that has scraped the real page."""

import contextlib
import time

import pytest

from exporter.config import Settings
from exporter.config_schema import Intervals
from exporter.config_schema import Prometheus as PrometheusSettings
from exporter.engine import charts
from exporter.engine.doors.history import HistoryDoor
from exporter.engine.fleet import FleetSnapshot
from exporter.engine.history import History
from exporter.errors import FieldError, UnavailableError, UnknownError
from exporter.metrics.catalog import CATALOGUE
from exporter.metrics.page import PageStore
from exporter.metrics.selfmetrics import SelfMetrics
from exporter.model import Board, Fan, Identity, Pool, Reading, Temperature
from exporter.store.database import Database
from exporter.transports.prometheus import query_range
from exporter.web import MetricsListener
from exporter.web_config import WebConfig
from tests.end_to_end.programs import prometheus, wait_for
from tests.metrics.flock import record

FOREVER = 1e12
#: A key that a careless query would stumble over.
KEY = 'addr:x:"\\192.0.2.1'
READING = Reading(
    hashrate=1.5e14,
    power=3250.0,
    fans=(Fan("0", 5880.0), Fan("1", 6000.0)),
    boards=(
        Board("0", chip_temperature_max=71.0, temperatures=(Temperature("0", 99.0),)),
        Board("1", chip_temperature_max=76.5),
    ),
    pools=(Pool("0", url="stratum+tcp://a.example:1", accepted=40.0), Pool("1", url="b.example:2", accepted=2.0)),
)


class Rig:
    """A door, a history and a database with one miner."""

    def __init__(self, db, url=None):
        self.settings = Settings(intervals=Intervals(status_seconds=15.0), prometheus=PrometheusSettings(url))
        self.row = db.miners.insert(key=KEY, driver="bitaxe", identity=Identity())
        self.history = History(lambda: 15.0)
        self.door = HistoryDoor(db, self.history, lambda: self.settings, contextlib.nullcontext)

    def poll(self, at, reading=READING):
        self.history.publish(record(self.row.id, key=KEY, reading=reading, last_success=at))


@pytest.fixture
def db(tmp_path):
    with Database.open(tmp_path / "flockwatch.json", flush_delay=0.01) as opened:
        yield opened


def by_name(series):
    return {each.name: [value for _, value in each.points] for each in series}


def test_without_a_prometheus_the_ring_tells_what_it_has(db):
    rig = Rig(db)
    now = time.time()
    for number in range(4, 0, -1):
        rig.poll(now - 15 * number)
    assert not rig.door.has_prometheus()
    found = by_name(rig.door.series(rig.row.id, 86400.0))
    assert all(rate == pytest.approx(1.5e14, rel=1e-6) for rate in found.pop("hashrate"))
    assert {name: set(values) for name, values in found.items()} == {
        "temperature": {76.5},
        "power": {3250.0},
        "fan_speed": {6000.0},
        "accepted": {42.0},
    }
    assert len(rig.door.recent(rig.row.id)) == 4


def test_an_unknown_miner_and_ranges_without_sense_are_refused(db):
    rig = Rig(db)
    with pytest.raises(UnknownError):
        rig.door.series(99, 3600.0)
    for seconds in (0.0, -5.0, 59.0, float("nan"), float("inf"), 1e10):
        with pytest.raises(FieldError) as caught:
            rig.door.series(rig.row.id, seconds)
        assert caught.value.field == "seconds"
    assert rig.door.recent(99) == ()


def test_a_range_that_the_ring_covers_does_not_ask_prometheus(db):
    rig = Rig(db, "http://127.0.0.1:1")  # nobody listens there
    now = time.time()
    for number in range(60, 0, -1):
        rig.poll(now - 15 * number)
    assert len(by_name(rig.door.series(rig.row.id, 600.0))["power"]) >= 39
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:1"):
        rig.door.series(rig.row.id, 3600.0)


def test_the_query_names_metrics_of_the_page_only():
    known = {spec.name for spec in CATALOGUE}
    for step in (15.0, 3600.0):
        query = charts.promql("k", step)
        words = {word for word in query.replace("(", " ").replace("{", " ").split() if word.startswith("miner_")}
        assert words
        assert words <= known


def test_steps_for_ranges_of_all_lengths():
    assert charts.step_for(60.0) == 15.0
    assert charts.step_for(86400.0) == 288.0
    assert charts.step_for(30 * 86400.0) == 8640.0
    assert 86400 * 30 / charts.step_for(30 * 86400.0) <= charts.MOST_POINTS


@pytest.mark.realstack
def test_longer_ranges_come_from_a_real_prometheus_with_gaps_where_the_miner_was_down(tmp_path, db):
    pages = PageStore()
    up = record(1, key=KEY, reading=READING, expires_at=FOREVER)
    other = record(2, key="other", reading=Reading(power=7.0, hashrate=9e14), expires_at=FOREVER)
    pages.publish(up)
    pages.publish(other)
    listener = MetricsListener(pages, SelfMetrics(), FleetSnapshot, lambda: None, lambda: True, WebConfig())
    listener.start("127.0.0.1", 0)
    try:
        with prometheus(tmp_path / "prometheus", f"127.0.0.1:{listener.port}") as query:
            rig = Rig(db, query.url)
            assert rig.door.has_prometheus()
            wait_for(lambda: query("count_over_time(miner_power_watts[5m]) >= 2"), "two scrapes")

            def lines():
                found = by_name(rig.door.series(rig.row.id, 3600.0))
                return found if all(found.values()) else None

            found = wait_for(lines, "all five lines")
            assert {name: set(values) for name, values in found.items()} == {
                "hashrate": {1.5e14},
                "temperature": {76.5},
                "power": {3250.0},
                "fan_speed": {6000.0},
                "accepted": {42.0},
            }
            # The longer form averages within a step; Prometheus itself says that it can be read.
            end = time.time()
            answer = query_range(query.url, charts.promql(KEY, 3600.0), end - 7200.0, end, 3600.0)
            assert by_name(charts.lines_from(answer, 3600.0))["accepted"] == [42.0]

            pages.publish(record(1, key=KEY, up=False, reading=None))
            wait_for(lambda: query('miner_up{miner!="other"} == 0'), "the miner down")
            answer = query_range(query.url, charts.promql(KEY, 15.0), time.time(), time.time(), 15.0)
            assert answer == ()  # nothing is carried on into the gap
            with pytest.raises(UnavailableError, match="parse error"):
                query_range(query.url, "this is {no query", end - 60.0, end, 15.0)
    finally:
        listener.stop()
