"""docker-compose.yml: Docker Compose accepts it, it opens nothing, and its parts fit each other and the other files."""

import contextlib
import re
import shutil
import subprocess
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml

from exporter.config import load_settings
from exporter.credentials import load_credentials
from tests.end_to_end.programs import ROOT, Process, free_port, wait_for
from tests.stack.compose import FILE, compose, mounted, resolved, started_with
from tests.stack.servers import binary

LOOPBACK = re.compile(r"127\.0\.0\.1(:\d+)?")
#: Names of everything that .env may hold for a secret.
SECRETS = {
    "DEVICE_CREDENTIALS_FILE": "device_credentials",
    "API_TOKEN_FILE": "api_token",
    "GRAFANA_PASSWORD_FILE": "grafana_password",
    "SMTP_PASSWORD_FILE": "smtp_password",
    "SLACK_URL_FILE": "slack_url",
    "DISCORD_URL_FILE": "discord_url",
    "WEBHOOK_TOKEN_FILE": "webhook_token",
    "NTFY_TOKEN_FILE": "ntfy_token",
    "TELEGRAM_TOKEN_FILE": "telegram_token",
}


@pytest.fixture(scope="module")
def document():
    return resolved()


@pytest.fixture(scope="module")
def everything():
    return resolved(["demo"])


