"""Live answers to "why does it not work?": pure checks over facts, and what looks the facts up."""

import contextlib
import dataclasses
import http.server
import ipaddress
import socket
import threading
import time
from pathlib import Path

import pytest

from exporter.config import Intervals, Network, Prometheus, Serial, Settings, Udp
from exporter.diagnostics import gather as gathering
from exporter.diagnostics.checks import run_checks
from exporter.diagnostics.facts import Facts, HostFacts, LastScan, PortTrouble, Reach, UsbFacts
from exporter.diagnostics.offline import MOST_SHOWN
from exporter.diagnostics.reach import reach_all
from exporter.diagnostics.words import ago, count
from exporter.discovery.networks import Interface, SearchNetwork
from exporter.engine.api.devices import WaitingDevice
from exporter.engine.fleet import FleetSnapshot, MinerRecord, SeenHost, UsbRecord
from exporter.model import Identity, Pool, Reading
from exporter.model_usb import UsbCondition, UsbState, UsbStatus, UsbView
from exporter.store.rows import MinerConfig, MinerRow
from exporter.wallets.reasons import REASONS
from tests.end_to_end.programs import free_port
from tests.engine.bench import at, mac, run

NOW = 1_900_000_000.0
LAN = Interface("eth0", ipaddress.IPv4Interface("192.0.2.5/24"))
HOME = SearchNetwork(ipaddress.IPv4Network("192.0.2.0/24"), (), LAN)
FAR = SearchNetwork(ipaddress.IPv4Network("10.1.0.0/24"))
HOST = HostFacts("targets.yml", "/data/flock.json", None, 10**10, 40, 65536, NOW - 100, 12345, 9)
NOTHING_FOUND = LastScan(NOW - 20, 508, 3, 0, 3, 0, 0)


def miner(number=1, **changes):
    fields = {
        "id": number,
        "key": mac(number),
        "name": f"miner {number}",
        "driver": "bitaxe",
        "identity": Identity(mac=mac(number)),
        "address": at(number),
        "up": True,
        "last_seen": NOW - 60,
        **changes,
    }
    return MinerRecord(**fields)


def lost(number=1, **changes):
    return miner(number, **{"up": False, "last_error": "no answer within 5 s", "last_seen": NOW - 7200, **changes})


def on_usb(state=UsbState.MINING, since=NOW - 7200, conditions=(), dev_path="/dev/ttyACM0", **changes):
    view = UsbView(UsbStatus.ACTIVE, state, since, frozenset(conditions))
    return miner(**{"address": None, "driver": "nerdminer", "usb": UsbRecord(view, dev_path), **changes})


def facts(*miners, seen=(), settings=None, host=HOST, **changes):
    fields = {
        "now": NOW,
        "networks": (HOME,),
        "interfaces": (LAN,),
        "last_scan": LastScan(NOW - 20, 508, 3, 1, 2, 0, 0),
        **changes,
    }
    return Facts(settings=settings or Settings(), snapshot=FleetSnapshot(miners, tuple(seen)), host=host, **fields)


def one(found, title):
    """The only check whose title holds `title`."""
    checks = [check for check in run_checks(found) if title in check.title]
    assert len(checks) == 1, [check.title for check in run_checks(found)]
    return checks[0]


def trouble(found):
    return [check for check in run_checks(found) if check.state in ("warning", "problem")]


def test_where_all_is_well_nothing_is_to_do():
    assert trouble(facts(miner())) == []
    assert all(check.remedy is None for check in run_checks(facts(miner(), wallets=1)))


