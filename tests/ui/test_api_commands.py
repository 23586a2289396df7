"""The API of commands: what each operation orders, what is refused, how it is told."""

import dataclasses
import json

import pytest

from exporter.engine.api.commands import (
    BULK_RESULT_STATES,
    BULK_STATES,
    Identify,
    Pause,
    Restart,
    Resume,
    SetFan,
    SetMode,
    SetPool,
    SetPreset,
    SetTuning,
)
from exporter.errors import StoreError, TakenError
from exporter.store.secret import Secret
from onboarding_ui.auth.tokens import new_token
from tests.ui.api_tools import client_of
from tests.ui.fake_commands import CONTROL_OFF, interrupted
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import large_flock

POOL = {"url": "stratum+tcp://solo.ckpool.org:3333", "user": "bc1qexample.garage", "password": "hunter2-pool"}


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def api(engine):
    return client_of(engine)


def error_of(answer, status):
    assert answer.status_code == status, answer.text
    assert set(answer.json) == {"error", "field"}
    return answer.json


@pytest.mark.parametrize(
    ("miner_id", "name", "body", "order"),
    [
        (1, "restart", None, Restart()),
        (1, "pause", None, Pause()),
        (1, "resume", None, Resume()),
        (1, "identify", {"on": False}, Identify(False)),
        (5, "mode", {"mode": "eco"}, SetMode("eco")),
        (3, "preset", {"preset": "2600", "confirm_modified_psu": True}, SetPreset("2600", True)),
        (1, "tuning", {"frequency": 490e6}, SetTuning(490e6)),
        (1, "tuning", {"frequency": 490000000, "core_voltage": 1.1}, SetTuning(490e6, 1.1)),
        (1, "pool", {**POOL, "slot": 1}, SetPool(POOL["url"], POOL["user"], Secret("hunter2-pool"), 1)),
        (1, "pool", {"url": POOL["url"], "user": "u"}, SetPool(POOL["url"], "u", Secret("x"), 0)),
        (1, "fan", {"duty": 0.5}, SetFan(0.5)),
        (1, "fan", {"duty": None}, SetFan(None)),
    ],
)
def test_each_operation_gives_its_order(engine, api, miner_id, name, body, order):
    answer = api.post(f"/api/miners/{miner_id}/{name}", json=body) if body else api.post(f"/api/miners/1/{name}")
    assert answer.status_code == 202, answer.text
    assert engine.commands.orders == [(miner_id, order)]
    run = answer.json
    assert (run["state"], run["command"], run["miner_id"]) == ("running", name, miner_id)
    assert run["effect"].endswith(".")
    assert answer.headers["Location"] == f"/api/commands/{run['id']}"
    api.get(answer.headers["Location"])
    assert api.get(answer.headers["Location"]).json["state"] == "confirmed"


def test_who_waits_is_told_the_end(engine, api):
    answer = api.post("/api/miners/1/restart?wait=true")
    assert (answer.status_code, answer.json["state"]) == (200, "confirmed")
    engine.commands.outcomes[1] = ("refused", "not while tuning")
    answer = api.post("/api/miners/1/restart?wait=1")
    assert (answer.status_code, answer.json["state"], answer.json["words"]) == (200, "refused", "not while tuning")
    engine.commands.wait = lambda number, seconds: engine.commands._runs[number]
    assert api.post("/api/miners/1/restart?wait=true").status_code == 202  # it lasts longer than anybody waits
    error_of(api.post("/api/miners/1/restart?wait=perhaps"), 400)


def test_few_requests_wait_so_that_threads_are_left(engine, api):
    waited = []

    def wait(number, seconds):
        waited.append(number)
        if len(waited) <= 3:
            assert api.post(f"/api/miners/{len(waited) + 1}/restart?wait=true").status_code == 202
        return engine.commands._runs[number]

    engine.commands.wait = wait
    for miner_id in (2, 3, 4):
        engine.change(miner_id, up=True, driver="bitaxe")
    assert api.post("/api/miners/1/restart?wait=true").status_code == 202
    assert len(waited) == 3


