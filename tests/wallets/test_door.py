"""The door to wallets over a running engine: what is refused, what is on disk, and what /metrics shows."""

import asyncio
import dataclasses
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from exporter.app import _wallet_figures
from exporter.config import PoolHost, Pools, load_settings
from exporter.errors import ConfigError, FieldError, TakenError, UnknownError
from exporter.metrics.catalog_wallet import WALLET_METRICS, WalletCollector
from exporter.metrics.page import PageStore
from exporter.metrics.selfmetrics import SelfMetrics
from tests.engine.bench import mac
from tests.engine.doors.calls import ask, on_disk, until
from tests.wallets.pool_server import Held, pool_server
from tests.wallets.rigs import OWN, SEGWIT, STRANGER, pool, run_rigs
from tests.wallets.test_adapters import CKPOOL
from tests.wallets.test_addresses import CASHADDR


@pytest.fixture
def rigs(tmp_path, monkeypatch):
    def go(story, **options):
        return run_rigs(tmp_path, monkeypatch, story, **options)

    return go


def test_an_added_wallet_is_on_disk_and_listed_by_name(rigs, tmp_path):
    async def story(rigs):
        second = await ask(rigs.door.add, " Vault ", f" {SEGWIT.upper()} ", "BTC", " ")
        first = await ask(rigs.door.add, "cash", CASHADDR[0][1].partition(":")[2], "BCH", "Pool.Example.:3333")
        assert (second.name, second.address, second.pool) == ("Vault", SEGWIT, None)
        assert (first.address, first.pool) == (CASHADDR[0][1], "pool.example:3333")
        assert [view.wallet for view in rigs.door.all()] == [first, second]
        with on_disk(rigs.bench, tmp_path) as copy:
            assert set(copy.wallets.all()) == {first, second}

    rigs(story)


def test_a_known_server_stands_for_its_pool(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC", "eusolo.ckpool.org:3333")
        assert wallet.pool == "ckpool_btc"
        assert rigs.door.get(wallet.id).pool_name == "Solo CKPool"

    rigs(story)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        (("", SEGWIT, "BTC"), "name", "1 to 64"),
        (("x" * 65, SEGWIT, "BTC"), "name", "1 to 64"),
        (("a\nb", SEGWIT, "BTC"), "name", "printable"),
        ((7, SEGWIT, "BTC"), "name", "text"),
        ((f"my {SEGWIT}", SEGWIT, "BTC"), "name", "address"),
        (("a", SEGWIT, "USD"), "currency", "BTC, BCH"),
        (("a", SEGWIT, None), "currency", "must be one"),
        (("a", SEGWIT, ["BTC"]), "currency", "must be one"),
        (("a", SEGWIT[:-1] + "5", "BTC"), "address", "checksum"),
        (("a", SEGWIT, "LTC"), "address", "of Bitcoin, not of Litecoin"),
        (("a", None, "BTC"), "address", "text"),
        (("a", "", "OTHER"), "address", "is empty"),
        (("a", SEGWIT, "BTC", "nonsense"), "pool", "ckpool_btc, "),
        (("a", SEGWIT, "BTC", "pool.example"), "pool", "host:port"),
        (("a", SEGWIT, "BTC", "stratum+tcp://pool.example:0"), "pool", "host:port or a URL"),
        (("a", SEGWIT, "BTC", "stratum+tcp://"), "pool", "host:port or a URL"),
        (("a", SEGWIT, "BTC", 5), "pool", "text"),
        (("a", CASHADDR[0][1], "BCH", "public_pool"), "pool", "BTC can be mined, not BCH"),
    ],
)
def test_bad_fields_are_named(rigs, fields, field, said):
    async def story(rigs):
        with pytest.raises(FieldError, match=said) as caught:
            await ask(rigs.door.add, *fields)
        assert caught.value.field == field
        assert rigs.door.all() == ()

    rigs(story)


def test_what_is_there_already_is_refused(rigs):
    async def story(rigs):
        await ask(rigs.door.add, "cash", CASHADDR[0][1], "BCH")
        other = await ask(rigs.door.add, "other", SEGWIT, "BTC")
        with pytest.raises(TakenError) as caught:
            await ask(rigs.door.add, "CASH", STRANGER, "BTC")
        assert caught.value.field == "name"
        with pytest.raises(TakenError, match="'cash'") as caught:
            await ask(rigs.door.add, "the same in its old form", CASHADDR[0][0], "BCH")
        assert caught.value.field == "address"
        with pytest.raises(TakenError):
            await ask(rigs.door.change, other.id, {"name": "Cash"})
        await ask(rigs.door.add, "at one pool", CASHADDR[0][0], "BCH", "pool.example:3333")
        assert (await ask(rigs.door.change, other.id, {"name": "OTHER"})).name == "OTHER"

    rigs(story)


