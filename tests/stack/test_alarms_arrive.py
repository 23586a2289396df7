"""The whole chain: simulated miners, the program, Prometheus and Alertmanager, until an alarm arrives and ends.

The rules are the shipped ones with all their times divided by `SCALE`, so that minutes pass in a second or two.
"""

import re
import signal

import pytest
import yaml

from tests.end_to_end.programs import Program, Simulator, wait_for
from tests.stack.servers import PROMETHEUS, Alertmanager, Prometheus, Sink, quick_configuration

pytestmark = pytest.mark.realstack

SCALE = 60
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: What may be news of a flock that is well.
NEWS = {"info", "none"}


def shorter(text):
    """A duration like 10m, divided by `SCALE`."""
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()
    return f"{max(1, int(number) * UNITS[unit] // SCALE)}s"


def quick_rules(folder):
    """The shipped rules with shorter times, in `folder`."""
    folder.mkdir()
    for path in (PROMETHEUS / "rules").glob("*.yml"):
        document = yaml.safe_load(path.read_text())
        for group in document["groups"]:
            for rule in group["rules"]:
                rule["expr"] = re.sub(
                    r"(\[|offset )(\d+[smhd])", lambda match: match[1] + shorter(match[2]), rule["expr"]
                )
                if "for" in rule:
                    rule["for"] = "0s" if rule["for"] == "0s" else shorter(rule["for"])
        (folder / path.name).write_text(yaml.safe_dump(document))


def configure_prometheus(folder, exporter, alertmanager):
    """The shipped configuration at other addresses, scraping every second."""
    quick_rules(folder / "rules")
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


class Stack:
    """Everything, running."""

    def __init__(self, folder):
        self._started = []
        try:
            self._start(folder)
        except BaseException:
            self.stop()
            raise

    def _start(self, folder):
        self.simulator = self._keep(Simulator(count=24, seed=11))
        self.program = Program(folder, self.simulator)
        self._keep(self.program)
        self.program.start()
        self.sink = Sink()
        # Each alarm is a message of its own, so that none is repeated because another joined its group.
        configuration = quick_configuration(folder, self.sink, group_by=["..."])
        self.alertmanager = self._keep(Alertmanager(folder, configuration))
        self.exporter = self.program.metrics.removeprefix("http://")
        hub = configure_prometheus(folder, self.exporter, self.alertmanager.url.removeprefix("http://"))
        self.page = self.program.until_found(23, 90)
        self.prometheus = self._keep(Prometheus(folder, hub))

    def _keep(self, process):
        self._started.append(process)
        return process

    def stop(self):
        while self._started:
            self._started.pop().stop()
        if hasattr(self, "sink"):
            self.sink.close()

    def key(self, device):
        key = self.page.key_at(device["address"])
        assert key, device
        return key

    def name(self, device):
        (labels,) = self.page.values("miner_info", miner=self.key(device))
        return dict(labels)["name"]

    def alarms(self, status):
        """(name, miner) of every alarm in the messages that came, without news."""
        told = [each["labels"] for each in self.sink.told(status)]
        return [(each["alertname"], each.get("miner")) for each in told if each["severity"] not in NEWS]

    def explain(self):
        return f"arrived: {sorted(map(str, self.alarms('firing')))}; now: " + ", ".join(
            sorted(str(each["metric"]) for each in self.prometheus.query("ALERTS"))
        )


@pytest.fixture
def stack(tmp_path):
    running = Stack(tmp_path)
    yield running
    running.stop()


def arrived(stack, wanted, status):
    def check():
        return wanted <= set(stack.alarms(status))

    try:
        wait_for(check, status, 90)
    except AssertionError:
        missing = wanted - set(stack.alarms(status))
        raise AssertionError(f"{status} did not arrive: {missing}; {stack.explain()}") from None


@pytest.mark.timeout(400)
def test_ten_broken_miners_are_told_of_once_each_and_so_is_their_end(stack):
    simulator, program = stack.simulator, stack.program

    # A flock that is well, two of whose miners rest or are muted, raises nothing.
    wait_for(lambda: len(stack.prometheus.query("miner:watched")) >= 23, "the rules to know the flock")
    resting = simulator.of("vnish", 1)
    simulator.post("mode", address=resting["address"], pause=True)
    wait_for(lambda: stack.prometheus.query("ALERTS{alertname='Watchdog',alertstate='firing'}"), "the rules to run")
    assert stack.prometheus.failing_rules() == {}
    assert stack.alarms("firing") == [], stack.explain()

    refused, silent, garbled, half_open, twisted = (
        simulator.of("bitaxe", 0), simulator.of("bitaxe", 1), simulator.of("bitaxe", 2),
        simulator.of("nerdqaxe", 0), simulator.of("bitaxe", 3),
    )  # fmt: skip
    fan, board, locked = (simulator.of("antminer", number) for number in range(3))
    hot, restarting = simulator.of("bitaxe", 4), simulator.of("nerdqaxe", 1)
    faults = {
        refused["address"]: {"fault": "vanish"},
        silent["address"]: {"fault": "vanish", "silent": True},
        garbled["address"]: {"fault": "garbage"},
        half_open["address"]: {"fault": "half_open"},
        twisted["address"]: {"fault": "wrong_types"},
        locked["address"]: {"fault": "auth"},
    }
    for address, fault in faults.items():
        simulator.post("fault", address=address, **fault)
    simulator.post("mode", address=fan["address"], hardware="fan")
    simulator.post("mode", address=board["address"], hardware="board")
    simulator.post("mode", address=hot["address"], hardware="overheat")
    good = program.configuration.read_text()
    program.configuration.write_text(good + "\nnonsense: true\n")
    program.process.send(signal.SIGHUP)

    wanted = {("MinerDown", stack.key(each)) for each in (refused, silent, garbled, half_open, twisted)} | {
        ("MinerSignInRefused", stack.key(locked)),
        ("MinerFanStopped", stack.key(fan)),
        ("MinerBoardDown", stack.key(board)),
        ("MinerOverheat", stack.key(hot)),
        ("ExporterConfigBad", None),
    }
    arrived(stack, wanted, "firing")

    uptime = f'miner_uptime_seconds{{miner="{stack.key(restarting)}"}}'
    for number in range(3):
        # A restart shows when the uptime is less than at the poll before.
        wait_for(lambda: stack.prometheus.query(f"{uptime} > 6"), "an uptime that can fall")
        simulator.post("fault", address=restarting["address"], fault="reboot", seconds=0.5)
        wait_for(
            lambda before=number: stack.prometheus.query(f"resets({uptime}[60s]) > {before}"), "a restart to be seen"
        )
    wanted.add(("MinerRebooting", stack.key(restarting)))
    arrived(stack, wanted, "firing")

    for address in faults:
        simulator.post("fault", address=address, fault=None)
    for each in (fan, board, hot):
        simulator.post("mode", address=each["address"], hardware=None)
    program.configuration.write_text(good)
    program.process.send(signal.SIGHUP)
    program.command("rescan")
    # Passwords that a miner refused are tried again only when somebody asks for it.
    program.command("rescan", stack.name(locked))
    arrived(stack, wanted, "resolved")

    told, ended = stack.alarms("firing"), stack.alarms("resolved")
    assert {each: told.count(each) for each in wanted} == dict.fromkeys(wanted, 1)
    assert {each: ended.count(each) for each in wanted} == dict.fromkeys(wanted, 1)
    assert not [each for each in told if each[1] == stack.key(resting)]
    assert stack.prometheus.failing_rules() == {}
