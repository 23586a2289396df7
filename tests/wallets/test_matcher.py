"""Miners are matched to wallets as they tell their pools, in a running engine with its database."""

import pytest

from exporter.errors import UnknownError
from exporter.store.database import Database
from tests.engine.bench import mac
from tests.engine.doors.calls import ask, on_disk
from tests.wallets.rigs import LITECOIN, OWN, SEGWIT, SOLO, STRANGER, pool, run_rigs


@pytest.fixture
def rigs(tmp_path, monkeypatch):
    def go(story, **options):
        return run_rigs(tmp_path, monkeypatch, story, **options)

    return go


def test_a_pool_is_matched_at_the_first_poll_and_stored(rigs, tmp_path):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT.upper(), "BTC", "ckpool_btc")
        assert wallet.address == SEGWIT
        await rigs.tell(1, pool(f"{SEGWIT}.desk", "stratum+tcp://me:secret@solo.ckpool.org:3333"))
        (config,) = rigs.configs(1)
        assert (config.wallet_id, config.worker_name, config.reason) == (wallet.id, "desk", None)
        assert (config.pool_url, config.active, config.manual) == (SOLO, True, False)
        assert config.detected_at is not None
        assert rigs.door.get(wallet.id).miners == (rigs.id_of(1),)
        assert rigs.expected(1) == {"0": True}
        await rigs.db.commit()
        with on_disk(rigs.bench, tmp_path) as copy:
            assert copy.miner_configs.of(rigs.id_of(1)) == (config,)

    rigs(story)


def test_nothing_is_written_while_nothing_changes(rigs, monkeypatch):
    async def story(rigs):
        await rigs.tell(1, pool(f"{SEGWIT}.desk"), accepted=1)
        changes = []
        plain = Database.changed
        monkeypatch.setattr(
            Database, "changed", lambda db, table, *rest: (changes.append(table.name), plain(db, table, *rest))
        )
        for accepted in range(2, 6):
            await rigs.tell(1, pool(f"{SEGWIT}.desk"), accepted=accepted)
        assert "miner_configs" not in changes
        await rigs.tell(1, pool(f"{SEGWIT}.shelf"), accepted=7)
        assert "miner_configs" in changes

    rigs(story)


