"""A good targets.yml, its defaults and the environment."""

import dataclasses
import ipaddress
import random
from pathlib import Path

import pytest

from exporter.config import (
    Collectors,
    FixedMiner,
    Listen,
    Ports,
    Settings,
    Subnet,
    load_settings,
    parse_listen,
    restart_needed,
)
from exporter.errors import ConfigError

ROOT = Path(__file__).parents[2]


def load(tmp_path, text, environ=None, **options):
    path = tmp_path / "targets.yml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ or {}, **options)


def test_the_shipped_file_is_the_defaults():
    assert load_settings(ROOT / "targets.yml", {}) == Settings()


def test_the_defaults_are_the_documented_ones():
    settings = Settings()
    assert settings.database.path == Path("data/flockwatch.json")
    assert settings.network.subnets == (Subnet(None, ()),)
    assert settings.network.ports == Ports((80,), (4028,))
    assert (settings.network.timeout_ms, settings.network.offline_after) == (400, 3)
    assert (settings.network.manage_discovered, settings.network.allow_public) == (True, False)
    assert settings.network.allow_large is False
    assert settings.miners == ()
    assert dataclasses.astuple(settings.serial) == (True, "hotplug", (), (), ())
    assert settings.udp.nmminer_port == 12345
    assert dataclasses.astuple(settings.intervals) == (30, 15, 60, 30)
    assert settings.http.addr == Listen("127.0.0.1", 8080)
    assert settings.metrics.addr == Listen("", 9877)
    assert settings.metrics.collectors == Collectors(chips=False, pool_user=False)
    assert dataclasses.astuple(settings.control) == (True, False)
    assert settings.drivers.path == Path("data/miner_drivers")
    assert settings.drivers.vnish_create_api_key is True
    assert settings.pools.statistics is True
    assert settings.prometheus.url is None


@pytest.mark.parametrize(
    "text", ["", "# nothing but a comment\n", "---\n", "network:\nminers: []\n", "\ufeffnetwork: {}\n"]
)
def test_what_says_nothing_means_the_defaults(tmp_path, text):
    assert load(tmp_path, text) == Settings()


def test_every_key_is_read(tmp_path):
    settings = load(
        tmp_path,
        """
database: {path: /var/lib/flock.json}
network:
  subnets: [auto, 10.0.0.0/24, {cidr: 10.1.0.0/22, labels: {site: hall-1, rack: 07}}]
  ports: {http: [80, 8080], cgminer: []}
  timeout_ms: 300
  offline_after: 5
  manage_discovered: false
  allow_public: true
  allow_large: true
miners:
  - {address: 10.0.0.7, port: 8081, driver: bitaxe, name: desk, labels: {group: a}}
  - {address: "fe80::1"}
  - {address: miner-3.lan, port: null, driver: null}
  - {address: 8.8.8.8}
serial: {enabled: off, open: known, ports: [/dev/ttyUSB0], match: [303A:1001, "1-1.*"], ignore: [10c4:ea60]}
udp: {nmminer_port: null}
intervals: {discovery_seconds: 60, status_seconds: 2.5, telemetry_seconds: 120, shares_seconds: 1}
http: {addr: ":8081", allowed_hosts: [Flock.Home, proxy]}
metrics: {addr: "[::1]:9878", collectors: {chips: true, pool_user: yes}}
control: {enabled: false, require_max_preset: true}
drivers: {path: ./mine, vnish_create_api_key: false}
pools: {statistics: false}
prometheus: {url: "http://127.0.0.1:9090/"}
""",
    )
    network = ipaddress.IPv4Network
    assert settings.database.path == Path("/var/lib/flock.json")
    assert settings.network.subnets == (
        Subnet(None),
        Subnet(network("10.0.0.0/24")),
        Subnet(network("10.1.0.0/22"), (("rack", "07"), ("site", "hall-1"))),
    )
    assert settings.network.ports == Ports((80, 8080), ())
    assert (settings.network.timeout_ms, settings.network.offline_after) == (300, 5)
    assert settings.miners == (
        FixedMiner("10.0.0.7", 8081, "bitaxe", "desk", (("group", "a"),)),
        FixedMiner("fe80::1"),
        FixedMiner("miner-3.lan"),
        FixedMiner("8.8.8.8"),
    )
    assert dataclasses.astuple(settings.serial) == (
        False, "known", ("/dev/ttyUSB0",), ("303a:1001", "1-1.*"), ("10c4:ea60",),
    )  # fmt: skip
    assert settings.udp.nmminer_port is None
    assert dataclasses.astuple(settings.intervals) == (60, 2.5, 120, 1)
    assert settings.http.allowed_hosts == ("flock.home", "proxy")
    assert (settings.http.addr, settings.metrics.addr) == (Listen("", 8081), Listen("::1", 9878))
    assert settings.metrics.collectors == Collectors(True, True)
    assert dataclasses.astuple(settings.control) == (False, True)
    assert dataclasses.astuple(settings.drivers) == (Path("mine"), False)
    assert settings.pools.statistics is False
    assert settings.prometheus.url == "http://127.0.0.1:9090"


