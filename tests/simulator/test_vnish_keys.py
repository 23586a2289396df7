"""The life of VNish's sessions and API keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from simulator.devices.vnish import LOCK_SECONDS, TOKEN_SECONDS, UNLOCK_TRIES
from simulator.simulation import Host, Simulation
from tests.simulator.flock import flock, get, only, post, spec

KEY = "0123456789abcdef0123456789ABCDEF"


def with_vnish(test: Callable[[Simulation, Host], Awaitable[None]]) -> None:
    """Run `test` with one VNish miner."""

    async def run() -> None:
        async with flock(spec("vnish", "s19jpro-1.2.6")) as simulation:
            await test(simulation, only(simulation))

    asyncio.run(run())


async def unlock(host: Host, password: str = "admin") -> str:
    """A session's token."""
    answer = await post(host, "/api/v1/unlock", {"pw": password})
    assert answer.status_code == 200
    return answer.json()["token"]


def test_presets_need_a_session_and_it_ends() -> None:
    async def test(simulation: Simulation, host: Host) -> None:
        assert (await get(host, "/api/v1/autotune/presets")).status_code == 401
        token = await unlock(host)
        assert len(token) == 32
        headers = {"Authorization": f"Bearer {token}"}
        presets = (await get(host, "/api/v1/autotune/presets", headers=headers)).json()
        assert presets[0]["name"] == "disabled"
        assert {preset["status"] for preset in presets} == {"tuned", "untuned"}
        bare = await get(host, "/api/v1/autotune/presets", headers={"Authorization": token})
        assert bare.status_code == 200
        assert (await get(host, "/api/v1/status", headers=headers)).json()["unlocked"] is True
        simulation.clock.advance(TOKEN_SECONDS + 1)
        assert (await get(host, "/api/v1/autotune/presets", headers=headers)).status_code == 401
        truth = host.truth()
        assert (truth["unlocks"], truth["denied"], truth["unexpected_writes"]) == (1, 2, [])

    with_vnish(test)


def test_life_of_a_key() -> None:
    async def test(_: Simulation, host: Host) -> None:
        body = {"key": KEY, "description": "Example"}
        assert (await post(host, "/api/v1/apikeys", body)).status_code == 401
        headers = {"Authorization": f"Bearer {await unlock(host)}"}
        assert (await post(host, "/api/v1/apikeys", body, headers=headers)).json() == {"status": "inserted"}
        assert (await post(host, "/api/v1/apikeys", body, headers=headers)).json() == {"status": "nochanges"}
        renamed = body | {"description": "Other"}
        assert (await post(host, "/api/v1/apikeys", renamed, headers=headers)).json() == {"status": "updated"}
        by_key = {"x-api-key": KEY}
        assert (await get(host, "/api/v1/apikeys", headers=by_key)).json() == [{"key": KEY, "description": "Other"}]
        assert (await get(host, "/api/v1/autotune/presets", headers=by_key)).status_code == 200
        assert (await get(host, "/api/v1/settings", headers=by_key)).status_code == 200
        assert (await get(host, "/api/v1/settings", headers=headers)).status_code == 401
        assert (await post(host, "/api/v1/apikeys/delete", {"key": KEY}, headers=by_key)).status_code == 200
        assert (await get(host, "/api/v1/settings", headers=by_key)).status_code == 401
        truth = host.truth()
        assert (truth["keys_created"], truth["keys_deleted"], truth["unexpected_writes"]) == (1, 1, [])

    with_vnish(test)


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "0", "g" * 32, 5, None])
def test_a_key_must_be_32_hexadecimal_characters(key: object) -> None:
    async def test(_: Simulation, host: Host) -> None:
        headers = {"Authorization": f"Bearer {await unlock(host)}"}
        answer = await post(host, "/api/v1/apikeys", {"key": key, "description": "x"}, headers=headers)
        assert answer.status_code == 422
        assert host.truth()["keys_created"] == 0

    with_vnish(test)


def test_keys_outlive_a_reboot_and_sessions_do_not() -> None:
    async def test(_: Simulation, host: Host) -> None:
        headers = {"Authorization": f"Bearer {await unlock(host)}"}
        await post(host, "/api/v1/apikeys", {"key": KEY, "description": "x"}, headers=headers)
        host.device.reboot()
        assert (await get(host, "/api/v1/apikeys", headers=headers)).status_code == 401
        assert (await get(host, "/api/v1/apikeys", headers={"x-api-key": KEY})).status_code == 200

    with_vnish(test)


def test_wrong_passwords_lock_the_miner() -> None:
    async def test(simulation: Simulation, host: Host) -> None:
        for _ in range(UNLOCK_TRIES):
            assert (await post(host, "/api/v1/unlock", {"pw": "wrong"})).status_code == 403
        locked = await post(host, "/api/v1/unlock", {"pw": "admin"})
        assert locked.status_code == 429
        assert 0 < locked.json()["unlock_timeout"] <= LOCK_SECONDS + 1
        assert host.truth()["failed_unlocks"] == UNLOCK_TRIES + 1
        simulation.clock.advance(LOCK_SECONDS + 1)
        assert await unlock(host)

    with_vnish(test)


def test_another_password_is_a_fault_that_can_be_switched() -> None:
    async def test(simulation: Simulation, host: Host) -> None:
        await simulation.set_fault(host.address, "auth", password="other")
        assert (await post(host, "/api/v1/unlock", {"pw": "admin"})).status_code == 403
        assert await unlock(host, "other")
        await simulation.set_fault(host.address, None)
        assert await unlock(host)

    with_vnish(test)


@pytest.mark.parametrize("path", ["mining/switch-pool", "system/reboot", "firmware/remove", "locate-miner"])
def test_writes_that_nobody_sends_are_recorded(path: str) -> None:
    async def test(_: Simulation, host: Host) -> None:
        assert (await post(host, f"/api/v1/{path}", {})).status_code == 404
        assert host.truth()["unexpected_writes"] == [f"POST /api/v1/{path}"]
        assert host.truth()["state"] == "mining"

    with_vnish(test)


@pytest.mark.parametrize("path", ["mining/stop", "settings", "find-miner"])
def test_writes_want_to_be_signed(path: str) -> None:
    async def test(_: Simulation, host: Host) -> None:
        assert (await post(host, f"/api/v1/{path}", {})).status_code == 401
        truth = host.truth()
        assert (truth["denied"], truth["writes"], truth["state"]) == (1, [], "mining")

    with_vnish(test)
