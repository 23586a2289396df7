"""Statistics of pools: how often they are asked, how long an answer lives, and what a failure costs."""

import asyncio
import contextlib
import dataclasses
import logging

import pytest

from exporter.config import PoolHost
from exporter.store.rows import Wallet
from exporter.wallets.adapters.loader import load_adapters
from exporter.wallets.directory import PoolDirectory
from exporter.wallets.pool_place import read_place
from exporter.wallets.servers import LEAST_SECONDS
from exporter.wallets.statistics import _MOST_WAITING, LIVE_SECONDS, REFRESH_SECONDS, StatisticsService
from tests.engine.doors.calls import until
from tests.wallets.pool_server import Held, pool_server
from tests.wallets.rigs import SEGWIT, STRANGER
from tests.wallets.test_adapters import CKPOOL, PUBLIC_POOL

PATH = f"/users/{SEGWIT}"
OTHERS = (
    STRANGER,
    "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
)
WALLET = Wallet(1, "savings", "BTC", SEGWIT, "ckpool_btc")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Desk:
    """A service whose wallets and pool are the test's."""

    def __init__(self, pool, *hosts):
        self.clock = Clock()
        self.wallets = [WALLET]
        self.places = ()
        own = PoolHost("solo.ckpool.org", None, None, pool.url)
        self.directory = PoolDirectory(load_adapters(), [own, *hosts])
        self.service = StatisticsService(
            lambda: tuple(self.wallets),
            lambda wallet: self.directory.sources(wallet, self.places),
            monotonic=self.clock,
        )

    async def refresh(self, wallet=WALLET):
        await self.service.refresh(wallet)
        return self.service.view(wallet.id)


def run(story, *hosts):
    with pool_server() as pool:
        pool.answers[PATH] = CKPOOL

        async def main():
            desk = Desk(pool, *hosts)
            try:
                await story(desk, pool)
            finally:
                await desk.service.stop()

        asyncio.run(main())


def test_a_refresh_brings_what_the_pool_says():
    async def story(desk, pool):
        assert desk.service.view(1) == (None, None)
        statistics, error = await desk.refresh()
        assert error is None
        assert dict(statistics.hashrates)["1m"] == 1.23e12
        assert statistics.refreshed_at > 1.7e9
        assert pool.asked == [PATH]

    run(story)


def test_at_most_once_a_minute_whoever_asks():
    async def story(desk, pool):
        await asyncio.gather(*(desk.refresh() for _ in range(20)))
        desk.clock.now += LEAST_SECONDS - 1
        await desk.refresh()
        assert len(pool.asked) == 1
        desk.clock.now += 2
        await desk.refresh()
        assert len(pool.asked) == 2

    run(story)


def test_a_failure_counts_as_a_request():
    async def story(desk, pool):
        pool.answers.clear()
        for _ in range(5):
            statistics, error = await desk.refresh()
        assert statistics is None
        assert "does not know the wallet" in error
        assert len(pool.asked) == 1

    run(story)


def test_old_figures_vanish_and_the_error_stays():
    async def story(desk, pool):
        await desk.refresh()
        pool.answers[PATH] = b"<html>maintenance"
        desk.clock.now += LIVE_SECONDS - 1
        statistics, error = await desk.refresh()
        assert statistics is not None
        assert "no JSON" in error
        desk.clock.now += 2
        assert desk.service.view(1) == (None, error)
        pool.answers[PATH] = CKPOOL
        desk.clock.now += LEAST_SECONDS
        statistics, error = await desk.refresh()
        assert statistics is not None
        assert error is None

    run(story)


def test_in_the_background_every_five_minutes(monkeypatch):
    monkeypatch.setattr("exporter.wallets.statistics._LOOK_SECONDS", 0.01)

    async def story(desk, pool):
        desk.service.start()
        await until(lambda: desk.service.view(1)[0] is not None, "a first answer")
        desk.clock.now += REFRESH_SECONDS - 1
        await asyncio.sleep(0.1)
        assert len(pool.asked) == 1
        desk.clock.now += 2
        await until(lambda: len(pool.asked) == 2, "the next request")

    run(story)


