"""Every fault does what its description says, on both protocols, and can be switched off again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from simulator.faults import FAULTS, read_fault, truncated, twist, wrong_types
from simulator.simulation import Host, Simulation
from tests.simulator.flock import NOON, ask, command, flock, get, only, spec, until

INFO = "/api/v1/summary"
SUMMARY = b'{"command":"summary"}'


def with_fault(name: str | None, test: Callable[[Simulation, Host], Awaitable[None]], /, **options: Any) -> None:
    """Run `test` with a VNish miner, which listens on both ports, that has a fault from the start."""

    async def run() -> None:
        faults = () if name is None else ({"fault": name, **options},)
        async with flock(spec("vnish", "s19jpro-1.2.6", faults=faults)) as simulation:
            host = only(simulation)
            await test(simulation, host)
            await simulation.set_fault(host.address, None)
            assert (await get(host, INFO)).json()["miner"]
            assert (await command(host, "summary"))["SUMMARY"]

    asyncio.run(run())


def test_slow_answers_late() -> None:
    async def test(_: Simulation, host: Host) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        assert (await get(host, INFO)).status_code == 200
        assert (await ask(host, SUMMARY)).endswith(b"\0")
        assert loop.time() - begin >= 0.2
        with pytest.raises(TimeoutError):
            await ask(host, SUMMARY, timeout=0.05)

    with_fault("slow", test, seconds=0.1)


def test_cut_closes_in_the_middle() -> None:
    async def test(_: Simulation, host: Host) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await get(host, INFO)
        body = await ask(host, SUMMARY)
        assert body
        assert not body.endswith(b"\0")

    with_fault("cut", test)


def test_garbage_is_neither_http_nor_json() -> None:
    async def test(_: Simulation, host: Host) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await get(host, INFO)
        with pytest.raises(ValueError, match=r".+"):
            json.loads(await ask(host, SUMMARY))

    with_fault("garbage", test)


def test_patches_change_the_answers_they_are_for() -> None:
    async def test(_: Simulation, host: Host) -> None:
        assert (await get(host, INFO)).json()["miner"]["instant_hashrate"] == 0
        assert "hashrate" not in (await command(host, "summary"))["STATUS"][0]
        assert (await command(host, "summary"))["STATUS"][0]["Msg"] == "patched"
        assert (await command(host, "pools"))["STATUS"][0]["Msg"] != "patched"

    patches = {
        INFO: [{"op": "replace", "path": "/miner/instant_hashrate", "value": 0}],
        "summary": [{"op": "replace", "path": "/STATUS/0/Msg", "value": "patched"}],
    }
    with_fault("patched", test, patches=patches)


def test_a_patch_that_does_not_fit_says_so() -> None:
    async def test(_: Simulation, host: Host) -> None:
        answer = await get(host, INFO)
        assert answer.status_code == 500
        assert answer.text.startswith("patch: ")
        assert (await ask(host, SUMMARY)).startswith(b"patch: ")

    wrong = [{"op": "replace", "path": "/nothing", "value": 0}]
    with_fault("patched", test, patches={INFO: wrong, "summary": wrong})


@pytest.mark.parametrize(
    "patches", [[], {INFO: 5}, {INFO: [{"op": "guess", "path": "/miner"}]}, {INFO: [{"op": "remove", "path": "miner"}]}]
)
def test_what_is_no_patch_is_refused(patches: Any) -> None:
    with pytest.raises(ValueError, match=r"^patches"):
        read_fault("patched", {"patches": patches})


def test_wrong_types_keep_the_structure() -> None:
    async def test(_: Simulation, host: Host) -> None:
        answer = await get(host, INFO)
        assert answer.status_code == 200
        miner = answer.json()["miner"]
        assert isinstance(miner["hr_realtime"], (str, list))
        assert isinstance(miner["pools"], list)
        assert isinstance((await command(host, "summary"))["SUMMARY"][0]["Elapsed"], (str, list))

    with_fault("wrong_types", test)


def test_auth_denies_everything() -> None:
    async def test(_: Simulation, host: Host) -> None:
        assert (await get(host, INFO)).status_code == 401
        assert (await command(host, "summary"))["STATUS"][0]["Code"] == 45

    with_fault("auth", test)


def test_vanish_refuses_connections() -> None:
    async def test(_: Simulation, host: Host) -> None:
        assert host.servers == {}
        assert host.ports == {}

    with_fault("vanish", test)


def test_vanishing_cuts_open_connections_and_comes_back_on_the_same_ports() -> None:
    async def test(simulation: Simulation, host: Host) -> None:
        ports = dict(host.ports)
        reader, writer = await asyncio.open_connection(host.address, host.ports["http"])
        await until(lambda: host.gate.traffic["http"].open_now == 1)
        await simulation.set_fault(host.address, "vanish")
        with pytest.raises(ConnectionError):
            assert await reader.read() == b"a reset is expected"
        writer.close()
        for port in ports.values():
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(host.address, port)
        await simulation.set_fault(host.address, None)
        assert host.ports == ports

    with_fault(None, test)


def test_a_silent_device_lets_connection_attempts_hang() -> None:
    async def test(simulation: Simulation, host: Host) -> None:
        await simulation.set_fault(host.address, "vanish", silent=True)
        for port, silenced in zip(host.ports.values(), host.silenced, strict=True):
            assert silenced.silent
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.open_connection(host.address, port), 0.2)

    with_fault(None, test)


def test_auth_may_answer_403() -> None:
    async def test(_: Simulation, host: Host) -> None:
        assert (await get(host, INFO)).status_code == 403

    with_fault("auth", test, status=403)


def test_reboot_comes_back_counting_from_zero() -> None:
    async def test(simulation: Simulation, host: Host) -> None:
        before = host.truth()
        await simulation.set_fault(host.address, "reboot", seconds=0.5)
        with pytest.raises(ConnectionRefusedError):
            await ask(host, SUMMARY)
        await until(lambda: len(host.servers) == 2)
        after = host.truth()
        assert (after["uptime_s"], after["accepted"], after["state"]) == (0.0, 0, "starting")
        assert before["accepted"] > 0
        assert after["best_difficulty"] == before["best_difficulty"]
        assert after["fault"] is None

    with_fault(None, test)


def test_port_flood_never_ends() -> None:
    async def test(_: Simulation, host: Host) -> None:
        for port in host.ports.values():
            reader, writer = await asyncio.open_connection(host.address, port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received = 0
            while received < 3_000_000:
                chunk = await reader.read(1 << 16)
                assert chunk
                received += len(chunk)
            writer.transport.abort()

    with_fault("port_flood", test)


def test_half_open_accepts_and_never_answers() -> None:
    async def test(_: Simulation, host: Host) -> None:
        for port in host.ports.values():
            reader, writer = await asyncio.open_connection(host.address, port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
            writer.transport.abort()

    with_fault("half_open", test)


def test_stale_keepalive_closes_idle_connections() -> None:
    async def test(_: Simulation, host: Host) -> None:
        reader, writer = await asyncio.open_connection(host.address, host.ports["http"])
        writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Connection: keep-alive" in head
        rest = await asyncio.wait_for(reader.read(-1), 5)
        assert json.loads(rest)["miner_state"] == "mining"
        writer.close()

    with_fault("stale_keepalive", test, seconds=0.02)


def test_html_instead_of_json() -> None:
    async def test(_: Simulation, host: Host) -> None:
        answer = await get(host, INFO)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html"
        assert answer.text.startswith("<!DOCTYPE html>")
        assert b"<html>" in await ask(host, SUMMARY)

    with_fault("html", test)


def test_truncated_json_is_a_complete_message() -> None:
    async def test(_: Simulation, host: Host) -> None:
        answer = await get(host, INFO)
        assert int(answer.headers["content-length"]) == len(answer.content)
        for body in (answer.content, (await ask(host, SUMMARY)).rstrip(b"\0")):
            assert body.startswith(b"{")
            with pytest.raises(ValueError, match=r".+"):
                json.loads(body)

    with_fault("truncated_json", test)


def test_too_large_is_as_large_as_asked() -> None:
    async def test(_: Simulation, host: Host) -> None:
        answer = await get(host, INFO)
        assert len(answer.content) == 300_000
        assert len(await ask(host, SUMMARY)) == 300_000
        assert len(answer.json()["padding"]) > 290_000

    with_fault("too_large", test, size=300_000)


def test_a_fault_can_be_limited_to_a_port() -> None:
    async def test(_: Simulation, host: Host) -> None:
        assert (await get(host, INFO)).json()["miner"]
        assert (await command(host, "summary"))["STATUS"][0]["Code"] == 45

    with_fault("auth", test, port="rpc")


def test_refused_writes_change_nothing_and_reads_are_as_ever() -> None:
    async def test(_: Simulation, host: Host) -> None:
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"http://{host.address}:{host.ports['http']}/api/v1/mining/stop")
        assert answer.status_code == 500
        assert (await get(host, INFO)).json()["miner"]
        records = host.device.records
        assert (records.writes, records.unexpected_writes) == ([], [])

    with_fault("refuses_writes", test, status=500)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("melt", {}, "unknown fault 'melt'; known are slow, cut"),
        ("slow", {"secs": 1}, "fault slow: unknown option secs"),
        ("slow", {"port": "udp"}, "port must be http or rpc, not 'udp'"),
    ],
)
def test_bad_faults_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_fault(name, options)


def test_all_faults_are_described() -> None:
    assert all(read_fault(name, {}).name == name for name in FAULTS)


def test_twisting_leaves_no_number() -> None:
    def numbers(value: Any) -> int:
        if isinstance(value, dict):
            return sum(numbers(item) for item in value.values())
        return int(isinstance(value, (int, float)) and not isinstance(value, bool))

    document = {"a": 1, "b": {"c": 2.5, "d": True, "e": "x"}, "f": None}
    assert numbers(twist(document)) == 0
    assert twist(document)["b"]["d"] is True
    assert wrong_types(b"no json") == b"no json"
    assert truncated(b"abcdef") == b"abcd"


def test_the_number_of_sockets_is_limited_as_on_the_device() -> None:
    async def run() -> None:
        async with flock(spec("bitaxe", "gamma-2.12"), spec("bitaxe", "supra-2.4", 2)) as simulation:
            for host, sockets in zip(simulation.hosts.values(), (20, 7), strict=True):
                clients = []
                for number in range(sockets + 1):
                    clients.append(await asyncio.open_connection(host.address, host.ports["http"]))
                    seen = host.gate.traffic["http"]
                    await until(lambda seen=seen, number=number: seen.connections == number + 1)
                await until(lambda host=host, sockets=sockets: len(host.connections["http"]) == sockets)
                # With purging the oldest goes, without it the newest.
                loser = clients[0] if host.device.http_policy.purge_oldest else clients[-1]
                with pytest.raises(ConnectionError):
                    assert await loser[0].read() == b"a reset is expected"
                for _, writer in clients:
                    writer.transport.abort()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /api/system/info HTTP/1.1\r\n\r\n", 400),
        (b"GET api HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000, 431),
    ],
)
def test_the_http_server_is_strict(request_bytes: bytes, status: int) -> None:
    async def run() -> bytes:
        async with flock(spec("bitaxe", "gamma-2.12")) as simulation:
            host = only(simulation)
            reader, writer = await asyncio.open_connection(host.address, host.ports["http"])
            writer.write(request_bytes)
            try:
                return await asyncio.wait_for(reader.readline(), 5)
            finally:
                writer.transport.abort()

    assert asyncio.run(run()).startswith(f"HTTP/1.1 {status} ".encode())


def test_keep_alive_serves_many_requests_on_one_connection() -> None:
    async def run() -> None:
        async with flock(spec("bitaxe", "gamma-2.12")) as simulation:
            host = only(simulation)
            async with httpx.AsyncClient() as client:
                for _ in range(5):
                    answer = await client.get(f"http://{host.address}:{host.ports['http']}/api/system/info")
                    assert answer.status_code == 200
            seen = host.truth()["traffic"]["http"]
            assert (seen["connections"], seen["requests"]) == (1, 5)
            simulation.clock.freeze(NOON)

    asyncio.run(run())
