"""A flock with a bit of everything, the real program over it, and a real Prometheus with the shipped rules."""

import contextlib
import copy
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jsonpatch
import yaml

from simulator.fleet import default_fleet
from tests.end_to_end.programs import CLIENT, Program, Simulator, free_base, free_port
from tests.stack.rules import write_rules
from tests.stack.servers import Alertmanager, Prometheus, Sink, quick_configuration
from tests.wallets.pool_server import pool_server

ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
#: One of each kind that is in the mix, and a third of a model: what is usual for a model needs three.
KINDS = 32
#: The Bitaxe that loses its fan.
HOT = 4
#: What a pool of ckpool's kind says of a wallet.
STATISTICS = {
    "hashrate1m": "1.2T",
    "hashrate1hr": "1.1T",
    "hashrate1d": "1T",
    "workers": 2,
    "bestshare": 5e6,
    "shares": 9,
}


class BigFlock(Simulator):
    """Miners of all kinds in two halls, a VNish with water in a third, and boards on USB."""

    def __init__(self, folder):
        base = free_base()
        specs = [(spec.kind, spec.model) for spec in default_fleet(KINDS)] + [("bitaxe", "gamma-2.12")]
        half = len(specs) // 2
        places = [f"{base}.{number + 1 + (0 if number < half else 64 - half)}" for number in range(len(specs))]
        rows = [
            {"kind": kind, "model": model, "address": place} for (kind, model), place in zip(specs, places, strict=True)
        ]
        rows.append({"kind": "vnish", "model": "s19jpro-1.2.6", "address": f"{base}.130"})
        (folder / "fleet.yml").write_text(yaml.safe_dump({"seed": 7, "devices": rows}))
        super().__init__(
            fleet=folder / "fleet.yml",
            base=base,
            arguments=("--serial", 2, "--serial-folder", folder / "usb", "--serial-speed", 20),
        )
        *self.devices, self.water_cooled = self.devices
        self.boards = [board["path"] for board in self.described["serial"]]
        self._add_water()

    def _add_water(self):
        """Water at the boards of the last miner, two dead chips on each, and its first pool gone."""
        place, path = self.water_cooled["address"], "/api/v1/summary"
        summary = CLIENT.get(f"http://{place}:{self.water_cooled['http_port']}{path}").raise_for_status().json()
        patch = jsonpatch.make_patch(summary, _with_water(copy.deepcopy(summary)))
        self.post("fault", address=place, fault="patched", patches={path: patch.patch})


def _with_water(summary):
    for number, chain in enumerate(summary["miner"]["chains"]):
        chain |= {"inlet_water_temp": 31 + number, "outlet_water_temp": 44 + number}
        chain["chip_statuses"] |= {"red": 2, "grey": chain["chip_statuses"]["grey"] - 2}
    first, second, *_ = summary["miner"]["pools"]
    first["status"], second["status"] = "offline", first["status"]
    return summary


class BigProgram(Program):
    """The program over all of that."""

    def configure(self, **settings):
        super().configure(
            subnets=", ".join(
                f"{{cidr: {self.simulator.base}.{start}/26, labels: {{site: {site}, rack: {rack}, group: {group}}}}}"
                for start, site, rack, group in (
                    (0, "hall", "a1", "home"),
                    (64, "barn", "b1", "farm"),
                    (128, "tank", "w1", "farm"),
                )
            ),
            **settings,
        )
        ports = ", ".join(self.simulator.boards)
        text = self.configuration.read_text().replace("serial: {enabled: false}", f"serial: {{ports: [{ports}]}}")
        self.configuration.write_text(text)

    def api(self, method, path, **more):
        return CLIENT.request(method, f"{self.ui}/api{path}", timeout=60, **more)

    def miners(self):
        """Every miner of the flock by its address (its name, where it has none)."""
        listed = self.api("GET", "/miners?limit=500").raise_for_status().json()
        return {miner["ip_address"] or miner["name"]: miner for miner in listed}


def at_once(group):
    """Alarms of a group need not hold before they fire."""
    group.pop("interval", None)
    for rule in group["rules"]:
        rule.pop("for", None)


