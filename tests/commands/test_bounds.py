"""Plans that no driver of ours makes: nothing of them is sent."""

import pytest

from exporter.drivers.api import Answer, CgminerRequest, HttpRequest
from exporter.drivers.commands import Plan, UdpRequest, Write
from exporter.engine.api.commands import Restart
from exporter.engine.commanding import bounds
from exporter.engine.commanding.bounds import checked_plan, checked_reads, checked_writes
from exporter.errors import InternalError
from tests.commands.rigs import CommandRig, ended, flock_of, rigs
from tests.engine.bench import driver_set, run
from tests.engine.doors.calls import ask

GOOD = Write(HttpRequest("/restart", method="POST", body=b"{}", headers=(("x-a", "b"),), port=8080))


def plan(**changes):
    return Plan(**{"effect": "It restarts.", "writes": lambda _: (GOOD,), "confirmed": lambda _: True, **changes})


def test_what_our_drivers_make_is_within_the_bounds():
    assert checked_plan(plan(reads=(HttpRequest("/info"), CgminerRequest("pools"))))
    datagram = Write(UdpRequest(12347, b"{}", repeat=10))
    command = Write(CgminerRequest("ascset", "0,reboot,0", text=True), answers=False)
    assert checked_writes([GOOD, datagram, command]) == (GOOD, datagram, command)
    assert checked_writes(()) == ()
    assert len(checked_writes((GOOD,) * bounds.MOST_WRITES)) == bounds.MOST_WRITES


@pytest.mark.parametrize(
    "changes",
    [
        {"limit_seconds": 1e9},
        {"limit_seconds": float("nan")},
        {"limit_seconds": -1.0},
        {"limit_seconds": None},
        {"settle_seconds": float("inf")},
        {"effect": None},
        {"effect": "x" * 5000},
        {"writes": None},
        {"check": None},
        {"confirmed": True},
        {"reads": None},
        {"reads": ("GET /",)},
        {"reads": (HttpRequest("/a\r\nX: y"),)},
        {"confirm_reads": (HttpRequest("/info"),) * 1000},
    ],
)
def test_a_plan_past_a_bound_is_none(changes):
    with pytest.raises(InternalError, match="driver"):
        checked_plan(plan(**changes))


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("http://192.0.2.1/restart", method="POST"),
        HttpRequest("restart", method="POST"),
        HttpRequest("/restart HTTP/1.1\r\nHost: other\r\n\r\nGET /", method="POST"),
        HttpRequest("/restart", method="POST /other HTTP/1.1\r\n"),
        HttpRequest("/restart", method="POST", headers=(("x-a", "b\r\nHost: other"),)),
        HttpRequest("/restart", method="POST", headers=(("x a:", "b"),)),
        HttpRequest("/restart", method="POST", headers="x"),
        HttpRequest("/restart", method="POST", body=b"{}", content_type="a\r\nb"),
        HttpRequest("/restart", method="POST", body="{}"),
        HttpRequest("/restart", method="POST", body=b"x" * (1 << 20)),
        HttpRequest("/restart", method="POST", port=0),
        HttpRequest("/restart", method="POST", port=70000),
        HttpRequest("/restart", method="POST", port="192.0.2.1:80"),
        HttpRequest(None, method="POST"),
        CgminerRequest("restart\nquit"),
        CgminerRequest("restart|quit"),
        CgminerRequest("ascset", "0,\0reboot"),
        CgminerRequest("x" * (1 << 20)),
        CgminerRequest(None),
        UdpRequest(12347, b"{}", repeat=1_000_000),
        UdpRequest(12347, b"{}", repeat=0),
        UdpRequest(12347, b"{}", repeat=2.5),
        UdpRequest(12347, b"x" * 60000),
        UdpRequest(12347, "{}"),
        UdpRequest(None, b"{}"),
        UdpRequest(99999, b"{}"),
        UdpRequest(12347, b"{}", spacing_seconds=1e9),
        UdpRequest(12347, b"{}", spacing_seconds=float("nan")),
        "POST /restart",
        None,
    ],
)
def test_a_write_past_a_bound_is_never_sent(request_):
    with pytest.raises(InternalError, match="driver"):
        checked_writes((GOOD, Write(request_)))


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("/api/system/restart", method="POST"),
        HttpRequest("/api/system", method="PATCH", body=b"{}"),
        HttpRequest("/cgi-bin/reboot.cgi"),
        HttpRequest("/ranges", otherwise=HttpRequest("/ranges", method="POST")),
        HttpRequest("/ranges", otherwise=HttpRequest("/range", otherwise=HttpRequest("/restart?now=1"))),
        CgminerRequest("restart"),
        CgminerRequest("summary+quit"),
        CgminerRequest("ascset", "0,reboot,0", text=True),
        CgminerRequest("power_off"),
        CgminerRequest("curtail", "session,sleep"),
        CgminerRequest("get_version+restart_btminer"),
        HttpRequest("/cgi-bin/luci/admin/system/reboot/call"),
        HttpRequest("/cgi-bin/set_miner_conf.cgi?a=1"),
    ],
)
def test_what_may_change_a_miner_is_never_asked_as_a_read(request_):
    for reads in ({"reads": (request_,)}, {"confirm_reads": (request_,)}):
        with pytest.raises(InternalError, match="as a read"):
            checked_plan(plan(**reads))
    with pytest.raises(InternalError, match="as a read"):
        checked_reads((HttpRequest("/info"), request_))
    assert checked_writes((Write(request_),))