def test_the_environment_overrides_the_file(tmp_path):
    settings = load(
        tmp_path,
        "network: {subnets: [192.168.0.0/24], timeout_ms: 300}\nmetrics: {collectors: {chips: false}}\n"
        "prometheus: {url: 'http://127.0.0.1:9090'}\n",
        {
            "FLOCKWATCH_NETWORK_SUBNETS": "10.0.0.0/24, 10.0.1.0/24,auto",
            "FLOCKWATCH_NETWORK_PORTS_HTTP": "80,8080",
            "FLOCKWATCH_NETWORK_PORTS_CGMINER": "",
            "FLOCKWATCH_METRICS_ADDR": "127.0.0.1:0",
            "FLOCKWATCH_METRICS_COLLECTORS_CHIPS": "True",
            "FLOCKWATCH_INTERVALS_STATUS_SECONDS": "7",
            "FLOCKWATCH_UDP_NMMINER_PORT": "0",
            "FLOCKWATCH_DATABASE_PATH": "/data/other.json",
            "FLOCKWATCH_PROMETHEUS_URL": "",
            "FLOCKWATCH_SERIAL_ENABLED": "0",
            "FLOCKWATCH_SERIAL_MATCH": "303a:1001",
            "FLOCKWATCH_API_TOKEN": "leave this alone",
            "FLOCKWATCH_CREDENTIALS_FILE": "/run/secrets/devices",
            "FLOCKWATCH_HTTP_PASSWORD_FILE": "/run/secrets/ui",
            "FLOCKWATCH_SHARED": "/somewhere",
            "NETWORK_SUBNETS": "not ours",
        },
    )
    subnets = [subnet.cidr and str(subnet.cidr) for subnet in settings.network.subnets]
    assert subnets == ["10.0.0.0/24", "10.0.1.0/24", None]
    assert settings.network.ports == Ports((80, 8080), ())
    assert settings.network.timeout_ms == 300
    assert settings.metrics.addr == Listen("127.0.0.1", 0)
    assert settings.metrics.collectors.chips is True
    assert settings.intervals.status_seconds == 7
    assert settings.udp.nmminer_port == 0
    assert settings.database.path == Path("/data/other.json")
    assert settings.prometheus.url is None
    assert settings.serial.enabled is False
    assert settings.serial.match == ("303a:1001",)


def _settings_of(section, default, path=()):
    for field in dataclasses.fields(default):
        value = getattr(default, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, Listen):
            yield from _settings_of(section, value, (*path, field.name))
        elif field.name not in ("miners", "hosts"):
            yield "FLOCKWATCH_" + "_".join((*path, field.name)).upper()


@pytest.mark.parametrize("variable", sorted(_settings_of("", Settings())))
def test_every_setting_has_a_variable(tmp_path, variable):
    # No setting takes this text, so that each one that reads the variable complains about the value, not the name.
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "", {variable: "~\x00"})
    assert str(caught.value).startswith(f"{variable}: ")
    assert "is no setting" not in str(caught.value)


