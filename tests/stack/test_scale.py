"""The configurations of deploy/scale with real programs: each miner is counted once, wherever its figures go."""

import contextlib
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import httpx
import pytest
import yaml

from tests.end_to_end.programs import ROOT, Process, Program, Simulator, free_port, wait_for
from tests.stack.servers import Prometheus, binary

SCALE = ROOT / "deploy/scale"
HALVES = ("north", "south")
#: How many of twelve are in each half: .1 to .6, and .9 to .12. Those at the edges of a network are in none.
NORTH, SOUTH = 6, 4
MINERS = NORTH + SOUTH

pytestmark = pytest.mark.realstack


# --- the files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["probe.yml", "flock-10000.yml", "hall.yml", "hall-agent.yml"])
def test_promtool_accepts(name):
    agent = ["--agent"] if "agent" in name else []
    done = subprocess.run(
        [binary("promtool"), "check", "config", *agent, str(SCALE / name)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


SERVERS = ("flock-10000.yml", "hall.yml", "hall-agent.yml")


@pytest.mark.parametrize("name", SERVERS)
def test_the_page_of_twice_the_miners_is_still_taken(name):
    """As docs/scale.md says: 2,500 miners for an exporter, of 142 samples."""
    (job,) = (each for each in read(SCALE / name)["scrape_configs"] if each["job_name"] == "flockwatch")
    assert 2 * 2500 * 142 < job["sample_limit"] < 2.2 * 2500 * 142
    text = (ROOT / "docs/scale.md").read_text()
    assert f"`sample_limit: {job['sample_limit']}`" in text
    assert f"{job['sample_limit'] // 142 // 10 * 10:,} of 142" in text


@pytest.mark.parametrize("name", SERVERS)
def test_what_knows_interval_and_patience_elsewhere_is_named(name):
    """Grafana and the limit of ExporterScrapeSlow know those of prometheus.yml: docs/scale.md says what to write."""
    usual, here = read(ROOT / "prometheus/prometheus.yml")["global"], read(SCALE / name)["global"]
    text = (ROOT / "docs/scale.md").read_text()
    source = (ROOT / "grafana/provisioning/datasources/flockwatch.yml").read_text()
    assert f"timeInterval: {usual['scrape_interval']}\n" in source
    assert f"`timeInterval: {here['scrape_interval']}` in `grafana/provisioning/datasources/flockwatch.yml`" in text
    limits = [int(each["scrape_timeout"].removesuffix("s")) * 7 // 10 for each in (usual, here)]
    rule = (ROOT / "prometheus/rules/alerts-exporter.yml").read_text()
    assert f'scrape_duration_seconds{{job="flockwatch"}} > {limits[0]}\n' in rule
    assert f'`scrape_duration_seconds{{job="flockwatch"}} > {limits[1]}` in place of `> {limits[0]}`' in text


def test_a_hall_that_falls_silent_raises_an_alarm(tmp_path):
    """Fires for the hall that is gone and for no other, and ends when it is back."""
    series = 'up{job="flockwatch", hall="%s", instance="%s/a:9877"}'
    document = {
        "rule_files": [str(SCALE / "halls.rules.yml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series % ("north", "north"), "values": "1x200"},
                    {"series": series % ("south", "south"), "values": "1x60 stale _x58 1x81"},
                ],
                "alert_rule_test": [
                    {"alertname": "HallSilent", "eval_time": when, "exp_alerts": alerts}
                    for when, alerts in (("60m", []), ("65m", []), ("100m", [alarm("south")]), ("130m", []))
                ],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [binary("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def read(path):
    return yaml.safe_load(path.read_text())


def alarm(hall):
    told = read(SCALE / "halls.rules.yml")["groups"][0]["rules"][0]["annotations"]
    return {
        "exp_labels": {"severity": "critical", "hall": hall},
        "exp_annotations": {
            "summary": told["summary"].replace("{{ $labels.hall }}", hall),
            "description": told["description"],
            "runbook_url": told["runbook_url"],
        },
    }


# --- a flock in two halves ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flock():
    running = Simulator(count=12)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def exporters(flock, tmp_path_factory):
    """Two programs, each with a half of the network and a site of its own."""
    running = []
    # What NMMiners broadcast reaches the half where they are.
    for site, part in zip(HALVES, ("0/29", "8/29"), strict=True):
        program = Program(
            tmp_path_factory.mktemp(site),
            flock,
            subnets=f"{{cidr: {flock.base}.{part}, labels: {{site: {site}}}}}",
            udp_port=flock.udp_port if site == "south" else "null",
        )
        running.append(program)
        program.start()
    found = [program.until_found(number) for program, number in zip(running, (NORTH, SOUTH), strict=True)]
    assert sum(len(page.values("miner_up")) for page in found) == MINERS
    yield running
    for program in running:
        program.stop()


def addresses(exporters):
    return [program.metrics.removeprefix("http://") for program in exporters]


def quick(folder, name, exporters, **changes):
    """A configuration of deploy/scale that scrapes `exporters` every second; `changes` replace text."""
    text = (SCALE / name).read_text()
    text = re.sub(r"scrape_interval: 60s", "scrape_interval: 1s", text)
    text = re.sub(r"scrape_timeout: \d+s", "scrape_timeout: 1s", text)
    text = text.replace("evaluation_interval: 60s", "evaluation_interval: 1s").replace(
        "refresh_interval: 1m", "refresh_interval: 1s"
    )
    text = text.replace("../../prometheus", str(ROOT / "prometheus")).replace("127.0.0.1:9877", addresses(exporters)[0])
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "exporters").mkdir(parents=True, exist_ok=True)
    (folder / "exporters/hall.yml").write_text(yaml.safe_dump([{"targets": addresses(exporters)}]))
    path = folder / name
    path.write_text(text)
    return path


@contextlib.contextmanager
def prometheus(folder, configuration):
    server = Prometheus(folder, configuration)
    try:
        yield server
    finally:
        server.stop()


def numbers(server, expression, label="miner"):
    """The values of a query by a label."""
    return {each["metric"].get(label, ""): float(each["value"][1]) for each in server.query(expression)}


def until(server, expression, expected, label="miner"):
    def check():
        found = numbers(server, expression, label)
        return found == expected and [found]

    try:
        return wait_for(check, expression, 60)[0]
    except AssertionError as error:
        raise AssertionError(f"{error}: {numbers(server, expression, label)}, not {expected}") from None


def test_two_exporters_share_a_flock(exporters, tmp_path):
    with prometheus(tmp_path, quick(tmp_path, "flock-10000.yml", exporters)) as server:
        until(server, "count(miner_up)", {"": MINERS})
        until(server, "count by (miner) (miner_up) > 1", {})
        until(server, "sum by (site) (site:miners:count)", {"north": NORTH, "south": SOUTH}, "site")
        assert server.failing_rules() == {}


def test_page_and_probes_together_count_each_miner_once(exporters, tmp_path):
    """The shipped jobs: the page gives the exporter's own figures, the probes those of the miners."""
    with prometheus(tmp_path, quick(tmp_path, "probe.yml", exporters)) as server:
        until(server, "count(miner_up)", {"": NORTH})
        until(server, "count by (miner) (miner_hashrate_hashes_per_second) > 1", {})
        until(server, "count by (job) (up)", {"flockwatch": 1, "flockwatch-probe": NORTH}, "job")
        until(server, "sum by (job) (site:miners:count)", {"flockwatch-probe": NORTH}, "job")
        until(server, "count by (job) (miner_exporter_build_info)", {"flockwatch": 1}, "job")
        assert server.failing_rules() == {}


def test_whole_page_and_probes_do_not_double_a_recorded_sum(exporters, tmp_path):
    """Both jobs with everything, as nobody should: the rules keep the jobs apart."""
    drop = "    metric_relabel_configs: [{source_labels: [miner], regex: .+, action: drop}]\n"
    with prometheus(tmp_path, quick(tmp_path, "probe.yml", exporters, **{drop: ""})) as server:
        until(server, "count(miner_up)", {"": 2 * NORTH})
        until(server, "sum by (job) (site:miners:count)", {"flockwatch": NORTH, "flockwatch-probe": NORTH}, "job")
        assert server.failing_rules() == {}


def test_parts_of_sd_are_those_of_hashmod(exporters, tmp_path):
    """?shard= divides as Prometheus itself would, so that a server may use either."""
    base = exporters[0].metrics
    jobs = []
    for number in range(3):
        sd = {"url": f"{base}/sd?shard={number}&of=3", "refresh_interval": "1s"}
        whole = {"url": f"{base}/sd", "refresh_interval": "1s"}
        hashed = [
            {"source_labels": ["__address__"], "modulus": 3, "target_label": "__tmp", "action": "hashmod"},
            {"source_labels": ["__tmp"], "regex": str(number), "action": "keep"},
        ]
        jobs.append({"job_name": f"asked-{number}", "http_sd_configs": [sd]})
        jobs.append({"job_name": f"hashed-{number}", "http_sd_configs": [whole], "relabel_configs": hashed})
    for job in jobs:
        # Nothing is scraped at the miners' keys: only who is in the list counts.
        job["relabel_configs"] = [
            *job.get("relabel_configs", ()),
            {"source_labels": ["__address__"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": base.removeprefix("http://")},
        ]
    path = tmp_path / "prometheus.yml"
    path.write_text(
        yaml.safe_dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs})
    )
    with prometheus(tmp_path, path) as server:
        until(server, "count(up{job=~'asked-.'})", {"": NORTH})
        until(server, "count(up{job=~'hashed-.'})", {"": NORTH})
        found = {
            (each["metric"]["job"].split("-")[0], each["metric"]["job"].split("-")[1], each["metric"]["instance"])
            for each in server.query("up")
        }
    asked, hashed = ({(number, key) for kind, number, key in found if kind == which} for which in ("asked", "hashed"))
    assert asked == hashed
    assert max(Counter(key for _, key in asked).values()) == 1


# --- a store for all halls ----------------------------------------------------------------------------------------


class Store:
    """A real VictoriaMetrics."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process(
            binary("victoria-metrics"), f"-storageDataPath={folder}/store", f"-httpListenAddr=127.0.0.1:{self.port}",
            "-search.latencyOffset=0s",
        )  # fmt: skip
        wait_for(self._ready, "VictoriaMetrics")

    def _ready(self):
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        assert self.process.child.poll() is None, "\n".join(self.process.lines)
        return False

    def query(self, expression):
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression, "nocache": "1"}, timeout=10)
        return answer.raise_for_status().json()["data"]["result"]

    def stop(self):
        self.process.stop()


@pytest.fixture
def store(tmp_path):
    running = Store(tmp_path)
    yield running
    running.stop()


def agent_words(folder, configuration):
    """The command line of an agent, which 3.0 changed."""
    told = subprocess.run([binary("prometheus"), "--version"], capture_output=True, text=True, check=True, timeout=30)
    major = int(re.search(r"version (\d+)", told.stdout + told.stderr)[1])
    return [
        binary("prometheus"), "--agent" if major >= 3 else "--enable-feature=agent", f"--config.file={configuration}",
        f"--storage.agent.path={folder}/agent", f"--web.listen-address=127.0.0.1:{free_port()}",
    ]  # fmt: skip


def to_store(folder, name, program, hall, store):
    """The configuration of a hall with one exporter."""
    folder.mkdir()
    return quick(folder, name, [program], **{"north-1": hall, "http://127.0.0.1:8428": store.url})


def test_agents_of_two_halls_fill_one_store(exporters, store, tmp_path):
    agents = []
    try:
        for hall, program in zip(HALVES, exporters, strict=True):
            path = to_store(tmp_path / hall, "hall-agent.yml", program, hall, store)
            agents.append(Process(*agent_words(tmp_path / hall, path)))
        until(store, "count(miner_up) by (hall)", {"north": NORTH, "south": SOUTH}, "hall")
        until(store, "count(miner_up) by (miner) > 1", {})
        instances = {each["metric"]["instance"] for each in store.query("up")}
        assert instances == {f"{hall}/{address}" for hall, address in zip(HALVES, addresses(exporters), strict=True)}
        told = sum(sum(program.page().values("miner_up").values()) for program in exporters)
        until(store, "sum(miner_up)", {"": told})
    finally:
        for agent in agents:
            agent.stop()


def test_a_hall_with_rules_sends_its_sums(exporters, store, tmp_path):
    path = to_store(tmp_path / "hall", "hall.yml", exporters[0], "north", store)
    with prometheus(tmp_path / "hall", path) as server:
        until(server, "site:miners:count", {"north": NORTH}, "site")
        until(store, "site:miners:count", {"north": NORTH}, "site")
        until(store, "count(miner:watched) by (hall)", {"north": NORTH}, "hall")
        assert server.failing_rules() == {}


@pytest.mark.parametrize(
    "file",
    [SCALE / "halls.rules.yml", *sorted(Path(ROOT / "prometheus/rules").glob("*.yml"))],
    ids=lambda path: path.stem,
)
def test_vmalert_understands_the_rules(file):
    if shutil.which("vmalert") is None:
        pytest.fail("vmalert is missing; run tests/install-packages")
    done = subprocess.run(
        ["vmalert", "-dryRun", f"-rule={file}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
