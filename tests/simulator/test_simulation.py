"""Flocks: files, moves, the control listener, the process, and the simulator's independence."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.__main__ import main, target
from simulator.clock import Clock
from simulator.control import ControlServer
from simulator.devices import KINDS
from simulator.fleet import addresses, default_fleet, read_fleet
from simulator.simulation import Simulation, usable_port
from tests.simulator.flock import NOON, address, command, flock, get, only, spec

ROOT = Path(__file__).resolve().parents[2]


def test_the_first_twelve_are_one_of_each() -> None:
    fleet = default_fleet(12, seed=3)
    assert [(device.kind, device.model) for device in fleet] == [
        ("bitaxe", "gamma-2.12"),
        ("bitaxe", "supra-2.4"),
        ("bitaxe", "gamma-2.15"),
        ("nerdqaxe", "nerdqaxe++"),
        ("vnish", "s19jpro-1.2.6"),
        ("vnish", "s21-1.3.4"),
        ("antminer", "s19"),
        ("antminer", "s9"),
        ("avalon", "nano3s"),
        ("avalon", "q"),
        ("cgminer", "bfgminer"),
        ("nmminer", "nmlotto-0.3"),
    ]


def test_large_flocks_are_distinct_and_reproducible() -> None:
    fleet = default_fleet(3000, seed=5)
    assert fleet == default_fleet(3000, seed=5) != default_fleet(3000, seed=6)
    assert len({device.mac for device in fleet}) == len({device.address for device in fleet}) == 3000
    assert all(device.model in KINDS[device.kind].models for device in fleet)
    assert not any(device.address.endswith((".0", ".255")) for device in fleet)


def test_addresses_must_be_loopback() -> None:
    with pytest.raises(ValueError, match="loopback"):
        next(addresses("192.0.2.0"))


def test_a_fleet_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(
        "seed: 4\n"
        "devices:\n"
        "  - {kind: bitaxe, model: gamma-2.12, address: 127.9.0.2, mac: '02:00:00:AA:00:01', uptime: 60}\n"
        "  - {kind: vnish, count: 3, faults: [{fault: slow, seconds: 2}]}\n"
    )
    fleet = read_fleet(path, base="127.9.0.0")
    assert [device.address for device in fleet] == ["127.9.0.2", "127.9.0.1", "127.9.0.3", "127.9.0.4"]
    assert (fleet[0].mac, fleet[0].uptime) == ("02:00:00:aa:00:01", 60.0)
    assert {device.model for device in fleet[1:]} == {"s19jpro-1.2.6"}
    assert fleet[1].faults == ({"fault": "slow", "seconds": 2},)
    assert len({device.seed for device in fleet}) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "expected a list under `devices`"),
        ("devices: [{kind: toaster}]", "device 1: unknown kind 'toaster'; known are bitaxe"),
        ("devices: [{kind: bitaxe, model: x}]", "device 1: bitaxe has no model 'x'; it has gamma-2.12"),
        ("devices: [{kind: bitaxe, colour: red}]", "device 1: unknown key colour; known are address"),
        ("devices: [{kind: bitaxe, faults: [{fault: melt}]}]", "device 1: unknown fault 'melt'"),
        ("devices: [{kind: bitaxe, count: 2, address: 127.1.1.1}]", "device 1: a device with a count"),
        ("devices: []\nspeed: 3", "unknown key speed"),
        ("devices: [", "fleet.yml"),
    ],
)
def test_bad_fleet_files_name_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r".+") as caught:
        read_fleet(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_the_same_flock_answers_the_same() -> None:
    async def run() -> list[dict[str, Any]]:
        devices = [spec("bitaxe", "gamma-2.12"), spec("avalon", "nano3s", 2)]
        async with flock(*devices) as simulation:
            first, second = simulation.hosts.values()
            return [(await get(first, "/api/system/info")).json(), await command(second, "estats")]

    assert asyncio.run(run()) == asyncio.run(run())


def test_compact_answers_are_used_again_for_a_while() -> None:
    async def run() -> None:
        async with flock(spec("bitaxe", "gamma-2.12"), compact=5.0) as simulation:
            host = only(simulation)
            first = (await get(host, "/api/system/info")).content
            simulation.clock.advance(3.0)
            assert (await get(host, "/api/system/info")).content == first
            simulation.clock.advance(3.0)
            assert (await get(host, "/api/system/info")).content != first

    asyncio.run(run())


def test_a_moved_device_keeps_everything_but_its_address() -> None:
    async def run() -> None:
        async with flock(spec("bitaxe", "gamma-2.12")) as simulation:
            before = only(simulation).truth()
            old = before["address"]
            await simulation.move(old, address(9))
            host = only(simulation)
            info = (await get(host, "/api/system/info")).json()
            assert (info["ipv4"], info["macAddr"].lower()) == (address(9), before["mac"])
            after = host.truth()
            assert (after["accepted"], after["uptime_s"]) == (before["accepted"], before["uptime_s"])
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(old, host.ports["http"])
            with pytest.raises(KeyError, match="no simulated device"):
                await simulation.move(old, address(10))

    asyncio.run(run())


def test_two_devices_cannot_share_an_address() -> None:
    async def run() -> None:
        async with flock(spec("bitaxe", "gamma-2.12")) as simulation:
            with pytest.raises(ValueError, match="is taken by another device"):
                await simulation.add(spec("vnish", "s21-1.3.4"))

    asyncio.run(run())


def test_a_flock_that_cannot_start_leaves_nothing_open() -> None:
    async def run() -> None:
        simulation = flock(spec("bitaxe", "gamma-2.12"), spec("bitaxe", "supra-2.4"))
        with pytest.raises(ValueError, match="taken"):
            await simulation.start()
        assert simulation.hosts == {}

    asyncio.run(run())


async def _control(simulation: Simulation, server: ControlServer, path: str, body: Any = None) -> httpx.Response:
    base = f"http://127.0.0.1:{server.port}/__sim__/{path}"
    async with httpx.AsyncClient(timeout=5) as client:
        return await (client.get(base) if body is None else client.post(base, json=body))


def test_control_listener() -> None:
    async def run() -> None:
        async with flock(spec("bitaxe", "gamma-2.12")) as simulation:
            server = ControlServer(simulation)
            await server.start()
            try:
                await _exercise(simulation, server)
            finally:
                await server.close()

    async def _exercise(simulation: Simulation, server: ControlServer) -> None:
        here = address(1)

        async def call(path: str, body: Any = None) -> Any:
            answer = await _control(simulation, server, path, body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        truth = await call("truth")
        assert truth[here]["hashrate_hs"] == only(simulation).truth()["hashrate_hs"]
        assert (await call(f"truth?address={here}&at={NOON + 100}"))["time"] == NOON + 100
        assert (await call("clock", {"advance": 60}))["now"] == NOON + 60
        assert (await call(f"truth?address={here}"))["time"] == NOON + 60
        await call("fault", {"address": here, "fault": "slow", "seconds": 1})
        assert (await call("truth"))[here]["fault"] == "slow"
        await call("fault", {"address": here, "fault": None})
        assert (await call("truth"))[here]["fault"] is None
        assert (await call("mode", {"address": here, "mode": "eco"}))["mode"] == "eco"
        assert (await call("mode", {"address": here, "pause": True}))["state"] == "paused"
        moved = await call("move", {"from": here, "to": address(2)})
        assert moved["address"] == address(2)
        added = await call("add", {"kind": "avalon", "model": "nano3", "address": here, "seed": 5})
        assert added["driver"] == "avalon_nano"
        await call("remove", {"address": here})
        assert list(await call("truth")) == [address(2)]
        assert (await call("clock", {"run": True}))["frozen"] is False

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nothing", None, 404),
        ("fault", None, 405),
        ("truth?address=127.1.2.3", None, 404),
        ("fault", {"fault": "slow"}, 400),
        ("fault", {"address": "127.1.2.3", "fault": "slow"}, 404),
        ("fault", [], 400),
        ("move", {"from": 1, "to": 2}, 400),
        ("add", {"kind": "toaster", "model": "x", "address": "127.1.1.1"}, 400),
    ],
)
def test_control_listener_refuses_bad_requests(path: str, body: Any, status: int) -> None:
    async def run() -> httpx.Response:
        async with flock(spec("bitaxe", "gamma-2.12")) as simulation:
            server = ControlServer(simulation)
            await server.start()
            try:
                return await _control(simulation, server, path, body)
            finally:
                await server.close()

    answer = asyncio.run(run())
    assert answer.status_code == status
    assert answer.json()["error"]


def test_clock() -> None:
    clock = Clock(10.0)
    clock.advance(5.0)
    assert clock.now() == 15.0
    clock.run()
    assert 15.0 <= clock.now() < 75.0
    clock.freeze(3.0)
    assert (clock.now(), clock.frozen) == (3.0, True)


def test_the_process_says_when_it_is_ready_and_ends_cleanly() -> None:
    base = f"127.79.{os.getpid() % 250}.0"
    arguments = ["--json", "--count", "12", "--base", base, "--http-port", "0", "--rpc-port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments, "--control-port", "0", "--udp-target", "127.0.0.1:9"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        assert len(ready["devices"]) == 12
        first = ready["devices"][0]
        assert (first["driver"], first["rpc_port"]) == ("bitaxe", None)
        info = httpx.get(f"http://{first['address']}:{first['http_port']}/api/system/info").json()
        assert info["macAddr"].lower() == first["mac"]
        truth = httpx.get(f"http://127.0.0.1:{ready['control_port']}/__sim__/truth").json()
        assert set(truth) == {device["address"] for device in ready["devices"]}
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert errors == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--udp-target", "nowhere"], "--udp-target 'nowhere': expected an address and a port"),
        (["--base", "10.0.0.0"], "loopback"),
        (["/does/not/exist.yml"], "No such file"),
    ],
)
def test_bad_arguments_end_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_targets() -> None:
    assert target("127.0.0.1:12345") == ("127.0.0.1", 12345)


def test_a_port_in_use_is_an_error_and_a_free_one_is_used() -> None:
    async def run() -> None:
        async with flock(spec("bitaxe", "gamma-2.12")) as simulation:
            host = only(simulation)
            with pytest.raises(OSError, match="in use"):
                usable_port(host.address, host.ports["http"], 1)
            assert usable_port(address(200), host.ports["http"], 1) == host.ports["http"]

    asyncio.run(run())


def test_the_simulator_imports_nothing_from_the_exporter() -> None:
    known = {"simulator", "yaml", "jsonpatch", "jsonpointer", *sys.stdlib_module_names}
    for path in sorted((ROOT / "simulator").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                assert top in known, f"{path.name} imports {name}"
