"""The light scan on loopback."""

import socket
import threading

import pytest

from exporter.discovery.scan import ScanTarget, neighbour_pace, scan_ports


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_open_ports_are_told_from_closed_ones(listener, closed_port):
    outcome = scan_ports([ScanTarget("127.0.0.1", (listener, closed_port))], timeout=1.0)
    assert outcome.open_ports == {"127.0.0.1": {listener}}
    assert outcome.tried == 2
    assert not outcome.stopped


def test_every_target_is_tried_with_far_fewer_descriptors_than_targets(listener):
    targets = [ScanTarget(f"127.0.{block}.{host}", (listener,)) for block in range(4) for host in range(1, 251)]
    outcome = scan_ports(targets, timeout=1.0, concurrency=16)
    assert outcome.tried == 1000
    assert outcome.open_ports == {"127.0.0.1": {listener}}


def test_a_host_that_never_answers_counts_as_closed(listener):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        try:
            targets = [ScanTarget("127.0.0.1", (address[1], listener))]
            outcome = scan_ports(targets, timeout=1.0)
        finally:
            for filler in fillers:
                filler.close()
    assert outcome.open_ports == {"127.0.0.1": {listener}}
    assert outcome.tried == 2


def test_progress_ends_at_the_number_of_ports(listener, closed_port):
    seen = []
    targets = [ScanTarget(f"127.0.0.{host}", (listener, closed_port)) for host in range(1, 11)]
    scan_ports(targets, timeout=1.0, on_progress=seen.append)
    assert seen == list(range(1, 21))


def test_stop_ends_a_scan_early(listener):
    stop = threading.Event()
    tried = []

    def progress(done):
        tried.append(done)
        if done == 20:
            stop.set()

    targets = [ScanTarget(f"127.1.{block}.{host}", (listener,)) for block in range(9) for host in range(250)]
    outcome = scan_ports(targets, timeout=1.0, concurrency=8, stop=stop, on_progress=progress)
    assert outcome.stopped
    assert outcome.tried < 100


def test_an_unreachable_network_is_no_error():
    outcome = scan_ports([ScanTarget("255.255.255.255", (9,))], timeout=0.3)
    assert outcome.open_ports == {}
    assert outcome.tried == 1


@pytest.mark.parametrize(("threshold", "pace"), [("1024", 200.0), ("4096", 800.0), ("8", 20.0), ("none", 200.0)])
def test_the_pace_follows_the_size_of_the_neighbour_table(tmp_path, threshold, pace):
    file = tmp_path / "gc_thresh3"
    file.write_text(threshold + "\n")
    assert neighbour_pace(file) == pytest.approx(pace)
