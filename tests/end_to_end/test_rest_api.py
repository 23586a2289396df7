"""The REST API of the running program over the simulated flock: what was acknowledged is on disk, answers are as the
document says."""

import signal

import httpx
import pytest
import schemathesis

from tests.end_to_end.programs import Program, Simulator, wait_for

pytestmark = pytest.mark.timeout(180)

ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
READS_OF_A_MINER = (
    "get_miner", "miner_details", "miner_info", "miner_configs", "miner_history", "miner_exchanges", "miner_commands",
    "list_statuses", "offered_commands",
)  # fmt: skip
READS = (
    "list_miners", "list_scans", "list_devices", "list_models", "list_wallets", "list_pools", "list_shares",
    "export_shares", "health", "get_settings", "diagnostics", "miner_types", "list_credentials", "list_tokens",
    "list_commands",
)  # fmt: skip


@pytest.fixture
def simulator():
    running = Simulator(count=6)
    yield running
    running.stop()


@pytest.fixture
def program(tmp_path, simulator):
    running = Program(tmp_path, simulator, status=2, telemetry=2, discovery=3600)
    yield running.start()
    running.stop()


class Api:
    """Calls of the API that must succeed with `status`."""

    def __init__(self, program):
        self._base = program.ui

    def __call__(self, method, path, status=200, **more):
        answer = httpx.request(method, self._base + path, timeout=60, **more)
        assert answer.status_code == status, answer.text
        return answer

    def miners(self):
        return self("GET", "/api/miners?include_disabled=true").json()


def live_miners(api, number):
    """The list, once `number` miners are online and have told a hash rate."""

    def check():
        listed = api.miners()
        return sum(each["hashrate"] is not None for each in listed) >= number and listed

    return wait_for(check, f"{number} miners with a hash rate", 60)


def killed_and_started(program):
    """The program after a power cut."""
    program.stop(signal.SIGKILL)
    program.start()
    return Api(program)


def test_every_answer_about_real_miners_is_as_described(program, simulator):
    api = Api(program)
    listed = live_miners(api, len(simulator.devices))
    schema = schemathesis.openapi.from_url(f"{program.ui}/api/openapi.json")
    by_id = {result.ok().definition.raw["operationId"]: result.ok() for result in schema.get_all_operations()}
    for name in READS:
        assert by_id[name].Case(method="GET").call_and_validate().status_code == 200, name
    for miner in listed:
        for name in READS_OF_A_MINER:
            case = by_id[name].Case(method="GET", path_parameters={"miner_id": miner["id"]})
            assert case.call_and_validate().status_code == 200, (name, miner)
    addresses = {device["address"]: device for device in simulator.devices}
    for miner in listed:
        assert miner["mac_address"] == addresses[miner["ip_address"]]["mac"]


def test_a_scan_tells_how_far_it_is_and_what_it_found(program, simulator):
    api = Api(program)
    live_miners(api, len(simulator.devices))
    begun = api("POST", f"/api/miners/scan?network_cidr={simulator.base}.0/28", 202)

    def ended():
        scan = api("GET", begun.headers["Location"]).json()
        return scan["state"] in ("finished", "failed") and scan

    scan = wait_for(ended, "the scan to end", 60)
    assert scan["state"] == "finished", scan
    assert scan["networks"] == [f"{simulator.base}.0/28"]
    assert scan["tried"] == scan["addresses"] > 0
    assert scan["found"] == len(scan["miners"]) > 0
    assert scan["new"] == 0
    for network in ("8.8.8.0/24", "nonsense"):
        refused = api("POST", f"/api/miners/scan?network_cidr={network}", 422)
        assert refused.json()["field"] == "network_cidr"


def test_what_was_acknowledged_survives_a_power_cut(program, simulator):
    api = Api(program)
    first, second, third, *_ = live_miners(api, len(simulator.devices))
    changes = {"name": "shed", "currency": "BTC", "labels": {"rack": "r7"}, "location_notes": "behind the door"}
    changed = api("PATCH", f"/api/miners/{first['id']}", json=changes).json()
    assert (changed["name"], changed["labels"]["rack"]) == ("shed", "r7")
    api("PATCH", f"/api/miners/{second['id']}", json={"enabled": False})
    wallet = api("POST", "/api/wallets", 201, json={"name": "Savings", "address": ADDRESS, "currency": "BTC"}).json()
    linked = api("POST", f"/api/miners/{first['id']}/link-wallet?wallet_id={wallet['id']}").json()
    assert {config["wallet_id"] for config in linked if config["active"]} == {wallet["id"]}
    body = {"pool_name": "Solo CKPool", "difficulty": 512.5, "worker_name": "shed"}
    share = api("POST", f"/api/wallet/{wallet['id']}/shares", 201, json=body).json()
    token = api("POST", "/api/tokens", 201, json={"name": "Grafana"}).json()
    entry = {"driver": "vnish", "password": "hunter2-of-the-hall"}
    api("PUT", "/api/settings/credentials", json={"credentials": [entry]})
    api("DELETE", f"/api/miners/{third['id']}", 204)

    api = killed_and_started(program)
    kept = api("GET", f"/api/miners/{first['id']}").json()
    assert {name: kept[name] for name in ("name", "currency", "location_notes")} == {
        "name": "shed",
        "currency": "BTC",
        "location_notes": "behind the door",
    }
    assert kept["labels"]["rack"] == "r7"
    assert kept["wallet_ids"] == [wallet["id"]]
    assert api("GET", f"/api/miners/{second['id']}").json()["enabled"] is False
    assert second["id"] not in {miner["id"] for miner in api("GET", "/api/miners").json()}
    api("GET", f"/api/miners/{third['id']}", 404)
    assert api("GET", f"/api/wallets/{wallet['id']}").json()["address"] == ADDRESS
    assert api("GET", f"/api/wallets/{wallet['id']}/shares").json() == [share]
    assert [one["id"] for one in api("GET", "/api/tokens").json()] == [token["id"]]
    credentials = api("GET", "/api/settings/credentials")
    assert [one["driver"] for one in credentials.json()["credentials"]] == ["vnish"]
    for text in (credentials.text, program.log(), program.page().text):
        assert "hunter2-of-the-hall" not in text
        assert token["token"] not in text