def test_switched_off_nobody_is_asked(monkeypatch):
    monkeypatch.setattr("exporter.wallets.statistics._LOOK_SECONDS", 0.01)

    async def story(desk, pool):
        await desk.refresh()
        desk.service.enabled = False
        desk.service.start()
        desk.clock.now += REFRESH_SECONDS + 1
        assert await desk.refresh() == (None, None)
        await asyncio.sleep(0.1)
        assert len(pool.asked) == 1

    run(story)


def test_a_wallet_that_was_changed_meanwhile_gets_no_answer_of_the_other():
    async def story(desk, pool):
        asking = asyncio.create_task(desk.refresh())
        await asyncio.sleep(0)
        desk.wallets = [Wallet(1, "savings", "BTC", SEGWIT, None)]
        desk.service.forget(1)
        await asking
        assert desk.service.view(1) == (None, None)

    run(story)


def others(number):
    """So many wallets of other addresses at the same pool, each of which the pool knows."""
    return [Wallet(2 + index, f"other {index}", "BTC", OTHERS[index], "ckpool_btc") for index in range(number)]


@pytest.fixture
def no_rest(monkeypatch):
    monkeypatch.setattr("exporter.wallets.servers._REST_SECONDS", 0.0)


def idle(desk):
    return until(lambda: not desk.service._running, "the end of the refreshes")


async def queued(desk, pool, number):
    """A request that is held back, and so many wallets that wait for their turn behind it."""
    held = pool.answers[PATH] = Held(CKPOOL)
    waiting = others(number)
    desk.wallets = [WALLET, *waiting]
    for wallet in waiting:
        pool.answers[f"/users/{wallet.address}"] = CKPOOL
    asks = [asyncio.create_task(desk.refresh(WALLET))]
    await until(lambda: pool.asked, "the first request")
    asks += [asyncio.create_task(desk.refresh(wallet)) for wallet in waiting]
    await until(lambda: len(desk.service._running) == number + 1, "the refreshes that wait")
    return held, waiting, asks


def test_a_pool_that_says_nothing_holds_nobody_up(as_patient_as_it_is):
    async def story(desk, pool):
        held = pool.answers[PATH] = Held(CKPOOL)
        assert await desk.refresh() == (None, None)
        assert desk.service.asking(1)
        assert not held.go.is_set()
        held.go.set()
        await idle(desk)
        assert not desk.service.asking(1)
        assert desk.service.view(1)[0].workers_count == 2

    run(story)


def test_few_may_wait_at_once():
    async def story(desk, pool):
        held = pool.answers[PATH] = Held(CKPOOL)
        waiting = [asyncio.create_task(desk.refresh()) for _ in range(_MOST_WAITING)]
        await until(lambda: desk.service._waiting == _MOST_WAITING, "those who wait")
        await desk.refresh()
        assert not any(task.done() for task in waiting), "one more is sent away at once"
        held.go.set()
        assert all(statistics is not None for statistics, _ in await asyncio.gather(*waiting))
        assert desk.service._waiting == 0

    run(story)


def test_switching_off_reaches_those_that_wait_for_their_turn(no_rest):
    async def story(desk, pool):
        held, waiting, asks = await queued(desk, pool, 4)
        desk.service.enabled = False
        held.go.set()
        await asyncio.gather(*asks)
        await idle(desk)
        assert pool.asked == [PATH]
        # On again, they are not made to wait for what was never asked.
        desk.service.enabled = True
        statistics, _ = await desk.refresh(waiting[0])
        assert statistics is not None
        assert len(pool.asked) == 2

    run(story)


