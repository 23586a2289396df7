"""The program behind its door: settings, drivers, device passwords, live checks, backup."""

import asyncio
import json
from pathlib import Path

import pytest

from exporter.config import Listen
from exporter.drivers.loader import DriverSet, Rejected
from exporter.engine.api.caller import EngineCaller
from exporter.engine.doors.program import Listening, Outside, ProgramDoor
from exporter.errors import ChangedError, FieldError, ForbiddenError, UsageError
from exporter.store.rows import Credential
from exporter.store.secret import Secret
from tests.engine.bench import RigDriver, at, driver_set, mac, run
from tests.engine.doors.calls import ask, door_of, on_disk
from tests.engine.test_engine import SignedRig


@pytest.fixture
def with_door(tmp_path, monkeypatch):
    def go(story, **options):
        async def whole(bench):
            return await story(bench, door_of(ProgramDoor, bench))

        return run(tmp_path, monkeypatch, whole, **options)

    return go


def test_settings_and_reload(with_door):
    calls = []

    async def story(bench, _):
        async def door(fault):
            outside = Outside(Path("/etc/flock.yml"), lambda: calls.append(1) or fault)
            return ProgramDoor(EngineCaller(asyncio.get_running_loop()), bench.engine, outside)

        good = await door(None)
        assert good.settings() is bench.engine.settings
        assert good.config_file() == "/etc/flock.yml"
        await ask(good.reload)
        with pytest.raises(UsageError, match=r"flock\.yml:3: unknown key"):
            await ask((await door("flock.yml:3: unknown key")).reload)
        with pytest.raises(ForbiddenError):
            await ask(ProgramDoor(EngineCaller(asyncio.get_running_loop()), bench.engine).reload)
        assert len(calls) == 2

    with_door(story)


def test_the_addresses_shown_are_those_that_are_listened_on(with_door):
    at_first = {"http.addr": Listening(Listen("127.0.0.1", 18480), by_command_line=True)}
    listening = {**at_first, "metrics.addr": Listening(Listen("", 41234), by_command_line=False)}

    async def story(bench, _):
        now = [{}]
        outside = Outside(Path("/etc/flock.yml"), listening=lambda: now[0])
        door = ProgramDoor(EngineCaller(asyncio.get_running_loop()), bench.engine, outside)
        assert door.settings() is bench.engine.settings
        assert door.by_command_line() == frozenset()
        now[0] = at_first
        assert str(door.settings().http.addr) == "127.0.0.1:18480"
        assert door.settings().metrics == bench.engine.settings.metrics
        now[0] = listening
        assert str(door.settings().metrics.addr) == ":41234"
        assert door.settings().network is bench.engine.settings.network
        assert door.by_command_line() == {"http.addr"}

    with_door(story)


def test_drivers_then_rejected_files(with_door):
    loaded = driver_set(RigDriver())
    rejected = Rejected(Path("/x/mine_driver.py"), "user", None, "line 3: invalid syntax", "Traceback ...")
    drivers = DriverSet(loaded.drivers, loaded.loaded, (rejected,))

    async def story(_, door):
        rig, broken = door.drivers()
        assert (rig.driver_type, rig.driver_version, rig.connection_type, rig.source) == (
            "rig",
            "1.0.0",
            "http",
            "bundled",
        )
        assert (rig.default_port, rig.error) == (80, None)
        assert (broken.driver_type, broken.error) == ("mine_driver", "mine_driver.py: line 3: invalid syntax")

    with_door(story, drivers=drivers)


def test_device_passwords_are_kept_in_order_and_on_disk(with_door, tmp_path):
    wanted = (
        Credential("rig", Secret("first"), "10.1.0.0/22", "root"),
        Credential("*", Secret("second")),
    )

    async def story(bench, door):
        assert await ask(door.set_credentials, wanted) == wanted == door.credentials()
        with on_disk(bench, tmp_path) as stored:
            assert stored.credentials.all() == wanted
        assert await ask(door.set_credentials, ()) == ()

    with_door(story)