def test_changes_are_checked_as_a_whole(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC", "ckpool_btc")
        for changes, field in (
            ({"currency": "LTC"}, "address"),
            ({"colour": "red"}, "colour"),
            ({"pool": "nonsense"}, "pool"),
            ({"name": None}, "name"),
        ):
            with pytest.raises(FieldError) as caught:
                await ask(rigs.door.change, wallet.id, changes)
            assert caught.value.field == field
        assert rigs.door.get(wallet.id).wallet == wallet
        for call in (lambda: rigs.door.change(99, {}), lambda: rigs.door.delete(99), lambda: rigs.door.refresh(99)):
            with pytest.raises(UnknownError, match="99"):
                await ask(call)
        assert rigs.door.get(99) is None

    rigs(story)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("stratum+tcp://Pool.Example.com.:3333", "pool.example.com:3333"),
        ("stratum+ssl://pool.example:443/", "pool.example:443"),
        ("stratum+tcp://pool.example", "pool.example:3333"),
        ("stratum+tcp://me:secret@pool.example:1", "pool.example:1"),
        ("stratum+tcp://[2001:DB8:0::1]:3333", "[2001:db8::1]:3333"),
        ("STRATUM+TCP://EUsolo.ckpool.org:3333", "ckpool_btc"),
    ],
)
def test_a_pool_is_taken_as_miners_show_it(rigs, written, kept):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC", f" {written} ")
        assert wallet.pool == kept

    rigs(story)


def test_configurations_come_as_the_miner_lists_its_pools(rigs):
    async def story(rigs):
        await rigs.tell(1, pool(f"{SEGWIT}.first"), pool(f"{SEGWIT}.backup", OWN, active=False))
        assert [one.worker_name for one in rigs.configs(1)] == ["first", "backup"]
        # A new one before the one that was first: the order of their ids is not that of the miner.
        await rigs.tell(1, pool(f"{SEGWIT}.new"), pool(f"{SEGWIT}.first"))
        assert [(one.worker_name, one.active) for one in rigs.configs(1)] == [
            ("new", True),
            ("first", True),
            ("backup", False),
        ]

    rigs(story)


def test_configurations_of_a_miner_that_has_not_told_yet_keep_their_order(rigs):
    async def story(rigs):
        row = rigs.db.miners.insert(key="serial:off", driver="rig")
        for worker in ("first", "backup"):
            rigs.db.miner_configs.add(row.id, pool_url=OWN, pool_user=f"{SEGWIT}.{worker}", worker_name=worker)
        assert [one.worker_name for one in rigs.door.configs(row.id)] == ["first", "backup"]

    rigs(story)


def test_configurations_come_active_ones_first_then_the_latest(rigs):
    async def story(rigs):
        for worker in ("a", "b", "c"):
            await rigs.tell(1, pool(f"{SEGWIT}.{worker}"))
        assert [(one.worker_name, one.active) for one in rigs.configs(1)] == [("c", True), ("b", False), ("a", False)]

    rigs(story)


def test_a_refresh_through_the_door(rigs):
    with pool_server() as server:
        server.answers[f"/users/{SEGWIT}"] = CKPOOL

        async def story(rigs):
            wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC", "ckpool_btc")
            view = await ask(rigs.door.refresh, wallet.id)
            assert view.statistics.workers_count == 2
            assert view.askable
            # The same wallet at another pool: nothing of the first one is shown for it.
            await ask(rigs.door.change, wallet.id, {"pool": "10.0.0.5:3333"})
            assert rigs.door.get(wallet.id).statistics is None
            assert not rigs.door.get(wallet.id).askable, "no server is known there"

        rigs(story, pools=Pools(hosts=(PoolHost("solo.ckpool.org", None, None, server.url),)))


def test_refreshes_at_a_pool_that_says_nothing_hold_nobody_up(rigs, as_patient_as_it_is):
    numbers = range(9)
    with pool_server() as server:
        held = server.answers[f"/users/{SEGWIT}"] = Held(CKPOOL)

        async def story(rigs):
            wallets = [
                await ask(rigs.door.add, f"wallet {number}", SEGWIT, "BTC", f"10.0.0.5:{3000 + number}")
                for number in numbers
            ]
            views = await asyncio.gather(*(ask(rigs.door.refresh, wallet.id) for wallet in wallets))
            assert [(view.asking, view.statistics, view.error) for view in views] == [(True, None, None)] * len(views)
            assert not held.go.is_set()
            held.go.set()
            await until(lambda: not any(view.asking for view in rigs.door.all()), "the end of the refreshes")
            assert [view.statistics.workers_count for view in rigs.door.all()] == [2] * len(views)
            # All of it is about one address at one server.
            assert len(server.asked) == 1

        rigs(story, pools=Pools(hosts=(PoolHost("10.0.0.5", None, "ckpool_generic", server.url),)))


