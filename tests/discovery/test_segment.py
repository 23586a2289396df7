"""Searching an on-link segment where most addresses are absent: in network namespaces, on a real ARP table."""

import json
import subprocess
import sys

from tests.discovery.namespaces import LIVING, needs_root, segment

pytestmark = needs_root

_SWEEP = """
import json, sys
from ipaddress import IPv4Network
from exporter.discovery.arp import can_sweep, sweep
from exporter.discovery.networks import local_interfaces, search_networks
network = search_networks([(IPv4Network("10.99.0.0/22"), ())], local_interfaces())[0]
assert can_sweep()
found = sweep(network.interface, list(network.hosts()))
json.dump(found, sys.stdout)
"""

_PACED = """
import json, sys
from ipaddress import IPv4Network
from exporter.discovery.networks import local_interfaces, search_networks
from exporter.discovery.neighbours import neighbour_macs
from exporter.discovery.scan import ScanTarget, scan_ports
network = search_networks([(IPv4Network("10.99.0.0/22"), ())], local_interfaces())[0]
targets = [ScanTarget(host, (80, 4028), paced=network.interface is not None) for host in network.hosts()]
outcome = scan_ports(targets, timeout=0.4)
json.dump({"open": {a: sorted(p) for a, p in outcome.open_ports.items()}, "paced": targets[0].paced,
           "macs": neighbour_macs()}, sys.stdout)
"""

_WHO = """
import asyncio, json, subprocess, sys
from exporter.discovery.arp import who_has
from exporter.discovery.networks import local_interfaces
from exporter.engine.commanding import certainty
first, second, absent = "10.99.0.20", "10.99.0.30", "10.99.0.21"
(link,) = (each.name for each in local_interfaces() if str(each.address.ip) == "10.99.3.254")
def forge(address, mac):
    subprocess.run(("ip", "neigh", "replace", address, "lladdr", mac, "nud", "stale", "dev", link), check=True)
def who(address, **options):
    return asyncio.run(certainty.mac_at(address, **options))
true = who_has(first)
forge(first, "02:00:00:00:00:01")
found = {"arp": who(first), "true": true, "absent": who_has(absent), "routed": who_has("192.0.2.1")}
certainty.who_has = lambda address: None
found["believed"] = who(first, anew=False)
found["doubted"] = who(first)
json.dump(found, sys.stdout)
"""


def in_namespace(name, program):
    command = ("ip", "netns", "exec", name, sys.executable, "-c", program)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_arp_sweep_finds_every_living_host_with_its_mac():
    with segment(80) as scanner:
        found = in_namespace(scanner, _SWEEP)
    assert set(found) == set(LIVING)
    assert all(len(mac) == 17 and mac == mac.lower() for mac in found.values())


def test_a_paced_scan_finds_every_living_host_among_absent_ones():
    with segment(80, 4028) as scanner:
        found = in_namespace(scanner, _PACED)
    assert found["paced"] is True
    assert found["open"] == {address: [80, 4028] for address in LIVING}
    assert set(LIVING) <= set(found["macs"])


def test_a_device_that_has_anothers_address_by_now_is_told_from_it_in_spite_of_the_neighbour_table():
    """By ARP, and without the right to it by making the kernel ask again."""
    with segment(80) as scanner:
        found = in_namespace(scanner, _WHO)
    true = found["true"]
    assert true is not None
    assert found == {
        "arp": true, "true": true, "absent": None, "routed": None, "believed": "02:00:00:00:00:01", "doubted": true
    }  # fmt: skip
