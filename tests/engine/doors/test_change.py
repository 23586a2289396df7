"""What a person decides of a miner: bounds, effect at once, on disk when the call returns."""

import asyncio
import time

import pytest

from exporter.drivers.api import Answer
from exporter.engine.doors.miners import MinersDoor
from exporter.errors import FieldError, TakenError, UnknownError
from exporter.metrics.catalog import RenderOptions
from exporter.metrics.page import PageStore
from tests.end_to_end.programs import Page as ParsedPage
from tests.engine.bench import at, driver_set, mac, run
from tests.engine.doors.calls import ask, door_of, on_disk, until
from tests.engine.test_engine import SignedRig

LATER = 4_000_000_000.0


async def two_miners(bench):
    """A door, and the ids of two miners that answer."""
    for number in (1, 2):
        bench.hosts.put(at(number), mac=mac(number), model="R1")
    await bench.search()
    return door_of(MinersDoor, bench), bench.record(mac(1)).id, bench.record(mac(2)).id


def story_of(tmp_path, monkeypatch, **options):
    """Runs an async function of (bench, door, first id, second id)."""

    def go(story):
        async def whole(bench):
            return await story(bench, *await two_miners(bench))

        return run(tmp_path, monkeypatch, whole, **options)

    return go


@pytest.fixture
def with_miners(tmp_path, monkeypatch):
    return story_of(tmp_path, monkeypatch)


def shown(store):
    return ParsedPage(b"".join(store.write(openmetrics=False, now_monotonic=time.monotonic())).decode())


def test_every_field_is_shown_at_once_and_is_on_disk_when_the_call_returns(with_miners, tmp_path):
    soon = time.time() + 3600
    changes = {
        "name": "Garage",
        "currency": "BTC",
        "chipset": "BM1366",
        "location_notes": "behind the door",
        "labels": {"rack": "4", "site": "attic"},
        "muted_until": soon,
        "managed": False,
        "enabled": False,
    }

    async def story(bench, door, one, _):
        row = await ask(door.change, one, changes)
        record = bench.record(mac(1))
        assert (record.name, record.named, record.currency, record.chipset) == ("Garage", True, "BTC", "BM1366")
        assert (record.location_notes, record.muted, record.muted_until) == ("behind the door", True, soon)
        assert (record.managed, record.enabled) == (False, False)
        assert record.labels == (("rack", "4"), ("site", "attic"))
        with on_disk(bench, tmp_path) as stored:
            assert stored.miners.get(one) == row == door.row(one)
            assert dict(row.own_labels) == {"rack": "4", "site": "attic"}

    with_miners(story)


def test_a_name_that_another_miner_is_shown_by_is_taken(with_miners):
    async def story(bench, door, one, two):
        assert [bench.record(mac(number)).name for number in (1, 2)] == ["R1 0001", "R1 0002"]
        for name in ("R1 0002", "r1 0002"):
            with pytest.raises(TakenError, match="another miner is called") as caught:
                await ask(door.change, one, {"name": name})
            assert caught.value.field == "name"
        assert (await ask(door.change, one, {"name": "R1 0001"})).name == "R1 0001"
        await ask(door.change, two, {"name": "Garage"})
        # A default name that comes to be later is shown as it is, also where a person gave it to another miner.
        assert (await ask(door.change, one, {"name": "R1 0002"})).name == "R1 0002"
        await ask(door.change, two, {"name": None})
        assert [bench.record(mac(number)).name for number in (1, 2)] == ["R1 0002", "R1 0002"]

    with_miners(story)


def test_a_currency_may_be_written_small(with_miners):
    async def story(bench, door, one, _):
        assert (await ask(door.change, one, {"currency": "btc"})).currency == "BTC"

    with_miners(story)


