"""Where connections lead: never to the metadata service of a cloud, by whatever name."""

import asyncio
import socket

import pytest

from exporter.drivers.api import HttpRequest
from exporter.engine.exchange import Endpoint
from exporter.errors import Unreachable
from exporter.transports import connecting
from exporter.transports.batch import Batch
from exporter.transports.connecting import dial
from tests.transports.servers import run

METADATA = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254"]


@pytest.fixture
def connected(monkeypatch):
    """Addresses that a socket was told to connect to; each connection is refused."""
    seen = []

    class Refusing(socket.socket):
        def connect_ex(self, address):
            seen.append(address[0])
            return 111

    monkeypatch.setattr(connecting.socket, "socket", Refusing)
    return seen


def names(monkeypatch, *addresses):
    """Every host name means these addresses."""

    def known(name, port, *_args, **_options):
        families = [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in addresses]
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in families]

    monkeypatch.setattr(socket, "getaddrinfo", known)


async def refused(address):
    with pytest.raises(Unreachable) as caught:
        await dial(address, 80, asyncio.get_running_loop().time() + 5)
    return str(caught.value)


@pytest.mark.parametrize("address", METADATA)
def test_a_metadata_service_is_never_dialled(connected, address):
    run(lambda: _check(address, connected))


async def _check(address, connected):
    assert "metadata service" in await refused(address)
    assert connected == []


@pytest.mark.parametrize(
    "means",
    [["169.254.169.254"], ["fd00:ec2::254"], ["192.0.2.1", "169.254.169.254"]],
    ids=["v4", "v6", "among others"],
)
def test_neither_is_a_host_name_that_leads_to_one_by_now(connected, monkeypatch, means):
    names(monkeypatch, *means)
    run(lambda: _check("rig.example", connected))


def test_a_host_name_is_dialled_at_its_first_address(connected, monkeypatch):
    names(monkeypatch, "192.0.2.1", "192.0.2.2")

    async def main():
        with pytest.raises(Exception, match="refused"):
            await dial("rig.example", 80, asyncio.get_running_loop().time() + 5)

    run(main)
    assert connected == ["192.0.2.1"]


@pytest.mark.parametrize("address", METADATA)
def test_a_batch_does_not_ask_one_either(connected, address):
    came = []

    def script():
        came.append((yield HttpRequest("/")))

    Batch(timeout=5.0, on_end=lambda *_: None).run([(Endpoint(address, 80, 4028), script())])
    assert isinstance(came[0], Unreachable)
    assert "metadata service" in str(came[0])
    assert connected == []
