"""Every fault a miner can have: it goes alone, nothing old of it stays on the page, and it comes back by itself."""

import time

import pytest

from tests.end_to_end.programs import Program, Simulator, wait_for

pytestmark = pytest.mark.timeout(120)

#: What stays of a miner that does not answer.
STAYS = {
    "miner_up", "miner_info", "miner_managed", "miner_muted", "miner_sign_in_refused",
    "miner_last_success_timestamp_seconds", "miner_poll_errors_total",
}  # fmt: skip
#: One of each way to talk: HTTP, HTTP kept alive, CGMiner API and signed HTTP, CGMiner API, one connection at a time.
VICTIMS = ("bitaxe", "vnish", "antminer", "cgminer", "avalon")
#: Those of them that have passwords.
LOCKED = ("bitaxe", "vnish", "antminer")


class Shared:
    """A program and its flock for the tests of this file; made anew after a test that may have left it in disorder."""

    def __init__(self):
        self.program = None

    def get(self, folder):
        if self.program is None:
            simulator = Simulator()
            self.program = Program(folder, simulator, status=3, telemetry=3, discovery=2)
            self.program.start()
        return self.program

    def drop(self):
        if self.program is not None:
            program, self.program = self.program, None
            program.stop()
            program.simulator.stop()


@pytest.fixture(scope="module")
def shared():
    holder = Shared()
    yield holder
    holder.drop()


@pytest.fixture
def flock(shared, tmp_path_factory, request):
    failed = request.session.testsfailed
    yield shared.get(tmp_path_factory.mktemp("failures"))
    if request.session.testsfailed > failed:
        shared.drop()


class Watch:
    """Looks at one page after the other and checks on each what must hold whatever happens."""

    def __init__(self, program, victims):
        self.program = program
        self.simulator = program.simulator
        self.first = program.until_found(len(self.simulator.devices))
        self.keys = {device["address"]: self.first.key_at(device["address"]) for device in victims}
        self.logged = len(program.process.lines)
        self.info = {key: self.info_of(self.first, key) for key in self.keys.values()}

    @staticmethod
    def info_of(page, key):
        (labels,) = page.values("miner_info", miner=key)
        return {name: value for name, value in labels if name != "ip"}

    def page(self):
        page = self.program.page()
        up = page.values("miner_up")
        assert len(up) == len(self.simulator.devices), self.log()
        for labels, value in up.items():
            key = dict(labels)["miner"]
            if key not in self.keys.values():
                assert value == 1, f"{key} has no fault and is down"
            elif value == 0:
                assert page.names_of(key) == STAYS
                assert self.info_of(page, key) == self.info[key]
                seen = page.value("miner_last_success_timestamp_seconds", miner=key)
                assert seen >= self.first.value("miner_last_success_timestamp_seconds", miner=key)
            else:
                assert page.value("miner_hashrate_hashes_per_second", miner=key) is not None
        return page

    def until(self, check, what, seconds=40.0):
        end = time.monotonic() + seconds
        while True:
            page = self.page()
            if check(page):
                return page
            assert time.monotonic() < end, f"waited {seconds:g} s for {what}: {self.standing(page)}\n{self.log()}"
            time.sleep(0.2)

    def standing(self, page):
        return {address: page.value("miner_up", miner=key) for address, key in self.keys.items()}

    def all_down(self, page):
        return not any(self.standing(page).values())

    def all_up(self, page):
        return all(self.standing(page).values())

    def offline(self, page):
        return self.all_down(page) and not any(page.key_at(address) for address in self.keys)

    def reasons(self, page, address):
        """Failed polls since the beginning of the watch, by reason."""
        key = self.keys[address]
        found = {}
        for labels, value in page.values("miner_poll_errors_total", miner=key).items():
            grown = value - self.first.samples["miner_poll_errors_total", labels]
            assert grown >= 0
            if grown:
                found[dict(labels)["reason"]] = grown
        return found

    def until_counted(self, address, reason):
        """Wait until a poll failed for this reason: a reading goes down when it is too old, before a slow poll ends."""
        self.until(lambda page: self.reasons(page, address).get(reason, 0) >= 1, f"a failure by {reason}")

    @property
    def locked(self):
        """The victims that refuse a password where the fault is "auth"; all but the Antminer are down by that alone."""
        kinds = {device["address"]: device["kind"] for device in self.simulator.devices}
        return {key: kinds[address] for address, key in self.keys.items() if kinds[address] in LOCKED}

    @staticmethod
    def refused(page):
        return {dict(labels)["miner"] for labels, value in page.values("miner_sign_in_refused").items() if value}

    def set_fault(self, name, **options):
        for address in self.keys:
            self.simulator.post("fault", address=address, fault=name, **options)

    def lines(self, message, key=None):
        return [
            line
            for line in self.program.entries(self.logged)
            if line["msg"].startswith(message) and key in (None, line.get("miner"))
        ]

    def until_told(self, message, key=None):
        """Wait until the log has the one line about a miner, or about any; it may come after the page. Returns it."""
        found = wait_for(lambda: self.lines(message, key), f"{message!r} of {key} in the log")
        assert len(found) == 1, self.log()
        return found[0]

    def log(self):
        return "\n".join(self.program.process.lines[self.logged :])


