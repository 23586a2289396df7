"""The pool adapters: their metadata, and answers as the pools give them."""

import json
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.engine.api.wallets import PoolStatistics, WorkerStatistics
from exporter.errors import DecodeError, DriverRejected
from exporter.wallets.adapters.api import PoolAdapter
from exporter.wallets.adapters.loader import adapter_faults, adapter_of, load_adapters
from exporter.wallets.totals import merged

ADAPTERS = {adapter.name: adapter for adapter in load_adapters()}
ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"

#: Made of the facts known of ckpool's user files: rates with a metric suffix, times in Unix seconds.
CKPOOL = {
    "hashrate1m": "1.23T",
    "hashrate5m": "1.18T",
    "hashrate1hr": "987G",
    "hashrate1d": "512M",
    "hashrate7d": "0",
    "lastshare": 1790000000,
    "workers": 2,
    "shares": 123456789,
    "bestshare": 5423512.75,
    "bestever": 90210000,
    "authorised": 1780000000,
    "worker": [
        {
            "workername": f"{ADDRESS}.desk",
            "hashrate1m": "1.1T",
            "hashrate5m": "1.05T",
            "lastshare": 1790000000,
            "shares": 100,
            "bestshare": 5423512.75,
            "bestever": 90210000,
        },
        {"workername": ADDRESS, "hashrate1m": "0", "hashrate5m": "0", "lastshare": 0, "shares": 0, "bestshare": 0},
    ],
}
PUBLIC_POOL = {
    "bestDifficulty": 90210000.5,
    "workersCount": 2,
    "workers": [
        {
            "sessionId": "7a3c",
            "name": "bitaxe",
            "bestDifficulty": "5423512.75",
            "hashRate": 1.2e12,
            "startTime": "2026-09-01T10:00:00.000Z",
            "lastSeen": "2026-09-21T14:13:20.000Z",
        },
        {
            "sessionId": "7a3d",
            "name": "worker",
            "bestDifficulty": "12.00",
            "hashRate": 78000.5,
            "lastSeen": 1789000000000,
        },
    ],
}


def decoded(name, document):
    return ADAPTERS[name].decode(json.dumps(document).encode())


def test_the_bundled_ones():
    assert sorted(ADAPTERS) == ["ckpool_btc", "ckpool_generic", "public_pool"]
    assert ADAPTERS["ckpool_btc"].display_name == "Solo CKPool"
    assert ADAPTERS["ckpool_btc"].path(ADDRESS) == f"/users/{ADDRESS}"
    assert ADAPTERS["public_pool"].path(ADDRESS) == f"/api/client/{ADDRESS}"


@pytest.mark.parametrize("name", ["ckpool_btc", "ckpool_generic"])
def test_ckpool(name):
    assert decoded(name, CKPOOL) == PoolStatistics(
        hashrates=(("1m", 1.23e12), ("5m", 1.18e12), ("1h", 9.87e11), ("1d", 5.12e8), ("7d", 0.0)),
        workers_count=2,
        workers=(
            WorkerStatistics("desk", 1.05e12, 90210000.0, 1790000000.0),
            WorkerStatistics("", 0.0, 0.0, None),
        ),
        best_share_difficulty=90210000.0,
        shares_accepted=123456789.0,
        last_share=1790000000.0,
    )


def test_what_ckpool_does_not_say_is_unknown():
    assert decoded("ckpool_btc", {}) == PoolStatistics()


def test_public_pool():
    assert decoded("public_pool", PUBLIC_POOL) == PoolStatistics(
        hashrates=(("10m", 1.2e12 + 78000.5),),
        workers_count=2,
        workers=(
            WorkerStatistics("bitaxe", 1.2e12, 5423512.75, 1790000000.0),
            WorkerStatistics("worker", 78000.5, 12.0, 1789000000.0),
        ),
        best_share_difficulty=90210000.5,
        last_share=1790000000.0,
    )


def test_public_pool_without_a_miner():
    told = decoded("public_pool", {"bestDifficulty": 0, "workersCount": 0, "workers": []})
    assert (told.workers_count, told.hashrates) == (0, (("10m", 0.0),))


