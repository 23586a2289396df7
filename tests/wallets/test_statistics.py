"""Statistics of pools: how often they are asked, how long an answer lives, and what a failure costs."""

import asyncio
import contextlib
import logging

import pytest

from exporter.config import PoolHost
from exporter.store.rows import Wallet
from exporter.wallets.adapters.loader import load_adapters
from exporter.wallets.directory import PoolDirectory
from exporter.wallets.pool_place import read_place
from exporter.wallets.statistics import LEAST_SECONDS, LIVE_SECONDS, REFRESH_SECONDS, StatisticsService
from tests.engine.doors.calls import until
from tests.wallets.pool_server import pool_server
from tests.wallets.rigs import SEGWIT
from tests.wallets.test_adapters import CKPOOL, PUBLIC_POOL

PATH = f"/users/{SEGWIT}"
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

        desk.service._ready_client = never
        asking = asyncio.create_task(desk.refresh())
        await until(lambda: desk.service._running, "a refresh under way")
        await desk.service.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        assert desk.service.view(1)[0] is None

    run(story)
