"""The address where cloud hosts keep their secrets is never asked."""

import ipaddress

import pytest

from exporter.config_values import is_local, parse_host, parse_network


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254"],
)
@pytest.mark.parametrize("allow_public", [False, True])
def test_a_metadata_service_is_no_miner(address, allow_public):
    assert not is_local(ipaddress.ip_address(address))
    with pytest.raises(ValueError, match="metadata"):
        parse_host(address, allow_public=allow_public)


def test_its_neighbours_are_link_local_as_ever():
    assert parse_host("169.254.169.253") == "169.254.169.253"


@pytest.mark.parametrize("network", ["169.254.169.254/32", "100.100.100.200/32", "169.254.170.2/32"])
@pytest.mark.parametrize("allow_public", [False, True])
def test_it_is_no_network_to_search_either(network, allow_public):
    with pytest.raises(ValueError, match="metadata"):
        parse_network(network, allow_public=allow_public)


@pytest.mark.parametrize("network", ["169.254.169.254/31", "169.254.169.0/24", "100.100.100.0/24"])
def test_larger_networks_may_be_searched(network):
    assert parse_network(network) == ipaddress.ip_network(network)