@pytest.mark.parametrize(
    ("miner_id", "name", "body", "status", "field"),
    [
        (99, "restart", None, 404, None),
        (1, "mode", {"mode": "eco"}, 409, None),
        (9, "restart", None, 409, None),
        (4, "restart", None, 503, None),  # does not answer
        (13, "restart", None, 403, None),  # only listed
        (5, "mode", {"mode": "warp"}, 422, "mode"),
        (3, "preset", {"preset": "4200"}, 422, "preset"),
        (1, "tuning", {"frequency": 700e6}, 422, "frequency"),
        (1, "tuning", {}, 422, "frequency"),
        (1, "tuning", {"core_voltage": "1.1"}, 422, "core_voltage"),
        (1, "tuning", {"voltage": 1100}, 422, "voltage"),
        (1, "pool", {**POOL, "slot": 9}, 422, "slot"),
        (1, "pool", {**POOL, "url": "http://pool.example"}, 422, "url"),
        (1, "pool", {"url": POOL["url"]}, 422, "user"),
        (1, "fan", {"duty": 1.5}, 422, "duty"),
        (1, "fan", {}, 422, "duty"),
        (1, "identify", {"on": "yes"}, 422, "on"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(engine, api, miner_id, name, body, status, field):
    answer = api.post(f"/api/miners/{miner_id}/{name}", **({} if body is None else {"json": body}))
    assert error_of(answer, status)["field"] == field
    assert engine.commands.orders == []


def test_what_is_not_offered_says_what_is(api):
    told = error_of(api.post("/api/miners/1/mode", json={"mode": "eco"}), 409)["error"]
    assert "restart, pause, resume, identify, tuning, pool, fan" in told


def test_one_at_a_time(engine, api):
    api.post("/api/miners/1/restart")
    assert "another command" in error_of(api.post("/api/miners/1/restart"), 409)["error"]


@pytest.mark.parametrize("fault", [StoreError("the disk is full"), TakenError("busy")])
def test_faults_of_the_engine(engine, api, fault):
    engine.fault = fault
    error_of(api.post("/api/miners/1/restart"), 503 if isinstance(fault, StoreError) else 409)


def test_what_a_miner_offers(api):
    told = api.get("/api/miners/3/commands-offered").json
    assert (told["enabled"], told["reason"]) == (True, None)
    preset = next(one for one in told["commands"] if one["command"] == "preset")
    assert preset["choices"][0] == {"value": "2600", "reason": None}
    assert "ceiling" in preset["choices"][1]["reason"]
    tuning = next(
        one for one in api.get("/api/miners/1/commands-offered").json["commands"] if one["command"] == "tuning"
    )
    assert tuning["ranges"][1] == {
        "name": "core_voltage", "unit": "V", "least": 1.0, "most": 1.25, "choices": [], "current": 1.15,
    }  # fmt: skip
    silent = api.get("/api/miners/4/commands-offered").json
    assert (silent["commands"], silent["reason"]) == ([], "the miner does not answer now")
    error_of(api.get("/api/miners/99/commands-offered"), 404)


def test_where_control_is_off_nothing_is_offered_and_every_write_is_refused(engine, api):
    engine.commands.control = False
    assert api.get("/api/miners/1/commands-offered").json == {"enabled": False, "commands": [], "reason": CONTROL_OFF}
    for name, body in (("restart", None), ("tuning", {"frequency": 490e6}), ("pool", POOL), ("fan", {"duty": None})):
        answer = api.post(f"/api/miners/1/{name}", **({} if body is None else {"json": body}))
        assert error_of(answer, 403)["error"] == CONTROL_OFF
    for name, body in (("restart", {}), ("pause", {}), ("resume", {}), ("pool", POOL), ("mode", {"mode": "eco"})):
        assert error_of(api.post(f"/api/bulk/{name}", json={"all": True, **body}), 403)["error"] == CONTROL_OFF
    assert engine.commands.orders == []
    assert api.get("/api/audit").status_code == 200


def test_the_log_is_told_newest_first_by_miner_and_by_page(api):
    api.post("/api/miners/1/restart")
    every = api.get("/api/audit")
    assert [run["id"] for run in every.json] == [3, 2, 1]
    assert every.headers["X-Total-Count"] == "3"
    assert [run["id"] for run in api.get("/api/audit?miner_id=1").json] == [3, 1]
    page = api.get("/api/audit?limit=1&offset=1")
    assert ([run["id"] for run in page.json], page.headers["X-Total-Count"]) == ([2], "3")
    refused = every.json[1]
    assert (refused["who"], refused["state"], refused["bulk_id"]) == ('token "night shift"', "refused", 1)
    error_of(api.get("/api/commands/99"), 404)
    error_of(api.get("/api/audit?limit=0"), 400)


def test_no_password_comes_back(engine, api):
    one = api.post("/api/miners/1/pool", json=POOL).text
    many = api.post("/api/bulk/pool", json={"miners": [2], **POOL})
    told = one + many.text + api.get("/api/audit").text + api.get(many.headers["Location"]).text
    assert engine.commands.orders[0][1].password == Secret("hunter2-pool")
    assert "hunter2" not in told + repr(engine.commands.orders)


def test_the_log_names_who_asked(engine):
    full, full_hash = new_token()
    read, read_hash = new_token()
    engine.access.add_token("night shift", full_hash, "full")
    engine.access.add_token("grafana", read_hash, "read")
    api = client_of(engine)
    assert api.post("/api/miners/1/restart").json["who"] == "a program or browser on this host"
    answer = api.post("/api/miners/2/restart", headers={"Authorization": f"Bearer {full}"})
    assert answer.json["who"] == 'token "night shift"'
    reader = {"Authorization": f"Bearer {read}"}
    error_of(api.post("/api/miners/3/restart", headers=reader), 403)
    error_of(api.post("/api/bulk/restart", json={"all": True}, headers=reader), 403)
    assert [miner_id for miner_id, _ in engine.commands.orders] == [1, 2]
    assert api.get("/api/audit", headers=reader).status_code == 200


# --- many ---------------------------------------------------------------------------------------------------------


def chosen(answer):
    assert answer.status_code == 202, answer.text
    return [result["miner_id"] for result in answer.json["results"]]


def test_a_command_to_many_tells_of_each(engine, api):
    answer = api.post("/api/bulk/restart", json={"miners": [1, 9, 4, 13, 99]})
    assert chosen(answer) == [1, 9, 4, 13, 99]
    assert (answer.json["miners"], answer.json["state"], answer.json["command"]) == (5, "running", "restart")
    place = answer.headers["Location"]
    done = api.get(place).json
    assert [result["state"] for result in done["results"]] == [
        "confirmed", "not offered", "failed", "not allowed", "failed",
    ]  # fmt: skip
    assert done["counts"] == {"confirmed": 1, "not offered": 1, "failed": 2, "not allowed": 1}
    assert done["state"] == "finished"
    assert [result["miner_id"] for result in api.get(f"{place}?results=problems").json["results"]] == [9, 4, 13, 99]
    short = api.get(f"{place}?results=none").json
    assert (short["results"], short["counts"]) == ([], done["counts"])
    assert api.get(f"/api/commands/{done['results'][0]['command_id']}").json["bulk_id"] == done["id"]
    error_of(api.get(f"{place}?results=some"), 400)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"miners": [2, 1, 2]}, [2, 1]),
        ({"filter": {"driver": "nerdqaxe"}}, [2]),
        ({"filter": {"q": "GARAGE"}}, [1]),
        ({"filter": {"label": ["site:hall-1", "group:old"]}}, [3]),
        ({"filter": {"driver": "cgminer", "include_disabled": True}}, [7, 14, 17]),
        ({"filter": {"status": "online", "driver": "avalon"}}, [6, 18]),
        ({"filter": {"managed": False}}, [13]),
    ],
)
def test_a_list_or_a_filter_says_to_whom(api, wanted, expected):
    assert chosen(api.post("/api/bulk/restart", json={**wanted, "dry_run": True})) == expected


