"""Real processes for end-to-end tests: the simulator, the program, Prometheus. Loopback only, free ports."""

import contextlib
import http.cookiejar
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
#: For requests in loops: to make a client costs twenty times as much as a request, since it reads certificates.
#: It keeps no connection and no cookie.
CLIENT = httpx.Client(
    timeout=10,
    limits=httpx.Limits(max_keepalive_connections=0),
    cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
)
SAMPLE_NAMES = re.compile(r"miner_exporter_.*")


def wait_for(check, what, seconds=30.0, pause=0.05):
    """Call `check` every `pause` seconds until it returns something true, and return that."""
    end = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        time.sleep(pause)


def _own_ports():
    """Ports for this process, each once. The system gives none of them to a socket that takes any port, and other
    workers have parts of their own, so that a port stays free until the program that it is for has bound it."""
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 16
    ports = range(14_000 + 1000 * part, 15_000 + 1000 * part)
    begin = random.randrange(len(ports))  # another run of the tests may be under way
    return itertools.cycle([*ports[begin:], *ports[:begin]])


OWN_PORTS = _own_ports()


def free_port(kind=socket.SOCK_STREAM):
    """A port on which nobody listens."""
    for port in itertools.islice(OWN_PORTS, 1000):
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", port))
            return port
    raise AssertionError("no port is free")


def free_base():
    """The first three numbers of a /24 that no other test uses."""
    number = uuid.uuid4().int
    return f"127.{100 + number % 100}.{number // 100 % 250 + 1}"