def test_every_trouble_has_a_remedy():
    settings = Settings(prometheus=Prometheus("http://127.0.0.1:9090"))
    host = dataclasses.replace(
        HOST, write_error="the disk is full", udp_port=None, rejected=(("x.py", "line 1"),), prometheus="gone"
    )
    usb = UsbFacts(
        udev=False,
        waiting=(WaitingDevice(None, "x", "/dev/ttyUSB0", "1-1", "10c4", "ea60", None, None, None, None, None, None,
                               None, None, held=True, held_reason="it was there"),),
        troubles=(PortTrouble("/dev/ttyUSB1", "it may not be opened"),),
    )  # fmt: skip
    found = facts(
        lost(), on_usb(conditions=tuple(UsbCondition), id=2), miner(3, managed=False), miner(4, reading=Reading()),
        settings=settings, host=host, usb=usb, can_sweep=False, last_scan=NOTHING_FOUND, networks=(HOME, FAR),
        configs=tuple(MinerConfig(number, 3, reason=reason) for number, reason in enumerate(REASONS)), wallets=1,
        seen=(SeenHost("192.0.2.9", "Braiins", "S19", "BOS", None, NOW),),
    )  # fmt: skip
    checks = trouble(found)
    assert len(checks) > 20
    for check in checks:
        assert check.remedy
        assert check.found
        assert check.title.endswith("?")
        assert "None" not in f"{check.title}{check.found}{check.remedy}"


# --- discovery ---


def test_nothing_found_though_hosts_are_there():
    check = one(facts(last_scan=NOTHING_FOUND, neighbours={at(7): mac(7), at(8): mac(8)}), "Do miners answer in")
    assert check.state == "problem"
    assert "192.0.2.0/24" in check.title
    assert "on eth0" in check.found
    assert "2 hosts are in the neighbour table" in check.found
    for word in ("power", "web interface", "firewall", "80/4028"):
        assert word in check.remedy


def test_nothing_found_and_nobody_there():
    check = one(facts(last_scan=NOTHING_FOUND), "Do miners answer in")
    assert "0 hosts are" in check.found
    assert "isolated Wi-Fi" in check.remedy


def test_nothing_found_behind_a_router_names_the_ports_that_are_asked():
    settings = Settings(network=Network(ports=dataclasses.replace(Network().ports, http=(80, 8080))))
    check = one(facts(networks=(FAR,), last_scan=NOTHING_FOUND, settings=settings), "Do miners answer in 10.1.0.0/24")
    assert "behind a router" in check.found
    assert "80/8080/4028" in check.remedy


def test_a_network_without_miners_is_no_problem_where_others_have_some():
    found = facts(miner(), networks=(HOME, FAR))
    assert one(found, "Do miners answer in 192.0.2.0/24").state == "ok"
    assert one(found, "Do miners answer in 10.1.0.0/24").state == "warning"


def test_before_the_first_scan_nothing_is_claimed():
    found = facts(last_scan=None)
    assert one(found, "Do miners answer in").state == "unknown"
    assert one(found, "last scan").state == "unknown"


def test_auto_without_a_private_network():
    outside = Interface("eth0", ipaddress.IPv4Interface("8.8.8.8/24"))
    check = one(facts(networks=(), interfaces=(outside,)), "Is there a network to search?")
    assert check.state == "problem"
    assert "eth0 8.8.8.8/24" in check.found
    assert "network.subnets" in check.remedy
    wanted = Settings(network=Network(subnets=()))
    assert one(facts(networks=(), settings=wanted), "Is there a network to search?").state == "ok"
    assert one(facts(networks=(), settings=wanted, last_scan=NOTHING_FOUND), "last scan").state == "ok"


def test_the_last_scan_in_figures():
    check = one(facts(last_scan=LastScan(NOW - 20, 508, 5, 2, 3, 0, 7)), "last scan")
    assert check.state == "ok"
    for words in ("20 seconds ago", "508 connections", "5 hosts with an open port", "2 miners identified", "7 miners"):
        assert words in check.found
    assert one(facts(last_scan=NOTHING_FOUND), "last scan").state == "problem"
    assert one(facts(last_scan=LastScan(NOW - 20, 508, 5, 0, 3, 2, 0)), "last scan").state == "warning"
    late = one(facts(last_scan=LastScan(NOW - 900, 508, 5, 2, 3, 0, 0)), "last scan")
    assert late.state == "warning"
    assert "late" in late.remedy
    slow = Settings(intervals=Intervals(discovery_seconds=3600))
    assert one(facts(last_scan=LastScan(NOW - 900, 508, 5, 2, 3, 0, 0), settings=slow), "last scan").state == "ok"