def test_all_are_those_that_are_managed(engine, api):
    everybody = chosen(api.post("/api/bulk/restart", json={"all": True, "dry_run": True}))
    assert everybody == [number for number, one in sorted(engine.records.items()) if one.managed and one.enabled]
    assert engine.commands.orders == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "miners"),
        ({"miners": [1], "all": True}, "miners"),
        ({"miners": []}, "miners"),
        ({"miners": ["1"]}, "miners.0"),
        ({"all": False}, "all"),
        ({"filter": {"driver": "toaster"}}, "filter"),
        ({"filter": {"dirver": "bitaxe"}}, "filter.dirver"),
        ({"filter": {}}, "filter"),
        ({"filter": {"enabled_only": True, "include_disabled": True}}, "filter"),
        ({"filter": {"q": " ", "label": [], "driver": None}}, "filter"),
        ({"all": True, "parallel": 0}, "parallel"),
        ({"all": True, "parallel": 101}, "parallel"),
        ({"all": True, "stagger_seconds": -1}, "stagger_seconds"),
        ({"all": True, "dry_run": "no"}, "dry_run"),
    ],
)
def test_a_bad_choice_is_refused_by_field(engine, api, body, field):
    assert error_of(api.post("/api/bulk/restart", json=body), 422)["field"] == field
    assert engine.commands.orders == []