def test_a_start_knows_all_that_was_decided(with_miners, tmp_path, monkeypatch):
    async def first(bench, door, one, two):
        await ask(door.change, one, {"name": "Garage", "labels": {"rack": "4"}, "muted_until": time.time() + 3600})
        await ask(door.change, two, {"managed": False})

    async def second(bench):
        bench.hosts.put(at(1), mac=mac(1))
        bench.hosts.put(at(2), mac=mac(2))
        await bench.settle()
        await bench.search()
        one, two = bench.record(mac(1)), bench.record(mac(2))
        assert (one.name, one.muted, dict(one.labels)["rack"]) == ("Garage", True, "4")
        assert (two.managed, two.up, two.reading) == (False, None, None)

    with_miners(first)
    run(tmp_path, monkeypatch, second)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": ""}, "name", "1 to 64"),
        ({"name": "x" * 65}, "name", "1 to 64"),
        ({"name": "a\nb"}, "name", "printable"),
        ({"name": 7}, "name", "text"),
        ({"currency": "EUR"}, "currency", "BTC"),
        ({"currency": ["BTC"]}, "currency", "text"),
        ({"managed": "yes"}, "managed", "true or false"),
        ({"enabled": None}, "enabled", "true or false"),
        ({"chipset": "c" * 257}, "chipset", "256"),
        ({"location_notes": 5}, "location_notes", "text"),
        ({"labels": ["rack"]}, "labels", "object"),
        ({"labels": {"job": "x"}}, "labels", "site, rack, group"),
        ({"labels": {"rack": "r" * 65}}, "labels", "64"),
        ({"labels": {"rack": "a\x00b"}}, "labels", "64"),
        ({"labels": {"rack": 4}}, "labels", "64"),
        ({"muted_until": 1.0}, "muted_until", "future"),
        ({"muted_until": LATER}, "muted_until", "one year"),
        ({"muted_until": True}, "muted_until", "Unix"),
        ({"muted_until": float("nan")}, "muted_until", "Unix"),
        ({"muted_until": "tomorrow"}, "muted_until", "Unix"),
        ({"unlock_pass": "p" * 257}, "unlock_pass", "256"),
        ({"unlock_pass": "a\nb"}, "unlock_pass", "printable"),
        ({"unlock_pass": 4}, "unlock_pass", "printable"),
        ({"username": "root"}, "username", "unlock_pass"),
        ({"unlock_pass": "x", "username": "u" * 65}, "username", "64"),
        ({"colour": "red"}, "colour", "can be changed"),
        ({"id": 3}, "id", "can be changed"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_changes(with_miners, changes, field, words):
    async def story(bench, door, one, _):
        before = door.row(one)
        with pytest.raises(FieldError, match=words) as caught:
            await ask(door.change, one, {"location_notes": "not kept", **changes})
        assert caught.value.field == field
        assert str(caught.value).startswith(f"{field}: ")
        assert door.row(one) == before
        assert bench.db.passwords.get(one) is None

    with_miners(story)


def test_an_unknown_miner_is_unknown(with_miners):
    async def story(bench, door, one, two):
        assert door.row(99) is None
        for call in (lambda: door.change(99, {"name": "x"}), lambda: door.forget(99), lambda: door.rescan(99)):
            with pytest.raises(UnknownError, match="99"):
                await ask(call)
        with pytest.raises(UnknownError, match="99"):
            await ask(door.exchanges, 99)
        with pytest.raises(UnknownError, match="99"):
            await ask(door.get_config, 99)

    with_miners(story)


def test_names_are_unique_whatever_their_case_and_may_be_taken_away(with_miners):
    async def story(bench, door, one, two):
        await ask(door.change, one, {"name": "Straße"})
        with pytest.raises(TakenError) as caught:
            await ask(door.change, two, {"name": "STRASSE"})
        assert caught.value.field == "name"
        assert (await ask(door.change, one, {"name": "STRASSE"})).name == "STRASSE"
        assert (await ask(door.change, one, {"name": None})).name is None
        assert bench.record(mac(1)).named is False
        assert (await ask(door.change, two, {"name": "Straße"})).name == "Straße"

    with_miners(story)


def test_of_many_threads_that_want_one_name_one_gets_it(tmp_path, monkeypatch):
    async def story(bench):
        for number in range(1, 9):
            bench.hosts.put(at(number), mac=mac(number))
        await bench.search()
        door = door_of(MinersDoor, bench)
        ids = [record.id for record in bench.engine.snapshot().miners]
        outcomes = await asyncio.gather(
            *(ask(door.change, miner_id, {"name": "The one"}) for miner_id in ids),
            *(ask(door.change, miner_id, {"location_notes": f"shelf {miner_id}"}) for miner_id in ids),
            return_exceptions=True,
        )
        named, noted = outcomes[:8], outcomes[8:]
        assert sum(isinstance(outcome, TakenError) for outcome in named) == 7
        assert [row.location_notes for row in noted] == [f"shelf {miner_id}" for miner_id in ids]
        with on_disk(bench, tmp_path) as stored:
            rows = stored.miners.all()
        assert [row.name for row in rows].count("The one") == 1
        assert {row.location_notes for row in rows} == {f"shelf {miner_id}" for miner_id in ids}

    run(tmp_path, monkeypatch, story)


# --- polls ---


def test_an_unmanaged_miner_is_not_polled_and_shows_no_value_until_it_is_managed_again(tmp_path, monkeypatch):
    store = PageStore(RenderOptions())

    async def story(bench, door, one, _):
        assert shown(store).value("miner_up", miner=mac(1)) == 1
        await ask(door.change, one, {"managed": False})
        bench.hosts.asked.clear()
        record = bench.record(mac(1))
        assert (record.up, record.reading, bench.flock.get(one).poller) == (None, None, None)
        assert shown(store).names_of(mac(1)) == {"miner_info", "miner_managed"}
        assert bench.meter.targets == {("rig", "network"): 1}
        await bench.search()
        assert bench.record(mac(1)).up is None
        assert shown(store).value("miner_up", miner=mac(1)) is None
        bench.hosts.put(at(1), mac=mac(1), rate=9.0)
        await ask(door.change, one, {"managed": True})
        await bench.settle()
        assert bench.record(mac(1)).reading.hashrate == 9.0
        assert shown(store).value("miner_up", miner=mac(1)) == 1

    story_of(tmp_path, monkeypatch, page=store)(story)


def test_a_retired_miner_leaves_the_page_and_comes_back(tmp_path, monkeypatch):
    store = PageStore(RenderOptions())

    async def story(bench, door, one, _):
        await ask(door.change, one, {"enabled": False})
        assert shown(store).names_of(mac(1)) == set()
        assert bench.record(mac(1)).enabled is False
        bench.hosts.hosts.pop(at(1))
        await ask(door.change, one, {"enabled": True})
        assert shown(store).value("miner_up", miner=mac(1)) == 0
        await bench.settle()
        record = bench.record(mac(1))
        assert (record.up, record.reading) == (False, None)

    story_of(tmp_path, monkeypatch, page=store)(story)


def test_switching_off_in_the_middle_of_a_poll_shows_nothing_of_it(with_miners):
    async def story(bench, door, one, _):
        asked, answer = asyncio.Event(), asyncio.Event()

        async def wait(address):
            asked.set()
            await answer.wait()

        bench.hosts.wait = wait
        bench.flock.get(one).poller.wake()
        await asked.wait()
        await ask(door.change, one, {"managed": False})
        answer.set()
        await bench.settle()
        assert (bench.record(mac(1)).up, bench.record(mac(1)).reading) == (None, None)

    with_miners(story)


# --- mute ---


def test_a_mute_ends_by_itself_without_a_poll(tmp_path, monkeypatch):
    store = PageStore(RenderOptions())

    async def story(bench, door, one, _):
        polls = bench.meter.polls["rig"]
        seen = []

        class Watcher:
            def publish(self, record):
                seen.append((record.key, record.muted, shown(store).value("miner_muted", miner=record.key)))

        bench.flock.watchers.append(Watcher())
        await ask(door.change, one, {"muted_until": time.time() + 1.5})
        assert seen[0] == (mac(1), True, 1)
        await until(lambda: not bench.record(mac(1)).muted, "the end of the mute")
        assert shown(store).value("miner_muted", miner=mac(1)) == 0
        assert bench.record(mac(1)).muted_until is None
        assert bench.record(mac(1)).reading is not None
        assert bench.meter.polls["rig"] == polls

    story_of(tmp_path, monkeypatch, page=store)(story)


def test_a_mute_can_be_ended_and_moved(with_miners):
    async def story(bench, door, one, _):
        await ask(door.change, one, {"muted_until": time.time() + 1.0})
        await ask(door.change, one, {"muted_until": time.time() + 3600})
        await asyncio.sleep(1.1)
        assert bench.record(mac(1)).muted is True
        await ask(door.change, one, {"muted_until": None})
        assert bench.record(mac(1)).muted is False

    with_miners(story)


# --- labels ---


def test_labels_win_over_those_of_the_network_until_they_are_taken_away(with_miners):
    async def story(bench, door, one, _):
        assert bench.record(mac(1)).labels == (("site", "hall"),)
        await ask(door.change, one, {"labels": {"site": "attic", "rack": "4"}})
        await ask(door.change, one, {"labels": {"group": "heaters"}})
        assert dict(bench.record(mac(1)).labels) == {"site": "attic", "rack": "4", "group": "heaters"}
        await bench.engine.apply(bench.settings, bench.drivers)
        assert dict(bench.record(mac(1)).labels)["site"] == "attic"
        await ask(door.change, one, {"labels": {"site": "", "rack": None}})
        assert dict(bench.record(mac(1)).labels) == {"site": "hall", "group": "heaters"}

    with_miners(story)


def test_who_shows_the_flock_is_told_of_new_names_of_labels_only(with_miners):
    told = []

    async def story(bench, door, one, two):
        bench.engine.on_labels = lambda: told.append({n for r in bench.db.miners.all() for n in r.own_labels})
        await ask(door.change, one, {"labels": {"rack": "4"}})
        await ask(door.change, two, {"labels": {"rack": "5"}})
        await ask(door.change, two, {"name": "Two"})
        await ask(door.change, two, {"labels": {"rack": None}})
        await ask(door.forget, one)

    with_miners(story)
    assert told == [{"rack"}, set()]


# --- passwords ---


def test_a_password_given_for_a_miner_is_tried_at_once_and_kept_as_a_secret(tmp_path, monkeypatch, caplog):
    async def story(bench):
        bench.hosts.put(at(1))
        host = bench.hosts.hosts[at(1)]
        host.update({"GET /who": host["GET /rig"], "password": "its-own-word"})
        await bench.search()
        record = bench.record("addr:rig:192.0.2.1")
        assert record.auth_failed
        door = door_of(MinersDoor, bench)
        row = await ask(door.change, record.id, {"unlock_pass": "its-own-word", "username": "root"})
        assert "its-own-word" not in repr(row)
        await bench.settle()
        real = bench.record(mac(1))
        assert (real.id, real.up, real.auth_failed) == (record.id, True, False)
        with on_disk(bench, tmp_path) as stored:
            kept = stored.passwords.get(record.id)
        assert (kept.password.reveal(), kept.username) == ("its-own-word", "root")
        await ask(door.change, record.id, {"unlock_pass": ""})
        assert bench.db.passwords.get(record.id) is None
        await bench.settle()
        assert bench.record(mac(1)).auth_failed is True

    run(tmp_path, monkeypatch, story, drivers=driver_set(SignedRig()), passwords=["wrong"])
    assert "its-own-word" not in caplog.text


# --- forgetting and asking anew ---


def test_a_forgotten_miner_is_gone_from_the_disk_and_comes_back_as_a_new_one(with_miners, tmp_path):
    async def story(bench, door, one, two):
        await ask(door.change, one, {"name": "Garage"})
        bench.db.miner_configs.add(one, pool_url="pool.example:3333")
        await ask(door.forget, one)
        with on_disk(bench, tmp_path) as stored:
            assert stored.miners.get(one) is None
            assert stored.miner_configs.of(one) == ()
        assert [record.id for record in bench.engine.snapshot().miners] == [two]
        await bench.search()
        again = bench.record(mac(1))
        assert again.id not in (one, two)
        assert again.named is False

    with_miners(story)


def test_rescan_says_whether_the_miner_answers(with_miners):
    async def story(bench, door, one, two):
        assert await ask(door.rescan, one) is True
        bench.hosts.hosts.pop(at(1))
        assert await ask(door.rescan, one) is False
        bench.hosts.hosts[at(2)] = {"GET /rig": Answer(b"{}", 500)}
        assert await ask(door.rescan, two) is False

    with_miners(story)