def test_switching_off_reaches_who_rests_before_the_next_request():
    async def story(desk, pool):
        resting, woken = asyncio.Event(), asyncio.Event()

        async def rest(_):
            resting.set()
            await woken.wait()

        desk.service._servers._sleep = rest
        held, _, asks = await queued(desk, pool, 1)
        held.go.set()
        await resting.wait()
        desk.service.enabled = False
        woken.set()
        await asyncio.gather(*asks)
        await idle(desk)
        assert pool.asked == [PATH]

    run(story)


def test_wallets_that_are_changed_or_gone_are_not_asked_about_in_their_turn(no_rest):
    async def story(desk, pool):
        held, (changed, gone, stays), asks = await queued(desk, pool, 3)
        moved = dataclasses.replace(changed, address=SEGWIT)
        desk.wallets = [WALLET, moved, stays]
        desk.service.forget(changed.id)
        desk.service.forget(gone.id)
        assert not desk.service.asking(gone.id)
        held.go.set()
        await asyncio.gather(*asks)
        await idle(desk)
        assert pool.asked == [PATH, f"/users/{stays.address}"]
        assert desk.service.view(gone.id) == desk.service.view(changed.id) == (None, None)
        # The new address is that of another wallet, which the pool was asked about just now.
        statistics, _ = await desk.refresh(moved)
        assert statistics == desk.service.view(1)[0]
        assert len(pool.asked) == 2

    run(story)


def test_a_new_name_while_the_pool_is_asked_changes_nothing():
    async def story(desk, pool):
        held, _, asks = await queued(desk, pool, 0)
        desk.wallets = [dataclasses.replace(WALLET, name="another name")]
        held.go.set()
        await asyncio.gather(*asks)
        assert desk.service.view(1)[0] is not None

    run(story)


def test_the_minute_begins_with_the_request_and_not_with_the_wait_for_it(no_rest):
    async def story(desk, pool):
        held, (second,), asks = await queued(desk, pool, 1)
        desk.clock.now += LEAST_SECONDS - 10
        held.go.set()
        await asyncio.gather(*asks)
        await idle(desk)
        asked = [PATH, f"/users/{second.address}"]
        assert pool.asked == asked
        desk.clock.now += 20
        assert (await desk.refresh(second))[0] is not None
        assert pool.asked == asked
        desk.clock.now += LEAST_SECONDS - 20
        await desk.refresh(second)
        assert pool.asked == [*asked, asked[1]]

    run(story)


def test_two_wallets_of_one_address_share_a_request():
    async def story(desk, pool):
        anywhere = Wallet(2, "anywhere", "BTC", SEGWIT, None)
        desk.wallets = [WALLET, anywhere]
        desk.places = (read_place("solo.ckpool.org:3333"),)
        first, _ = await desk.refresh()
        desk.clock.now += LEAST_SECONDS - 1
        second, _ = await desk.refresh(anywhere)
        assert first == second
        assert pool.asked == [PATH]
        # What was said a minute ago does not live longer for it.
        desk.clock.now += LIVE_SECONDS - LEAST_SECONDS + 1
        assert desk.service.view(2) == (None, None)

    run(story)


def test_one_server_rests_between_two_requests():
    async def story(desk, pool):
        rests = []

        async def rest(seconds):
            rests.append(seconds)

        desk.service._servers._sleep = rest
        (second,) = desk.wallets = others(1)
        pool.answers[f"/users/{second.address}"] = CKPOOL
        await desk.refresh()
        assert rests == []
        await desk.refresh(second)
        assert rests == [1.0]
        desk.clock.now += LEAST_SECONDS
        await desk.refresh()
        assert rests == [1.0]

    run(story)


def test_a_slip_in_an_adapter_costs_its_own_wallet_only(monkeypatch, caplog):
    async def story(desk, pool):
        adapter = desk.directory.adapter("ckpool_btc")
        monkeypatch.setattr(adapter, "decode", lambda body: {}["missing"])
        with caplog.at_level(logging.INFO, "exporter"):
            statistics, error = await desk.refresh()
        assert statistics is None
        assert "adapter ckpool_btc failed" in error
        assert "KeyError" in caplog.text
        assert SEGWIT not in caplog.text

    run(story)


