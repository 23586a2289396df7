"""What the API does with good and bad requests, operation by operation."""

import json
import math
import time

import pytest

from exporter.errors import ForbiddenError, StoreError, TakenError, UnavailableError, UsageError
from exporter.store.secret import Secret
from tests.ui.api_tools import application, client_of
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import BTC_ADDRESS, HOSTILE, large_flock, small_reading


@pytest.fixture(scope="module")
def served():
    app, engine = application()
    return app.test_client(), engine


@pytest.fixture
def engine(served):
    return served[1].renew()


@pytest.fixture
def api(served, engine):
    return served[0]


def error_of(answer, status):
    """The error form, checked, of an answer with `status`."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/json"
    assert set(answer.json) == {"error", "field"}
    assert answer.json["error"]
    return answer.json


# --- the list -----------------------------------------------------------------------------------------------------


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [miner["id"] for miner in answer.json]


def test_the_list_has_a_total_and_pages(api):
    answer = api.get("/api/miners?limit=3&offset=2")
    assert ids(answer) == [3, 4, 5]
    assert answer.headers["X-Total-Count"] == "19"
    assert ids(api.get("/api/miners?offset=1000")) == []


def test_a_miner_has_all_its_fields(api):
    miner = api.get("/api/miners/3").json
    assert miner["name"] == "vnish-3"
    assert miner["named"] is True
    assert miner["miner_type"] == "vnish"
    assert miner["mac_address"] == miner["miner"] == "02:00:00:00:00:03"
    assert miner["ip_address"] == "192.0.2.4"
    assert (miner["status"], miner["state"]) == ("online", "mining")
    assert miner["hashrate"] == 9.3e13
    assert miner["hashrate_expected"] == 1.0e14
    assert miner["temperature"] == 84.0
    assert miner["chips_bad"] == 3
    assert miner["currency"] == "BTC"
    assert miner["labels"] == {"group": "old", "rack": "r1", "site": "hall-1"}
    assert miner["wallet_ids"] == [1]
    assert miner["model_alias"] == "s19jpro"
    assert "usb" not in miner


def test_the_developers_shares_never_count(api):
    miner = api.get("/api/miners/3").json
    assert (miner["shares_accepted"], miner["shares_rejected"]) == (42_000.0, 212.0)
    assert miner["reject_ratio"] == pytest.approx(212 / 42_212)


def test_a_miner_on_usb_shows_how_far_it_is(api):
    usb = api.get("/api/miners/10").json["usb"]
    assert usb == {
        "status": "Initializing",
        "state": "CONNECTED IP",
        "dev_path": "/dev/ttyACM3",
        "port_path": "1-1.3",
        "conditions": ["dns_failure"],
    }


def test_what_is_not_measured_now_is_null(api):
    for miner_id in (4, 11, 12, 13):
        miner = api.get(f"/api/miners/{miner_id}").json
        assert miner["status"] == "offline"
        for name in ("state", "hashrate", "temperature", "power", "shares_accepted", "reject_ratio", "chips_bad"):
            assert miner[name] is None


def test_an_expired_reading_is_not_shown(engine, api):
    engine.change(1, expires_at=time.monotonic() - 1)
    miner = api.get("/api/miners/1").json
    assert (miner["hashrate"], miner["status"]) == (None, "offline")
    error_of(api.get("/api/miners/1/info"), 503)
    assert api.get("/api/miners/1/details").json["reading"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("enabled_only=false", 20),
        ("include_disabled=true", 20),
        ("enabled_only=true", 19),
        ("status=offline", 7),
        ("state=starting", 1),
        ("driver=bitaxe", 5),
        ("managed=false", 1),
        ("label=site:hall-1", 2),
        ("label=site:hall-1&label=group:old", 1),
        ("label=site:nowhere", 0),
        ("q=02:00:00:00:00:03", 1),
        ("q=GARAGE", 1),
        ("q=nobody", 0),
    ],
)
def test_filters(api, query, expected):
    answer = api.get(f"/api/miners?{query}")
    assert len(ids(answer)) == expected
    assert answer.headers["X-Total-Count"] == str(expected)


def test_sorting_puts_what_is_unknown_last(api):
    rising = api.get("/api/miners?sort=hashrate").json
    falling = api.get("/api/miners?sort=-hashrate").json
    known = [miner["hashrate"] for miner in rising if miner["hashrate"] is not None]
    assert known == sorted(known)
    assert [miner["hashrate"] for miner in falling][: len(known)] == sorted(known, reverse=True)
    assert [miner["hashrate"] for miner in rising][len(known) :] == [None] * (19 - len(known))
    assert [miner["hashrate"] for miner in falling][len(known) :] == [None] * (19 - len(known))


@pytest.mark.parametrize(
    "reading",
    [
        small_reading(hashrate=math.nan, power=math.inf),
        small_reading(hashrate="fast", power=[]),
        small_reading(pools=None),
        small_reading(boards=(None,)),
        small_reading(state="mining"),
    ],
)
def test_a_drivers_nonsense_hurts_its_own_miner_only(engine, api, reading):
    engine.change(1, reading=reading)
    for query in ("", "?sort=-hashrate", "?sort=temperature", "?state=mining"):
        listed = api.get(f"/api/miners{query}")
        assert "NaN" not in listed.text
        assert "Infinity" not in listed.text
        figures = {miner["id"]: miner["hashrate"] for miner in listed.json}
        assert figures[3] == 9.3e13
        assert figures.get(1) is None or figures[1] == 1.07e12
    for end in ("info", "details"):
        answer = api.get(f"/api/miners/1/{end}")
        assert answer.status_code in (200, 503)
        json.loads(answer.text, parse_constant=pytest.fail)


def test_addresses_are_sorted_as_numbers(engine, api):
    engine.change(1, address="192.0.2.100")
    listed = [miner["ip_address"] for miner in api.get("/api/miners?sort=ip_address").json if miner["ip_address"]]
    assert listed[:3] == ["192.0.2.3", "192.0.2.4", "192.0.2.5"]
    assert listed[-1] == "192.0.2.100"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=x", "limit"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=5001", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("offset=1.5", "offset"),
        ("offset=%00", "offset"),
        ("status=sleeping", "status"),
        ("sort=colour", "sort"),
        ("label=hall-1", "label.0"),
        ("page=2", "page"),
    ],
)
def test_bad_queries_are_refused_with_the_name(api, query, field):
    assert error_of(api.get(f"/api/miners?{query}"), 400)["field"] == field


#: Every list that a person or a program may page through.
LISTS = (
    "/api/miners",
    "/api/miners/scan",
    "/api/miners/9/configs",
    "/api/miners/9/exchanges",
    "/api/miners/9/commands",
    "/api/statuses/9",
    "/api/unconfigured-devices",
    "/api/models",
    "/api/wallets",
    "/api/pools",
    "/api/shares",
    "/api/wallet/1/shares",
    "/api/tokens",
    "/api/miner-drivers",
    "/api/miner-drivers/check-updates",
    "/api/miner-types",
    "/api/diagnostics",
    "/api/audit",
)


def identity_of(entry):
    """An entry of a list without the figures that change from one look to the next."""
    return {key: value for key, value in entry.items() if key not in ("at", "statistics", "last_seen")}


@pytest.mark.parametrize("path", LISTS)
def test_every_list_has_a_true_total_and_parts(engine, api, path):
    engine.access.add_token("another", Secret("b" * 64), "read")
    whole = api.get(f"{path}?limit=1000")
    assert whole.status_code == 200, whole.text
    total = int(whole.headers["X-Total-Count"])
    assert total == len(whole.json) > 0
    first = api.get(f"{path}?limit=1")
    assert (len(first.json), first.headers["X-Total-Count"]) == (1, str(total))
    assert len(api.get(f"{path}?limit=1&offset={total - 1}").json) == 1
    behind = api.get(f"{path}?offset={total}")
    assert (behind.json, behind.headers["X-Total-Count"]) == ([], str(total))
    if path != "/api/statuses/9":  # which counts from its end
        assert identity_of(first.json[0]) == identity_of(whole.json[0])
        parts = [*first.json, *api.get(f"{path}?offset=1&limit=1000").json]
        assert list(map(identity_of, parts)) == list(map(identity_of, whole.json))
    for query, field in (("limit=0", "limit"), ("limit=x", "limit"), ("offset=-1", "offset"), ("page=2", "page")):
        assert error_of(api.get(f"{path}?{query}"), 400)["field"] == field


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/miners/1"),
        ("GET", "/api/miners/1/info"),
        ("GET", "/api/wallets/1"),
        ("GET", "/api/health"),
        ("GET", "/api/settings"),
        ("GET", "/api/settings/credentials"),
        ("GET", "/api/openapi.json"),
        ("POST", "/api/miners/1/rescan"),
        ("POST", "/api/wallets/1/refresh"),
        ("DELETE", "/api/miners/1"),
        ("PATCH", "/api/miners/1"),
        ("POST", "/api/miner-drivers/update-all"),
    ],
)
def test_what_takes_no_query_refuses_one(engine, api, method, path):
    answer = api.open(f"{path}?dry_run=true", method=method, json={} if method == "PATCH" else None)
    refused = error_of(answer, 400)
    assert (refused["field"], "dry_run: is not known here" in refused["error"]) == ("dry_run", True)
    assert 1 in engine.rows
    assert engine.miners.rescanned == []


def test_the_document_describes_the_parts_of_every_list(api):
    paths = api.get("/api/openapi.json").json["paths"]
    for path in LISTS:
        shown = path.replace("/1/", "/{wallet_id}/").replace("/9", "/{miner_id}")
        get = paths[shown]["get"]
        assert {"limit", "offset"} <= {one["name"] for one in get["parameters"]}, path
        assert "X-Total-Count" in get["responses"]["200"]["headers"], path
        assert "400" in get["responses"]


def test_polls_are_counted_from_the_newest(api):
    newest = api.get("/api/statuses/1?limit=2")
    assert newest.headers["X-Total-Count"] == "240"
    before = api.get("/api/statuses/1?limit=2&offset=2").json
    assert [point["at"] for point in before + newest.json] == pytest.approx(
        [point["at"] for point in api.get("/api/statuses/1?limit=4").json], abs=5
    )
    since = newest.json[0]["at"] - 7.5
    assert api.get(f"/api/statuses/1?since={since}&limit=1").headers["X-Total-Count"] == "2"


def test_two_thousand_miners_come_in_one_answer():
    answer = client_of(FakeEngine(seeds=large_flock(2000))).get("/api/miners?limit=5000")
    assert len(answer.json) == 2000
    assert answer.headers["X-Total-Count"] == "2000"


# --- one miner ----------------------------------------------------------------------------------------------------


def test_adding_a_miner(engine, api):
    answer = api.post("/api/miners", json={"ip_address": "192.0.2.100", "name": "shed", "miner_type": "bitaxe"})
    assert answer.status_code == 201
    assert answer.json["name"] == "shed"
    assert api.get(answer.headers["Location"]).json == answer.json


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "ip_address"),
        ({"ip_address": ""}, 422, "ip_address"),
        ({"ip_address": None}, 422, "ip_address"),
        ({"ip_address": 5}, 422, "ip_address"),
        ({"ip_address": "8.8.8.8"}, 422, "ip_address"),
        ({"ip_address": "no address"}, 422, "ip_address"),
        ({"ip_address": "192.0.2.101"}, 422, "ip_address"),
        ({"ip_address": "192.0.2.2"}, 409, "ip_address"),
        ({"ip_address": "192.0.2.100", "name": "GARAGE"}, 409, "name"),
        ({"ip_address": "192.0.2.100", "name": "n" * 65}, 422, "name"),
        ({"ip_address": "192.0.2.100", "api_port": 0}, 422, "api_port"),
        ({"ip_address": "192.0.2.100", "api_port": 65536}, 422, "api_port"),
        ({"ip_address": "192.0.2.100", "api_port": "80"}, 422, "api_port"),
        ({"ip_address": "192.0.2.100", "api_port": True}, 422, "api_port"),
        ({"ip_address": "192.0.2.100", "miner_type": "nerdminer"}, 422, "miner_type"),
        ({"ip_address": "192.0.2.100", "colour": "red"}, 422, "colour"),
    ],
)
def test_a_miner_that_cannot_be_added(engine, api, body, status, field):
    before = dict(engine.rows)
    assert error_of(api.post("/api/miners", json=body), status)["field"] == field
    assert engine.rows == before


def test_changing_a_miner(engine, api):
    answer = api.patch("/api/miners/1", json={"name": "shed", "managed": False, "labels": {"rack": "r9", "site": None}})
    assert answer.status_code == 200
    assert (answer.json["name"], answer.json["managed"], answer.json["labels"]) == ("shed", False, {"rack": "r9"})
    assert engine.rows[1].currency == "BTC"  # what is left out stays
    assert api.patch("/api/miners/1", json={}).json["name"] == "shed"


def test_a_device_password_goes_in_and_never_comes_out(engine, api):
    answer = api.patch("/api/miners/4", json={"unlock_pass": "correct horse", "username": "root"})
    assert answer.json["auth_failed"] is False
    assert engine.miners.passwords[4] == ("correct horse", "root")
    for path in ("/api/miners/4", "/api/miners/4/details", "/api/settings/credentials", "/api/miners"):
        assert "correct horse" not in api.get(path).text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"managed": "yes"}, "managed"),
        ({"managed": None}, "managed"),
        ({"managed": 1}, "managed"),
        ({"currency": "EUR"}, "currency"),
        ({"labels": {"colour": "red"}}, "labels.colour"),
        ({"labels": []}, "labels"),
        ({"labels": {"site": "s" * 65}}, "labels.site"),
        ({"muted_until": 1}, "muted_until"),
        ({"muted_until": "tomorrow"}, "muted_until"),
        ({"muted_until": -5}, "muted_until"),
        ({"location_notes": "n" * 257}, "location_notes"),
        ({"name": "\ud800"}, "name"),
        ({"username": "root"}, "username"),
        ({"id": 5}, "id"),
    ],
)
def test_a_change_that_cannot_be_made(engine, api, body, field):
    before = engine.rows[1]
    assert error_of(api.patch("/api/miners/1", json=body), 422)["field"] == field
    assert engine.rows[1] is before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(api, number):
    body = f'{{"muted_until": {number}}}'
    answer = api.patch("/api/miners/1", data=body, content_type="application/json")
    assert error_of(answer, 422)["field"] == "muted_until"


def test_a_name_that_is_taken(api):
    assert error_of(api.patch("/api/miners/2", json={"name": "Garage"}), 409)["field"] == "name"


def test_a_name_that_another_miner_is_shown_by(engine, api):
    unnamed = next(miner for miner in api.get("/api/miners").json if not miner["named"])
    other = 1 if unnamed["id"] != 1 else 2
    refused = error_of(api.patch(f"/api/miners/{other}", json={"name": unnamed["name"]}), 409)
    assert refused["field"] == "name"


def test_currencies_may_be_written_small(api):
    assert api.patch("/api/miners/2", json={"currency": "btc"}).json["currency"] == "BTC"
    body = {"name": "Third", "address": BTC_ADDRESS, "currency": "btc", "pool": "elsewhere.example:3333"}
    wallet = api.post("/api/wallets", json=body)
    assert (wallet.status_code, wallet.json["currency"]) == (201, "BTC"), wallet.text
    assert api.patch("/api/wallets/1", json={"currency": "btc"}).json["currency"] == "BTC"
    board = api.post("/api/unconfigured-devices/1/onboard", json={"name": "kitchen 2", "currency": "bch"})
    assert board.json["currency"] == "BCH"


def test_forgetting_a_miner(api):
    answer = api.delete("/api/miners/1")
    assert (answer.status_code, answer.text) == (204, "")
    error_of(api.get("/api/miners/1"), 404)
    error_of(api.delete("/api/miners/1"), 404)


@pytest.mark.parametrize("miner_id", ["0", "999", "x", "1.5", "-1", str(2**53), "9" * 30, "%00"])
def test_an_unknown_miner(api, miner_id):
    for end in ("", "/info", "/details", "/configs", "/exchanges", "/history", "/commands"):
        error_of(api.get(f"/api/miners/{miner_id}{end}"), 404)
    error_of(api.get(f"/api/statuses/{miner_id}"), 404)
    error_of(api.patch(f"/api/miners/{miner_id}", json={}), 404)
    error_of(api.post(f"/api/miners/{miner_id}/rescan"), 404)


def test_live_figures(api):
    info = api.get("/api/miners/3/info").json
    assert info["status"] == "online"
    assert info["hashrate"] == 9.3e13
    assert info["hashrate_average"] == 9.25e13
    assert info["pool_url"] == "stratum+tcp://solo.ckpool.org:3333"
    assert info["pool_user"].startswith(BTC_ADDRESS)
    assert len(info["fans"]) == 4
    offline = error_of(api.get("/api/miners/11/info"), 503)
    assert "no answer within 5 s" in offline["error"]


def test_details_mark_the_developers_pool(api):
    reading = api.get("/api/miners/3/details").json["reading"]
    assert [pool["fee"] for pool in reading["pools"]] == [False, False, True]
    assert reading["boards"][1]["chips_bad"] == {"dead": 1, "hot": 1, "slow": 1}
    assert reading["boards"][1]["chips"][90]["grade"] == "dead"
    assert reading["errors"] == [{"code": "chip_dead", "severity": "warning", "component": "chip"}]
    assert "identity" not in reading


def test_asking_a_miner_now(engine, api):
    assert api.post("/api/miners/1/rescan").json == {"id": 1, "answered": True}
    assert api.post("/api/miners/11/rescan").json == {"id": 11, "answered": False}
    assert engine.miners.rescanned == [1, 11]


def test_linking_a_wallet_and_back(engine, api):
    linked = api.post("/api/miners/7/link-wallet?wallet_id=1").json
    assert [(config["wallet_id"], config["manual"]) for config in linked] == [(1, True)]
    assert api.get("/api/miners/7").json["wallet_ids"] == [1]
    assert api.post("/api/miners/7/link-wallet?wallet_id=").json[0]["manual"] is False
    assert api.post("/api/miners/7/link-wallet").json[0]["wallet_id"] is None
    assert api.get("/api/miners/7/configs").json[0]["reason"]
    error_of(api.post("/api/miners/7/link-wallet?wallet_id=99"), 404)
    for wrong in ("x", "0", "-1", "1.5", "abc"):
        refused = error_of(api.post(f"/api/miners/7/link-wallet?wallet_id={wrong}"), 400)
        assert refused["field"] == "wallet_id"
        assert refused["error"].startswith("wallet_id: must be ")


def test_reading_the_configuration_of_a_usb_miner(api):
    answer = api.post("/api/miner/9/get_config")
    assert answer.status_code == 202
    assert answer.json["status"] == "pending"
    assert api.get(answer.headers["Location"]).json[-1] == answer.json
    error_of(api.post("/api/miner/9/get_config"), 409)
    error_of(api.post("/api/miner/1/get_config"), 403)
    error_of(api.post("/api/miner/99/get_config"), 404)


def test_writing_a_configuration_is_not_offered(api):
    error_of(api.post("/api/miner/9/set_config", json={}), 404)


def test_history_and_statuses(api):
    points = api.get("/api/statuses/1?limit=5").json
    assert len(points) == 5
    assert points == sorted(points, key=lambda point: point["at"])
    assert points[-1]["hashrate"] > 0
    since = points[2]["at"]
    assert len(api.get(f"/api/statuses/1?since={since}").json) <= 3
    lines = api.get("/api/miners/1/history?seconds=600").json
    assert {line["name"] for line in lines} >= {"hashrate", "temperature", "power"}
    error_of(api.get("/api/miners/1/history?seconds=1"), 400)
    error_of(api.get("/api/statuses/1?limit=100000"), 400)


# --- scans, boards, models ----------------------------------------------------------------------------------------


def test_a_scan_is_followed_to_its_end(api):
    begun = api.post("/api/miners/scan?network_cidr=192.0.2.0/24")
    assert begun.status_code == 202
    assert begun.json["state"] == "running"
    assert api.get(begun.headers["Location"]).json["tried"] == 128
    ended = api.get(begun.headers["Location"]).json
    assert (ended["state"], ended["tried"], ended["scan_id"]) == ("finished", 256, begun.json["scan_id"])
    assert [scan["scan_id"] for scan in api.get("/api/miners/scan").json] == [2, 1]
    assert api.post("/api/miners/scan").status_code == 202
    error_of(api.get("/api/miners/scan/99"), 404)


@pytest.mark.parametrize("network", ["8.8.8.0/24", "10.0.0.0/8", "nowhere", "192.0.2.0/99"])
def test_networks_that_are_not_searched(api, network):
    assert error_of(api.post(f"/api/miners/scan?network_cidr={network}"), 422)["field"] == "network_cidr"


def test_onboarding_a_board(engine, api):
    waiting = api.get("/api/unconfigured-devices").json
    assert [device["id"] for device in waiting] == [1, 2, None]
    assert waiting[0]["suggested_name"] == "kitchen"
    answer = api.post("/api/unconfigured-devices/1/onboard", json={"name": "kitchen", "currency": "BTC"})
    assert answer.status_code == 201
    assert api.get(answer.headers["Location"]).json["name"] == "kitchen"
    error_of(api.post("/api/unconfigured-devices/1/onboard", json={"name": "again", "currency": "BTC"}), 404)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"name": "kitchen"}, 422, "currency"),
        ({"currency": "BTC"}, 422, "name"),
        ({"name": "kitchen", "currency": "GOLD"}, 422, "currency"),
        ({"name": " ", "currency": "BTC"}, 422, "name"),
        ({"name": "garage", "currency": "BTC"}, 409, "name"),
        ({"name": "kitchen", "currency": "BTC", "chipset": 5}, 422, "chipset"),
    ],
)
def test_a_board_that_cannot_be_onboarded(api, body, status, field):
    assert error_of(api.post("/api/unconfigured-devices/1/onboard", json=body), status)["field"] == field


def test_boards_are_dismissed_captured_and_opened(engine, api):
    assert api.post("/api/unconfigured-devices/2/capture").status_code == 202
    assert engine.devices.captured == [2]
    assert api.delete("/api/unconfigured-devices/2").status_code == 204
    assert api.post("/api/unconfigured-devices/open", json={"dev_path": "/dev/ttyUSB3"}).status_code == 204
    assert [device["held"] for device in api.get("/api/unconfigured-devices").json] == [False, False]
    error_of(api.post("/api/unconfigured-devices/open", json={"dev_path": "/dev/null"}), 404)
    error_of(api.delete("/api/unconfigured-devices/2"), 404)
    error_of(api.post("/api/unconfigured-devices/2/capture"), 404)


def test_models_and_their_ceiling(api):
    assert [model["alias"] for model in api.get("/api/models").json] == ["s19jpro", "t21"]
    assert api.patch("/api/models/s19jpro", json={"max_preset": "2600"}).json["max_preset"] == "2600"
    assert api.patch("/api/models/s19jpro", json={"max_preset": None}).json["max_preset"] is None
    assert error_of(api.patch("/api/models/s19jpro", json={"max_preset": "9"}), 422)["field"] == "max_preset"
    assert error_of(api.patch("/api/models/s19jpro", json={}), 422)["field"] == "max_preset"
    error_of(api.patch("/api/models/nothing", json={"max_preset": None}), 404)


# --- wallets and shares -------------------------------------------------------------------------------------------


def test_a_refresh_says_whether_the_pool_is_still_asked(api, engine):
    assert api.post("/api/wallets/1/refresh").json["asking"] is False
    engine.wallets.asking.add(1)
    assert api.post("/api/wallets/1/refresh").json == api.get("/api/wallets/1").json
    assert api.get("/api/wallets/1").json["asking"] is True


def test_wallets(api):
    made = api.post(
        "/api/wallets", json={"name": "New", "address": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "currency": "BTC"}
    )
    assert made.status_code == 201
    place = made.headers["Location"]
    assert api.get(place).json == made.json
    assert api.patch(place, json={"name": "Newer"}).json["name"] == "Newer"
    assert api.post(f"{place}/refresh").json["id"] == made.json["id"]
    assert len(api.get("/api/wallets").json) == 3
    assert api.delete(place).status_code == 204
    for call in (api.get, api.delete):
        error_of(call(place), 404)
    error_of(api.post(f"{place}/refresh"), 404)
    error_of(api.patch(place, json={"name": "x"}), 404)
    assert [pool["name"] for pool in api.get("/api/pools").json] == ["ckpool_btc", "public_pool"]


def test_a_wallets_statistics(api):
    first, second = api.get("/api/wallets").json
    assert first["statistics"]["hashrates"] == {"1m": 6.1e12, "1h": 5.9e12, "1d": 5.6e12}
    assert first["miners"] == [1, 2, 3, 9]
    assert second["statistics"] is None
    assert second["error"]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"name": ""}, 422, "name"),
        ({"name": "Cash"}, 409, "name"),
        ({"address": "short"}, 422, "address"),
        ({"address": BTC_ADDRESS, "pool": "ckpool_btc"}, 409, "address"),
        ({"currency": "EUR"}, 422, "currency"),
        ({"pool": "nowhere"}, 422, "pool"),
        ({"pool": 5}, 422, "pool"),
    ],
)
def test_a_wallet_that_cannot_be_tracked(api, change, status, field):
    body = {"name": "New", "address": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "currency": "BTC", **change}
    assert error_of(api.post("/api/wallets", json=body), status)["field"] == field


@pytest.mark.parametrize("place", ["wallet", "wallets"])
def test_shares_by_hand_and_by_query(api, place):
    body = {"pool_name": "Solo CKPool", "difficulty": 512, "worker_name": "garage", "accepted": False}
    made = api.post(f"/api/{place}/1/shares", json=body)
    assert made.status_code == 201
    assert made.json["source"] == "manual"
    listed = api.get(f"/api/{place}/1/shares?hours=24&limit=5")
    assert listed.json[0] == made.json
    assert listed.headers["X-Total-Count"] == "144"
    assert {share["miner_id"] for share in api.get(f"/api/{place}/1/shares?miner_id=9").json} == {9}
    error_of(api.get(f"/api/{place}/99/shares"), 404)
    error_of(api.post(f"/api/{place}/99/shares", json=body), 404)
    error_of(api.get(f"/api/{place}/1/shares?hours=0"), 400)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"difficulty": 0}, "difficulty"),
        ({"difficulty": -1}, "difficulty"),
        ({"difficulty": "many"}, "difficulty"),
        ({"difficulty": None}, "difficulty"),
        ({"accepted": "yes"}, "accepted"),
        ({"pool_name": ""}, "pool_name"),
        ({"timestamp": 9e10}, "timestamp"),
    ],
)
def test_a_share_that_cannot_be_logged(api, change, field):
    body = {"pool_name": "Solo CKPool", "difficulty": 512, **change}
    assert error_of(api.post("/api/wallet/1/shares", json=body), 422)["field"] == field


def test_all_shares_and_the_file(api):
    listed = api.get("/api/shares?limit=1000&wallet_id=1&miner_id=9")
    assert listed.headers["X-Total-Count"] == "75"
    times = [share["timestamp"] for share in listed.json]
    assert times == sorted(times, reverse=True)
    assert api.get(f"/api/shares?since={times[0]}&until={times[0] + 1}&miner_id=9").json == listed.json[:1]
    file = api.get("/api/shares/export")
    assert file.content_type == "application/x-ndjson"
    lines = [json.loads(line) for line in file.data.splitlines()]
    assert len(lines) == 150
    assert lines[0]["id"] == 1


# --- the program --------------------------------------------------------------------------------------------------


def test_health(engine, api):
    assert api.get("/api/health").json["ready"] is True
    engine.is_ready = False
    assert api.get("/api/health").json["ready"] is False


def test_settings_and_reload(engine, api):
    answer = api.get("/api/settings").json
    assert answer["file"] == "/etc/flockwatch/targets.yml"
    assert answer["settings"]["intervals"]["status_seconds"] == 15.0
    assert api.post("/api/settings/reload").status_code == 204
    assert engine.program.reloads == 1
    engine.program.reload_fault = UsageError("targets.yml, line 3: unknown key")
    assert "line 3" in error_of(api.post("/api/settings/reload"), 400)["error"]


def test_checks_and_types(api):
    checks = api.get("/api/diagnostics").json
    assert {check["state"] for check in checks} == {"ok", "problem", "warning", "unknown"}
    types = {each["miner_type"]: each for each in api.get("/api/miner-types").json}
    assert "goldshell" not in types  # its file was rejected
    assert types["nerdminer"]["connection_type"] == "serial"


def test_device_passwords_are_kept_and_never_shown(engine, api):
    listed = api.get("/api/settings/credentials")
    assert "hunter2" not in listed.text
    kept = listed.json["credentials"]
    assert [entry["password"] for entry in kept] == [None, None]
    new = {"driver": "bitaxe", "password": "hunter3"}
    answer = api.put("/api/settings/credentials", json={"credentials": [new, *reversed(kept)]})
    assert answer.status_code == 200
    assert "hunter" not in answer.text
    stored = [(one.id, one.driver, one.password.reveal()) for one in engine.program.credentials()]
    assert stored == [(3, "bitaxe", "hunter3"), (4, "antminer", "hunter2-root"), (5, "vnish", "hunter2-vnish")]
    assert answer.json["version"] == 5


@pytest.mark.parametrize("with_version", [True, False])
def test_of_two_who_change_device_passwords_at_once_the_second_is_refused(engine, api, with_version):
    """No password comes to stand for another driver, and none that was just stored is lost."""
    seen = api.get("/api/settings/credentials").json
    version = {"version": seen["version"]} if with_version else {}
    first, second = seen["credentials"]
    assert api.put("/api/settings/credentials", json={"credentials": [second, first], **version}).status_code == 200
    stored = engine.program.credentials()
    refused = api.put("/api/settings/credentials", json={"credentials": [second], **version})
    assert "load it again" in error_of(refused, 409)["error"]
    assert refused.json["field"] == ("version" if with_version else "credentials.0.id")
    assert engine.program.credentials() is stored
    assert [(one.driver, one.password.reveal()) for one in stored] == [
        ("antminer", "hunter2-root"),
        ("vnish", "hunter2-vnish"),
    ]


def test_a_list_of_device_passwords_that_somebody_else_began_is_not_emptied(engine, api):
    api.put("/api/settings/credentials", json={"credentials": []})
    assert api.get("/api/settings/credentials").json["version"] == 0
    api.put("/api/settings/credentials", json={"version": 0, "credentials": [{"driver": "*", "password": "theirs"}]})
    mine = {"version": 0, "credentials": [{"driver": "*", "password": "mine"}]}
    error_of(api.put("/api/settings/credentials", json=mine), 409)
    assert [one.password.reveal() for one in engine.program.credentials()] == ["theirs"]


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"driver": "vnish"}, "credentials.0.password"),
        ({"driver": "nothing", "password": "x"}, "credentials.0.driver"),
        ({"driver": "vnish", "password": "x", "cidr": "nowhere"}, "credentials.0.cidr"),
        ({"driver": "vnish", "password": "x" * 257}, "credentials.0.password"),
        ({"driver": "vnish", "password": 5}, "credentials.0.password"),
        ({"password": "x"}, "credentials.0.driver"),
    ],
)
def test_device_passwords_that_cannot_be_used(engine, api, entry, field):
    before = engine.program.credentials()
    answer = api.put("/api/settings/credentials", json={"credentials": [entry]})
    assert error_of(answer, 422)["field"] == field
    assert engine.program.credentials() is before


def test_tokens_are_shown_once(engine, api):
    made = api.post("/api/tokens", json={"name": "Grafana", "scope": "read"})
    assert made.status_code == 201
    text = made.json["token"]
    assert len(text) > 30
    assert text not in api.get("/api/tokens").text
    assert engine.access.tokens()[-1].token_hash.reveal() != text
    error_of(api.post("/api/tokens", json={"name": "grafana"}), 409)
    assert error_of(api.post("/api/tokens", json={"name": "x", "scope": "all"}), 422)["field"] == "scope"
    assert error_of(api.post("/api/tokens", json={"name": "x", "expires_at": 5}), 422)["field"] == "expires_at"
    assert api.delete(f"/api/tokens/{made.json['id']}").status_code == 204
    error_of(api.delete(f"/api/tokens/{made.json['id']}"), 404)


# --- requests that cannot be read, and an engine that fails -------------------------------------------------------


@pytest.mark.parametrize(
    "body", ["{", '{"name": }', "\xff\xfe", "{'name': 1}", "[" * 200_000, '{"name": "x"} rest', "\x00"]
)
def test_bodies_that_are_no_json(api, body):
    error_of(api.patch("/api/miners/1", data=body.encode("latin-1"), content_type="application/json"), 400)


@pytest.mark.parametrize("body", ["5", "null", '"text"', "[]", '"{\\"name\\": \\"sneaky\\"}"', "true"])
def test_bodies_that_are_no_object(engine, api, body):
    error_of(api.patch("/api/miners/1", data=body, content_type="application/json"), 422)
    assert engine.rows[1].name == "garage"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_bodies_of_another_type(api, kind):
    error_of(api.patch("/api/miners/1", data="name=x", content_type=kind), 415)


def test_a_missing_body_is_asked_for(api):
    assert "JSON" in error_of(api.post("/api/wallets"), 422)["error"]


def test_a_post_without_a_body_needs_no_type(api):
    assert api.post("/api/miners/scan").status_code == 202
    assert api.post("/api/miners/1/rescan").status_code == 200


def test_a_body_that_is_too_large(api):
    error_of(api.patch("/api/miners/1", json={"location_notes": "n" * 300_000}), 413)
    error_of(api.post("/api/miners/1/rescan", data=b"x" * 300_000, content_type="application/json"), 413)


def test_unknown_places_and_methods(api):
    error_of(api.get("/api/nothing"), 404)
    refused = api.put("/api/miners", json={})
    assert "PUT" in error_of(refused, 405)["error"]
    assert "POST" in refused.headers["Allow"]


def test_people_are_told_on_a_page(api):
    for path in ("/nothing-of-ours", "/miners/999", "/wallets/999"):
        answer = api.get(path)
        assert answer.status_code == 404
        assert answer.content_type.startswith("text/html")


@pytest.mark.parametrize(
    ("fault", "status", "field"),
    [
        (StoreError("the disk is full"), 503, None),
        (UnavailableError("the engine is stopping"), 503, None),
        (ForbiddenError("not allowed by the configuration"), 403, None),
        (TakenError("the name is taken", "name"), 409, "name"),
        (UsageError("something else"), 400, None),
    ],
)
def test_errors_of_the_engine(engine, api, fault, status, field):
    engine.fault = fault
    answer = error_of(api.patch("/api/miners/1", json={"name": "x"}), status)
    assert answer == {"error": str(fault), "field": field}


def test_a_fault_of_ours_tells_nothing_of_itself(engine, api, caplog):
    engine.rows[1] = None
    answer = error_of(api.patch("/api/miners/1", json={"currency": "BTC"}), 500)
    assert answer["error"] == "an internal error; the log says more"
    assert "Traceback" in caplog.text


def test_device_text_stays_data(api):
    answer = api.get("/api/miners/16")
    assert answer.content_type == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.json["model"] == HOSTILE


def test_every_answer_forbids_foreign_content(api):
    for path in ("/api/miners", "/api/nothing", "/settings/api"):
        policy = api.get(path).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
