"""Who is who: a miner is its MAC, whatever address it has, and is never forgotten."""

import pytest

from tests.end_to_end.programs import Program, Simulator

pytestmark = pytest.mark.timeout(120)

HASHRATE = "miner_hashrate_hashes_per_second"


@pytest.fixture
def simulator():
    running = Simulator(count=5)
    yield running
    running.stop()


@pytest.fixture
def program(tmp_path, simulator):
    running = Program(tmp_path, simulator, status=1, telemetry=2, discovery=1).start()
    running.until_found(len(simulator.devices))
    yield running
    running.stop()


def info(page, key):
    """The labels of the one miner_info of a miner."""
    (labels,) = page.values("miner_info", miner=key)
    return dict(labels)


def settled(program, **expected):
    """Wait until each miner (by key) is up at its address; return the page."""

    def check(page):
        return (
            all(page.value("miner_up", miner=key) == 1 and info(page, key)["ip"] == ip for key, ip in expected.items())
            and page
        )

    return program.until(check, f"{expected}")


def with_uptime(program, key):
    """A page with the miner's uptime, which some devices tell in the slow loop only."""
    return program.until(
        lambda page: page.value("miner_uptime_seconds", miner=key) is not None and page, f"the uptime of {key}"
    )


@pytest.mark.parametrize("kind", ["bitaxe", "vnish"])
def test_a_moved_miner_keeps_its_label_and_its_series(program, simulator, kind):
    device = simulator.of(kind)
    key = device["mac"]
    before = with_uptime(program, key)
    assert before.key_at(device["address"]) == key
    elsewhere = f"{simulator.base}.77"
    simulator.post("move", **{"from": device["address"], "to": elsewhere})
    settled(program, **{key: elsewhere})
    page = with_uptime(program, key)
    assert len(page.values("miner_up")) == len(simulator.devices)
    assert page.key_at(device["address"]) is None
    assert page.value(HASHRATE, miner=key) > 0
    assert page.value("miner_uptime_seconds", miner=key) >= before.value("miner_uptime_seconds", miner=key)
    program.process.wait_for_line("miner has a new address")  # it may come after the page
    moved = [entry for entry in program.entries() if entry["msg"] == "miner has a new address"]
    assert [(entry["miner"], entry["address"]) for entry in moved] == [(key, elsewhere)]
    truth = simulator.truth()[elsewhere]
    assert truth["unexpected_writes"] == []
    assert truth["keys_created"] == (1 if kind == "vnish" else 0)


def test_an_absent_miner_stays_on_the_page_also_after_a_restart(program, simulator):
    device = simulator.of("bitaxe")
    key = device["mac"]
    simulator.post("fault", address=device["address"], fault="vanish")

    def offline(page):
        return page.value("miner_up", miner=key) == 0 and info(page, key)["ip"] == "" and page

    before = program.until(offline, "the address to be cleared")
    assert program.stop() == 0
    program.start()
    first = program.page()
    assert offline(first)
    assert HASHRATE not in first.names_of(key)
    success = "miner_last_success_timestamp_seconds"
    assert first.value(success, miner=key) == pytest.approx(before.value(success, miner=key))
    expected = {**info(before, key), "ip": ""}
    assert info(first, key) == expected
    program.until_found(len(simulator.devices) - 1)
    assert offline(program.page())
    elsewhere = f"{simulator.base}.78"
    simulator.post("fault", address=device["address"], fault=None)
    simulator.post("move", **{"from": device["address"], "to": elsewhere})
    page = settled(program, **{key: elsewhere})
    assert len(page.values("miner_up")) == len(simulator.devices)


@pytest.mark.parametrize("kinds", [("bitaxe", "bitaxe"), ("bitaxe", "vnish")])
def test_two_miners_that_swap_their_addresses_never_swap_their_figures(program, simulator, kinds):
    one = simulator.of(kinds[0])
    other = simulator.of(kinds[1], 1 if kinds[0] == kinds[1] else 0)
    started = {
        device["mac"]: told["time"] - told["uptime_s"]
        for device in (one, other)
        for told in [simulator.truth()[device["address"]]]
    }
    assert abs(started[one["mac"]] - started[other["mac"]]) > 300, "the simulated miners must differ"
    spare = f"{simulator.base}.99"
    for here, there in ((one["address"], spare), (other["address"], one["address"]), (spare, other["address"])):
        simulator.post("move", **{"from": here, "to": there})

    def swapped(page):
        now = program.now()
        for key, at in started.items():
            uptime = page.value("miner_uptime_seconds", miner=key)
            # A VNish tells whole minutes, and what is shown is some seconds old.
            assert uptime is None or abs(now - at - uptime) < 90, f"{key} shows the other's figures"
        return (
            info(page, one["mac"])["ip"] == other["address"]
            and info(page, other["mac"])["ip"] == one["address"]
            and page.value("miner_up", miner=one["mac"]) == page.value("miner_up", miner=other["mac"]) == 1
            and page
        )

    page = program.until(swapped, "both at each other's address")
    assert len(page.values("miner_up")) == len(simulator.devices)
    simulator.post("clock", freeze=True)  # rates wander from one second to the next
    frozen = program.now()

    def polled_since(page):
        seen = [page.value("miner_last_success_timestamp_seconds", miner=key) for key in started]
        return min(seen) > frozen + 3 and page  # no poll takes three seconds

    page = program.until(polled_since, "polls of both after the clock stopped")
    truth = simulator.truth()
    for key, address in ((one["mac"], other["address"]), (other["mac"], one["address"])):
        assert page.value(HASHRATE, miner=key) == pytest.approx(truth[address]["hashrate_hs"], rel=0.05)
        assert info(page, key)["driver"] == truth[address]["driver"]


@pytest.mark.parametrize(("kind", "model"), [("bitaxe", "gamma-2.12"), ("vnish", "s19-1.2.7"), ("antminer", "s9")])
def test_a_new_miner_at_the_address_of_one_that_was_taken_away(program, simulator, kind, model):
    gone = simulator.of("bitaxe")
    simulator.post("remove", address=gone["address"])
    mac = "02:00:5e:00:53:01"
    simulator.post("add", kind=kind, model=model, address=gone["address"], mac=mac, seed=99)
    expected = mac if simulator.truth()[gone["address"]]["tells_mac"] else f"addr:antminer:{gone['address']}"
    page = settled(program, **{expected: gone["address"]})
    assert page.value("miner_up", miner=gone["mac"]) == 0
    assert info(page, gone["mac"])["ip"] == ""
    assert info(page, gone["mac"])["driver"] == "bitaxe"
    assert info(page, expected)["driver"] == kind
    assert HASHRATE not in page.names_of(gone["mac"])
    assert len(page.values("miner_up")) == len(simulator.devices) + 1