def test_a_filter_without_a_criterion_says_how_everybody_is_told(api):
    told = error_of(api.post("/api/bulk/restart", json={"filter": {}}), 422)["error"]
    assert '"all": true' in told
    assert "driver" in told


def test_an_address_that_is_no_pools_is_refused_before_any_miner_is_looked_at(engine, api):
    pool = {**POOL, "url": "stratum+tcp://me:SECRETPW@pool.example:3333"}
    answer = api.post("/api/bulk/pool", json={"all": True, "dry_run": True, **pool})
    assert error_of(answer, 422)["field"] == "url"
    assert "SECRETPW" not in answer.text
    assert engine.commands.orders == []


def test_what_an_end_of_the_program_cut_off_is_told(engine, api, monkeypatch):
    monkeypatch.setattr(engine.commands, "bulk", lambda _: interrupted())
    told = api.get("/api/bulk/7").json
    assert (told["state"], told["ended_at"], told["counts"]) == ("interrupted", None, {"confirmed": 1, "not sent": 1})
    assert [result["state"] for result in told["results"]] == ["confirmed", "not sent"]
    assert [result["miner_id"] for result in api.get("/api/bulk/7?results=problems").json["results"]] == [2]
    schemas = api.get("/api/openapi.json").json["components"]["schemas"]
    assert set(schemas["BulkAnswer"]["properties"]["state"]["enum"]) == set(BULK_STATES)
    listed = json.dumps(schemas["BulkResultAnswer"]["properties"]["state"])
    assert all(f'"{state}"' in listed for state in BULK_RESULT_STATES)


def test_restarts_are_staggered_unless_told_otherwise(engine, api):
    given = []
    begin = engine.commands.start_bulk

    def note(*arguments, **options):
        given.append((options["stagger_seconds"], options["parallel"]))
        return begin(*arguments, **options)

    engine.commands.start_bulk = note
    api.post("/api/bulk/restart", json={"miners": [1]})
    api.post("/api/bulk/restart", json={"miners": [2], "stagger_seconds": 0, "parallel": 50})
    api.post("/api/bulk/pause", json={"miners": [3]})
    assert given == [(2.0, 10), (0.0, 50), (0.0, 10)]


@pytest.mark.parametrize(
    ("name", "body", "order"),
    [
        ("pause", {}, Pause()),
        ("resume", {}, Resume()),
        ("mode", {"mode": "eco"}, SetMode("eco")),
        ("preset", {"preset": "2600"}, SetPreset("2600")),
        ("pool", POOL, SetPool(POOL["url"], POOL["user"], Secret(POOL["password"]))),
    ],
)
def test_each_command_to_many_gives_its_order(engine, api, name, body, order):
    answer = api.post(f"/api/bulk/{name}", json={"miners": [1, 3, 5], **body})
    assert answer.status_code == 202
    assert engine.commands.orders
    assert {given for _, given in engine.commands.orders} == {order}


def test_cancelling(engine, api):
    begun = api.post("/api/bulk/restart", json={"miners": [1, 2]})
    assert api.post(f"{begun.headers['Location']}/cancel").json["state"] == "cancelled"
    error_of(api.post("/api/bulk/99/cancel"), 404)
    error_of(api.get("/api/bulk/99"), 404)


def test_a_large_flock_fits_into_one_request():
    engine = FakeEngine(seeds=large_flock(5000))
    api = client_of(engine)
    answer = api.post("/api/bulk/restart", json={"miners": list(range(1, 5001)), "dry_run": True})
    assert len(chosen(answer)) == 5000
    assert dataclasses.asdict(engine.commands.bulk(2))["counts"] == {"would send": 5000}
