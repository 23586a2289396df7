"""The whole chain on loopback: simulated miners, the program, Prometheus and Alertmanager, and a sink for its messages.

The rules are the shipped ones with their times divided by `SCALE`, within `WINDOWS` and `HOLDS`: hours pass as minutes.
"""

import collections
import re

import yaml

from tests.end_to_end.programs import CLIENT, Program, Simulator, wait_for
from tests.stack.rules import write_rules
from tests.stack.servers import PROMETHEUS, Alertmanager, Prometheus, Sink, quick_configuration

SCALE = 60
#: The least and the most seconds of windows, and those for which something must hold.
WINDOWS, HOLDS = (10, 60), (1, 10)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def shorter(text, least, most):
    """A duration like 10m, divided by `SCALE`; from `least` to `most` seconds."""
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()
    return f"{min(most, max(least, int(number) * UNITS[unit] // SCALE))}s"


def quicken(group):
    """Shorten the times of a group's rules."""
    for rule in group["rules"]:
        rule["expr"] = re.sub(
            r"(\[|offset )(\d+[smhd])", lambda match: match[1] + shorter(match[2], *WINDOWS), rule["expr"]
        )
        if "for" in rule:
            rule["for"] = "0s" if rule["for"] == "0s" else shorter(rule["for"], *HOLDS)


def configure_prometheus(folder, exporter, alertmanager):
    """The shipped configuration at other addresses, scraping every second."""
    write_rules(folder / "rules", quicken)
    document = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    document["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    document["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    addresses = {"flockwatch": exporter, "alertmanager": alertmanager}
    document["scrape_configs"] = [
        {**job, "static_configs": [{"targets": [addresses[job["job_name"]]]}]}
        for job in document["scrape_configs"]
        if job["job_name"] in addresses
    ]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(document))
    return path


class Flock(Simulator):
    """`devices` are (kind, model, how many); and boards on USB."""

    def __init__(self, folder, devices, boards):
        rows = [{"kind": kind, "model": model, "count": count} for kind, model, count in devices]
        (folder / "fleet.yml").write_text(yaml.safe_dump({"seed": 11, "devices": rows}))
        super().__init__(
            fleet=folder / "fleet.yml",
            arguments=("--serial", boards, "--serial-folder", folder / "usb", "--serial-speed", 20),
        )
        self.boards = [board["path"] for board in self.described["serial"]]


class Stack:
    """Everything, running. A miner is named by its address, a board on USB by its port."""

    def __init__(self, folder, devices, boards=0):
        self._started = []
        try:
            self._start(folder, devices, boards)
        except BaseException:
            self.stop()
            raise

    def _start(self, folder, devices, boards):
        self.simulator = self._keep(Flock(folder, devices, boards))
        # An Avalon takes a connection a second: asked who it is as well, and by a search, it needs more than two.
        self.program = Program(folder, self.simulator, status=3, telemetry=3)
        text = self.program.configuration.read_text()
        ports = f"serial: {{ports: [{', '.join(self.simulator.boards)}]}}"
        self.program.configuration.write_text(text.replace("serial: {enabled: false}", ports))
        self._keep(self.program)
        self.program.start()
        self.sink = Sink()
        # Each alarm is a message of its own, so that none is repeated because another joined its group.
        configuration = quick_configuration(folder, self.sink, group_by=["..."])
        self.alertmanager = self._keep(Alertmanager(folder, configuration))
        self._settle()
        exporter, told = (url.removeprefix("http://") for url in (self.program.metrics, self.alertmanager.url))
        self.prometheus = self._keep(Prometheus(folder, configure_prometheus(folder, exporter, told)))

    def _settle(self):
        """Wait until every device is known, and name the boards on USB."""
        self.program.until_found(len(self.simulator.devices), 90)
        self.program.onboard(self.simulator.boards, self._name)
        self.number = len(self.simulator.devices) + len(self.simulator.boards)
        self.page = self.program.until_found(self.number, 60)

    def _name(self, port):
        return f"Board {self.simulator.boards.index(port)}"

    def _keep(self, process):
        self._started.append(process)
        return process

    def stop(self):
        while self._started:
            self._started.pop().stop()
        if hasattr(self, "sink"):
            self.sink.close()

    def key(self, place):
        """The label `miner` of what is at an address or port."""
        key = self.page.key_at(place)
        if key is None:
            (labels,) = self.page.values("miner_info", name=self._name(place))
            key = dict(labels)["miner"]
        return key

    def id(self, place):
        """The number in the API of what is at an address."""
        listed = self.api("GET", "/miners?limit=500").json()
        (found,) = (miner["id"] for miner in listed if miner["ip_address"] == place)
        return found

    def api(self, method, path, **more):
        return CLIENT.request(method, f"{self.program.ui}/api{path}", timeout=30, **more).raise_for_status()

    def control(self, switch, /, **body):
        return self.simulator.post(switch, **body)

    def value(self, expression):
        """The only value of a query; None where there is none."""
        found = self.prometheus.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def alarms(self, status):
        """(alarm, severity, miner) of everything in the messages that came."""
        told = [each["labels"] for each in self.sink.told(status)]
        return [(each["alertname"], each["severity"], each.get("miner")) for each in told]

    def firing(self):
        """(alarm, severity, miner) of what Prometheus holds for true now."""
        labels = [each["metric"] for each in self.prometheus.query('ALERTS{alertstate="firing"}')]
        return {(each["alertname"], each["severity"], each.get("miner")) for each in labels}

    def until_told(self, wanted, status, seconds=90.0):
        """Wait until every (alarm, severity, miner) of `wanted` has arrived as firing or resolved."""
        try:
            wait_for(lambda: wanted <= set(self.alarms(status)), status, seconds, 0.5)
        except AssertionError:
            missing = wanted - set(self.alarms(status))
            raise AssertionError(
                f"{status} did not arrive: {missing}; arrived: {collections.Counter(self.alarms(status))}; "
                f"now: {sorted(map(str, self.firing()))}"
            ) from None
