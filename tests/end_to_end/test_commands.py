"""Commands of the running program to simulated miners: what arrives at the devices, and what is told of it."""

import json
import signal
from collections import Counter

import pytest

from tests.end_to_end.programs import CLIENT, Program, Simulator, free_base, wait_for

pytestmark = pytest.mark.timeout(240)

RESTART = "POST /api/system/restart"


@pytest.fixture
def flock(tmp_path):
    """Starts a simulator with devices (rows of its file), then the program, and returns the API over both."""
    running = []

    def start(*devices, count, networks=1, **settings):
        fleet = tmp_path / "fleet.yml"
        fleet.write_text(json.dumps({"devices": devices}))
        first, second, third = map(int, free_base().split("."))
        base = f"{first}.{second}.{third // 4 * 4}" if networks > 1 else f"{first}.{second}.{third}"
        simulator = Simulator(fleet=fleet, base=base)
        running.append(simulator)
        size = 22 if networks > 1 else 24
        program = Program(
            tmp_path,
            simulator,
            **{"status": 2, "telemetry": 2, "discovery": 3600, "subnets": f"{base}.0/{size}", **settings},
        )
        program.start()
        running.append(program)
        program.until_found(count, 120)
        return Api(program, simulator)

    yield start
    for one in reversed(running):
        one.stop()


class Api:
    """Calls of the API, and the miners by the address of their device."""

    def __init__(self, program, simulator):
        self.program = program
        self.simulator = simulator
        self.ids = {miner["ip_address"]: miner["id"] for miner in self("GET", "/api/miners").json()}

    def __call__(self, method, path, status=200, **more):
        answer = CLIENT.request(method, self.program.ui + path, timeout=90, **more)
        assert answer.status_code == status, answer.text
        return answer

    def addresses(self, kind):
        return [device["address"] for device in self.simulator.devices if device["kind"] == kind]

    def fault(self, address, name, **options):
        self.simulator.post("fault", address=address, fault=name, **options)

    def writes(self):
        """What changed a device, or was meant to: (address, line) of each."""
        return [
            (address, line)
            for address, told in self.simulator.truth().items()
            for line in (*told["writes"], *told["unexpected_writes"])
        ]

    def ended(self, place, seconds=90.0):
        """The command or bulk at `place` once it has ended."""

        def check():
            now = self("GET", place).json()
            return now["state"] != "running" and now

        return wait_for(check, f"the end of {place}", seconds)


def test_a_restart_is_seen_confirmed_and_logged(flock):
    api = flock({"kind": "bitaxe", "model": "gamma-2.15"}, count=1)
    ((address, miner_id),) = api.ids.items()
    offers = api("GET", f"/api/miners/{miner_id}/commands-offered").json()
    assert {"restart", "pause", "resume", "tuning", "pool"} <= {one["command"] for one in offers["commands"]}
    done = api("POST", f"/api/miners/{miner_id}/restart?wait=true").json()
    assert (done["state"], done["words"]) == ("confirmed", None)
    assert done["after"]["uptime"] < done["before"]["uptime"]
    assert api.writes() == [(address, RESTART)]
    assert api("GET", "/api/audit").json() == [done]
    page = api.program.page()
    assert page.value("miner_exporter_commands_total", driver="bitaxe", command="restart", result="confirmed") == 1.0
    # The log outlives the program.
    api.program.stop(signal.SIGKILL)
    api.program.start()
    assert api("GET", "/api/audit").json() == [done]


def test_a_bulk_restart_of_500_with_faulty_ones_gives_exact_results(flock):
    api = flock(
        {"kind": "bitaxe", "model": "gamma-2.12", "count": 500}, count=500, networks=4, status=600, telemetry=600
    )
    addresses = sorted(api.ids)
    gone, refusing, failing = addresses[:10], addresses[10:18], addresses[18:25]
    for address in gone:
        api.fault(address, "vanish")
    for address in refusing:
        api.fault(address, "refuses_writes", status=403)
    for address in failing:
        api.fault(address, "refuses_writes", status=500)
    begun = api("POST", "/api/bulk/restart", 202, json={"all": True, "parallel": 100, "stagger_seconds": 0})
    done = api.ended(begun.headers["Location"])
    assert done["counts"] == {"confirmed": 475, "failed": 10, "refused": 15}
    by_id = {result["miner_id"]: result for result in done["results"]}
    assert len(by_id) == 500
    for state, some in (("failed", gone), ("refused", refusing + failing), ("confirmed", addresses[25:])):
        assert {by_id[api.ids[address]]["state"] for address in some} == {state}
    assert Counter(api.writes()) == dict.fromkeys(((address, RESTART) for address in addresses[25:]), 1)
    # Those that had gone were asked who they are first, so that nothing was sent to them and nothing is logged.
    assert {by_id[api.ids[address]]["command_id"] for address in gone} == {None}
    runs = api("GET", "/api/audit?limit=1000").json()
    sent = {result["command_id"] for result in done["results"]} - {None}
    assert {run["id"] for run in runs} == sent
    assert Counter(run["state"] for run in runs) == {"confirmed": 475, "refused": 15}


def test_a_reload_in_the_middle_of_a_command_does_not_disturb_it(flock):
    api = flock({"kind": "bitaxe", "model": "gamma-2.15", "count": 3}, count=3)
    begun = api("POST", "/api/bulk/restart", 202, json={"all": True, "stagger_seconds": 0})
    wait_for(lambda: len(api.writes()) == 3, "the writes")
    api.program.configure(subnets=f"{api.simulator.base}.0/24", status=3, telemetry=3)
    assert CLIENT.post(f"{api.program.metrics}/-/reload", timeout=30).status_code == 200
    assert api.ended(begun.headers["Location"])["counts"] == {"confirmed": 3}
    assert len(api.writes()) == 3