class Process:
    """A child whose output is kept; ended with SIGTERM, by its own id."""

    def __init__(self, *command, environment=None, folder=None):
        self.lines = []
        self.child = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(environment or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for_line(self, text, seconds=30.0):
        def check():
            found = next((line for line in list(self.lines) if text in line), None)
            if found is None and self.child.poll() is not None:
                self._reader.join(2)
                found = next((line for line in list(self.lines) if text in line), None)
                assert found is not None, f"ended with {self.child.returncode}:\n" + "\n".join(self.lines[-30:])
            return found

        return wait_for(check, f"a line with {text!r} in:\n" + "\n".join(self.lines[-30:]), seconds)

    def send(self, number):
        self.child.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(number)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                raise AssertionError("did not end within 20 s:\n" + "\n".join(self.lines[-30:])) from None
        self._reader.join(5)
        self.child.stdout.close()
        return self.child.returncode


class Simulator:
    """A simulated flock with its switches: a mix of `count` devices, or those of the file `fleet`."""

    def __init__(self, count=12, seed=7, udp_port=None, fleet=None, base=None, arguments=()):
        self.base = base or free_base()
        self.udp_port = udp_port or free_port(socket.SOCK_DGRAM)
        self.process = Process(
            sys.executable, "-m", "simulator", *([] if fleet is None else [fleet]),
            "--count", count, "--seed", seed, "--base", f"{self.base}.0",
            "--udp-target", f"127.0.0.1:{self.udp_port}", "--control-port", 0, "--json", *arguments,
        )  # fmt: skip
        self.described = json.loads(self.process.wait_for_line('"ready"'))
        self.devices = self.described["devices"]
        self.control = f"http://127.0.0.1:{self.described['control_port']}/__sim__"
        self.http_ports = sorted({d["http_port"] for d in self.devices if d["http_port"]}) or [80]
        self.api_ports = sorted({d["rpc_port"] for d in self.devices if d["rpc_port"]}) or [4028]

    def truth(self):
        return CLIENT.get(f"{self.control}/truth", timeout=10).raise_for_status().json()

    def post(self, path, /, **body):
        return CLIENT.post(f"{self.control}/{path}", json=body, timeout=10).raise_for_status().json()

    def of(self, kind, number=0):
        return [device for device in self.devices if device["kind"] == kind][number]

    def stop(self):
        return self.process.stop()


class Page:
    """A parsed page of /metrics."""

    def __init__(self, text):
        self.text = text
        self.samples = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                assert key not in self.samples, f"twice on the page: {key}"
                self.samples[key] = sample.value

    def values(self, name, /, **labels):
        """The values of a metric by their labels as dict items."""
        wanted = labels.items()
        return {
            key[1]: value for key, value in self.samples.items() if key[0] == name and wanted <= dict(key[1]).items()
        }

    def value(self, name, /, **labels):
        found = list(self.values(name, **labels).values())
        assert len(found) <= 1, f"{name}{labels}: {len(found)} samples"
        return found[0] if found else None

    def names_of(self, miner):
        return {key[0] for key in self.samples if dict(key[1]).get("miner") == miner}

    def key_at(self, address):
        """The label `miner` of what is at an address."""
        for key, labels in self.samples:
            if key == "miner_info" and dict(labels)["ip"] == address:
                return dict(labels)["miner"]
        return None


CONFIGURATION = """\
database: {{path: {folder}/data/flockwatch.json}}
network:
  subnets: [{subnets}]
  ports: {{http: {http_ports}, cgminer: {api_ports}}}
  timeout_ms: 300
  offline_after: {offline_after}
miners: {miners}
serial: {{enabled: false}}
udp: {{nmminer_port: {udp_port}}}
intervals: {{discovery_seconds: {discovery}, status_seconds: {status}, telemetry_seconds: {telemetry}}}
drivers: {{path: {folder}/data/miner_drivers}}
{more}
"""


class Program:
    """``flockwatch run`` as a process of its own."""

    def __init__(self, folder, simulator, environment=None, **settings):
        self.folder = Path(folder)
        self.simulator = simulator
        self.environment = environment or {}
        self.arguments = []
        self.configuration = self.folder / "targets.yml"
        self.configure(**settings)
        self.process = None

    def configure(self, **settings):
        values = {
            "folder": self.folder,
            "subnets": f"{self.simulator.base}.0/24",
            "http_ports": self.simulator.http_ports,
            "api_ports": self.simulator.api_ports,
            "offline_after": 2,
            "miners": "[]",
            "udp_port": self.simulator.udp_port,
            "discovery": 5,
            "status": 5,
            "telemetry": 5,
            "more": "",
            **settings,
        }
        self.configuration.write_text(CONFIGURATION.format(**values))

    def launch(self, *more):
        """Start the process and return it, without waiting for anything."""
        self.process = Process(
            sys.executable, "-m", "exporter", "run", "--config.file", self.configuration, "--log.format", "json",
            "--web.listen-address", "127.0.0.1:0", "--ui.listen-address", "127.0.0.1:0", *self.arguments, *more,
            environment=self.environment, folder=self.folder,
        )  # fmt: skip
        return self.process

    def start(self):
        self.launch()
        ready = json.loads(self.process.wait_for_line('"ready"'))
        self.metrics = f"http://127.0.0.1:{ready['metrics']}"
        self.ui = f"http://127.0.0.1:{ready['ui']}"
        return self

    def stop(self, number=signal.SIGTERM):
        return None if self.process is None else self.process.stop(number)

    @staticmethod
    def now():
        return time.time()

    def page(self):
        return Page(CLIENT.get(f"{self.metrics}/metrics", timeout=10).raise_for_status().text)

    def until(self, check, what, seconds=40.0):
        """Wait until a page passes `check`; return what it returned."""
        return wait_for(lambda: check(self.page()), what, seconds, 0.2)

    def until_found(self, number, seconds=60.0):
        """Wait until `number` miners are up; return the page."""

        def check(page):
            return sum(page.values("miner_up").values()) >= number and page

        return self.until(check, f"{number} miners up", seconds)

    def onboard(self, ports, name_of):
        """Wait until the boards on these USB ports wait for a name, and name them by `name_of(port)`."""

        def waiting():
            found = json.loads(self.command("devices", "list", "--json"))
            return len(found) == len(ports) and found

        if ports:
            for device in wait_for(waiting, "the boards to wait for a name", 60):
                name = name_of(device["dev_path"])
                self.command("devices", "onboard", device["id"], "--name", name, "--currency", "BTC")

    def command(self, *words, status=0):
        """Run a subcommand with the same configuration; return its output."""
        done = run_command(
            *words, "--config.file", self.configuration, environment=self.environment, folder=self.folder
        )
        assert done.returncode == status, f"status {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def log(self):
        return "\n".join(self.process.lines)

    def entries(self, start=0):
        """The log's entries after the first `start` lines."""
        return [json.loads(line) for line in self.process.lines[start:] if line.startswith("{")]


def run_command(*words, environment=None, folder=None, by=()):
    """Run a subcommand to its end; `by` are the words of a program that runs it."""
    return subprocess.run(
        [*by, sys.executable, "-m", "exporter", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **(environment or {})},
    )


def complaints(done):
    """The lines that a command has for the operator; nothing but log entries may stand beside them."""
    assert done.returncode == 2, f"status {done.returncode}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("ts=")]
    assert said
    assert all(line.startswith("flockwatch: ") for line in said), done.stderr
    assert not [line for line in done.stderr.splitlines() if "level=ERROR" in line or "level=CRITICAL" in line]
    assert done.stdout == ""
    return said


@contextlib.contextmanager
def prometheus(folder, target="", jobs=""):
    """A real Prometheus that scrapes `target` every second, or by `jobs`; yields a function that runs a query; its
    `url` is where Prometheus listens."""
    binary = shutil.which("prometheus")
    assert binary, "prometheus is missing; run tests/install-packages"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
        + (jobs or f"- {{job_name: flockwatch, static_configs: [{{targets: ['{target}']}}]}}\n")
    )
    server = Process(
        binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    )  # fmt: skip

    def query(expression):
        answer = CLIENT.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": expression}, timeout=10)
        return answer.raise_for_status().json()["data"]["result"]

    query.url = f"http://127.0.0.1:{port}"
    try:
        server.wait_for_line("Server is ready to receive web requests")
        yield query
    finally:
        server.stop()
