"""The listeners of the running program: health, service discovery, probes, TLS and users."""

import json
import shutil
import ssl
import subprocess

import bcrypt
import httpx
import pytest

from tests.end_to_end.programs import Program, Simulator, free_port, prometheus, wait_for

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A program that all tests of this file only look at."""
    simulator = Simulator(count=5)
    program = Program(tmp_path_factory.mktemp("listeners"), simulator, status=2, telemetry=2, discovery=2).start()
    program.until_found(len(simulator.devices))
    yield program
    program.stop()
    simulator.stop()


def get(program, path, **more):
    return httpx.get(f"{program.metrics}{path}", timeout=10, **more)


def test_health_readiness_and_the_landing_page(running):
    assert get(running, "/-/healthy").status_code == 200
    assert get(running, "/-/ready").status_code == 200
    assert "/metrics" in get(running, "/").text
    assert get(running, "/nothing").status_code == 404
    assert httpx.post(f"{running.metrics}/metrics", timeout=10).status_code == 405
    assert httpx.head(f"{running.metrics}/-/healthy", timeout=10).text == ""


def test_it_is_ready_only_once_the_engine_runs(tmp_path, running):
    port = free_port()
    program = Program(tmp_path, running.simulator, udp_port=0)
    program.configure(udp_port=0, more="")
    process = program.launch("--web.listen-address", f"127.0.0.1:{port}")
    seen = []

    def ready():
        try:
            seen.append(httpx.get(f"http://127.0.0.1:{port}/-/ready", timeout=5).status_code)
        except httpx.TransportError:
            seen.append(None)
        return seen[-1] == 200

    wait_for(ready, "readiness")
    assert set(seen) <= {None, 503, 200}
    assert process.stop() == 0


@pytest.mark.parametrize("by", ["key", "address", "name"])
def test_one_miner_by_its_key_address_or_name(running, by):
    device = running.simulator.of("bitaxe")
    (info,) = (dict(labels) for labels in running.page().values("miner_info", miner=device["mac"]))
    target = {"key": device["mac"], "address": device["address"], "name": info["name"]}[by]
    answer = get(running, "/probe", params={"target": target})
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    assert lines
    assert all(f'miner="{device["mac"]}"' in line for line in lines)
    assert any(line.startswith("miner_hashrate_hashes_per_second{") for line in lines)


def test_a_probe_of_nobody_and_of_nothing(running):
    assert get(running, "/probe", params={"target": "192.0.2.77"}).status_code == 404
    assert get(running, "/probe").status_code == 400
    assert get(running, "/probe", params={"target": ""}).status_code == 400
    assert get(running, "/probe?target=a&target=b").status_code == 400


def test_service_discovery_is_what_prometheus_expects(running):
    answer = get(running, "/sd")
    assert answer.headers["content-type"].startswith("application/json")
    groups = answer.json()
    assert {target for group in groups for target in group["targets"]} == {
        device["mac"] for device in running.simulator.devices
    }
    for group in groups:
        assert set(group) == {"targets", "labels"}
        assert all(
            isinstance(value, str) and name.startswith("__meta_flockwatch_") for name, value in group["labels"].items()
        )


def test_a_real_prometheus_scrapes_each_miner_by_service_discovery(running, tmp_path):
    host = running.metrics.removeprefix("http://")
    jobs = f"""\
- job_name: flock
  metrics_path: /probe
  http_sd_configs: [{{url: "{running.metrics}/sd", refresh_interval: 1s}}]
  relabel_configs:
    - {{source_labels: [__address__], target_label: __param_target}}
    - {{source_labels: [__address__], target_label: instance}}
    - {{source_labels: [__meta_flockwatch_name], target_label: name}}
    - {{target_label: __address__, replacement: "{host}"}}
"""
    with prometheus(tmp_path / "prometheus", jobs=jobs) as query:
        macs = {device["mac"] for device in running.simulator.devices}

        def all_there():
            found = query('miner_up{job="flock"} == 1')
            return {sample["metric"]["instance"] for sample in found} == macs and found

        for sample in wait_for(all_there, "a scrape of every miner"):
            assert sample["metric"]["instance"] == sample["metric"]["miner"]
            assert sample["metric"]["name"]


def web_configuration(folder, **content):
    file = folder / "web.yml"
    file.write_text(json.dumps(content))  # JSON is YAML
    return file


def test_users_of_the_web_configuration_are_asked_for_everywhere(tmp_path, running):
    hashed = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    program = Program(tmp_path, running.simulator, udp_port=0)
    program.arguments = ["--web.config.file", web_configuration(tmp_path, basic_auth_users={"prom": hashed})]
    program.start()
    try:
        for url in (
            f"{program.metrics}/metrics",
            f"{program.metrics}/-/healthy",
            program.ui,
            f"{program.ui}/api/miners",
        ):
            refused = httpx.get(url, timeout=10)
            assert refused.status_code == 401, url
            assert refused.headers["www-authenticate"].startswith("Basic ")
            assert httpx.get(url, auth=("prom", "wrong"), timeout=10).status_code == 401
            assert httpx.get(url, auth=("prom", "open sesame"), timeout=10).status_code == 200
        assert httpx.post(f"{program.metrics}/-/reload", timeout=10).status_code == 401
        signed = httpx.post(f"{program.metrics}/-/reload", auth=("prom", "open sesame"), timeout=10)
        assert signed.status_code == 200
    finally:
        program.stop()
    assert "open sesame" not in program.log()
    assert hashed not in program.log()


def test_tls_of_the_web_configuration_serves_both_listeners(tmp_path, running):
    openssl = shutil.which("openssl")
    assert openssl, "openssl is missing; run tests/install-packages"
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=flockwatch test", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem",
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )  # fmt: skip
    tls = {"cert_file": "cert.pem", "key_file": "key.pem"}
    program = Program(tmp_path, running.simulator, udp_port=0)
    program.arguments = ["--web.config.file", web_configuration(tmp_path, tls_server_config=tls)]
    program.start()
    try:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        for plain in (f"{program.metrics}/metrics", program.ui):
            answer = httpx.get(plain.replace("http://", "https://"), verify=trusting, timeout=10)
            assert answer.status_code == 200
            with pytest.raises(httpx.TransportError):
                httpx.get(plain, timeout=10)
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                httpx.get(plain.replace("http://", "https://"), timeout=10)
    finally:
        program.stop()
