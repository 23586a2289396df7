"""Each device answers in its family's shape, and its figures are the truth in the family's units."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest
import yaml

from simulator.clock import Clock
from simulator.devices import KINDS, build_device
from simulator.http_server import Request
from tests.simulator.flock import NOON, ask, command, flock, free_udp, get, only, shared, spec, until
from tests.simulator.openapi import check

EVERY = [(kind.kind, model) for kind in KINDS.values() for model in kind.models]


@pytest.mark.parametrize(("kind", "model"), EVERY)
def test_every_model_can_be_built_and_tells_its_truth(kind: str, model: str) -> None:
    device = build_device(spec(kind, model), Clock(NOON))
    truth = json.loads(json.dumps(device.truth()))
    assert truth["mac"] == "02:00:00:00:00:01"
    assert truth["state"] == "mining"
    assert truth["unexpected_writes"] == []
    assert truth["hashrate_hs"] == pytest.approx(device.profile.hashrate, rel=0.07)


@pytest.mark.parametrize(("kind", "model"), EVERY)
def test_writes_are_recorded_and_change_nothing(kind: str, model: str) -> None:
    device = build_device(spec(kind, model), Clock(NOON))
    before = device.truth()
    if "http" in device.listens or device.http_on_rpc:
        device.change_password(None)
        headers = {"host": "x"}
        if kind == "antminer":
            return  # behind the login; test_antminer covers it
        answer = device.http(Request("POST", "/api/system/restart", "/api/system/restart", {}, headers, b"{}"))
        assert answer.status >= 302
    elif "rpc" in device.listens:
        reply = device.rpc(b'{"command":"quit"}')
        assert reply is not None
        assert b'"STATUS":"E"' in reply
    else:
        return
    after = device.truth()
    assert len(after.pop("unexpected_writes")) == 1
    before.pop("unexpected_writes")
    assert after == before


async def _info(model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    async with flock(spec("bitaxe", model)) as simulation:
        host = only(simulation)
        answer = await get(host, "/api/system/info")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        return answer.json(), host.truth()


@pytest.mark.parametrize("model", ["ultra-2.1", "supra-2.4", "supra-2.9", "gamma-2.12", "gamma-2.15"])
def test_bitaxe_figures_are_the_truth(model: str) -> None:
    info, truth = asyncio.run(_info(model))
    assert info["hashRate"] * 1e9 == pytest.approx(truth["hashrate_hs"], rel=1e-6)
    assert info["power"] == pytest.approx(truth["power_w"], abs=0.01)
    assert info["voltage"] * info["current"] / 1e6 == pytest.approx(info["power"], rel=0.001)
    assert info["sharesAccepted"] == truth["accepted"]
    assert info["uptimeSeconds"] == int(truth["uptime_s"])
    assert info["temp"] == pytest.approx(truth["chip_celsius"], abs=0.1)
    assert info.get("macAddr", "02:00:00:00:00:01").lower() == truth["mac"]


def test_bitaxe_fields_drift_with_the_release() -> None:
    old, middle, newer, newest = (
        asyncio.run(_info(model))[0] for model in ("ultra-2.1", "supra-2.4", "gamma-2.12", "gamma-2.15")
    )
    assert isinstance(old["bestDiff"], str)
    assert "fanSpeedRpm" in old
    assert "macAddr" not in old
    assert isinstance(middle["bestDiff"], str)
    assert middle["asicCount"] == 1
    assert isinstance(newer["bestDiff"], int)
    assert "asicCount" not in newer
    assert newer["stratumExtranonceSubscribe"] == 0
    assert newer["stratumExtranonceSubscribe"] is not False
    assert newest["stratumExtranonceSubscribe"] is False
    assert [pool["id"] for pool in newest["pools"]] == [0, 1]


@pytest.mark.parametrize(("path", "name"), [("/api/system/info", "SystemInfo"), ("/api/system/asic", "SystemASIC")])
def test_bitaxe_2_15_matches_the_vendors_description(path: str, name: str) -> None:
    schemas = yaml.safe_load(shared("schemas", "esp-miner-openapi-2.15.yaml").read_text())["components"]["schemas"]

    async def run() -> Any:
        async with flock(spec("bitaxe", "gamma-2.15")) as simulation:
            return (await get(only(simulation), path)).json()

    check(asyncio.run(run()), schemas[name], schemas, name)


_VNISH = {
    "/info": "InfoJson",
    "/model": "MinerModelInfo",
    "/status": "StatusPane",
    "/summary": "Summary",
    "/perf-summary": "PerfSummary",
    "/chains/factory-info": "FactoryInfoReply",
}


@pytest.mark.parametrize(
    ("model", "version", "chips"),
    [
        ("s19jpro-1.2.6", "v1.2.6", ("/chains", "AntmChainChips")),
        ("s21-1.3.4", "v1.3.4", ("/boards", "AntmBoardChips")),
    ],
)
def test_vnish_matches_the_vendors_description(model: str, version: str, chips: tuple[str, str]) -> None:
    schemas = json.loads(shared("schemas", "vnish", version, "api-doc.json").read_text())["components"]["schemas"]
    paths = {**_VNISH, chips[0]: chips[1]}

    async def run() -> dict[str, Any]:
        async with flock(spec("vnish", model)) as simulation:
            host = only(simulation)
            return {path: (await get(host, f"/api/v1{path}")).json() for path in paths}

    for path, document in asyncio.run(run()).items():
        rows = document if isinstance(document, list) else [document]
        for row in rows:
            check(row, schemas[paths[path]], schemas, path)


def test_vnish_figures_are_the_truth() -> None:
    async def run() -> None:
        async with flock(spec("vnish", "s19jpro-1.2.6")) as simulation:
            host = only(simulation)
            truth = host.truth()
            miner = (await get(host, "/api/v1/summary")).json()["miner"]
            assert miner["hr_realtime"] * 1e9 == pytest.approx(truth["hashrate_hs"], rel=1e-6)
            assert miner["instant_hashrate"] * 1e12 == pytest.approx(truth["hashrate_hs"], rel=1e-4)
            assert miner["power_consumption"] == round(truth["power_w"])
            assert [pool["pool_type"] for pool in miner["pools"]] == ["UserPool", "UserPool", "DevFee"]
            assert miner["pools"][0]["accepted"] == truth["accepted"]
            assert [fan["rpm"] for fan in miner["cooling"]["fans"]] == truth["fans_rpm"]
            version = await command(host, "version")
            assert version["STATUS"][0]["STATUS"] == "E"
            stats = await command(host, "stats")
            assert stats["STATS"][0]["Type"] == "Antminer S19j Pro (Vnish 1.2.6)"
            page = await get(host, "/")
            assert 'content="AnthillOS"' in page.text

    asyncio.run(run())


@pytest.mark.parametrize(
    ("model", "there", "gone"), [("s19jpro-1.2.6", "chains", "boards"), ("s21-1.3.4", "boards", "chains")]
)
def test_vnish_lists_chips_under_one_name_only(model: str, there: str, gone: str) -> None:
    async def run() -> None:
        async with flock(spec("vnish", model)) as simulation:
            host = only(simulation)
            assert (await get(host, f"/api/v1/{gone}")).status_code == 404
            boards = (await get(host, f"/api/v1/{there}")).json()
            assert [len(board["chips"]) for board in boards] == [host.device.profile.chips] * 3
            assert ("restart_count" in (await get(host, "/api/v1/summary")).json()["miner"]) is (there == "boards")

    asyncio.run(run())


def test_nerdqaxe() -> None:
    async def run() -> None:
        async with flock(spec("nerdqaxe", "nerdqaxe++"), spec("nerdqaxe", "nerdqaxe+-old", 2)) as simulation:
            new, old = simulation.hosts.values()
            answer = await get(new, "/api/system/info")
            assert answer.headers["transfer-encoding"] == "chunked"
            assert "connection" not in answer.headers
            info, truth = answer.json(), new.truth()
            assert info["deviceModel"] == "NerdQAxe++"
            assert info["hashRate"] * 1e9 == pytest.approx(truth["hashrate_hs"], rel=1e-5)
            assert len(info["asicTemps"]) == info["asicCount"] == 4
            assert info["stratum"]["pools"][0]["accepted"] == truth["accepted"] == info["sharesAccepted"]
            assert isinstance((await get(old, "/api/system/info")).json()["bestDiff"], str)
            unknown = await get(new, "/api/v1/summary")
            assert (unknown.status_code, unknown.headers["location"]) == (302, "/")
            assert "Nerd" in (await get(new, "/")).text

    asyncio.run(run())


def test_antminer_pages_need_digest() -> None:
    async def run() -> None:
        async with flock(spec("antminer", "s19")) as simulation:
            host = only(simulation)
            stranger = await get(host, "/cgi-bin/summary.cgi")
            assert stranger.status_code == 401
            assert 'realm="antMiner Configuration"' in stranger.headers["www-authenticate"]
            wrong = await get(host, "/cgi-bin/summary.cgi", auth=httpx.DigestAuth("root", "admin"))
            assert wrong.status_code == 401
            truth = host.truth()
            assert truth["denied"] == 1
            async with httpx.AsyncClient(auth=httpx.DigestAuth("root", "root"), timeout=5) as client:
                base = f"http://{host.address}:{host.ports['http']}/cgi-bin/"
                pages = {
                    name: (await client.get(f"{base}{name}.cgi")).json()
                    for name in ("get_system_info", "summary", "stats", "pools", "get_miner_conf", "get_network_info")
                }
                assert (await client.get(f"{base}get_blink_status.cgi")).json() == {"blink": False}
                assert (await client.get(f"{base}get_miner_status.cgi")).status_code == 404
                assert (await client.post(f"{base}upgrade.cgi", content=b"")).status_code == 404
            assert pages["get_system_info"]["macaddr"].lower() == truth["mac"]
            assert pages["get_system_info"]["serinum"] == truth["serial"]
            summary = pages["summary"]["SUMMARY"][0]
            assert summary["rate_unit"] == "GH/s"
            assert summary["rate_5s"] * 1e9 == pytest.approx(truth["hashrate_hs"], rel=1e-5)
            assert {check["type"] for check in summary["status"]} == {"rate", "network", "fans", "temp"}
            chains = pages["stats"]["STATS"][0]["chain"]
            assert [chain["asic_num"] for chain in chains] == [76, 76, 76]
            assert pages["pools"]["POOLS"][0]["accepted"] == truth["accepted"]
            assert host.truth()["unexpected_writes"] == ["POST /cgi-bin/upgrade.cgi"]

    asyncio.run(run())


def test_antminer_that_sleeps_has_no_fans_and_no_rate() -> None:
    async def run() -> None:
        async with flock(spec("antminer", "s19")) as simulation:
            host = only(simulation)
            host.device.physics.pause(NOON - 5.0)
            auth = httpx.DigestAuth("root", "root")
            row = (await get(host, "/cgi-bin/stats.cgi", auth=auth)).json()["STATS"][0]
            assert (row["rate_5s"], row["fan"], row["miner-mode"]) == (0.0, [], 1)
            conf = (await get(host, "/cgi-bin/get_miner_conf.cgi", auth=auth)).json()
            assert conf["bitmain-work-mode"] == "1"

    asyncio.run(run())


def test_antminer_may_close_the_first_connection_without_an_answer() -> None:
    async def run() -> None:
        async with flock(spec("antminer", "s19-drops")) as simulation:
            host = only(simulation)
            with pytest.raises(httpx.RemoteProtocolError):
                await get(host, "/cgi-bin/summary.cgi", auth=httpx.DigestAuth("root", "root"))
            again = await get(host, "/cgi-bin/summary.cgi", auth=httpx.DigestAuth("root", "root"))
            assert again.status_code == 200

    asyncio.run(run())


def test_s9_forgets_a_comma_and_numbers_its_boards_from_six() -> None:
    async def run() -> None:
        async with flock(spec("antminer", "s9")) as simulation:
            host = only(simulation)
            assert host.ports.keys() == {"rpc"}
            body = (await ask(host, b'{"command":"stats"}'))[:-1]
            with pytest.raises(ValueError, match="delimiter"):
                json.loads(body)
            head, row = json.loads(body.replace(b"}{", b"},{"))["STATS"]
            assert head["Type"] == "Antminer S9"
            assert isinstance(row["GHS 5s"], str)
            truth = host.truth()
            assert float(row["GHS 5s"]) * 1e9 == pytest.approx(truth["hashrate_hs"], rel=1e-4)
            assert [row[f"chain_acn{slot}"] for slot in (5, 6, 7, 8)] == [0, 63, 63, 63]
            assert (row["fan1"], row["fan3"]) == (0, truth["fans_rpm"][0])
            assert (await command(host, "version"))["VERSION"][0]["Type"] == "Antminer S9"
            assert (await command(host, "config"))["STATUS"][0]["Code"] == 45

    asyncio.run(run())


def _tokens(text: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)\[([^\]]*)\]", text))


@pytest.mark.parametrize(
    ("model", "index", "count"),
    [
        ("nano3", 5, 7),
        ("nano3s", 6, 7),
        ("q", 6, 7),
        ("mini3", 6, 7),
        ("a1246", 6, 7),
        ("a1566", 6, 7),
        ("a1166pro", 4, 6),
    ],
)
def test_avalon_power_stands_where_the_product_puts_it(model: str, index: int, count: int) -> None:
    async def run() -> None:
        async with flock(spec("avalon", model)) as simulation:
            host = only(simulation)
            entry = (await command(host, "estats"))["STATS"][0]
            text = entry.get("MM ID0") or entry["MM ID0:Summary"]
            tokens = _tokens(text)
            supply = [int(word) for word in tokens["PS"].split()]
            truth = host.truth()
            assert len(supply) == count
            share = 0.94 if model == "a1166pro" else 1.0
            assert supply[index] == pytest.approx(truth["power_w"] * share, abs=1.0)
            assert float(tokens["GHSspd"]) * 1e9 == pytest.approx(truth["hashrate_hs"], rel=1e-4)
            assert tokens["SYSTEMSTATU"].startswith("Work: In Work, Hash Board:")
            assert [int(tokens[f"Fan{number + 1}"]) for number in range(len(truth["fans_rpm"]))] == truth["fans_rpm"]
            version = (await command(host, "version"))["VERSION"][0]
            assert version["MAC"] == truth["mac"].replace(":", "")
            assert truth["driver"] == ("avalon_nano" if model.startswith("nano") else "avalon")

    asyncio.run(run())


def test_avalon_idles_with_a_high_average() -> None:
    async def run() -> None:
        async with flock(spec("avalon", "q")) as simulation:
            host = only(simulation)
            host.device.physics.pause(NOON)
            simulation.clock.advance(600.0)
            tokens = _tokens((await command(host, "litestats"))["STATS"][0]["MM ID0:Summary"])
            assert tokens["SYSTEMSTATU"] == "Work: In Idle, Hash Board: 1"
            assert float(tokens["GHSspd"]) == 0.0
            assert float(tokens["GHSavg"]) > 1000.0
            assert tokens["SoftOFF"] == "4"

    asyncio.run(run())


def test_avalon_serves_one_connection_at_a_time() -> None:
    async def run() -> None:
        async with flock(spec("avalon", "nano3s")) as simulation:
            host = only(simulation)
            _, blocker = await asyncio.open_connection(host.address, host.ports["rpc"])
            second = asyncio.create_task(ask(host, b'{"command":"version"}'))
            third = asyncio.create_task(ask(host, b"summary"))
            await until(lambda: host.gate.traffic["rpc"].open_now == 3)
            await asyncio.sleep(0.05)
            assert not second.done()
            blocker.close()
            await blocker.wait_closed()
            assert b'"PROD":"Avalon Nano3s"' in await second
            assert (await third).startswith(b"STATUS=S,When=")
            assert host.truth()["traffic"]["rpc"]["open_most"] == 3

    asyncio.run(run())


@pytest.mark.parametrize(
    ("model", "field", "scale"),
    [("bfgminer", "MHS 20s", 1e6), ("cgminer", "MHS 5s", 1e6), ("sgminer", "KHS 5s", 1e3)],
)
def test_cgminer_family(model: str, field: str, scale: float) -> None:
    async def run() -> None:
        async with flock(spec("cgminer", model)) as simulation:
            host = only(simulation)
            joined = await command(host, "summary+pools+devs")
            truth = host.truth()
            row = joined["summary"][0]["SUMMARY"][0]
            assert row[field] * scale == pytest.approx(truth["hashrate_hs"], rel=1e-4)
            assert joined["pools"][0]["POOLS"][0]["Accepted"] == truth["accepted"]
            assert len(joined["devs"][0]["DEVS"]) == len(truth["boards"])
            assert (await command(host, "nonsense"))["STATUS"][0]["Msg"] == "Invalid command"
            assert (await command(host, "config"))["STATUS"][0]["Code"] == 45
            assert (await command(host, "addpool", parameter="a,b,c"))["STATUS"][0]["Code"] == 45
            assert host.truth()["unexpected_writes"] == ["rpc addpool|a,b,c"]

    asyncio.run(run())


def test_old_cgminer_does_not_join_commands() -> None:
    async def run() -> None:
        async with flock(spec("cgminer", "old-cgminer")) as simulation:
            host = only(simulation)
            assert (await command(host, "summary+pools"))["STATUS"][0]["Code"] == 14

    asyncio.run(run())


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b'{"command":', 23), (b'{"parameter":"x"}', 24), (b"\0", 14), (b"[]", 14)],
)
def test_bad_requests_are_answered_as_cgminer_does(payload: bytes, code: int) -> None:
    async def run() -> None:
        async with flock(spec("cgminer", "cgminer")) as simulation:
            reply = await ask(only(simulation), payload)
            assert f'"Code":{code}'.encode() in reply or f"Code={code}".encode() in reply

    asyncio.run(run())


def test_nmminer_broadcasts_and_names_itself() -> None:
    async def run() -> tuple[dict[str, Any], str, dict[str, Any]]:
        with free_udp() as receiver:
            device = spec("nmminer", "nmlotto-0.3")
            async with flock(device, udp_target=receiver.getsockname()) as simulation:
                async with asyncio.timeout(5):
                    data, sender = await asyncio.get_running_loop().sock_recvfrom(receiver, 2048)
                return json.loads(data), sender[0], only(simulation).truth()

    document, sender, truth = asyncio.run(run())
    assert sender == truth["address"] == document.get("IP", document.get("ip"))
    assert float(document["HashRate"].removesuffix("K")) * 1e3 == pytest.approx(truth["hashrate_hs"], rel=1e-3)
    assert document["Share"] == f"{truth['rejected']}/{truth['accepted']}"
    assert truth["datagrams"] == 1


def test_nmminer_http_speaks_two_units() -> None:
    async def run() -> None:
        async with flock(spec("nmminer-http", "nmminer-2.0")) as simulation:
            host = only(simulation)
            truth = host.truth()
            info = (await get(host, "/api/system/info")).json()
            probe = (await get(host, "/probe")).json()
            assert info["miner"]["hashRate"] * 1e9 == pytest.approx(truth["hashrate_hs"], rel=1e-3)
            assert probe["hr"] == round(truth["hashrate_hs"])
            assert probe["model"] == "NMMiner"

    asyncio.run(run())


def test_devices_without_a_driver_can_be_told_apart() -> None:
    async def run() -> None:
        devices = [
            spec("whatsminer", "m30s-v2", 1),
            spec("braiins", "s19-25.05", 2),
            spec("luxos", "s19kpro", 3),
            spec("epic", "s19xp", 4),
            spec("no-miner", "router", 5),
            spec("no-miner", "printer", 6),
        ]
        async with flock(*devices) as simulation:
            whatsminer, braiins, luxos, epic, router, printer = simulation.hosts.values()
            row = (await command(whatsminer, "summary"))["SUMMARY"][0]
            assert row["HS RT"] * 1e6 == pytest.approx(whatsminer.truth()["hashrate_hs"], rel=1e-4)
            version = json.loads((await ask(whatsminer, b'{"cmd":"get_version"}'))[:-1])
            assert version["STATUS"] == "S"
            assert version["Msg"]["miner_type"] == "M30S+_VE40"
            assert "BOSer" in (await command(braiins, "version"))["VERSION"][0]
            assert (await command(braiins, "summary"))["STATUS"][0]["STATUS"] == "E"
            assert "LUXminer" in (await command(luxos, "version"))["VERSION"][0]
            async with httpx.AsyncClient() as client:
                base = f"http://{epic.address}:{epic.ports['rpc']}"
                assert (await client.get(f"{base}/capabilities")).json()["Model"] == "AntMiner S19 XP"
            assert (await get(router, "/api/system/info")).headers["location"] == "/login.html"
            assert (await get(printer, "/api/system/info")).status_code == 404

    asyncio.run(run())