def test_a_family_without_a_driver_is_told():
    check = one(facts(seen=(SeenHost("192.0.2.9", "Braiins", "S19", None, None, NOW),)), "192.0.2.9")
    assert "Braiins S19" in check.found


def test_a_family_without_a_driver_is_called_as_on_the_page():
    twice = SeenHost("192.0.2.9", "IceRiver", "IceRiver KS3", "IceRiver", None, NOW)
    assert "It answers as IceRiver KS3 (IceRiver)," in one(facts(seen=(twice,)), "192.0.2.9").found
    nothing = SeenHost("192.0.2.9", None, None, None, None, NOW)
    assert "It answers as a miner," in one(facts(seen=(nothing,)), "192.0.2.9").found


def test_many_of_them_are_counted():
    hosts = tuple(SeenHost(f"10.1.0.{number}", "IceRiver", None, None, None, NOW) for number in range(255))
    checks = [check for check in run_checks(facts(seen=hosts)) if check.group == "discovery"]
    told = [check for check in checks if check.title.startswith("Can the miner at")]
    assert len(told) == 20
    (rest,) = [check for check in checks if check.title == "And the others without a driver?"]
    assert rest.state == "warning"
    assert "235 more hosts" in rest.found
    assert not [check for check in run_checks(facts(seen=hosts[:20])) if check.title == rest.title]


# --- offline ---


def test_an_offline_miner_tells_when_and_where_it_was_seen_and_why_it_failed():
    found = facts(lost(), reach={1: (Reach(80, "silent"), Reach(4028, "unreachable"))})
    check = one(found, "Why does miner 1")
    assert (check.group, check.state, check.miner_id) == ("offline", "problem", 1)
    assert "2 hours ago at 192.0.2.1" in check.found
    assert "no answer within 5 s" in check.found
    assert "port 80 does not answer, port 4028 cannot be reached" in check.found
    assert "power" in check.remedy
    assert "DHCP" in check.remedy


def test_a_miner_that_has_another_address_now():
    row = MinerRow(1, mac(1), "bitaxe", last_address=at(1))
    elsewhere = facts(lost(address=None), rows={1: row}, neighbours={at(77): mac(1)})
    check = one(elsewhere, "Why does miner 1")
    assert "its last address was 192.0.2.1" in check.found
    assert "answers at 192.0.2.77 now" in check.remedy
    assert "Reserve an address" in check.remedy
    outside = dataclasses.replace(elsewhere, neighbours={"10.9.9.9": mac(1)})
    assert "no network of network.subnets" in one(outside, "Why does miner 1").remedy


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("refused", "web interface or the API"), ("open", "starting or too busy"), ("silent", "Check its power")],
)
def test_what_the_ports_do_leads_to_the_remedy(outcome, words):
    assert words in one(facts(lost(), reach={1: (Reach(80, outcome),)}), "Why does miner 1").remedy


def test_a_wrong_password_is_told_apart():
    check = one(facts(lost(auth_failed=True, last_error="HTTP 401")), "Why does miner 1")
    assert "password" in check.found
    assert "Set its password" in check.remedy


def test_miners_that_nobody_reads_are_not_missed():
    found = facts(lost(1, managed=False), lost(2, enabled=False), miner(3))
    assert one(found, "Do all miners answer?").state == "ok"
    assert "1 miner is listed" in one(found, "not read").found


def test_a_hall_without_power_is_one_trouble():
    checks = [check for check in run_checks(facts(*(lost(n) for n in range(1, 201)))) if check.group == "offline"]
    assert len(checks) == MOST_SHOWN + 1
    assert "150 more miners" in checks[-1].found


def test_hostile_names_are_cut_and_cleaned():
    check = one(facts(lost(name="\x1b[31m" + "A" * 10_000, last_error="B" * 10_000)), "not answer")
    assert len(check.title) < 120
    assert "\x1b" not in check.title
    assert len(check.found) < 600


def test_a_board_that_is_unplugged():
    away = on_usb(UsbState.NOT_CONNECTED, dev_path=None, up=False)
    assert "Plug the board in" in one(facts(away), "Why does miner 1").remedy


# --- USB ---