def test_another_name_costs_neither_figures_nor_requests(rigs):
    with pool_server() as server:
        server.answers[f"/users/{SEGWIT}"] = CKPOOL

        async def story(rigs):
            wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC", "ckpool_btc")
            before = (await ask(rigs.door.refresh, wallet.id)).statistics
            assert before is not None
            for number in range(4):
                await ask(rigs.door.change, wallet.id, {"name": f"savings {number}"})
                assert rigs.door.get(wallet.id).statistics == before
                await ask(rigs.door.refresh, wallet.id)
            assert len(server.asked) == 1

        rigs(story, pools=Pools(hosts=(PoolHost("solo.ckpool.org", None, None, server.url),)))


def test_a_wallet_that_is_led_away_and_back_is_not_asked_about_again_at_once(rigs):
    with pool_server() as server:
        server.answers[f"/users/{SEGWIT}"] = CKPOOL

        async def story(rigs):
            wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC", "ckpool_btc")
            first = (await ask(rigs.door.refresh, wallet.id)).statistics
            for _ in range(3):
                await ask(rigs.door.change, wallet.id, {"pool": "10.0.0.5:3333"})
                assert rigs.door.get(wallet.id).statistics is None
                await ask(rigs.door.change, wallet.id, {"pool": "ckpool_btc"})
                assert (await ask(rigs.door.refresh, wallet.id)).statistics == first
            assert len(server.asked) == 1

        rigs(story, pools=Pools(hosts=(PoolHost("solo.ckpool.org", None, None, server.url),)))


def test_backup_pools_are_asked_only_when_it_is_their_turn(rigs):
    with pool_server() as main, pool_server() as backup:
        hosts = (
            PoolHost("solo.ckpool.org", None, None, main.url),
            PoolHost("eusolo.ckpool.org", None, None, backup.url),
        )
        main.answers[f"/users/{SEGWIT}"] = backup.answers[f"/users/{SEGWIT}"] = CKPOOL
        eusolo = "stratum+tcp://eusolo.ckpool.org:3333"

        async def story(rigs):
            turn = [(True, False), (False, True)]
            for first, second in turn:
                await rigs.tell(1, pool(SEGWIT, active=first), pool(SEGWIT, eusolo, active=second))
                wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC")
                view = await ask(rigs.door.refresh, wallet.id)
                assert view.statistics is not None
                await ask(rigs.door.delete, wallet.id)
            assert (len(main.asked), len(backup.asked)) == (1, 1)

        rigs(story, pools=Pools(hosts=hosts))


def test_a_reload_brings_other_hosts_and_switches_off(rigs):
    with pool_server() as server:
        server.answers[f"/users/{SEGWIT}"] = CKPOOL

        async def story(rigs):
            await ask(rigs.door.add, "savings", SEGWIT, "BTC", "ckpool_generic")
            hosts = (PoolHost("10.0.0.5", 3333, "public_pool", server.url),)
            await rigs.tell(1, pool(SEGWIT, OWN))
            assert rigs.links(1)[0][2] is None
            bench = rigs.bench
            changed = dataclasses.replace(bench.settings, pools=Pools(statistics=False, hosts=hosts))
            await bench.engine.apply(changed, bench.drivers)
            assert rigs.links(1)[0][2] == "other_pool"
            assert server.asked == []

        rigs(story)