@contextlib.contextmanager
def stack(folder):
    """Everything. Yields an object with simulator, program and prometheus."""
    with contextlib.ExitStack() as ends:
        simulator = BigFlock(folder)
        ends.callback(simulator.stop)
        pool = ends.enter_context(pool_server())
        pool.answers[f"/users/{ADDRESS}"] = STATISTICS
        more = (
            "metrics: {collectors: {chips: true}}\n"
            f'pools: {{hosts: {{pool.example.com: {{adapter: ckpool_generic, url: "{pool.url}"}}}}}}\n'
        )
        program = BigProgram(folder, simulator, status=4, telemetry=4, discovery=10, more=more)
        program.start()
        ends.callback(program.stop)
        sink = Sink()
        ends.callback(sink.close)
        alertmanager = Alertmanager(folder, quick_configuration(folder, sink))
        ends.callback(alertmanager.stop)
        prometheus = _prometheus(folder, program, alertmanager, ends.enter_context(store()))
        ends.callback(prometheus.stop)
        yield Stack(folder, simulator, program, prometheus)


@contextlib.contextmanager
def store():
    """Takes what Prometheus writes to a store, and forgets it; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/write"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _prometheus(folder, program, alertmanager, storage):
    write_rules(folder / "rules", at_once)
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"},
                "rule_files": ["rules/*.yml"],
                "remote_write": [{"url": storage}],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]}]},
                "scrape_configs": [
                    {
                        "job_name": "flockwatch",
                        "static_configs": [{"targets": [program.metrics.removeprefix("http://")]}],
                    },
                    {"job_name": "alertmanager", "static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]},
                    # Its own port is known once it runs.
                    {"job_name": "prometheus", "file_sd_configs": [{"files": [f"{folder}/self.yml"]}]},
                ],
            }
        )
    )
    running = Prometheus(folder, folder / "prometheus.yml")
    _watch(folder, running.port)
    return running


def _watch(folder, *ports):
    """Let Prometheus scrape these as itself."""
    (folder / "self.new").write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{port}" for port in ports]}]))
    (folder / "self.new").rename(folder / "self.yml")


class Stack:
    """What runs, and what can be done to it."""

    def __init__(self, folder, simulator, program, prometheus):
        self.folder = folder
        self.simulator, self.program, self.prometheus = simulator, program, prometheus

    def settle(self):
        """Wait until every device is known, and name the boards on USB."""
        number = len(self.simulator.devices) + 1
        self.program.until_found(number, 150)
        boards = self.simulator.boards
        self.program.onboard(boards, lambda port: f"Nerd {boards.index(port)}")
        self.program.until_found(number + len(boards), 60)

    def trouble(self):
        """One of each fault that panels are about."""
        of, post = self.simulator.of, self.simulator.post
        post("mode", address=of("antminer", 0)["address"], hardware="board")
        post("mode", address=of("vnish", 1)["address"], hardware="overheat")
        post("mode", address=of("vnish", 0)["address"], pause=True)
        post("fault", address=of("vnish", 2)["address"], fault="auth")
        post("fault", address=of("bitaxe", 1)["address"], fault="truncated_json")
        post("fault", address=of("bitaxe", 2)["address"], fault="vanish")
        post("mode", address=of("bitaxe", 3)["address"], hardware="fan")
        post("mode", address=of("bitaxe", HOT)["address"], hardware="fan")
        _watch(self.folder, self.prometheus.port, free_port())  # of the second there is none
        board = {"path": self.simulator.boards[1], "scenario": "dns_failure", "reset": True}
        CLIENT.post(f"{self.simulator.control}/serial", json=board, timeout=10).raise_for_status()
        miners = self.program.miners()
        wallet = self.program.api("POST", "/wallets", json={"name": "Savings", "address": ADDRESS, "currency": "BTC"})
        for kind in ("bitaxe", "nerdqaxe"):
            miner = miners[of(kind)["address"]]["id"]
            self.program.api("POST", f"/miners/{miner}/link-wallet?wallet_id={wallet.json()['id']}").raise_for_status()
        first = miners[of("bitaxe")["address"]]["id"]
        self.program.api("POST", f"/miners/{first}/identify", json={"on": True}).raise_for_status()
        listed_only = miners[of("avalon")["address"]]["id"]
        self.program.api("PATCH", f"/miners/{listed_only}", json={"managed": False}).raise_for_status()
