"""The whole path: simulated miners, the real program, a real Prometheus."""

import json
import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.end_to_end.programs import CLIENT, prometheus, run_command, wait_for

pytestmark = pytest.mark.timeout(240)


def test_every_simulated_miner_is_found_and_its_figures_are_the_truth(program, simulator):
    program.until_found(len(simulator.devices))
    simulator.post("clock", freeze=True)
    frozen = next(iter(simulator.truth().values()))["time"]

    def after_freeze(page):
        successes = page.values("miner_last_success_timestamp_seconds")
        # Two intervals and more: what is read in the slow loop follows a poll of the quick one.
        return min(successes.values()) > frozen + 11 and len(successes) == len(simulator.devices) and page

    page = program.until(after_freeze, "a poll of every miner after the clock stopped", 60)
    truth = simulator.truth()
    for device in simulator.devices:
        address, told = device["address"], truth[device["address"]]
        key = page.key_at(address)
        assert key is not None, f"{device} is missing"
        if told["tells_mac"]:
            assert key == told["mac"]
        labels = {"miner": key}
        assert page.value("miner_hashrate_hashes_per_second", **labels) == pytest.approx(told["hashrate_hs"], rel=0.02)
        fans = sorted(page.values("miner_fan_speed_rpm", **labels).values())
        if fans:
            assert fans == pytest.approx(sorted(told["fans_rpm"]), abs=61)
        accepted = sum(page.values("miner_pool_shares_accepted_total", **labels).values())
        assert accepted == told["accepted"]
        power = page.value("miner_power_watts", **labels)
        if power is not None:
            assert power == pytest.approx(told["power_w"], rel=0.03)
    writes = {
        address: told.get("unexpected_writes") for address, told in truth.items() if told.get("unexpected_writes")
    }
    assert writes == {}


def test_a_real_prometheus_takes_the_page_and_promtool_has_no_complaint(program, simulator, tmp_path):
    program.until_found(len(simulator.devices))
    text = CLIENT.get(f"{program.metrics}/metrics", timeout=10).text
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; run tests/install-packages"
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout + checked.stderr == ""
    with prometheus(tmp_path / "prometheus", program.metrics.removeprefix("http://")) as query:

        def scraped():
            """On a busy machine a scrape may take longer than its second, and then there is nothing until the next."""
            up = query("count(miner_up == 1)")
            joined = query("miner_hashrate_hashes_per_second * on (miner) group_left (ip, driver) miner_info")
            return (
                [sample["value"][1] for sample in up] == [str(len(simulator.devices))]
                and {sample["metric"]["ip"] for sample in joined} == {d["address"] for d in simulator.devices}
                and query('up{job="flockwatch"}')[0]["value"][1] == "1"
            )

        wait_for(scraped, "a scrape of every miner, joined with its labels")


def test_openmetrics_and_gzip_are_served_when_asked_for(program, simulator):
    program.until_found(3)
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    answer = CLIENT.get(f"{program.metrics}/metrics", headers={"Accept": accept, "Accept-Encoding": "gzip"}, timeout=10)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.headers["content-encoding"] == "gzip"
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"miner_up", "miner_hashrate_hashes_per_second", "miner_exporter_polls"} <= families


def test_the_web_page_and_the_api_list_the_flock(program, simulator):
    program.until_found(len(simulator.devices))
    html = CLIENT.get(program.ui, timeout=10).raise_for_status().text
    miners = CLIENT.get(f"{program.ui}/api/miners?limit=5", timeout=10).raise_for_status()
    assert miners.headers["X-Total-Count"] == str(len(simulator.devices))
    assert len(miners.json()) == 5
    for miner in miners.json():
        assert miner["status"] == "online"
        assert miner["ip_address"] in html
    assert CLIENT.get(f"{program.ui}/api/miners/99999", timeout=10).status_code == 404


def test_scan_try_and_record_from_the_shell(program, simulator, tmp_path):
    scanned = json.loads(
        run_command("scan", f"{simulator.base}.0/24", "--json", "--config.file", program.configuration).stdout
    )
    polled = {device["address"] for device in simulator.devices if device["kind"] != "nmminer"}
    assert polled <= {find["address"] for find in scanned}
    table = program.command("scan", f"{simulator.base}.0/24")
    assert simulator.of("vnish")["address"] in table
    tried = program.command("try", simulator.of("bitaxe")["address"])
    assert "miner_hashrate_hashes_per_second{" in tried
    assert '"hashrate":' in tried
    folder = tmp_path / "recorded"
    program.command("record", simulator.of("vnish")["address"], "--output", folder)
    reading = json.loads(next(folder.rglob("reading.json")).read_text())
    assert reading
    mac = simulator.of("vnish")["mac"]
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_text().lower()
            assert mac not in content
            assert mac.replace(":", "") not in content


def test_wrong_names_and_networks_are_explained(program, simulator):
    assert "no driver is called" in program.command("try", simulator.of("bitaxe")["address"], "--driver", "x", status=2)
    assert "USB only" in program.command("try", simulator.of("bitaxe")["address"], "--driver", "nerdminer", status=2)
    assert "--yes" in program.command("scan", "10.0.0.0/8", status=2)
    assert "private" in program.command("scan", "8.8.8.0/24", status=2)
    assert "must be a network in CIDR notation" in program.command("scan", "192.168.1.300/24", status=2)