def test_a_thousand_miners_are_matched_anew_while_others_have_their_turn(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", STRANGER, "BTC")
        for number in range(1000):
            row = rigs.db.miners.insert(key=f"serial:{number}", driver="rig")
            rigs.db.miner_configs.add(row.id, pool_url=OWN, pool_user=f"{SEGWIT}.rig{number}", reason="other_address")
        turns = 0
        change = asyncio.create_task(ask(rigs.door.change, wallet.id, {"address": SEGWIT}))
        while not change.done():
            turns += 1
            await asyncio.sleep(0)
        assert len(rigs.door.get((await change).id).miners) == 1000
        assert turns >= 10

    rigs(story)


# --- /metrics ---


def shown(engine):
    """Values of the wallets' families by name and labels, in the order in which the table has them."""
    own = SelfMetrics()
    own.registry.register(WalletCollector(lambda: _wallet_figures(engine)))
    labels = {spec.name: spec.labels for spec in WALLET_METRICS}
    return {
        (sample.name, *(sample.labels[label] for label in labels[family.name])): sample.value
        for family in text_string_to_metric_families(own.render(openmetrics=False).decode())
        if family.name in labels
        for sample in family.samples
    }


def test_metrics_of_wallets(rigs):
    with pool_server() as server:
        server.answers[f"/users/{SEGWIT}"] = CKPOOL

        async def story(rigs):
            savings = await ask(rigs.door.add, "savings", SEGWIT, "BTC", "ckpool_btc")
            await ask(rigs.door.add, 'odd "one"\\', STRANGER, "BTC")
            number = str(savings.id)
            info = ("miner_wallet_info", number, "savings", "BTC", "Solo CKPool")
            assert shown(rigs.bench.engine)[info] == 1
            await ask(rigs.door.refresh, savings.id)
            figures = shown(rigs.bench.engine)
            rate = "miner_wallet_pool_hashrate_hashes_per_second"
            windows = {
                labels[1]: value for name, *labels in figures if name == rate for value in [figures[name, *labels]]
            }
            assert windows == {"1m": 1.23e12, "5m": 1.18e12, "1h": 9.87e11, "1d": 5.12e8, "7d": 0.0}
            assert figures["miner_wallet_best_share_difficulty", number] == 90210000.0
            assert figures["miner_wallet_workers", number] == 2
            assert len([key for key in figures if key[0] == "miner_wallet_info"]) == 2
            assert not any(SEGWIT in part or STRANGER in part for key in figures for part in key)

        rigs(story, pools=Pools(hosts=(PoolHost("solo.ckpool.org", None, None, server.url),)))


def test_without_wallets_there_are_no_families():
    registry = CollectorRegistry()
    registry.register(WalletCollector(lambda: ()))
    assert list(registry.collect()) == []


def test_whether_a_pool_is_expected_is_on_the_page_while_the_miner_is_up(rigs):
    page = PageStore()

    def samples():
        text = b"".join(page.write(False, 0.0)).decode()
        return [line for line in text.splitlines() if line.startswith("miner_pool_expected")]

    async def story(rigs):
        await rigs.tell(1, pool(SEGWIT))
        assert samples() == []
        await ask(rigs.door.add, "savings", SEGWIT, "BTC")
        assert samples() == [f'miner_pool_expected{{miner="{mac(1)}",pool="0"}} 1']
        await rigs.tell(1, pool(STRANGER))
        assert samples() == [f'miner_pool_expected{{miner="{mac(1)}",pool="0"}} 0']
        rigs.bench.hosts.hosts.clear()
        await rigs.bench.poll("192.0.2.1")
        assert samples() == []

    rigs(story, page=page)


# --- targets.yml ---


def load(folder, text):
    file = Path(folder) / "targets.yml"
    file.write_text(text)
    return load_settings(file, {})


def test_hosts_of_the_configuration(tmp_path):
    settings = load(
        tmp_path,
        'pools:\n  hosts:\n    "10.0.0.5:3333": {adapter: public_pool, url: "http://10.0.0.5:3334/"}\n'
        "    Pool.Example: {adapter: ckpool_generic}\n",
    )
    assert settings.pools.hosts == (
        PoolHost("10.0.0.5", 3333, "public_pool", "http://10.0.0.5:3334"),
        PoolHost("pool.example", None, "ckpool_generic", None),
    )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("pools: {hosts: [a]}", 1, "mapping"),
        ("pools:\n  hosts:\n    'a b': {adapter: x}", 3, "the pool's host"),
        ("pools:\n  hosts:\n    a.example: {}", 3, "says nothing"),
        ("pools:\n  hosts:\n    a.example: {adapter: A-B}", 3, "adapter's name"),
        ("pools:\n  hosts:\n    a.example: {url: ftp://x}", 3, "must be a URL"),
        ("pools:\n  hosts:\n    a.example: {url: 'http://u:p@x'}", 3, "user or a password"),
        ("pools:\n  hosts:\n    a.example: {uri: 'http://x'}", 3, "unknown key"),
        ("pools:\n  hosts:\n    a.example: {adapter: x}\n    A.example.: {adapter: x}", 4, "comes twice"),
    ],
)
def test_faults_of_hosts_are_told_with_their_place(tmp_path, text, line, said):
    with pytest.raises(ConfigError, match=said) as caught:
        load(tmp_path, text)
    assert f"targets.yml:{line}: pools.hosts" in str(caught.value)
