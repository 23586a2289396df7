"""The whole chain: simulated miners break, and the right alarms arrive, once, and end."""

import collections
import signal
import time

import jsonpointer
import pytest

from tests.end_to_end.programs import CLIENT, wait_for
from tests.stack.breakages import ASKED, BREAKAGES, BY_HAND, LATE, put
from tests.stack.servers import alerts
from tests.stack.whole import Stack

pytestmark = pytest.mark.realstack

#: More of each kind than break.
DEVICES = (
    ("bitaxe", "gamma-2.12", 14), ("vnish", "s19jpro-1.2.6", 14), ("nerdqaxe", "nerdqaxe++", 3), ("antminer", "s19", 4),
    ("avalon", "nano3s", 2), ("cgminer", "cgminer", 2),
)  # fmt: skip
BOARDS = 4
ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
#: What may be told of a flock that is well.
NEWS = {"info", "none"}


@pytest.fixture
def stack(tmp_path):
    running = Stack(tmp_path, DEVICES, BOARDS)
    yield running
    running.stop()


class Breaker:
    """Breaks one miner after the other, and mends them."""

    def __init__(self, stack):
        self.stack = stack
        self._free = {kind: [] for kind, *_ in DEVICES} | {"usb": list(stack.simulator.boards)}
        for device in stack.simulator.devices:
            self._free[device["kind"]].append(device["address"])
        self._mend = []

    def take(self, kind):
        """A miner of a kind that is well, by its address or port."""
        return self._free[kind].pop()

    def all_of(self, breakages):
        """Break a miner for each; returns the alarms that must come: (alarm, severity, miner)."""
        return {(each.alarm, each.severity, self.stack.key(self._one(each))) for each in breakages}

    def _one(self, breakage):
        place = self.take(breakage.kind)
        if breakage.patch:
            path = ASKED[breakage.kind]
            port = next(d["http_port"] for d in self.stack.simulator.devices if d["address"] == place)
            answer = CLIENT.get(f"http://{place}:{port}{path}", timeout=10).raise_for_status().json()
            self.fault(place, fault="patched", patches={path: [_settled(each, answer) for each in breakage.patch]})
        if breakage.fault:
            self.fault(place, **breakage.fault)
        if breakage.hardware:
            self.stack.control("mode", address=place, hardware=breakage.hardware)
            self._mend.append(("mode", {"address": place, "hardware": None}))
        if breakage.scenario:
            self.stack.control("serial", path=place, scenario=breakage.scenario, reset=True)
            self._mend.append(("serial", {"path": place, "scenario": "good", "reset": True}))
        return place

    def fault(self, place, **fault):
        self.stack.control("fault", address=place, **fault)
        self._mend.append(("fault", {"address": place, "fault": None}))

    def mend(self):
        while self._mend:
            path, body = self._mend.pop()
            self.stack.control(path, **body)


def _settled(operation, answer):
    """An operation whose value is no longer a function of what stands there."""
    value = operation.get("value")
    if not callable(value):
        return operation
    return put(operation["path"], value(jsonpointer.resolve_pointer(answer, operation["path"])))


def restart_again_and_again(stack, place):
    uptime = f'miner_uptime_seconds{{miner="{stack.key(place)}"}}'
    for number in range(3):
        # A restart shows when the uptime is less than at the poll before.
        wait_for(lambda: (stack.value(uptime) or 0) > 6, "an uptime that can fall")
        stack.control("fault", address=place, fault="reboot", seconds=0.5)
        wait_for(lambda seen=number: (stack.value(f"resets({uptime}[60s])") or 0) > seen, "a restart to be seen")


def come_and_go(stack, place):
    up = f'miner_up{{miner="{stack.key(place)}"}}'
    for number in range(8):
        stack.control("fault", address=place, fault=None if number % 2 else "vanish")
        wait_for(lambda state=number % 2: stack.value(up) == state, "the miner to go or come")


