"""The address where cloud hosts keep their secrets is never asked."""

import ipaddress

import pytest

from exporter.config_values import is_local, parse_host


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254"])
@pytest.mark.parametrize("allow_public", [False, True])
def test_a_metadata_service_is_no_miner(address, allow_public):
    assert not is_local(ipaddress.ip_address(address))
    with pytest.raises(ValueError, match="metadata"):
        parse_host(address, allow_public=allow_public)


def test_its_neighbours_are_link_local_as_ever():
    assert parse_host("169.254.169.253") == "169.254.169.253"
