"""The running program against its own document: all that can be read, and what writing answers, good and bad.

Tests of single operations use an engine in memory; here it shows where that one and the real one differ.
"""

import json
import re

import bcrypt
import httpx
import pytest
import schemathesis

from tests.end_to_end.programs import Program, Simulator, wait_for

pytestmark = pytest.mark.timeout(180)

ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
POOL = "127.0.0.1:1"
#: What is refused here is refused on purpose.
CONFIG = schemathesis.config.SchemathesisConfig.from_dict(
    {"checks": {"positive_data_acceptance": {"enabled": False}, "not_a_server_error": {"enabled": True}}}
)


class Operations:
    """The operations of the document by their names; calls are validated."""

    def __init__(self, program):
        schema = schemathesis.openapi.from_url(f"{program.ui}/api/openapi.json", config=CONFIG)
        found = [result.ok() for result in schema.get_all_operations()]
        self.by_name = {one.definition.raw["operationId"]: one for one in found}
        self.called = set()

    def reads(self):
        return {name: one for name, one in self.by_name.items() if one.method == "get"}

    def __call__(self, called, /, status=200, body=None, query=None, **path):
        operation = self.by_name[called]
        given = {} if body is None else {"body": body, "media_type": "application/json"}
        case = operation.Case(method=operation.method.upper(), path_parameters=path, query=query or {}, **given)
        answer = case.call_and_validate()
        assert answer.status_code == status, (called, path, query, answer.text)
        self.called.add(called)
        return answer

    def ended(self, called, /, states, **path):
        """Ask until `state` is one of `states`."""

        def check():
            document = self(called, **path).json()
            return document["state"] in states and document

        return wait_for(check, f"{called} to be {states}", 60)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    simulator = Simulator(count=6)
    running = Program(tmp_path_factory.mktemp("document"), simulator, status=2, telemetry=2, discovery=3600).start()
    yield running
    running.stop()
    simulator.stop()


@pytest.fixture(scope="module")
def call(program):
    return Operations(program)


@pytest.fixture(scope="module")
def miners(program, call):
    """The miners, once all of them have told a hash rate."""

    def check():
        listed = call("list_miners").json()
        return sum(one["hashrate"] is not None for one in listed) == len(program.simulator.devices) and listed

    return wait_for(check, "miners with a hash rate", 60)


def test_writes_answer_as_described(program, call, miners):
    first, second, third = (one["id"] for one in miners[:3])
    name = {"name": "shed", "currency": "btc", "labels": {"rack": "4"}, "location_notes": "behind the door"}
    assert call("change_miner", miner_id=first, body=name).json()["currency"] == "BTC"
    unnamed = next(one for one in call("list_miners").json() if one["id"] == second)["name"]
    call("change_miner", 409, miner_id=first, body={"name": unnamed})
    call("change_miner", 422, miner_id=first, body={"currency": "EUR"})
    call("change_miner", 404, miner_id=99999, body={})
    assert call("rescan_miner", miner_id=first).json() == {"id": first, "answered": True}

    added = {"ip_address": f"{program.simulator.base}.250", "miner_type": "bitaxe", "name": "not yet there"}
    made = call("add_miner", 201, body=added).json()
    again = call("add_miner", 409, body=added | {"name": "again"}).json()
    assert "not yet there" in again["error"]
    call("add_miner", 422, body={"ip_address": "169.254.169.254"})
    call("forget_miner", 204, miner_id=made["id"])

    wallet = {"name": "Savings", "address": ADDRESS, "currency": "btc", "pool": POOL}
    wallet_id = call("add_wallet", 201, body=wallet).json()["id"]
    call("add_wallet", 409, body=wallet)
    call("add_wallet", 422, body=wallet | {"address": ADDRESS[:-1]})
    call("change_wallet", wallet_id=wallet_id, body={"name": "Long-term savings"})
    call("refresh_wallet", wallet_id=wallet_id)
    linked = call("link_wallet", miner_id=first, query={"wallet_id": wallet_id}).json()
    assert {one["wallet_id"] for one in linked if one["active"]} == {wallet_id}
    call("link_wallet", 404, miner_id=first, query={"wallet_id": 99999})
    share = {"pool_name": "Solo CKPool", "difficulty": 12.5, "worker_name": "shed", "miner_id": first}
    for suffix in ("", "_by_plural"):
        call(f"add_wallet_share{suffix}", 201, wallet_id=wallet_id, body=share)
    refused = call("add_wallet_share", 422, wallet_id=wallet_id, body=share | {"pool_name": "\t"}).json()
    assert refused["error"].startswith("pool_name: ")

    token = call("add_token", 201, body={"name": "Grafana", "scope": "read"}).json()
    call("add_token", 409, body={"name": "Grafana"})
    call("add_token", 201, body={"name": "kept"})
    call("revoke_token", 204, token_id=token["id"])
    entry = {"driver": "vnish", "cidr": "10.1.0.0/22", "password": "hunter2-of-the-hall"}
    assert "hunter2" not in call("put_credentials", body={"credentials": [entry]}).text
    call("put_credentials", 409, body={"credentials": [], "version": 12345})
    call("put_credentials", 422, body={"credentials": [entry | {"driver": "nobody"}]})

    scan = call("start_scan", 202, query={"network_cidr": f"{program.simulator.base}.0/29"}).json()
    assert call.ended("get_scan", ("finished", "failed"), scan_id=scan["scan_id"])["state"] == "finished"
    for network in ("8.8.8.0/24", "169.254.169.254/32"):
        assert call("start_scan", 422, query={"network_cidr": network}).json()["field"] == "network_cidr"
    order = {"miners": [second, third], "dry_run": True}
    bulk = call("bulk_restart", 202, body=order).json()
    call.ended("get_bulk", ("finished", "cancelled"), bulk_id=bulk["id"])
    call("bulk_restart", 422, body={"miners": [second], "all": True})
    call("change_model", 404, alias="nobody", body={"max_preset": None})
    call("get_config", 403, miner_id=first)
    call("dismiss_device", 404, device_id=1)
    call("open_port", 404, body={"dev_path": "/dev/ttyUSB77"})
    call("reload_settings", 204)
    call("reload_drivers")
    assert call("update_all_drivers").json() == []
    call("roll_back_driver", 404, name="nobody")


