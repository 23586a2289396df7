"""A running engine feeds the history and the log; both end with it."""

from exporter.drivers.fields import as_table
from exporter.model import Pool, replace
from exporter.shares.lines import decode
from tests.engine.bench import RigDriver, at, driver_set, mac, run


class PoolDriver(RigDriver):
    """Rigs that tell how many shares their pool accepted."""

    def decode_status(self, answers, context):
        document = as_table(answers.document("GET /rig"))
        pool = Pool(
            "0", url="pool.example:3333", user="bc1q.rig", active=True, accepted=document["accepted"], rejected=0.0
        )
        return replace(super().decode_status(answers, context), pools=(pool,), uptime=document["uptime"])


def test_polls_reach_the_history_and_steps_the_log_and_what_waits_is_written_at_the_stop(tmp_path, monkeypatch):
    kept = []

    async def story(bench):
        kept.append(bench.engine.share_log)
        bench.hosts.put(at(1), mac=mac(1), accepted=50.0, uptime=9000.0, rate=5.0)
        await bench.search()
        bench.hosts.put(at(1), mac=mac(1), accepted=53.0, uptime=9015.0, rate=6.0)
        await bench.poll(at(1))
        del bench.hosts.hosts[at(1)]
        await bench.poll(at(1))
        record = bench.record(mac(1))
        points = bench.engine.history.recent(record.id)
        assert (points[-1].up, points[-1].hashrate) == (False, None)
        assert (points[-2].up, points[-2].hashrate, points[-2].accepted) == (True, 6.0, 53.0)
        assert bench.engine.share_log.query().total == 0  # it waits for its interval
        await bench.engine.forget(record.id)
        assert bench.engine.history.recent(record.id) == ()

    run(tmp_path, monkeypatch, story, drivers=driver_set(PoolDriver()))
    (path,) = kept[0].folder.glob("*.jsonl")
    share = decode(path.read_bytes())
    assert (share.count, share.accepted, share.source, share.pool_name) == (3, True, "derived", "pool.example")