def test_a_large_network_needs_a_word(tmp_path):
    text = "network: {subnets: [10.0.0.0/15]}\n"
    with pytest.raises(ConfigError, match=r"targets\.yml:1: network\.subnets\[0\]: holds 131072 addresses"):
        load(tmp_path, text)
    assert load(tmp_path, text, allow_large=True).network.allow_large is False
    assert (
        load(tmp_path, "network: {allow_large: true, subnets: [10.0.0.0/8]}\n").network.subnets[0].cidr.prefixlen == 8
    )
    assert load(tmp_path, "network: {subnets: [10.0.0.0/16]}\n").network.subnets[0].cidr.prefixlen == 16


@pytest.mark.parametrize(
    "address",
    ["10.0.0.7", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "::1", "fe80::7", "fd00::7"],
)
def test_local_addresses_are_accepted(tmp_path, address):
    assert load(tmp_path, f"miners: [{{address: '{address}'}}]\n").miners == (FixedMiner(address),)


@pytest.mark.parametrize("address", ["192.0.2.7", "198.51.100.1", "203.0.113.1", "8.8.8.8", "2001:db8::1"])
def test_public_addresses_need_a_word(tmp_path, address):
    text = f"miners: [{{address: '{address}'}}]\n"
    with pytest.raises(ConfigError, match=r"miners\[0\]\.address: is a public address.*allow_public"):
        load(tmp_path, text)
    assert load(tmp_path, text + "network: {allow_public: true}\n").miners == (FixedMiner(address),)


def test_many_fixed_miners_are_read(tmp_path):
    text = "miners:\n" + "".join(f"  - {{address: 10.0.{n // 250}.{n % 250}}}\n" for n in range(1000))
    assert len(load(tmp_path, text).miners) == 1000


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":9877", "", 9877),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:8080", "::1", 8080),
        ("[::]:8080", "::", 8080),
        ("localhost:80", "localhost", 80),
    ],
)
def test_listen_addresses(text, host, port):
    assert parse_listen(text) == Listen(host, port)
    assert str(parse_listen(text)) == text


@pytest.mark.parametrize(
    "text", ["", "9877", ":", ":x", ":70000", "::1:80", "[::1]", "[zz]:1", "a b:1", "10.0.0:1", "x:1:2"]
)
def test_bad_listen_addresses(text):
    with pytest.raises(ValueError, match=r"."):
        parse_listen(text)


def test_what_needs_a_restart():
    old = Settings()
    assert restart_needed(old, old) == ()
    live = dataclasses.replace(
        old, intervals=dataclasses.replace(old.intervals, status_seconds=5), miners=(FixedMiner("10.0.0.7"),)
    )
    assert restart_needed(old, live) == ()
    new = dataclasses.replace(
        old,
        database=dataclasses.replace(old.database, path=Path("other.json")),
        udp=dataclasses.replace(old.udp, nmminer_port=None),
        http=dataclasses.replace(old.http, addr=Listen("", 1), allowed_hosts=("flock.home",)),
        metrics=dataclasses.replace(old.metrics, addr=Listen("", 2)),
        drivers=dataclasses.replace(old.drivers, path=Path("mine")),
    )
    assert restart_needed(old, new) == (
        "database.path",
        "udp.nmminer_port",
        "http.addr",
        "http.allowed_hosts",
        "metrics.addr",
        "drivers.path",
    )


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().network.timeout_ms = 1


def test_order_of_keys_does_not_matter(tmp_path):
    lines = ["  allow_public: true", "  subnets: [192.0.2.0/24]", "  timeout_ms: 60"]
    results = set()
    for seed in range(6):
        random.Random(seed).shuffle(lines)
        results.add(load(tmp_path, "network:\n" + "\n".join(lines) + "\n").network)
    assert len(results) == 1