def test_every_read_answers_as_described(program, call, miners):
    """Also those that are new: each kind of id has to be known here."""
    wallet_id = call("list_wallets").json() or [
        call("add_wallet", 201, body={"name": "W", "address": ADDRESS, "currency": "BTC"}).json()
    ]
    ids = {"miner_id": [one["id"] for one in miners], "wallet_id": [wallet_id[0]["id"]]}
    ids["scan_id"] = [
        call("start_scan", 202, query={"network_cidr": f"{program.simulator.base}.0/30"}).json()["scan_id"]
    ]
    first = miners[0]["id"]
    ids["command_id"] = [_a_command(call, miners)["id"]]
    ids["bulk_id"] = [call("bulk_pause", 202, body={"miners": [first], "dry_run": True}).json()["id"]]
    lists = 0
    for name, operation in call.reads().items():
        places = re.findall(r"{(\w+)}", operation.path)
        assert len(places) <= 1, operation.path
        for values in [{places[0]: number} for number in ids[places[0]]] if places else [{}]:
            answer = call(name, **values)
            if "x-total-count" in answer.headers and name != "miner_history":
                lists += 1
                total = int(answer.headers["x-total-count"][0])
                assert total >= len(answer.json())
                assert len(call(name, query={"limit": 1, "offset": 0}, **values).json()) == min(1, total)
        if places:
            call(name, 404, **{places[0]: 2**40})
    assert call.reads().keys() <= call.called
    assert lists > 20


def _a_command(call, miners):
    """A command that was sent to a miner; one that leaves it mining, so that all go on to answer."""
    for miner in miners:
        offered = {one["command"] for one in call("offered_commands", miner_id=miner["id"]).json()["commands"]}
        if "identify" in offered:
            return call("identify_miner", 202, miner_id=miner["id"], body={"on": True}).json()
    raise AssertionError("no miner has a light")


def test_the_settings_tell_where_the_program_really_listens(program, call):
    shown = call("get_settings").json()
    assert f"http://{shown['settings']['http']['addr']}" == program.ui
    assert f"http://{shown['settings']['metrics']['addr']}" == program.metrics
    assert shown["command_line"] == ["http.addr", "metrics.addr"]
    page = httpx.get(f"{program.ui}/settings/", timeout=20).text
    assert program.ui.removeprefix("http://") in page
    assert page.count("<small>command line</small>") == 2
    assert "127.0.0.1:8080" not in page


def test_tokens_open_the_api_beside_users_of_the_web_configuration(tmp_path, program):
    hashed = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    file = tmp_path / "web.yml"
    file.write_text(json.dumps({"basic_auth_users": {"prom": hashed}}))
    guarded = Program(tmp_path, program.simulator, udp_port=0)
    guarded.arguments = ["--web.config.file", file]
    guarded.start()
    try:
        with httpx.Client(base_url=guarded.ui, timeout=20) as client:
            user = {"auth": ("prom", "open sesame")}
            made = client.post("/api/tokens", json={"name": "Grafana", "scope": "read"}, **user)
            assert made.status_code == 201
            bearer = {"headers": {"Authorization": f"Bearer {made.json()['token']}"}}
            assert client.get("/api/miners", **bearer).status_code == 200
            assert client.post("/api/miners/scan", **bearer).status_code == 403
            for path in ("/", "/settings/access"):
                assert client.get(path, **user).status_code == 200
                assert client.get(path, **bearer).status_code == 401
            assert client.delete(f"/api/tokens/{made.json()['id']}", **user).status_code == 204
            assert client.get("/api/miners", **bearer).status_code == 401
    finally:
        guarded.stop()