def test_a_changed_pool_is_matched_again_and_the_old_one_is_kept(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC")
        await rigs.tell(1, pool(f"{SEGWIT}.desk"))
        await rigs.tell(1, pool(f"{STRANGER}.desk", OWN))
        assert rigs.links(1) == [(None, "desk", "other_address")]
        active, ended = rigs.configs(1)
        assert (active.wallet_id, ended.active, ended.wallet_id) == (None, False, wallet.id)
        assert rigs.door.get(wallet.id).miners == ()
        # Somebody has led the miner away: the link of before is what it is held against.
        assert rigs.expected(1) == {"0": False}
        await rigs.tell(1, pool(f"{SEGWIT}.desk"))
        assert rigs.links(1) == [(wallet.id, "desk", None)]
        assert rigs.expected(1) == {"0": True}
        assert len(rigs.configs(1)) == 2

    rigs(story)


def test_backup_pools_count_and_fee_pools_do_not(rigs):
    async def story(rigs):
        one = await ask(rigs.door.add, "first", SEGWIT, "BTC")
        two = await ask(rigs.door.add, "second", STRANGER, "BTC")
        await rigs.tell(
            1, pool(SEGWIT), pool(f"{STRANGER}.b", OWN, active=False), pool(f"{SEGWIT}.devfee", OWN, fee=True)
        )
        assert sorted(rigs.links(1)) == [(one.id, None, None), (two.id, "b", None)]
        assert rigs.expected(1) == {"0": True}

    rigs(story)


def test_a_pool_that_is_not_that_of_the_wallet_is_unexpected(rigs):
    async def story(rigs):
        await ask(rigs.door.add, "savings", SEGWIT, "BTC", "ckpool_btc")
        await rigs.tell(1, pool(SEGWIT, active=False), pool(SEGWIT, OWN, active=True))
        assert rigs.expected(1) == {"1": False}
        await rigs.tell(1, pool(SEGWIT, active=True), pool(SEGWIT, OWN, active=False))
        assert rigs.expected(1) == {"0": True}

    rigs(story)


def test_which_pool_is_active_is_not_guessed(rigs):
    async def story(rigs):
        await ask(rigs.door.add, "savings", SEGWIT, "BTC")
        await rigs.tell(1, pool(SEGWIT, active=None), pool(STRANGER, OWN, active=None))
        assert rigs.expected(1) == {}
        await rigs.tell(1, pool(SEGWIT, active=None))
        assert rigs.expected(1) == {"0": True}

    rigs(story)


def test_pools_that_are_not_told_now_stay_as_they_were(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC")
        await rigs.tell(1, pool(SEGWIT))
        await rigs.tell(1)
        assert rigs.links(1) == [(wallet.id, None, None)]
        rigs.bench.hosts.hosts.clear()
        await rigs.bench.poll("192.0.2.1")
        assert rigs.bench.record(mac(1)).up is False
        assert rigs.links(1) == [(wallet.id, None, None)]

    rigs(story)


def test_all_miners_are_matched_anew_when_wallets_change(rigs):
    async def story(rigs):
        for number in (1, 2, 3):
            await rigs.tell(number, pool(f"{SEGWIT}.rig{number}"))
        assert rigs.links(1) == [(None, "rig1", "no_wallets")]
        wallet = await ask(rigs.door.add, "savings", STRANGER, "BTC")
        assert [rigs.links(number)[0][2] for number in (1, 2, 3)] == ["other_address"] * 3
        await ask(rigs.door.change, wallet.id, {"address": SEGWIT})
        assert len(rigs.door.get(wallet.id).miners) == 3
        await ask(rigs.door.change, wallet.id, {"pool": "public_pool"})
        assert rigs.links(2) == [(None, "rig2", "other_pool")]
        await ask(rigs.door.change, wallet.id, {"pool": None})
        await ask(rigs.door.delete, wallet.id)
        assert rigs.links(3) == [(None, "rig3", "no_wallets")]
        assert rigs.expected(3) == {}

    rigs(story)


def test_the_miners_currency_counts_as_soon_as_a_person_says_it(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "lite", LITECOIN, "LTC")
        await rigs.tell(1, pool(LITECOIN, OWN))
        assert rigs.links(1)[0][0] == wallet.id
        (miner,) = [one for one in rigs.bench.flock if one.row.key == mac(1)]
        rigs.bench.flock.update(miner, currency="BTC")
        await rigs.bench.poll("192.0.2.1")
        assert rigs.links(1) == [(None, None, "other_currency")]
        rigs.bench.flock.update(miner, currency="LTC")
        await rigs.bench.poll("192.0.2.1")
        assert rigs.links(1)[0][0] == wallet.id

    rigs(story)


def test_the_currency_of_a_miner_that_is_off_counts_too(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "lite", LITECOIN, "LTC")
        row = rigs.db.miners.insert(key="serial:off", driver="rig")
        rigs.db.miner_configs.add(row.id, pool_url=OWN, pool_user=LITECOIN, wallet_id=wallet.id)
        rigs.bench.flock.take_row(row)
        for currency, wanted in (("BTC", None), ("LTC", wallet.id)):
            rigs.bench.flock.take_row(rigs.db.miners.update(row.id, currency=currency))
            (config,) = rigs.door.configs(row.id)
            assert config.wallet_id == wanted

    rigs(story)


# --- links by hand ---


def test_a_link_by_hand_wins_and_stays(rigs):
    async def story(rigs):
        mine = await ask(rigs.door.add, "mine", SEGWIT, "BTC")
        other = await ask(rigs.door.add, "other", STRANGER, "BTC")
        await rigs.tell(1, pool(f"{SEGWIT}.desk"))
        (config,) = await ask(rigs.door.link, rigs.id_of(1), other.id)
        assert (config.wallet_id, config.manual, config.reason) == (other.id, True, None)
        assert rigs.expected(1) == {"0": False}
        await rigs.tell(1, pool("account.desk", OWN))
        assert rigs.links(1) == [(other.id, "desk", None)]
        await ask(rigs.door.change, mine.id, {"name": "still mine"})
        assert rigs.links(1) == [(other.id, "desk", None)]
        await rigs.tell(1, pool(f"{STRANGER}.desk"))
        assert rigs.expected(1) == {"0": True}
        assert [one.manual for one in rigs.configs(1)] == [True, False, False]
        await ask(rigs.door.link, rigs.id_of(1), mine.id)
        assert rigs.links(1) == [(mine.id, "desk", None)]
        await ask(rigs.door.link, rigs.id_of(1), None)
        assert rigs.links(1) == [(other.id, "desk", None)]

    rigs(story)


def test_a_miner_that_told_of_no_pool_can_be_linked_all_the_same(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC")
        await rigs.tell(1)
        assert rigs.configs(1) == ()
        (config,) = await ask(rigs.door.link, rigs.id_of(1), wallet.id)
        assert (config.pool_url, config.manual, config.active) == (None, True, True)
        assert rigs.door.get(wallet.id).miners == (rigs.id_of(1),)
        await rigs.tell(1, pool("account.desk"))
        assert rigs.links(1) == [(wallet.id, "desk", None)]
        assert len(rigs.configs(1)) == 1

    rigs(story)


def test_a_link_without_a_pool_is_taken_back_without_a_trace(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC")
        await rigs.tell(1)
        await ask(rigs.door.link, rigs.id_of(1), wallet.id)
        assert await ask(rigs.door.link, rigs.id_of(1), None) == ()

    rigs(story)


def test_deleting_a_wallet_ends_links_by_hand(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC")
        await rigs.tell(1, pool("account.desk"))
        await ask(rigs.door.link, rigs.id_of(1), wallet.id)
        await ask(rigs.door.delete, wallet.id)
        (config,) = rigs.configs(1)
        assert (config.wallet_id, config.manual, config.reason) == (None, False, "no_address_in_user")

    rigs(story)


def test_links_of_unknown_ones_are_refused(rigs):
    async def story(rigs):
        await rigs.tell(1, pool(SEGWIT))
        with pytest.raises(UnknownError, match="no miner has the id 99"):
            await ask(rigs.door.link, 99, None)
        with pytest.raises(UnknownError, match="no wallet has the id 99"):
            await ask(rigs.door.link, rigs.id_of(1), 99)
        assert rigs.links(1) == [(None, None, "no_wallets")]

    rigs(story)


def test_a_forgotten_miner_takes_its_configurations_along(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC")
        await rigs.tell(1, pool(SEGWIT))
        await ask(rigs.door.link, rigs.id_of(1), wallet.id)
        await rigs.bench.engine.forget(rigs.id_of(1))
        assert rigs.db.miner_configs.all() == ()
        assert rigs.door.get(wallet.id).miners == ()

    rigs(story)


def test_a_restart_changes_nothing(rigs):
    kept = []

    async def first(rigs):
        await ask(rigs.door.add, "savings", SEGWIT, "BTC", "ckpool_btc")
        await rigs.tell(1, pool(f"{SEGWIT}.desk"))
        kept.extend(rigs.configs(1))

    async def second(rigs):
        assert list(rigs.configs(1)) == kept
        await rigs.tell(1, pool(f"{SEGWIT}.desk"))
        await rigs.bench.poll("192.0.2.1")
        assert list(rigs.configs(1)) == kept
        assert rigs.expected(1) == {"0": True}

    rigs(first)
    rigs(second)


# --- boards on USB ---


def test_a_board_on_usb_is_matched_by_what_it_printed(rigs):
    async def story(rigs):
        wallet = await ask(rigs.door.add, "savings", SEGWIT, "BTC", "public_pool")
        row = rigs.db.miners.insert(
            key="serial:NM1",
            driver="nerdminer",
            serial="NM1",
            name="desk",
            currency="BTC",
            pool_url="public-pool.io:21496",
            wallet_address=f"{SEGWIT}.garage",
        )
        rigs.bench.flock.take_row(row)
        (config,) = rigs.door.configs(row.id)
        assert (config.wallet_id, config.worker_name) == (wallet.id, "garage")
        changed = rigs.db.miners.update(row.id, wallet_address=f"{STRANGER}.garage")
        rigs.bench.flock.take_row(changed)
        assert [one.reason for one in rigs.door.configs(row.id) if one.active] == ["other_address"]

    rigs(story)


def test_hostile_pool_texts_do_no_harm(rigs):
    async def story(rigs):
        await ask(rigs.door.add, "savings", SEGWIT, "BTC")
        nasty = ["\x00\x1b[31m", "<script>", "a" * 10_000, "\u202e" + SEGWIT, "%s%n", "bc1" * 200]
        for text in nasty:
            await rigs.tell(1, pool(text, text))
        assert rigs.bench.record(mac(1)).up is True
        stored = [one.pool_user for one in rigs.configs(1) if one.pool_user]
        assert all(text.isprintable() and len(text) <= 512 for text in stored)

    rigs(story)
