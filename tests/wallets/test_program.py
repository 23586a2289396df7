"""The running program with simulated miners and a pool on loopback: from a new wallet to /metrics."""

import httpx
import pytest

from tests.end_to_end.programs import Program, Simulator
from tests.wallets.pool_server import pool_server
from tests.wallets.test_adapters import CKPOOL

pytestmark = pytest.mark.timeout(120)

MORE = """\
metrics: {{collectors: {{pool_user: true}}}}
pools:
  hosts:
    Pool.Example.com.: {{adapter: ckpool_generic, url: "{url}"}}
"""


def test_a_wallet_finds_its_miners_and_its_pool(tmp_path):
    simulator = Simulator(count=5)
    with pool_server() as pool:
        program = Program(tmp_path, simulator, status=1, telemetry=1, discovery=2, more=MORE.format(url=pool.url))
        try:
            program.start()
            page = program.until_found(5)
            bitaxe = page.key_at(simulator.of("bitaxe")["address"])
            users = {dict(labels)["user"] for labels in page.values("miner_pool_info", miner=bitaxe)}
            account, _, worker = users.pop().partition(".")
            pool.answers[f"/users/{account}"] = CKPOOL
            assert worker == "bitaxe"
            assert page.values("miner_pool_expected") == {}

            # Simulated addresses are none on purpose, so that they are tracked as those of another currency.
            body = {"name": "desk", "address": account, "currency": "OTHER", "pool": "ckpool_generic"}
            added = httpx.post(f"{program.ui}/api/wallets", json=body, timeout=30)
            assert added.status_code == 201, added.text
            number = str(added.json()["id"])

            def complete(page):
                rate = page.value("miner_wallet_pool_hashrate_hashes_per_second", wallet=number, window="1h")
                return page.value("miner_pool_expected", miner=bitaxe) is not None and rate is not None and page

            page = program.until(complete, "the miner and the pool of the wallet")
            assert page.value("miner_pool_expected", miner=bitaxe) == 1
            assert page.value("miner_wallet_pool_hashrate_hashes_per_second", wallet=number, window="1h") == 9.87e11
            assert page.value("miner_wallet_workers", wallet=number) == 2
            assert list(page.values("miner_wallet_info", wallet=number, currency="OTHER").values()) == [1]
            assert page.value("miner_wallet_link_info", wallet=number, miner=bitaxe) == 1
            listed = httpx.get(f"{program.ui}/api/wallets/{number}", timeout=30).json()
            assert len(listed["miners"]) == 1
            assert account not in program.log()
        finally:
            program.stop()
            simulator.stop()
