"""The write sides of VNish and of Bitmain's firmware take what is documented, to the letter, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from simulator.simulation import Host
from tests.simulator.flock import flock, only, spec

KEY = "00112233445566778899aabbccddeeff"
POOLS = [{"url": "a.example:1", "user": "u", "pass": "p"}] * 3
PAGE = {"pools": POOLS, "bitmain-fan-ctrl": True, "bitmain-fan-pwm": "50", "freq-level": "100", "miner-mode": 0}

Post = Callable[[str, Any], Awaitable[httpx.Response]]


def with_device(kind: str, model: str, test: Callable[[Host, Post], Awaitable[None]]) -> None:
    """Run `test` with one device and a way to post to it, signed in."""

    async def run() -> None:
        async with flock(spec(kind, model)) as simulation:
            host = only(simulation)
            auth = httpx.DigestAuth("root", "root") if kind == "antminer" else None
            if kind == "vnish":
                host.device.keys[KEY] = "Example"  # type: ignore[attr-defined]
            async with httpx.AsyncClient(auth=auth, headers={"x-api-key": KEY}, timeout=5) as client:

                async def post(path: str, body: Any) -> httpx.Response:
                    base = f"http://{host.address}:{host.ports['http']}"
                    return await client.post(f"{base}{path}", **({} if body is None else {"json": body}))

                await test(host, post)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("mining/stop", {}),
        ("find-miner", {"on": 1}),
        ("find-miner", {"is_enabled": True}),
        ("settings", None),
        ("settings", {}),
        ("settings", {"miner": {}}),
        ("settings", {"miner": {"misc": {}}}),
        ("settings", {"miner": {"overclock": {"preset": "1"}}}),
        ("settings", {"miner": {"overclock": {"preset": "3050", "modded_psu": True}}}),
        ("settings", {"miner": {"pools": POOLS[:2]}}),
        ("settings", {"miner": {"pools": [POOLS[0] | {"url": "stratum+tcp://a.example:1"}, *POOLS[1:]]}}),
        ("settings", {"miner": {"cooling": {"mode": {"name": "auto"}}}}),
        ("settings", {"miner": {"cooling": {"mode": {"name": "manual", "param": 5}}}}),
        ("settings", {"password": {"current": "admin", "pw": "other"}}),
    ],
)
def test_vnish_refuses_what_is_not_documented(path: str, body: Any) -> None:
    async def test(host: Host, post: Post) -> None:
        assert (await post(f"/api/v1/{path}", body)).status_code == 400
        truth = host.truth()
        assert (truth["unexpected_writes"], truth["writes"]) == ([f"POST /api/v1/{path}"], [])
        assert (truth["state"], truth["mode"]) == ("mining", "3050")

    with_device("vnish", "s19jpro-1.2.6", test)


def test_vnish_1_2_toggles_its_light_and_1_3_does_not() -> None:
    async def told(host: Host, post: Post, key: str, path: str) -> list[bool]:
        return [(await post(f"/api/v1/{path}", {key: True})).json()[key] for _ in range(2)]

    async def older(host: Host, post: Post) -> None:
        assert await told(host, post, "on", "find-miner") == [True, False]

    async def newer(host: Host, post: Post) -> None:
        assert await told(host, post, "is_enabled", "locate-miner") == [True, True]

    with_device("vnish", "s19-1.2.7", older)
    with_device("vnish", "s21-1.3.4", newer)


@pytest.mark.parametrize(
    "body",
    [
        {key: value for key, value in PAGE.items() if key != "pools"},
        {key: value for key, value in PAGE.items() if key != "miner-mode"},
        PAGE | {"miner-mode": "0"},
        PAGE | {"miner-mode": 7},
        PAGE | {"bitmain-work-mode": 1},
        PAGE | {"bitmain-fan-pwm": 50},
        PAGE | {"bitmain-fan-pwm": "101"},
        PAGE | {"pools": POOLS[:1]},
        PAGE | {"bitmain-voltage": "1400"},
        [],
    ],
)
def test_an_antminer_refuses_settings_that_are_not_the_pages(body: Any) -> None:
    async def test(host: Host, post: Post) -> None:
        before = host.device.control.conf()  # type: ignore[attr-defined]
        answer = await post("/cgi-bin/set_miner_conf.cgi", body)
        assert answer.json() == {"stats": "error", "code": "M001", "msg": "Invalid configuration"}
        truth = host.truth()
        assert (truth["unexpected_writes"], truth["writes"]) == (["POST /cgi-bin/set_miner_conf.cgi"], [])
        assert host.device.control.conf() == before  # type: ignore[attr-defined]

    with_device("antminer", "s19", test)


@pytest.mark.parametrize(
    ("model", "path", "body"),
    [
        ("s19", "blink", {"blink": "true"}),
        ("s19", "reboot", {}),
        ("s17", "blink", {"blink": True}),
        ("s17", "set_miner_conf", PAGE),
    ],
)
def test_an_antminer_knows_no_other_writes(model: str, path: str, body: Any) -> None:
    async def test(host: Host, post: Post) -> None:
        assert (await post(f"/cgi-bin/{path}.cgi", body)).status_code == 404
        truth = host.truth()
        assert (truth["unexpected_writes"], truth["writes"]) == ([f"POST /cgi-bin/{path}.cgi"], [])

    with_device("antminer", model, test)