def test_what_is_asked_in_the_place_of_another_is_within_the_bounds_too():
    chain = HttpRequest("/0")
    for number in range(50):
        chain = HttpRequest(f"/{number}", otherwise=chain)
    for bad in (HttpRequest("/a", otherwise=HttpRequest("/a\r\nX: y")), chain):
        with pytest.raises(InternalError, match="driver"):
            checked_reads((bad,))
        with pytest.raises(InternalError, match="driver"):
            checked_writes((Write(bad),))


def test_looking_at_a_miner_sends_no_write_whatever_the_driver_says(tmp_path, monkeypatch):
    class Restless(CommandRig):
        def tuning_reads(self, context):
            return (HttpRequest("/restart", method="POST", body=b"{}"),)

    async def story(bench):
        door, ids = await flock_of(bench, 1)
        offers = await ask(door.offers, ids[0])
        assert [one.command for one in offers.commands] == ["restart", "mode", "pool"]
        assert bench.hosts.writes == []

    run(tmp_path, monkeypatch, story, **rigs(drivers=driver_set(users=(Restless(),))))


def test_thousands_of_writes_and_a_check_that_is_none():
    with pytest.raises(InternalError, match="5000 writes"):
        checked_writes((GOOD,) * 5000)
    with pytest.raises(InternalError, match="check"):
        checked_writes((Write(GOOD.request, check="yes"),))
    with pytest.raises(InternalError):
        checked_reads([GOOD])


def test_what_cannot_be_written_is_not_quoted():
    with pytest.raises(InternalError) as caught:
        checked_writes((Write(CgminerRequest("addpool", "url,user,hunter2\n", private=True)),))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_nothing_of_such_a_plan_reaches_a_miner(tmp_path, monkeypatch):
    class Hostile(CommandRig):
        def restart(self, context):
            return plan(writes=lambda _: (GOOD, Write(UdpRequest(12347, b"{}", repeat=1_000_000))))

        def tuning_reads(self, context):
            return (HttpRequest("/ranges"),) * 1000

    async def story(bench):
        door, ids = await flock_of(bench, 1)
        bench.hosts.hosts[next(iter(bench.hosts.hosts))]["GET /ranges"] = Answer(b"{}")
        done = await ended(door, await ask(door.start, ids[0], Restart(), "local"))
        assert (done.state, "datagram" in done.words) == ("failed", True)
        offers = await ask(door.offers, ids[0])
        assert [one.command for one in offers.commands] == ["restart", "mode", "pool"]
        assert bench.hosts.writes == []
        assert ("GET /ranges" in {key for _, key in bench.hosts.asked}) is False

    run(tmp_path, monkeypatch, story, **rigs(drivers=driver_set(users=(Hostile(),))))