def test_a_sum_of_some_workers_is_no_rate():
    workers = [{"name": "a", "hashRate": 5}, {"name": "b"}]
    assert decoded("public_pool", {"workersCount": 2, "workers": workers}).hashrates == ()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        *[(name, body) for name in ("ckpool_btc", "public_pool") for body in (b"", b"<html>", b"[1]", b"[" * 100_000)],
        ("ckpool_btc", b'{"hashrate1m": "fast"}'),
        ("ckpool_btc", b'{"hashrate1m": {}}'),
        ("ckpool_btc", b'{"worker": [1]}'),
        ("ckpool_btc", b'{"workers": []}'),
        ("public_pool", b"{}"),
        ("public_pool", b'{"message": "not found"}'),
        ("public_pool", b'{"workers": [{"lastSeen": "yesterday"}]}'),
        ("public_pool", b'{"workers": [{"lastSeen": {}}]}'),
        ("public_pool", b'{"workers": [{"hashRate": "much"}]}'),
    ],
)
def test_other_answers_are_refused(name, body):
    with pytest.raises(DecodeError):
        ADAPTERS[name].decode(body)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
KEYS = sorted({*CKPOOL, *CKPOOL["worker"][0], *PUBLIC_POOL, *PUBLIC_POOL["workers"][0]})
objects = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)
documents = st.builds(
    lambda top, inner, key: {**top, **({key: inner} if key else {})},
    objects,
    st.lists(objects, max_size=3),
    st.sampled_from(["worker", "workers", ""]),
)


@settings(deadline=None)
@given(st.sampled_from(sorted(ADAPTERS)), documents)
def test_any_document_gives_figures_or_an_error(name, document):
    try:
        told = decoded(name, document)
    except DecodeError:
        return
    figures = [rate for _, rate in told.hashrates] + [worker.hashrate for worker in told.workers]
    assert all(isinstance(figure, float) for figure in figures if figure is not None)


# --- the contract ---


def adapter_class(**changes):
    members = {
        "name": "example",
        "adapter_version": "1.0.0",
        "display_name": "Example",
        "currencies": ("BTC",),
        "servers": {"pool.example": "https://pool.example"},
        "path": lambda self, address: "/",
        "decode": lambda self, body: PoolStatistics(),
    }
    return type("Example", (PoolAdapter,), {key: value for key, value in (members | changes).items() if value != "-"})


def test_a_good_class_has_no_faults():
    assert adapter_faults(adapter_class()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "-"}, "name"),
        ({"name": "Bad Name"}, "name"),
        ({"adapter_version": "1"}, "adapter_version"),
        ({"display_name": ""}, "display_name"),
        ({"currencies": ("USD",)}, "currencies"),
        ({"currencies": ()}, "currencies"),
        ({"servers": {}}, "servers"),
        ({"servers": {"Pool.Example": "https://pool.example"}}, "servers"),
        ({"servers": {"pool.example": "https://pool.example/"}}, "servers"),
        ({"servers": {"pool.example": "ftp://pool.example"}}, "servers"),
        ({"interface_version": 2}, "interface_version"),
        ({"path": "-"}, "path"),
        ({"decode": "-"}, "decode"),
    ],
)
def test_faults_are_named(changes, said):
    faults = adapter_faults(adapter_class(**changes))
    assert any(said in fault for fault in faults)


def test_a_file_holds_one_adapter():
    module = types.ModuleType("example_pool")
    with pytest.raises(DriverRejected, match="holds 0"):
        adapter_of(module)
    for number in (1, 2):
        kind = adapter_class()
        kind.__module__ = module.__name__
        setattr(module, f"Pool{number}", kind)
        if number == 1:
            assert adapter_of(module).name == "example"
    with pytest.raises(DriverRejected, match="holds 2"):
        adapter_of(module)


# --- several servers ---


def test_servers_are_added_up():
    one = PoolStatistics((("1m", 1.0), ("1h", 2.0)), 1, (WorkerStatistics("a"),), 50.0, 7.0, 100.0, refreshed_at=1000.0)
    two = PoolStatistics((("1m", 10.0),), 2, (WorkerStatistics("b"),), 40.0, 3.0, 200.0, refreshed_at=1001.0)
    assert merged([one, two]) == PoolStatistics(
        (("1m", 11.0),), 3, (WorkerStatistics("a"), WorkerStatistics("b")), 50.0, 10.0, 200.0, refreshed_at=1000.0
    )
    assert merged([one]) == one
    assert merged([one, PoolStatistics()]).workers_count is None
    with pytest.raises(ValueError, match="nothing"):
        merged([])