def test_adding_and_refusing_by_address(program, simulator):
    api = Api(program)
    listed = live_miners(api, len(simulator.devices))
    body = {"ip_address": f"{simulator.base}.250", "miner_type": "bitaxe", "name": "not yet there"}
    made = api("POST", "/api/miners", 201, json=body)
    assert (made.json()["name"], made.json()["status"], made.json()["provisional"]) == (
        "not yet there",
        "offline",
        True,
    )
    assert made.json()["auto_discovered"] is False
    for refused, status, field in (
        (body | {"name": "again"}, 409, "ip_address"),
        ({"ip_address": f"{simulator.base}.251", "miner_type": "bitaxe", "name": "Not Yet There"}, 409, "name"),
        ({"ip_address": f"{simulator.base}.252"}, 422, "ip_address"),
        ({"ip_address": "8.8.8.8", "miner_type": "bitaxe"}, 422, "ip_address"),
        ({"ip_address": f"{simulator.base}.253", "miner_type": "nerdminer"}, 422, "miner_type"),
    ):
        assert api("POST", "/api/miners", status, json=refused).json()["field"] == field, refused
    assert len(api.miners()) == len(listed) + 1

    api = killed_and_started(program)
    assert api("GET", made.headers["Location"]).json()["name"] == "not yet there"


def test_an_unmanaged_miner_is_listed_without_figures_and_a_muted_one_says_until_when(program, simulator):
    api = Api(program)
    first, second, *_ = live_miners(api, len(simulator.devices))
    assert api("PATCH", f"/api/miners/{first['id']}", json={"managed": False}).json()["hashrate"] is None
    api("GET", f"/api/miners/{first['id']}/info", 503)
    until = program.now() + 3600
    assert api("PATCH", f"/api/miners/{second['id']}", json={"muted_until": until}).json()["muted_until"] == until
    assert api("PATCH", f"/api/miners/{second['id']}", json={"muted_until": None}).json()["muted_until"] is None
    assert api("PATCH", f"/api/miners/{second['id']}", 422, json={"muted_until": 5}).json()["field"] == "muted_until"


def test_names_are_unique_and_unknown_ids_are_404(program, simulator):
    api = Api(program)
    first, second, *_ = live_miners(api, len(simulator.devices))
    api("PATCH", f"/api/miners/{first['id']}", json={"name": "shed"})
    assert api("PATCH", f"/api/miners/{second['id']}", 409, json={"name": "SHED"}).json()["field"] == "name"
    for method, path in (
        ("GET", "/api/miners/99999"),
        ("PATCH", "/api/miners/99999"),
        ("DELETE", "/api/miners/99999"),
        ("POST", "/api/miners/99999/rescan"),
        ("POST", "/api/miner/99999/get_config"),
        ("POST", "/api/miners/99999/link-wallet"),
        ("GET", "/api/miners/99999/exchanges"),
        ("GET", "/api/wallets/99999"),
        ("DELETE", "/api/wallets/99999"),
        ("POST", "/api/wallets/99999/refresh"),
        ("DELETE", "/api/unconfigured-devices/99999"),
        ("POST", "/api/unconfigured-devices/99999/capture"),
        ("DELETE", "/api/tokens/99999"),
        ("GET", "/api/miners/scan/99999"),
    ):
        answer = api(method, path, 404, json={} if method == "PATCH" else None)
        assert answer.json()["error"]


def test_a_rescan_and_the_exchanges_show_what_a_device_said(program, simulator):
    api = Api(program)
    first, *_ = live_miners(api, len(simulator.devices))
    assert api("POST", f"/api/miners/{first['id']}/rescan").json() == {"id": first["id"], "answered": True}
    exchanges = api("GET", f"/api/miners/{first['id']}/exchanges").json()
    assert exchanges
    assert all(one["request"] and (one["body"] is not None or one["error"]) for one in exchanges)