def waiting(**changes):
    fields = {
        "id": 1, "miner": "serial:X", "dev_path": "/dev/ttyUSB0", "port_path": "1-1", "vendor_id": "10c4",
        "product_id": "ea60", "serial_number": "X", "discovered_at": NOW, "status": None, "state": None,
        "dumped_pool_url": None, "dumped_wallet_address": None, "dumped_firmware_version": None, "suggested_name": None,
    }  # fmt: skip
    return WaitingDevice(**{**fields, **changes})


def test_a_port_that_is_held_shut():
    held = waiting(id=None, held=True, held_reason="was plugged in before the program started")
    check = one(facts(usb=UsbFacts(boards=1, waiting=(held,))), "Is /dev/ttyUSB0 a miner?")
    assert "before the program started" in check.found
    assert "This is a miner" in check.remedy


def test_a_port_without_rights():
    usb = UsbFacts(waiting=(waiting(),), troubles=(PortTrouble("/dev/ttyUSB0", "/dev/ttyUSB0 may not be opened"),))
    check = one(facts(usb=usb), "Can /dev/ttyUSB0 be opened?")
    assert check.state == "problem"
    assert "dialout" in check.remedy


def test_without_udev():
    assert "no udev daemon" in one(facts(usb=UsbFacts(udev=False)), "plugs and unplugs").found
    assert "libudev" in one(facts(usb=UsbFacts(libudev=False)), "plugs and unplugs").found
    off = facts(settings=Settings(serial=Serial(enabled=False)), usb=UsbFacts(udev=False))
    assert [check.found for check in run_checks(off) if check.group == "usb"] == ["No: serial.enabled is false."]


@pytest.mark.parametrize("condition", [c for c in UsbCondition if c.value not in
                                       ("pool_error", "subscribe_aborted", "config_wiped")])  # fmt: skip
def test_every_lasting_condition_of_a_board_is_explained(condition):
    check = one(facts(on_usb(UsbState.CONNECTED_IP, conditions=(condition,))), "What is wrong with miner 1?")
    assert (check.state, check.miner_id) == ("problem", 1)
    assert "2 hours" in check.found


# --- wallets and shares ---


@pytest.mark.parametrize("reason", REASONS)
def test_why_a_match_failed(reason):
    config = MinerConfig(1, 1, "stratum+tcp://pool.example:3333", "nobody.worker", reason=reason)
    check = one(facts(miner(), configs=(config,), wallets=1), "Why is miner 1 linked to no wallet?")
    assert (check.group, check.state, check.miner_id) == ("wallets", "warning", 1)


def wallet_troubles(configs, *miners):
    checks = run_checks(facts(*miners or (miner(),), configs=tuple(configs), wallets=1))
    return [check for check in checks if check.group == "wallets" and check.state == "warning" and check.miner_id]


def test_pools_that_fail_alike_are_one_check_that_names_them():
    stranger = ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT.rig", None, None)
    configs = [
        MinerConfig(1, 1, "stratum+tcp://A.example.:3333", *stranger, reason="other_address"),
        MinerConfig(2, 1, "stratum+tcp://b.example:4444", *stranger, reason="other_address"),
        MinerConfig(3, 1, None, *stranger, reason="other_address"),
        MinerConfig(4, 1, "stratum+tcp://c.example:3333", None, reason="no_user"),
    ]
    alike, other = wallet_troubles(configs)
    assert alike.found.startswith("At a.example:3333, b.example:4444, a pool that the miner does not name: The address")
    assert other.found.startswith("At c.example:3333: The miner does not tell its pool user.")
    assert "1Boat" not in alike.found + other.found


def test_each_fault_of_an_address_is_told_once():
    users = ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n8")
    urls = ("stratum+tcp://a.example:3333", "stratum+tcp://b.example:3333")
    configs = [
        MinerConfig(number, 1, url, user, reason="address_invalid")
        for number, (url, user) in enumerate([(url, user) for url in urls for user in users], 1)
    ]
    (check,) = wallet_troubles(configs)
    assert check.found.count("Read as one of Bitcoin") == check.found.count("Read as one of Litecoin") == 1


