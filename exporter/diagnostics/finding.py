"""Why miners are not found on the network. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from exporter.diagnostics.facts import Facts, LastScan
from exporter.diagnostics.words import OK, PROBLEM, UNKNOWN, WARNING, ago, count, watched
from exporter.discovery.networks import SearchNetwork
from exporter.engine.api.program import Check
from exporter.engine.fleet import SeenHost
from exporter.text import make_and_model

_GROUP: Final = "discovery"
#: Cycles that may be missing before the last one counts as late.
_LATE_CYCLES: Final = 3
#: Hosts without a driver that are shown one by one.
MOST_SEEN: Final = 20


def discovery_checks(facts: Facts) -> Iterator[Check]:
    """The networks, the last scan, and what was seen without a driver."""
    if not facts.networks:
        yield _no_network(facts)
    for network in facts.networks:
        yield _network(facts, network)
    yield _last_scan(facts)
    yield _sweep(facts)
    yield from _without_driver(facts.snapshot.seen)


def _without_driver(seen: Sequence[SeenHost]) -> Iterator[Check]:
    for host in seen[:MOST_SEEN]:
        name = make_and_model(host.make, host.model) or "a miner"
        firmware = f" ({host.firmware})" if host.firmware else ""
        yield Check(
            _GROUP,
            f"Can the miner at {host.address} be read?",
            WARNING,
            f"It answers as {name}{firmware}, and there is no driver for it.",
            "Send the folder that `flockwatch record` makes of it with a request for a driver, or write one.",
        )
    if len(seen) > MOST_SEEN:
        yield Check(
            _GROUP,
            "And the others without a driver?",
            WARNING,
            f"{count(len(seen) - MOST_SEEN, 'more host answers', 'more hosts answer')} as a miner that no driver can"
            " read.",
            "So many at once are mostly of one kind: one driver reads them all.",
        )


def _no_network(facts: Facts) -> Check:
    title = "Is there a network to search?"
    if not facts.settings.network.subnets:
        return Check(
            _GROUP,
            title,
            OK,
            "network.subnets is empty, so only miners with a fixed address are watched.",
        )
    own = ", ".join(f"{interface.name} {interface.address}" for interface in facts.interfaces) or "none"
    return Check(
        _GROUP,
        title,
        PROBLEM,
        f"network.subnets is auto, and no interface of this host is in a private network (addresses: {own}).",
        "Write the network of the miners into network.subnets, for example 192.168.1.0/24. In a container use the"
        " host's network.",
    )


def _network(facts: Facts, network: SearchNetwork) -> Check:
    title = f"Do miners answer in {network.network}?"
    here = [record for record in facts.snapshot.miners if record.address and network.covers(record.address)]
    up = sum(record.up is True for record in here)
    neighbours = sum(network.covers(address) for address in facts.neighbours)
    where = f"on {network.interface.name}" if network.interface else "behind a router"
    found = (
        f"The network is {where}. {count(up, 'miner answers', 'miners answer')} of {count(len(here), 'known one')};"
        f" {count(neighbours, 'host is', 'hosts are')} in the neighbour table."
    )
    if up:
        return Check(_GROUP, title, OK, found)
    if facts.last_scan is None:
        return Check(_GROUP, title, UNKNOWN, f"{found} No scan has ended yet.", "Wait for the first scan.")
    state = PROBLEM if not any(record.up for record in facts.snapshot.miners) else WARNING
    return Check(_GROUP, title, state, found, _remedy(facts, network, neighbours))


def _remedy(facts: Facts, network: SearchNetwork, neighbours: int) -> str:
    ports = facts.settings.network.ports
    wanted = "/".join(str(port) for port in (*ports.http, *ports.cgminer))
    if network.interface is None:
        return (
            f"Check that this is the network of the miners, that a route leads to it and that no firewall between"
            f" drops TCP to ports {wanted}."
        )
    if not neighbours:
        return (
            "Nobody answers there: check that the miners have power and a link, that they are in this network, and"
            " that no guest or isolated Wi-Fi keeps hosts apart."
        )
    return (
        f"Hosts are there and none is a miner that answers: check power, that the web interface or the API of the"
        f" miners is on, and that no firewall drops TCP to ports {wanted} (network.ports)."
    )


def _last_scan(facts: Facts) -> Check:
    title = "What did the last scan find?"
    scan = facts.last_scan
    if not facts.settings.network.subnets:
        return Check(_GROUP, title, OK, "No network is searched by itself; network.subnets is empty.")
    if scan is None:
        return Check(
            _GROUP, title, UNKNOWN, "No scan has ended since the start.", "Wait, or start one on the page Flock."
        )
    since = facts.now - scan.at
    found = (
        f"It ended {ago(since)} ago: {count(scan.tried, 'connection')} tried, {count(scan.open_hosts, 'host')} with an"
        f" open port, {count(scan.found, 'miner')} identified, {count(scan.strangers, 'host is', 'hosts are')} no"
        f" miner, {scan.unsure} could not be asked; {count(scan.answering, 'miner')} answered polls and"
        f" {'was' if scan.answering == 1 else 'were'} not searched."
    )
    interval = facts.settings.intervals.discovery_seconds
    if since > _LATE_CYCLES * interval + 60:
        return Check(
            _GROUP, title, WARNING, found, "Scans are late: search smaller networks, or look for errors in the log."
        )
    return Check(_GROUP, title, *_verdict(facts, scan, found))


def _verdict(facts: Facts, scan: LastScan, found: str) -> tuple[str, str, str | None]:
    any_miner = any(watched(record) and record.address for record in facts.snapshot.miners)
    if scan.unsure:
        return (
            WARNING,
            found,
            "Some hosts accept connections and do not answer in time, as a starting miner does; they are asked again.",
        )
    if scan.found or scan.answering or any_miner:
        return OK, found, None
    return PROBLEM, found, "See the networks above; add a miner by its address to test one alone."


def _sweep(facts: Facts) -> Check:
    title = "Can hosts be found by ARP?"
    if facts.can_sweep:
        return Check(_GROUP, title, OK, "Yes; networks on a cable of this host are searched within a second or two.")
    return Check(
        _GROUP,
        title,
        WARNING,
        "No: this process may not open packet sockets. Every address is tried by a connection, which is slower, and"
        " MAC addresses come from the neighbour table.",
        "Give it CAP_NET_RAW (AmbientCapabilities in the systemd unit, --cap-add NET_RAW for a container).",
    )