@pytest.fixture
def watch(flock):
    watching = Watch(flock, [flock.simulator.of(kind) for kind in VICTIMS])
    yield watching
    watching.set_fault(None)


#: Fault, its options, and the reasons it may be counted under: over HTTP, and over the CGMiner API.
FAULTS = [
    ("slow", {"seconds": 7}, {"timeout"}, {"timeout"}),
    ("cut", {}, {"protocol"}, {"decode"}),  # the CGMiner API tells no length: a reply that is cut is no JSON
    ("garbage", {}, {"protocol"}, {"decode"}),
    ("wrong_types", {}, {"decode"}, {"decode"}),
    ("auth", {}, {"auth"}, {"unsupported"}),  # "Access denied" to one command says nothing about the others
    ("vanish", {}, {"refused"}, {"refused"}),
    ("vanish", {"silent": True}, {"timeout"}, {"timeout"}),
    ("port_flood", {}, {"protocol", "too_large"}, {"decode", "too_large"}),  # as line feeds come in the noise
    ("half_open", {}, {"timeout"}, {"timeout"}),
    ("html", {}, {"decode"}, {"decode"}),
    ("truncated_json", {}, {"decode"}, {"decode"}),
    ("too_large", {"size": 1 << 23}, {"too_large"}, {"too_large"}),
]


@pytest.mark.parametrize(
    ("name", "options", "over_http", "over_rpc"),
    FAULTS,
    ids=[f"{name}-{'-'.join(options)}" if options else name for name, options, *_ in FAULTS],
)
def test_a_miner_with_a_fault_goes_alone_and_comes_back(watch, name, options, over_http, over_rpc):
    watch.set_fault(name, **options)
    page = watch.until(watch.all_down, "every victim down")
    if name == "auth":
        assert watch.refused(page) >= {key for key, kind in watch.locked.items() if kind != "antminer"}
    for address, key in watch.keys.items():
        kind = next(device["kind"] for device in watch.simulator.devices if device["address"] == address)
        expected = over_http if kind in ("bitaxe", "vnish") else over_rpc
        gone = watch.until_told("miner is gone", key)
        assert gone["reason"] in expected, f"{kind}\n{watch.log()}"
        watch.until_counted(address, gone["reason"])
    watch.set_fault(None)
    page = watch.until(watch.all_up, "every victim back")
    # Passwords that were refused are left alone until somebody changes them; no other fault counts as a refusal.
    assert watch.refused(page) - watch.refused(watch.first) <= (watch.locked.keys() if name == "auth" else set())
    for key in watch.keys.values():
        for message in ("miner is gone", "miner is back"):
            watch.until_told(message, key)
    assert not watch.lines("found a miner"), "a known miner was taken for a new one"


@pytest.mark.parametrize("name", ["html", "vanish"])
def test_a_fault_that_lasts_takes_the_address_and_ends_as_quickly(watch, name):
    watch.set_fault(name)
    watch.until(watch.offline, "every victim without an address", 60.0)
    watch.set_fault(None)
    page = watch.until(watch.all_up, "every victim back", 60.0)
    for address, key in watch.keys.items():
        assert page.key_at(address) == key
        for message in ("miner is gone", "miner is offline", "miner is back"):
            watch.until_told(message, key)
    assert not watch.lines("found a miner")


def test_a_reboot_starts_the_counters_of_the_device_anew(watch):
    watch.set_fault("reboot", seconds=5)
    watch.until(watch.all_down, "every victim down")
    page = watch.until(watch.all_up, "every victim back")
    uptimes = {key: page.value("miner_uptime_seconds", miner=key) for key in watch.keys.values()}
    told = [uptime for uptime in uptimes.values() if uptime is not None]
    assert told
    assert max(told) < 60, f"{uptimes}\n{watch.log()}"
    for key in watch.keys.values():
        for message in ("miner is gone", "miner is back"):
            watch.until_told(message, key)


def test_connections_that_the_device_closes_in_silence_cost_no_poll(watch):
    watch.set_fault("stale_keepalive")
    begun = {key: watch.first.value("miner_last_success_timestamp_seconds", miner=key) for key in watch.keys.values()}

    def polled_again(page):
        return all(
            page.value("miner_last_success_timestamp_seconds", miner=key) > before + 6 for key, before in begun.items()
        )

    page = watch.until(lambda page: watch.all_up(page) and polled_again(page), "two more polls of everybody")
    for address in watch.keys:
        assert watch.reasons(page, address) == {}
    assert not watch.lines("miner is")


def test_a_device_that_talks_by_itself_falls_silent_and_is_heard_again(flock):
    watch = Watch(flock, [flock.simulator.of("nmminer")])
    watch.set_fault("vanish")
    (address,) = watch.keys
    # The page says that it is down a moment before the poll that waited for it is counted.
    page = watch.until(lambda page: watch.all_down(page) and watch.reasons(page, address), "silence")
    assert set(watch.reasons(page, address)) == {"timeout"}
    watch.set_fault(None)
    watch.until(watch.all_up, "the next datagram")
    for message in ("miner is gone", "miner is back"):
        watch.until_told(message)
