"""The door to the log over a real database, and the consoles that feed it."""

import math
import time

import pytest

from exporter.engine.doors.shares import SharesDoor
from exporter.errors import FieldError, UnknownError
from exporter.model import Identity
from exporter.shares.lines import decode
from exporter.shares.log import ShareLog, folder_of
from exporter.store.database import Database
from tests.engine.usb_bench import MAC, device
from tests.engine.usb_bench import run as run_usb
from tests.protocols.nerdminer_consoles import (
    GOOD,
    POOL,
    completed,
    details,
    share_accepted,
    share_rejected,
    submit,
)

WALLET = {"name": "Savings", "currency": "BTC", "address": "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"}


@pytest.fixture
def door(tmp_path):
    with Database.open(tmp_path / "flockwatch.json", flush_delay=0.01) as db:
        db.wallets.insert(**WALLET)
        db.miners.insert(key=MAC, driver="bitaxe", identity=Identity())
        log = ShareLog(folder_of(db.path))
        log.open()
        yield SharesDoor(db, log)
        log.close()


def add(door, wallet_id=1, **fields):
    return door.add(wallet_id, **{"pool_name": "pool.example", "difficulty": 5.5, **fields})


def test_a_share_by_hand_is_logged_as_it_was_given(door):
    before = time.time()
    made = add(door, worker_name=" rig 1 ", accepted=False, miner_id=1)
    assert made.timestamp >= round(before, 3)
    assert (made.id, made.wallet_id, made.miner_id, made.source, made.count) == (1, 1, 1, "manual", 1)
    assert (made.pool_name, made.worker_name, made.difficulty, made.accepted) == ("pool.example", "rig 1", 5.5, False)
    assert door.query(wallet_id=1).shares == (made,)
    assert door.sums(wallet_id=1).rejected == 1
    assert decode(b"".join(door.export())) == made
    earlier = add(door, timestamp=before - 86400)
    assert earlier.timestamp == pytest.approx(before - 86400, abs=0.001)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pool_name", ""),
        ("pool_name", "   "),
        ("pool_name", "x" * 129),
        ("pool_name", "two\nlines"),
        ("pool_name", "\x1b[31m"),
        ("worker_name", ""),
        ("worker_name", "x" * 129),
        ("worker_name", "\u202eevil"),
        ("difficulty", 0.0),
        ("difficulty", -1.0),
        ("difficulty", math.nan),
        ("difficulty", math.inf),
        ("difficulty", 1.1e18),
        ("timestamp", math.nan),
        ("timestamp", -1.0),
        ("timestamp", 1e12),
        ("miner_id", 99),
        ("miner_id", -1),
    ],
)
def test_bad_fields_are_refused_by_name_and_nothing_is_logged(door, field, value):
    with pytest.raises(FieldError) as caught:
        add(door, **{field: value})
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
    assert door.query().total == 0


def test_times_in_the_future_and_too_long_ago_are_refused(door):
    for wrong in (time.time() + 3600, time.time() - 31 * 86400):
        with pytest.raises(FieldError, match="time"):
            add(door, timestamp=wrong)


def test_a_wallet_that_is_not_there_is_unknown(door):
    with pytest.raises(UnknownError):
        add(door, wallet_id=2)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"limit": -1}, "limit"),
        ({"limit": 10_001}, "limit"),
        ({"offset": -1}, "offset"),
        ({"since": math.nan}, "since"),
        ({"until": math.inf}, "until"),
    ],
)
def test_queries_have_bounds(door, arguments, field):
    with pytest.raises(FieldError) as caught:
        door.query(**arguments)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize("hours", [0.0, -1.0, 721.0, math.nan])
def test_sums_have_bounds(door, hours):
    with pytest.raises(FieldError, match="hours"):
        door.sums(hours=hours)


BOARD = device()
MINING = GOOD + completed(0, 310, "310.00") + details()


def test_each_share_of_a_console_is_logged_once_also_over_a_replug(tmp_path):
    async def story(bench):
        bench.usb.on_shares = bench.engine._count_shares
        log = bench.engine.share_log
        await bench.plug(BOARD)
        await bench.say(BOARD, MINING + submit(4) + share_accepted(4))
        assert log.query().total == 0  # nobody's yet
        row = await bench.engine.onboard(bench.only_waiting().id, "Garage", "BTC")
        bench.db.wallets.insert(**WALLET)
        await bench.say(BOARD, completed(0, 310, "310.00"))
        await bench.engine.wallets.link(row.id, 1)
        await bench.say(BOARD, MINING + submit(5) + share_accepted(5))
        await bench.say(BOARD, submit(6))
        await bench.say(BOARD, share_rejected(6))
        bench.unplug(BOARD)
        await bench.plug(BOARD)
        await bench.say(BOARD, MINING + submit(4) + share_accepted(4))
        shares = list(reversed(log.query().shares))
        assert [(share.accepted, share.reason) for share in shares] == [
            (True, None),
            (False, "Job not found"),
            (True, None),
        ]
        assert {share.source for share in shares} == {"event"}
        assert [share.difficulty for share in shares] == [pytest.approx(0.000512345678)] * 3
        assert {(share.miner_id, share.wallet_id, share.worker_name) for share in shares} == {(row.id, 1, "shelf3")}
        assert {share.pool_name for share in shares} == {POOL}
        assert log.counts() == {(1, True): 2, (1, False): 1}

    run_usb(tmp_path, story)