# --- Docker Compose -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [[], ["--profile", "demo"]])
def test_docker_compose_accepts_the_file(profile):
    done = compose(*profile, "config", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_docker_compose_would_find_a_fault(tmp_path):
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(FILE.read_text().replace("network_mode:", "network_mood:"))
    done = compose("config", "--quiet", file=broken)
    assert done.returncode != 0
    assert "network_mood" in done.stderr


def test_the_demo_starts_only_when_asked_for(document, everything):
    assert set(document["services"]) == {"flockwatch", "prometheus", "alertmanager", "grafana"}
    assert set(everything["services"]) == {*document["services"], "demo"}
    # It takes the place of the real one, which would want the same ports.
    assert started_with(everything, "demo", "grafana") == {"demo", "grafana", "prometheus", "alertmanager"}


# --- safety -------------------------------------------------------------------------------------------------------


def test_no_service_may_do_more_than_it_needs(everything):
    for name, service in everything["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "pid", "ipc", "user"} & set(service), name
        assert service["logging"]["options"]["max-size"], name
        for mount in service.get("volumes", ()):
            inside = mount["source"].startswith(str(ROOT)) if mount["type"] == "bind" else False
            assert mount.get("read_only") is True or not inside, f"{name} may write {mount['source']}"


def test_images_are_pinned_by_version_and_digest(everything):
    for name, service in everything["services"].items():
        if "build" in service:
            assert service["image"].startswith("flockwatch:"), name
            assert Path(service["build"]["context"]) == ROOT
        else:
            assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", service["image"]), name


def test_everything_listens_on_loopback_unless_told_otherwise(everything):
    for name, service in everything["services"].items():
        assert service["network_mode"] == "host", name
        assert "ports" not in service, name
        listens = [word for word in service.get("command") or () if "listen-address" in word]
        listens += [
            f"{key}={value}" for key, value in service.get("environment", {}).items() if key.endswith(("ADDR", "_URL"))
        ]
        assert listens, name
        for each in listens:
            assert LOOPBACK.search(each) or each == "--cluster.listen-address=", f"{name}: {each}"


def test_every_service_that_runs_for_long_tells_whether_it_is_well(document):
    for name, service in document["services"].items():
        told = service.get("healthcheck", {}).get("test") or "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
        assert told, name
        assert "build" in service or service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped"


@contextlib.contextmanager
def health_page(address):
    """The port of a server on `address` alone that knows the one page that Grafana is asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/api/health" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            """Say nothing."""

    server = ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.parametrize(
    ("address", "listens"),
    [("", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("127.0.0.9", "127.0.0.9"), ("0.0.0.0", "0.0.0.0")],
)
def test_grafana_is_asked_where_it_listens(address, listens):
    with health_page(listens) as port:
        service = resolved(variables={"GRAFANA_ADDR": address, "GRAFANA_PORT": str(port)})["services"]["grafana"]
        assert health(service) == 0
    assert health(service) != 0


def health(service):
    """The exit status of a service's health check, run with its variables as a container would."""
    how, script = service["healthcheck"]["test"]
    assert how == "CMD-SHELL"
    # What Docker Compose hands to the engine has its dollar signs single.
    told = {name: str(value) for name, value in service["environment"].items() if value is not None}
    words = ["/bin/sh", "-c", script.replace("$$", "$")]
    return subprocess.run(words, env={"PATH": "/usr/bin:/bin", **told}, check=False, timeout=30).returncode


# --- secrets ------------------------------------------------------------------------------------------------------


def test_a_secret_without_a_file_is_empty(document):
    assert {secret["file"] for secret in document["secrets"].values()} == {"/dev/null"}
    assert set(document["secrets"]) == set(SECRETS.values())
    for service in document["services"].values():
        assert not any("/run/secrets" in str(value) for value in service.get("environment", {}).values())


def test_secrets_are_the_files_that_env_names():
    told = resolved(variables={name: f"/etc/flockwatch/secrets/{name}" for name in SECRETS})
    assert {name: secret["file"] for name, secret in told["secrets"].items()} == {
        secret: f"/etc/flockwatch/secrets/{name}" for name, secret in SECRETS.items()
    }
    for name, service in told["services"].items():
        given = {f"/run/secrets/{each['source']}" for each in service.get("secrets", ())}
        wanted = {value for value in service.get("environment", {}).values() if str(value).startswith("/run/secrets/")}
        assert wanted <= given, name


def test_alertmanager_is_given_every_secret_that_its_file_names(document):
    text = (ROOT / "prometheus/alertmanager.yml").read_text()
    wanted = set(re.findall(r"/run/secrets/(\w+)", text))
    assert wanted == {each["source"] for each in document["services"]["alertmanager"]["secrets"]}


@pytest.mark.parametrize("name", ["flockwatch", "demo"])
def test_flockwatch_runs_with_these_variables(everything, name):
    """It refuses variables that it does not know."""
    variables = everything["services"][name]["environment"]
    settings = load_settings(ROOT / "targets.yml", variables)
    assert (settings.metrics.addr.host, settings.metrics.addr.port) == ("127.0.0.1", 9877)
    assert (settings.http.addr.host, settings.http.addr.port) == ("127.0.0.1", 8080)
    # No file is named, which is no fault.
    assert load_credentials(variables) == ()


# --- what fits what -----------------------------------------------------------------------------------------------


def test_what_is_mounted_is_there(everything):
    for name, service in everything["services"].items():
        for target, source in mounted(service).items():
            assert Path(source).exists() or not source.startswith(str(ROOT)), f"{name}: {source} for {target}"


def test_usb_boards_can_be_plugged_in_while_it_runs(document):
    service = document["services"]["flockwatch"]
    assert mounted(service)["/dev"] == "/dev"
    assert mounted(service)["/run/udev"] == "/run/udev"
    # ttyUSB and ttyACM (the kernel's list of majors); m would allow making devices.
    assert service["device_cgroup_rules"] == ["c 188:* rw", "c 166:* rw"]
    assert service["group_add"] == ["20"]
    assert resolved(variables={"DIALOUT_GID": "986"})["services"]["flockwatch"]["group_add"] == ["986"]


def test_prometheus_scrapes_what_listens(document):
    scraped = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())
    targets = {
        target for job in scraped["scrape_configs"] for group in job["static_configs"] for target in group["targets"]
    }
    text = str(document["services"])
    for target in targets:
        assert target in text, target


def test_grafana_finds_its_dashboards(document):
    service = document["services"]["grafana"]
    home = service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folders = mounted(service)
    folder = next(target for target in folders if home.startswith(f"{target}/"))
    assert (Path(folders[folder]) / Path(home).name).exists()
    provisioned = Path(folders["/etc/grafana/provisioning"])
    for file in provisioned.glob("dashboards/*.y*ml"):
        for provider in yaml.safe_load(file.read_text())["providers"]:
            assert provider["options"]["path"] == folder, file
    urls = [
        source["url"]
        for file in provisioned.glob("datasources/*.y*ml")
        for source in yaml.safe_load(file.read_text())["datasources"]
    ]
    assert sorted(urls) == ["http://127.0.0.1:9090", "http://127.0.0.1:9093"]


def test_every_variable_of_grafana_is_read(document):
    """Grafana reads what begins with GF_, and its provisioning what is named there."""
    service = document["services"]["grafana"]
    provisioning = Path(mounted(service)["/etc/grafana/provisioning"])
    named = {name for file in provisioning.rglob("*.y*ml") for name in re.findall(r"\$\{?(\w+)", file.read_text())}
    own = {name for name in service["environment"] if re.fullmatch(r"GF_[A-Z]+_[A-Z_]+", name)}
    assert set(service["environment"]) == own | named


def test_the_documentation_names_every_variable_that_env_may_hold():
    asked = set(re.findall(r"\$\{(\w+)", FILE.read_text()))
    table = (ROOT / "docs/install.md").read_text()
    rows = re.findall(r"^\| (`[A-Z].*?) \|", table, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    assert asked <= named
    # What is no variable stands in the table of capabilities.
    assert named - asked == {"CAP_NET_RAW"}


def test_the_image_has_the_version_of_the_program(document):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert document["services"]["flockwatch"]["image"] == f"flockwatch:{version}"
    assert f"| `FLOCKWATCH_VERSION` | `{version}` |" in (ROOT / "docs/install.md").read_text()


def test_the_documentation_names_the_line_to_change_for_another_address():
    """Prometheus fills nothing into its file, so another address of the exporter must be written there."""
    line = 'targets: ["127.0.0.1:9877"]'
    row = next(row for row in (ROOT / "docs/install.md").read_text().splitlines() if "`FLOCKWATCH_METRICS_ADDR`" in row)
    assert f"`{line}` of `prometheus/prometheus.yml`" in row
    assert line in (ROOT / "prometheus/prometheus.yml").read_text()


@pytest.mark.realstack
@pytest.mark.parametrize(
    ("service", "names", "port"),
    [("prometheus", ["prometheus"], 9090), ("alertmanager", ["prometheus-alertmanager", "alertmanager"], 9093)],
)
def test_the_real_program_takes_these_arguments(document, tmp_path, service, names, port):
    """With the folders of the container as folders here, and a free port."""
    mine = free_port()
    data = {"prometheus": "/prometheus", "alertmanager": "/alertmanager"}[service]
    folders = mounted(document["services"][service])
    shutil.copytree(folders[f"/etc/{service}"], tmp_path / "etc")
    words = []
    for word in document["services"][service]["command"]:
        here = word.replace(f"/etc/{service}", str(tmp_path / "etc")).replace(f":{port}", f":{mine}")
        words.append(re.sub(rf"={data}$", f"={tmp_path}/data", here))
    program = Process(binary(*names), *words)
    check = document["services"][service]["healthcheck"]["test"][-1].replace(f":{port}", f":{mine}")

    def ready():
        assert program.child.poll() is None, "\n".join(program.lines)
        try:
            return httpx.get(check, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(ready, service)
    finally:
        program.stop()