@pytest.mark.parametrize("body", [b"{", b'{"worker": [{"workername": ["%s"]}]}' % SEGWIT.encode()])
def test_no_error_and_no_log_line_holds_the_address(body, caplog):
    async def story(desk, pool):
        pool.answers[PATH] = body
        with caplog.at_level(logging.INFO, "exporter"):
            _, error = await desk.refresh()
        assert error
        shown = [record.getMessage() for record in caplog.records if record.name.startswith("exporter")]
        assert shown
        assert not any(SEGWIT in text for text in (error, *shown))

    run(story)


def test_servers_where_the_miners_mine_are_asked_and_added_up():
    async def story(desk, pool):
        with pool_server() as other:
            other.answers[PATH] = {**CKPOOL, "hashrate1m": "1T"}
            desk.directory = PoolDirectory(
                load_adapters(),
                [
                    PoolHost("solo.ckpool.org", None, None, pool.url),
                    PoolHost("eusolo.ckpool.org", None, None, other.url),
                ],
            )
            desk.places = (read_place("eusolo.ckpool.org:3333"), read_place("solo.ckpool.org:3333"))
            statistics, _ = await desk.refresh()
            assert dict(statistics.hashrates)["1m"] == 2.23e12
            assert statistics.workers_count == 4

    run(story)


def test_a_server_that_does_not_know_the_wallet_has_nothing_to_add():
    async def story(desk, pool):
        with pool_server() as other:
            desk.directory = PoolDirectory(
                load_adapters(),
                [
                    PoolHost("solo.ckpool.org", None, None, pool.url),
                    PoolHost("eusolo.ckpool.org", None, None, other.url),
                ],
            )
            desk.places = (read_place("eusolo.ckpool.org:3333"), read_place("solo.ckpool.org:3333"))
            statistics, error = await desk.refresh()
            assert statistics.workers_count == 2
            assert error is None
            # One that fails may know of miners: a part of them would be too little.
            other.answers[PATH] = b"<html>"
            desk.clock.now += LEAST_SECONDS
            kept, error = await desk.refresh()
            assert kept == statistics
            assert other.url in error

    run(story)


def test_ones_own_public_pool_is_asked_where_the_configuration_says():
    async def story(desk, pool):
        own = Wallet(1, "savings", "BTC", SEGWIT, "10.0.0.5:3333")
        desk.directory = PoolDirectory(load_adapters(), [PoolHost("10.0.0.5", 3333, "public_pool", pool.url)])
        desk.wallets = [own]
        pool.answers[f"/api/client/{SEGWIT}"] = PUBLIC_POOL
        statistics, error = await desk.refresh(own)
        assert error is None
        assert statistics.workers_count == 2

    run(story)


def test_addresses_are_escaped():
    async def story(desk, pool):
        odd = Wallet(1, "odd", "OTHER", "../a?b#c", "10.0.0.5:3333")
        desk.directory = PoolDirectory(load_adapters(), [PoolHost("10.0.0.5", 3333, "ckpool_generic", pool.url)])
        desk.wallets = [odd]
        await desk.refresh(odd)
        assert pool.asked == ["/users/..%2Fa%3Fb%23c"]

    run(story)


def test_a_pool_of_which_nothing_is_known_is_not_asked():
    async def story(desk, pool):
        unknown = Wallet(1, "savings", "BTC", SEGWIT, "10.0.0.6:3333")
        desk.wallets = [unknown]
        assert await desk.refresh(unknown) == (None, None)
        assert pool.asked == []

    run(story)


def test_stopping_does_not_wait_for_a_pool():
    async def story(desk, pool):
        hold = asyncio.Event()

        async def never(*_):
            await hold.wait()

        desk.service._servers._ready_client = never
        asking = asyncio.create_task(desk.refresh())
        await until(lambda: desk.service._running, "a refresh under way")
        await desk.service.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        assert desk.service.view(1)[0] is None

    run(story)