def test_a_list_made_of_one_that_is_gone_by_now_is_refused(with_door):
    theirs, mine = (Credential("rig", Secret("theirs")),), (Credential("rig", Secret("mine")),)

    async def story(_, door):
        seen = door.credentials()
        await ask(door.set_credentials, theirs, seen)
        with pytest.raises(ChangedError, match="load it again"):
            await ask(door.set_credentials, mine, seen)
        assert door.credentials() == theirs
        assert await ask(door.set_credentials, mine, door.credentials()) == mine

    with_door(story)


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        (Credential("Rig!", Secret("x")), "credentials.1.driver", "one lower-case word"),
        (Credential("unknown", Secret("x")), "credentials.1.driver", "no such driver"),
        (Credential("rig", Secret("x"), "10.1.0.1/22"), "credentials.1.cidr", "no bits behind the prefix"),
        (Credential("rig", Secret("x"), "everywhere"), "credentials.1.cidr", "must be a network"),
        (Credential("rig", Secret("hunter22" * 40)), "credentials.1.password", "at most 256"),
        (Credential("rig", Secret("hunter22\n")), "credentials.1.password", "control characters"),
        (Credential("rig", Secret("x"), None, "u\0"), "credentials.1.username", "control characters"),
    ],
)
def test_a_list_with_a_fault_changes_nothing(with_door, wrong, field, words):
    good = Credential("rig", Secret("good"))

    async def story(_, door):
        await ask(door.set_credentials, (good,))
        with pytest.raises(FieldError, match=words) as refused:
            await ask(door.set_credentials, (good, wrong))
        assert refused.value.field == field
        assert "hunter22" not in str(refused.value)
        assert door.credentials() == (good,)
        with pytest.raises(FieldError, match="at most 256"):
            await ask(door.set_credentials, (good,) * 257)

    with_door(story)


def test_a_miner_that_refused_its_password_is_tried_again_with_a_new_list(with_door):
    async def story(bench, door):
        bench.hosts.put(at(1))
        host = bench.hosts.hosts[at(1)]
        host.update({"GET /who": host["GET /rig"], "password": "right"})
        await bench.search()
        record = bench.record("addr:rig:192.0.2.1")
        assert record.auth_failed
        tried = list(bench.hosts.tried_passwords)
        bench.passwords.append("right")  # as the book does, which the engine asks for what the list holds
        await ask(door.set_credentials, (Credential("rig", Secret("right")),))
        await bench.settle()
        assert bench.hosts.tried_passwords[: len(tried)] == tried
        assert set(bench.hosts.tried_passwords[len(tried) :]) == {"right"}
        assert (bench.record(mac(1)).up, bench.record(mac(1)).auth_failed) == (True, False)

    with_door(story, drivers=driver_set(SignedRig()), passwords=["wrong"])


def test_a_backup_is_the_whole_database(with_door):
    async def story(bench, door):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        document = json.loads(await ask(door.backup))
        assert [row["mac"] for row in document["miners"].values()] == [mac(1)]
        assert door.write_error() is None

    with_door(story)


def test_live_checks_of_a_running_engine(with_door):
    async def story(bench, door):
        bench.hosts.put(at(1), mac=mac(1))
        await bench.search()
        checks = await ask(door.checks)
        assert {check.group for check in checks} == {"discovery", "usb", "offline", "wallets", "shares", "program"}
        assert all(check.state in ("ok", "warning", "problem", "unknown") for check in checks)
        assert all(check.title and check.found for check in checks)
        assert all(check.remedy for check in checks if check.state in ("warning", "problem"))
        (last,) = [check for check in checks if check.title == "What did the last scan find?"]
        assert "1 miner identified" in last.found
        (disk,) = [check for check in checks if check.title == "Do changes reach the disk?"]
        assert str(bench.db.path) in disk.found

    with_door(story)