@pytest.mark.timeout(500)
def test_every_alarm_of_a_miner_arrives_once_and_so_does_its_end(stack):
    program, breaker = stack.program, Breaker(stack)
    said = {(each.alarm, each.severity) for each in (*BREAKAGES, *LATE)} | set(BY_HAND.items())
    assert said == {
        (rule["alert"], rule["labels"]["severity"])
        for _, rule in alerts()
        if "group_left (name, site, rack, model) miner:watched" in rule["expr"]
    }

    # A flock that is well raises nothing, nor do a miner that rests and one that is muted and gone.
    resting, muted = breaker.take("vnish"), breaker.take("bitaxe")
    stack.control("mode", address=resting, pause=True)
    settings = f"/miners/{stack.id(muted)}"
    stack.api("PATCH", settings, json={"muted_until": time.time() + 86400})
    wait_for(lambda: len(stack.prometheus.query("miner:watched")) == stack.number - 1, "the rules to know the flock")
    stack.control("fault", address=muted, fault="vanish")
    wait_for(lambda: ("Watchdog", "none", None) in stack.firing(), "the rules to run")
    assert stack.prometheus.failing_rules() == {}
    assert [each for each in stack.alarms("firing") if each[1] not in NEWS] == []

    wanted = breaker.all_of(BREAKAGES)
    stranger = breaker.take("bitaxe")
    wallet = stack.api("POST", "/wallets", json={"name": "Savings", "address": ADDRESS, "currency": "BTC"}).json()["id"]
    link = f"/miners/{stack.id(stranger)}/link-wallet"
    stack.api("POST", link, params={"wallet_id": wallet})
    good = program.configuration.read_text()
    program.configuration.write_text(good + "\nnonsense: true\n")
    program.process.send(signal.SIGHUP)
    restarting, unstable = breaker.take("nerdqaxe"), breaker.take("bitaxe")
    restart_again_and_again(stack, restarting)
    come_and_go(stack, unstable)
    wait_for(lambda: stack.prometheus.query("miner_up offset 60s"), "a window to pass")
    wanted |= breaker.all_of(LATE)
    by_hand = {"MinerRebooting": restarting, "MinerUnstable": unstable, "MinerPoolUnexpected": stranger}
    wanted |= {(alarm, BY_HAND[alarm], stack.key(place)) for alarm, place in by_hand.items()}
    wanted.add(("ExporterConfigBad", "warning", None))
    stack.until_told(wanted, "firing")

    # What was muted is told when that ends, and is over when it is muted again.
    assert not [each for each in stack.alarms("firing") if each[2] in (stack.key(muted), stack.key(resting))]
    down = {("MinerDown", "critical", stack.key(muted))}
    stack.api("PATCH", settings, json={"muted_until": None})
    stack.until_told(down, "firing")
    stack.api("PATCH", settings, json={"muted_until": time.time() + 86400})
    stack.until_told(down, "resolved")

    breaker.mend()
    stack.api("POST", link)
    program.configuration.write_text(good)
    program.process.send(signal.SIGHUP)
    program.command("rescan")
    # Passwords that a miner refused are tried again only when somebody asks for it.
    locked = next(miner for alarm, _, miner in wanted if alarm == "MinerSignInRefused")
    (labels,) = stack.page.values("miner_info", miner=locked)
    program.command("rescan", dict(labels)["name"])
    stack.until_told({each for each in wanted if each[1] not in NEWS}, "resolved", 150.0)
    # The end of news is not told.
    wait_for(lambda: not wanted & stack.firing(), "the news to be old", 90)

    for status in ("firing", "resolved"):
        told = collections.defaultdict(list)
        for each in stack.sink.told(status):
            if (each["labels"]["alertname"], each["labels"]["severity"], each["labels"].get("miner")) in wanted | down:
                told[str(sorted(each["labels"].items()))].append((each["startsAt"], each["endsAt"]))
        again = [f"{labels}: {times}" for labels, times in told.items() if len(times) > 1]
        assert not again, "\n".join([status, *again])
    assert not [each for each in stack.alarms("firing") if each[2] == stack.key(resting)]
    assert stack.prometheus.failing_rules() == {}