def test_miners_beyond_those_that_are_shown_are_counted():
    miners = [miner(number) for number in range(1, MOST_SHOWN + 4)]
    configs = [
        MinerConfig(2 * one.id + half, one.id, f"pool-{half}.example:3333", None, reason="no_user")
        for half in (0, 1)
        for one in miners
    ]
    assert len(wallet_troubles(configs, *miners)) == MOST_SHOWN
    rest = one(facts(*miners, configs=tuple(configs), wallets=1), "And the others without a wallet?")
    assert rest.found.startswith("3 more miners")
    few = facts(*miners[:MOST_SHOWN], configs=tuple(configs), wallets=1)
    assert not [check for check in run_checks(few) if check.title == rest.title]


def test_matches_that_are_fine_and_configurations_of_the_past():
    fine = MinerConfig(1, 1, wallet_id=1)
    past = MinerConfig(2, 1, active=False, reason="other_address")
    gone = MinerConfig(3, 99, reason="other_address")
    found = facts(miner(), configs=(fine, past, gone), wallets=1)
    checks = [check for check in run_checks(found) if check.group == "wallets"]
    assert [check.state for check in checks] == ["ok"]
    assert "1 of 1 pool configuration" in checks[0].found
    assert "No wallet is tracked" in one(facts(miner()), "pools belong").found


def test_who_tells_shares():
    counts = Reading(pools=(Pool("0", accepted=5.0),))
    silent = Reading(pools=(Pool("0", accepted=5.0, fee=True), Pool("1")))
    found = facts(miner(1, reading=counts), miner(2, reading=silent), on_usb(id=3, reading=counts))
    assert "1 miner tells each share, 1 miner tells counters" in one(found, "How are shares logged?").found
    check = one(found, "Why has miner 2 no shares?")
    assert "by hand" in check.remedy
    assert check.miner_id == 2


@pytest.mark.parametrize(
    ("accepted", "rejected", "since", "state"),
    [
        (0.0, 0.0, NOW - 7200, "warning"),
        (0.0, 4.0, NOW - 7200, "problem"),
        (1.0, 4.0, NOW - 7200, None),
        (0.0, 0.0, NOW - 600, None),
    ],
)
def test_a_board_that_mines_without_shares(accepted, rejected, since, state):
    reading = Reading(pools=(Pool("0", accepted=accepted, rejected=rejected),))
    checks = [check for check in run_checks(facts(on_usb(since=since, reading=reading))) if "no shares" in check.title]
    assert [check.state for check in checks] == ([] if state is None else [state])


# --- the program ---


@pytest.mark.parametrize(
    ("changes", "title", "state"),
    [
        ({"write_error": "no space left"}, "Do changes reach the disk?", "problem"),
        ({"disk_free": 10**6}, "Do changes reach the disk?", "warning"),
        ({"disk_free": None}, "Do changes reach the disk?", "unknown"),
        ({"descriptor_limit": 256}, "May enough connections be open?", "warning"),
        ({"descriptor_limit": None}, "May enough connections be open?", "unknown"),
        ({"newest_stored": NOW + 86400}, "Is the clock right?", "warning"),
        ({"newest_stored": None}, "Is the clock right?", "ok"),
        ({"share_error": "no space left"}, "Does the log of shares reach the disk?", "problem"),
        ({"udp_port": None}, "Can NMMiners report?", "problem"),
        ({"rejected": (("mine.py", "line 3: bad"),)}, "Are all drivers loaded?", "warning"),
    ],
)
def test_the_program(changes, title, state):
    assert one(facts(miner(), host=dataclasses.replace(HOST, **changes)), title).state == state


def test_a_clock_in_the_past():
    check = one(dataclasses.replace(facts(), now=1000.0), "Is the clock right?")
    assert check.state == "problem"
    assert "1970" in check.found


def test_prometheus():
    wanted = Settings(prometheus=Prometheus("http://127.0.0.1:9090"))
    assert one(facts(settings=wanted), "Does Prometheus answer?").found == "http://127.0.0.1:9090 answers."
    private = Settings(prometheus=Prometheus("http://me:hunter22@127.0.0.1:9090"))
    assert "hunter22" not in one(facts(settings=private), "Does Prometheus answer?").found
    gone = dataclasses.replace(HOST, prometheus="it does not answer (refused)")
    assert one(facts(settings=wanted, host=gone), "Does Prometheus answer?").state == "problem"
    assert "None is configured" in one(facts(), "Does Prometheus answer?").found
    deaf = Settings(udp=Udp(nmminer_port=None))
    assert one(facts(settings=deaf), "Can NMMiners report?").state == "ok"