def test_a_bulk_that_a_kill_cuts_off_is_told_of_and_not_gone_on_with(flock):
    api = flock({"kind": "bitaxe", "model": "gamma-2.15", "count": 3}, count=3)
    begun = api("POST", "/api/bulk/restart", 202, json={"all": True, "stagger_seconds": 600})
    place = begun.headers["Location"]
    wait_for(lambda: api("GET", place).json()["counts"].get("confirmed") == 1, "the first one", 90)
    again = api("POST", "/api/bulk/restart", 202, json={"all": True, "dry_run": True, "stagger_seconds": 0})
    looked = api.ended(again.headers["Location"])
    assert looked["counts"] == {"would send": 1, "failed": 2}
    api.program.stop(signal.SIGKILL)
    api.program.start()
    told = api("GET", place).json()
    assert (told["state"], told["counts"]) == ("interrupted", {"confirmed": 1, "not sent": 2})
    assert "nothing was sent to 2 of 3 miners" in api("GET", place.removeprefix("/api")).text
    api.program.until_found(3, 120)
    assert len(api.writes()) == 1
    rest = [result["miner_id"] for result in told["results"] if result["state"] == "not sent"]
    wait_for(lambda: all(one["status"] == "online" for one in api("GET", "/api/miners").json()), "the miners")
    more = api("POST", "/api/bulk/restart", 202, json={"miners": rest, "stagger_seconds": 0})
    assert api.ended(more.headers["Location"])["counts"] == {"confirmed": 2}


def test_what_is_refused_what_stays_without_effect_and_what_goes_away(flock):
    api = flock(
        {"kind": "bitaxe", "model": "supra-2.4"}, {"kind": "bitaxe", "model": "gamma-2.15", "count": 2}, count=3
    )
    old, idle, gone = (device["address"] for device in api.simulator.devices)  # as they stand in the file
    for address in (idle, gone):
        api.fault(address, "ignores_writes")
    going = api("POST", f"/api/miners/{api.ids[gone]}/pause", 202)
    wait_for(api.writes, "the write")
    api.fault(gone, "vanish")
    idling = api("POST", f"/api/miners/{api.ids[idle]}/tuning", 202, json={"frequency": 550e6})

    # A command that the firmware lacks, and a value outside of the device's own range.
    told = api("POST", f"/api/miners/{api.ids[old]}/pause", 409).json()["error"]
    assert "2.14" in told
    assert "it offers" not in told
    told = api("POST", f"/api/miners/{api.ids[old]}/mode", 409, json={"mode": "eco"}).json()["error"]
    offered = told.split("it offers")[1]
    assert "restart" in offered
    assert "pause" not in offered
    told = api("POST", f"/api/miners/{api.ids[old]}/fan", 422, json={"duty": 1.5}).json()
    assert told["field"] == "duty"

    # Says yes and changes nothing; goes away midway.
    assert api.ended(idling.headers["Location"])["state"] == "unconfirmed"
    done = api.ended(going.headers["Location"])
    assert done["state"] == "failed"
    assert "did not answer again within 30 s" in done["words"]
    assert sorted(address for address, _ in api.writes()) == sorted([idle, gone])

    # One that is gone is not written to, and nothing is noted as sent.
    told = api("POST", f"/api/miners/{api.ids[gone]}/pause", 503).json()["error"]
    assert "does not answer" in told
    assert len(api("GET", "/api/audit").json()) == 2


def test_a_wrong_password_is_tried_once_and_no_command_tries_it_again(flock, tmp_path):
    (tmp_path / "passwords.yml").write_text('- {driver: vnish, password: "wrong"}\n')
    (tmp_path / "passwords.yml").chmod(0o600)
    api = flock(
        {"kind": "vnish", "model": "s21-1.3.4"},
        count=1,
        environment={"FLOCKWATCH_CREDENTIALS_FILE": str(tmp_path / "passwords.yml")},
    )
    ((address, miner_id),) = api.ids.items()

    def tries():
        return api.simulator.truth()[address]["failed_unlocks"]

    wait_for(lambda: tries() == 1, "the one try")
    for _ in range(3):
        done = api("POST", f"/api/miners/{miner_id}/restart?wait=true").json()
        assert done["state"] == "refused"
        assert "password" in done["words"]
    assert tries() == 1
    assert api.writes() == []


SOME_ORDERS = (
    ("restart", {}),
    ("pool", {"url": "stratum+tcp://pool.example:3333", "user": "u"}),
    ("mode", {"mode": "eco"}),
    ("tuning", {"frequency": 5e8}),
    ("fan", {"duty": None}),
)


def test_where_control_is_off_the_whole_program_sends_no_write(flock):
    api = flock(
        {"kind": "bitaxe", "model": "gamma-2.15", "count": 2}, {"kind": "nerdqaxe"}, {"kind": "avalon", "model": "q"},
        count=4, more="control: {enabled: false}",
    )  # fmt: skip
    for miner_id in api.ids.values():
        for name, body in SOME_ORDERS:
            assert "control.enabled" in api("POST", f"/api/miners/{miner_id}/{name}", 403, json=body).json()["error"]
        offers = api("GET", f"/api/miners/{miner_id}/commands-offered").json()
        assert (offers["enabled"], offers["commands"]) == (False, [])
    for name in ("restart", "pause", "resume"):
        api("POST", f"/api/bulk/{name}", 403, json={"all": True})
    polls = api.program.page().value("miner_exporter_polls_total", driver="bitaxe")
    api.program.until(lambda page: page.value("miner_exporter_polls_total", driver="bitaxe") > polls + 3, "more polls")
    assert api.writes() == []
    assert api("GET", "/api/audit").json() == []
