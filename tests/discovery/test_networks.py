"""Which networks are searched."""

from ipaddress import IPv4Interface, IPv4Network

import pytest

from exporter.discovery.networks import (
    Interface,
    SearchNetwork,
    auto_networks,
    is_private,
    is_virtual,
    local_interfaces,
    on_link_interface,
    search_networks,
)


def interface(name: str, address: str) -> Interface:
    return Interface(name, IPv4Interface(address))


def test_auto_takes_private_networks_of_real_interfaces_only():
    interfaces = (
        interface("lo", "127.0.0.1/8"),
        interface("docker0", "172.17.0.1/16"),
        interface("wg0", "10.8.0.2/24"),
        interface("enp3s0", "192.168.7.20/24"),
        interface("enp4s0", "203.0.113.9/24"),
        interface("enp5s0", "169.254.3.4/16"),
    )
    assert auto_networks(interfaces) == (IPv4Network("192.168.7.0/24"),)


def test_auto_takes_at_most_the_24_around_the_address_and_keeps_smaller_networks():
    interfaces = (interface("enp3s0", "10.20.30.40/8"), interface("enp4s0", "192.168.1.77/28"))
    assert auto_networks(interfaces) == (IPv4Network("10.20.30.0/24"), IPv4Network("192.168.1.64/28"))


@pytest.mark.parametrize(
    ("network", "hosts"),
    [
        ("192.168.1.0/30", ["192.168.1.1", "192.168.1.2"]),
        ("192.168.1.4/31", ["192.168.1.4", "192.168.1.5"]),
        ("192.168.1.9/32", ["192.168.1.9"]),
    ],
)
def test_hosts_leave_out_network_and_broadcast_address_except_in_the_smallest_networks(network, hosts):
    assert list(SearchNetwork(IPv4Network(network)).hosts()) == hosts


def test_a_slash_20_has_4094_hosts():
    assert sum(1 for _ in SearchNetwork(IPv4Network("10.0.0.0/20")).hosts()) == 4094


@pytest.mark.parametrize(
    ("network", "left_out", "number"),
    [
        ("169.254.169.0/24", "169.254.169.254", 253),
        ("169.254.169.254/31", "169.254.169.254", 1),
        ("100.100.100.0/24", "100.100.100.200", 253),
        ("169.254.0.0/16", "169.254.170.2", 65531),
        ("10.0.0.0/24", None, 254),
    ],
)
def test_the_metadata_services_of_clouds_are_never_searched(network, left_out, number):
    searched = SearchNetwork(IPv4Network(network))
    hosts = list(searched.hosts())
    assert left_out not in hosts
    assert len(hosts) == searched.host_count == number


def test_a_network_of_nothing_else_is_left_out():
    assert search_networks([(IPv4Network("169.254.169.254/32"), ()), (IPv4Network("100.100.100.200/32"), ())], ()) == ()


def test_on_link_is_what_overlaps_an_interface_but_never_loopback():
    interfaces = (interface("lo", "127.0.0.1/8"), interface("enp3s0", "10.1.0.5/22"))
    assert on_link_interface(IPv4Network("10.1.2.0/24"), interfaces) == interfaces[1]
    assert on_link_interface(IPv4Network("10.0.0.0/8"), interfaces) == interfaces[1]
    assert on_link_interface(IPv4Network("10.2.0.0/24"), interfaces) is None
    assert on_link_interface(IPv4Network("127.7.0.0/24"), interfaces) is None


def test_each_network_is_searched_once_and_keeps_its_first_labels():
    interfaces = (interface("enp3s0", "192.168.1.20/24"),)
    subnets = [(IPv4Network("192.168.1.0/24"), (("site", "home"),)), (None, ()), (IPv4Network("10.0.0.0/24"), ())]
    found = search_networks(subnets, interfaces)
    assert [str(network.network) for network in found] == ["192.168.1.0/24", "10.0.0.0/24"]
    assert found[0].labels == (("site", "home"),)
    assert found[0].interface == interfaces[0]
    assert found[1].interface is None


def test_covers_understands_addresses_and_refuses_names():
    network = SearchNetwork(IPv4Network("10.0.0.0/24"))
    assert network.covers("10.0.0.7")
    assert not network.covers("10.0.1.7")
    assert not network.covers("miner.lan")


@pytest.mark.parametrize(
    ("network", "private"),
    [
        ("10.0.0.0/8", True),
        ("172.16.0.0/12", True),
        ("172.15.0.0/16", False),
        ("127.3.0.0/24", True),
        ("100.64.0.0/24", True),
        ("8.8.8.0/24", False),
        ("0.0.0.0/0", False),
    ],
)
def test_private_ranges(network, private):
    assert is_private(IPv4Network(network)) is private


def test_a_tunnel_is_told_by_its_link_type(tmp_path):
    for name, link_type in (("office", "65534"), ("enp3s0", "1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(link_type + "\n")
    assert is_virtual("office", tmp_path)
    assert not is_virtual("enp3s0", tmp_path)
    assert is_virtual("veth12ab", tmp_path)


def test_this_host_has_loopback():
    assert any(found.address.ip.is_loopback for found in local_interfaces())