def test_words():
    spans = [0.0, 1.0, 119.0, 300.0, 7199.0, 3 * 3600.0, 2 * 86400.0]
    assert [ago(seconds) for seconds in spans] == [
        "0 seconds", "1 second", "119 seconds", "5 minutes", "120 minutes", "3 hours", "2 days",
    ]  # fmt: skip
    assert [count(1, "host is", "hosts are"), count(2, "host is", "hosts are"), count(0, "miner")] == [
        "1 host is",
        "2 hosts are",
        "0 miners",
    ]


# --- looking up ---


def test_what_ports_do_now():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, shut = server.getsockname()[1], free_port()
        found = reach_all({1: "127.0.0.1", 2: "127.0.0.2"}, (port, shut, port))
    assert found[1] == (Reach(port, "open"), Reach(shut, "refused"))
    assert found[2] == (Reach(port, "refused"), Reach(shut, "refused"))
    assert reach_all({}, (80,)) == {}


class _Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/-/ready" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def web_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Ready)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


def test_whether_prometheus_answers(tmp_path, monkeypatch):
    """Over a running engine, one setting after the other."""
    with web_server() as url:
        for wanted, words in ((url, None), (f"{url}/prefix", "404"), (f"http://127.0.0.1:{free_port()}", "not answer")):
            folder = tmp_path / str(abs(hash(wanted)))
            folder.mkdir()

            async def story(bench, words=words):
                found = gathering.gather(bench.engine, Path("targets.yml")).host.prometheus
                assert (found is None) if words is None else (words in found)

            run(folder, monkeypatch, story, prometheus=Prometheus(wanted))


def test_the_facts_of_a_running_engine(tmp_path, monkeypatch):
    tried = {}
    monkeypatch.setattr(gathering, "reach_all", lambda addresses, ports: tried.update(addresses) or {})

    async def story(bench):
        bench.hosts.put(at(1), mac=mac(1))
        bench.hosts.put(at(2), mac=mac(2))
        before = gathering.gather(bench.engine, Path("targets.yml"))
        assert before.last_scan is None
        await bench.search()
        del bench.hosts.hosts[at(2)]
        await bench.poll(at(2))
        found = gathering.gather(bench.engine, Path("targets.yml"))
        assert (found.last_scan.found, found.last_scan.open_hosts) == (2, 2)
        assert found.last_scan.at == pytest.approx(time.time(), abs=60)
        assert tried == {bench.record(mac(2)).id: at(2)}
        assert found.rows.keys() == {record.id for record in found.snapshot.miners}
        assert found.host.disk_free > 0
        assert found.host.descriptor_limit is None or found.host.descriptor_limit > 0
        assert found.host.newest_stored == pytest.approx(time.time(), abs=60)
        assert found.host.udp_port is None
        assert [str(network.network) for network in found.networks] == ["192.0.2.0/28"]
        assert "Why does" in " ".join(check.title for check in run_checks(found))

    run(tmp_path, monkeypatch, story)


def test_a_device_file_without_rights(tmp_path, monkeypatch):
    path = tmp_path / "ttyUSB0"
    path.touch(mode=0o000)
    monkeypatch.setattr(gathering.os, "access", lambda *_: False)  # root may open every file
    (found,) = gathering._troubles((waiting(dev_path=str(path)),))
    assert "may not be opened" in found.message


def test_device_files_that_can_be_opened_or_are_not_ours_to_try(tmp_path):
    path = tmp_path / "ttyUSB0"
    path.touch()
    devices = (
        waiting(dev_path=str(path)),
        waiting(dev_path=None),
        waiting(dev_path=str(tmp_path / "gone")),
        waiting(dev_path=str(path), held=True),
    )
    assert list(gathering._troubles(devices)) == []
