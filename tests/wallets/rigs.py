"""An engine whose miners tell pools, and the door to its wallets."""

from exporter.config import Pools
from exporter.drivers.fields import as_table, tables
from exporter.drivers.fields import text as text_of
from exporter.engine.doors.wallets import WalletsDoor
from exporter.model import Pool, Reading
from tests.engine.bench import Hosts, RigDriver, at, driver_set, mac, run
from tests.engine.doors.calls import door_of

SEGWIT = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
STRANGER = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
LITECOIN = "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9"
SOLO = "stratum+tcp://solo.ckpool.org:3333"
OWN = "stratum+tcp://10.0.0.5:3333"


class PooledRig(RigDriver):
    """A rig whose page also tells its pools: url, user, active, fee."""

    def decode_status(self, answers, context):
        page = as_table(answers.document("GET /rig"))
        pools = tuple(
            Pool(
                str(number),
                url=text_of(entry, "url", limit=512),
                user=text_of(entry, "user", limit=512),
                active=entry.get("active"),
                fee=bool(entry.get("fee")),
                accepted=float(page["accepted"]) if "accepted" in page else None,
            )
            for number, entry in enumerate(tables(page, "pools"))
        )
        return Reading(identity=super().decode_status(answers, context).identity, pools=pools)


def pool(user, url=SOLO, active=True, **more):
    return {"url": url, "user": user, "active": active, **more}


class Rigs:
    """What a story gets: the bench, the door, and short forms."""

    def __init__(self, bench):
        self.bench = bench
        self.db = bench.db
        self.door = door_of(WalletsDoor, bench)

    async def tell(self, number, *pools, **more):
        """Rig `number` has these pools from now on, and is polled."""
        known = at(number) in self.bench.hosts.hosts
        self.bench.hosts.put(at(number), mac=mac(number), pools=list(pools), **more)
        if known:
            await self.bench.poll(at(number))
        else:
            await self.bench.search()
            await self.bench.poll(at(number))

    def id_of(self, number):
        return self.bench.row(mac(number)).id

    def configs(self, number):
        return self.door.configs(self.id_of(number))

    def links(self, number):
        """(wallet id, worker, reason) of the active configurations."""
        return [(one.wallet_id, one.worker_name, one.reason) for one in self.configs(number) if one.active]

    def expected(self, number):
        return {labels[0]: fits for labels, fits in self.bench.record(mac(number)).pools_expected}


def run_rigs(folder, monkeypatch, story, **options):
    """Run `story(rigs)`; no pool is asked unless `pools` says so."""

    async def whole(bench):
        return await story(Rigs(bench))

    options.setdefault("pools", Pools(statistics=False))
    return run(folder, monkeypatch, whole, hosts=Hosts(), drivers=driver_set(PooledRig()), **options)
