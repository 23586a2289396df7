"""targets.yml, section by section: keys, bounds and what belongs together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from exporter import config_schema as schema
from exporter import config_values as values
from exporter.config_env import Environment
from exporter.config_reader import BadValue, Faults, Reader, Section
from exporter.config_yaml import Listing, Place, Scalar, Table, Value, parse_yaml
from exporter.text import clean_text

_LONGEST_SECONDS = 86400.0
#: Real devices want seconds; shorter intervals serve tests against simulated ones.
_SHORTEST_SECONDS = 0.1
_LONGEST_NAME = 64
_LONGEST_LABEL = 128
_OPEN = ("known", "hotplug", "all")


def build_settings(text: str, source: str, environ: Mapping[str, str], *, allow_large: bool = False) -> schema.Settings:
    """Read the text of a configuration file (`source` names it in messages) and the environment.

    Raises:
        ConfigError: one line for each fault.
    """
    faults = Faults(no_secrets=True)
    environment = Environment(environ)
    top = Section(parse_yaml(text, source), "", Place(source, 1), faults, environment)
    network = _network(top.section("network"), allow_large=allow_large)
    settings = schema.Settings(
        database=_database(top.section("database")),
        network=network,
        miners=_miners(top, allow_public=network.allow_public),
        serial=_serial(top.section("serial")),
        udp=_udp(top.section("udp")),
        intervals=_intervals(top.section("intervals")),
        http=_http(top.section("http")),
        metrics=_metrics(top.section("metrics")),
        control=_control(top.section("control")),
        drivers=_drivers(top.section("drivers")),
        pools=_pools(top.section("pools")),
        prometheus=_prometheus(top.section("prometheus")),
    )
    top.finish()
    for place, message in environment.unknown(field.name for field in dataclasses.fields(schema.Settings)):
        faults.add(place, "", message)
    faults.check()
    return settings


def _database(section: Section) -> schema.Database:
    path = section.get_parsed("path", values.parse_path, str(schema.Database().path))
    section.finish()
    return schema.Database(Path(path))


def _network(section: Section, *, allow_large: bool) -> schema.Network:
    default = schema.Network()
    allow_public = section.get_flag("allow_public", default.allow_public)
    large = section.get_flag("allow_large", default.allow_large)
    result = schema.Network(
        subnets=section.get(
            "subnets",
            partial(_subnets, section, allow_public=allow_public, allow_large=large or allow_large),
            default.subnets,
        ),
        ports=_ports(section.section("ports")),
        timeout_ms=section.get_integer("timeout_ms", default.timeout_ms, 50, 10000),
        offline_after=section.get_integer("offline_after", default.offline_after, 1, 1000),
        manage_discovered=section.get_flag("manage_discovered", default.manage_discovered),
        allow_public=allow_public,
        allow_large=large,
    )
    section.finish()
    return result


def _subnets(
    reader: Reader, value: Value, key: str, *, allow_public: bool, allow_large: bool
) -> tuple[schema.Subnet, ...]:
    parse = partial(values.parse_network, allow_public=allow_public, allow_large=allow_large)
    found: dict[object, schema.Subnet] = {}
    for index, item in enumerate(reader.items(value, key)):
        place = f"{key}[{index}]"
        labels: schema.Labels = ()
        cidr: Value | None = item
        if isinstance(item, Table):
            entry = Section(item, place, item.place, reader.faults)
            entry.require("cidr")
            cidr = entry.raw("cidr")
            labels = _labels(entry, entry.raw("labels"), f"{place}.labels")
            entry.finish()
            place = f"{place}.cidr"
        if cidr is None:
            continue
        try:
            network = reader.parsed(cidr, place, lambda text: None if text == "auto" else parse(text))
        except BadValue as fault:
            reader.faults.add(fault.place, fault.key, str(fault))
            continue
        if network in found:
            reader.faults.add(item.place, place, f"{network or 'auto'} comes twice; keep one of them")
        found[network] = schema.Subnet(network, labels)
    return tuple(found.values())


def _labels(reader: Reader, value: Value | None, path: str) -> schema.Labels:
    labels: dict[str, str] = {}
    try:
        entries = reader.entries(value, path) if value is not None else {}
    except BadValue as fault:
        reader.faults.add(fault.place, fault.key, str(fault))
        return ()
    for name, (written_at, child) in entries.items():
        place = f"{path}.{name}"
        try:
            values.check_label_name(name)
            labels[name] = reader.parsed(child, place, partial(_line, limit=_LONGEST_LABEL), written=True)
        except ValueError as error:
            reader.faults.add(written_at, place, str(error))
        except BadValue as fault:
            reader.faults.add(fault.place, fault.key, str(fault))
    return tuple(sorted(labels.items()))


def _line(text: str, *, limit: int) -> str:
    """A name or a label: one printable line."""
    if not text.strip() or len(text) > limit or clean_text(text, limit) != text:
        raise ValueError(f"must be 1 to {limit} printable characters without blanks at the ends")
    return text


def _ports(section: Section) -> schema.Ports:
    read = partial(section.integer, low=1, high=65535)
    result = schema.Ports(
        http=section.get_list("http", read, schema.Ports().http),
        cgminer=section.get_list("cgminer", read, schema.Ports().cgminer),
    )
    section.finish()
    return result


def _miners(top: Section, *, allow_public: bool) -> tuple[schema.FixedMiner, ...]:
    value = top.raw("miners")
    if value is None:
        return ()
    if not isinstance(value, Listing):
        top.faults.add(value.place, "miners", str(top.bad(value, "", "must be a list; [] is the empty one")))
        return ()
    found: dict[tuple[str, int | None], schema.FixedMiner] = {}
    for index, item in enumerate(value.items()):
        miner = _miner(Section(item, f"miners[{index}]", item.place, top.faults), allow_public=allow_public)
        if miner is None:
            continue
        if (miner.address, miner.port) in found:
            top.faults.add(item.place, f"miners[{index}].address", f"{miner.address} comes twice; keep one of them")
        found[miner.address, miner.port] = miner
    return tuple(found.values())


def _miner(section: Section, *, allow_public: bool) -> schema.FixedMiner | None:
    section.require("address")
    parse = partial(values.parse_host, allow_public=allow_public)
    address = section.get_parsed("address", parse, "")
    result = schema.FixedMiner(
        address=address,
        port=section.get_optional("port", partial(section.integer, low=1, high=65535)),
        driver=section.get_optional("driver", partial(section.parsed, parse=values.check_fixed_driver)),
        name=section.get_optional("name", partial(section.parsed, parse=_name, written=True)),
        labels=_labels(section, section.raw("labels"), f"{section.path}.labels"),
    )
    section.finish()
    return result if address else None


def _name(text: str) -> str:
    return _line(text, limit=_LONGEST_NAME)


def _serial(section: Section) -> schema.Serial:
    pattern = partial(section.parsed, parse=values.parse_usb_pattern, written=True)
    result = schema.Serial(
        enabled=section.get_flag("enabled", schema.Serial().enabled),
        open=section.get("open", partial(_choice, section, words=_OPEN), schema.Serial().open),
        ports=section.get_list("ports", partial(section.parsed, parse=values.parse_device)),
        match=section.get_list("match", pattern),
        ignore=section.get_list("ignore", pattern),
    )
    section.finish()
    return result


def _choice(reader: Reader, value: Value, key: str, *, words: tuple[str, ...]) -> str:
    if isinstance(value, Scalar) and value.text in words:
        return value.text
    raise reader.bad(value, key, f"must be one of {', '.join(words)}")


def _udp(section: Section) -> schema.Udp:
    read = partial(section.integer, low=0, high=65535)
    port = section.get_optional("nmminer_port", read, schema.Udp().nmminer_port)
    section.finish()
    return schema.Udp(port)


def _intervals(section: Section) -> schema.Intervals:
    default = schema.Intervals()
    seconds = {
        field.name: section.get_number(field.name, getattr(default, field.name), _SHORTEST_SECONDS, _LONGEST_SECONDS)
        for field in dataclasses.fields(default)
    }
    section.finish()
    return schema.Intervals(**seconds)


def _http(section: Section) -> schema.Http:
    addr = section.get_parsed("addr", values.parse_listen, schema.Http().addr, written=True)
    allowed = section.get_list("allowed_hosts", partial(section.parsed, parse=values.parse_site_name))
    section.finish()
    return schema.Http(addr, allowed)


def _metrics(section: Section) -> schema.Metrics:
    addr = section.get_parsed("addr", values.parse_listen, schema.Metrics().addr, written=True)
    inner = section.section("collectors")
    collectors = schema.Collectors(
        chips=inner.get_flag("chips", schema.Collectors().chips),
        pool_user=inner.get_flag("pool_user", schema.Collectors().pool_user),
    )
    inner.finish()
    section.finish()
    return schema.Metrics(addr, collectors)


def _control(section: Section) -> schema.Control:
    result = schema.Control(
        enabled=section.get_flag("enabled", schema.Control().enabled),
        require_max_preset=section.get_flag("require_max_preset", schema.Control().require_max_preset),
    )
    section.finish()
    return result


def _drivers(section: Section) -> schema.Drivers:
    default = schema.Drivers()
    path = section.get_parsed("path", values.parse_path, str(default.path))
    create = section.get_flag("vnish_create_api_key", default.vnish_create_api_key)
    section.finish()
    return schema.Drivers(Path(path), create)


def _pools(section: Section) -> schema.Pools:
    statistics = section.get_flag("statistics", schema.Pools().statistics)
    hosts = _pool_hosts(section, section.raw("hosts"))
    section.finish()
    return schema.Pools(statistics, hosts)


def _pool_hosts(reader: Reader, value: Value | None) -> tuple[schema.PoolHost, ...]:
    found: dict[tuple[str, int | None], schema.PoolHost] = {}
    try:
        entries = reader.entries(value, "pools.hosts")
    except BadValue as fault:
        reader.faults.add(fault.place, fault.key, str(fault))
        return ()
    for name, (written_at, child) in entries.items():
        path = f"pools.hosts.{name}"
        try:
            host, port = values.parse_pool_host(name)
        except ValueError as error:
            reader.faults.add(written_at, path, str(error))
            continue
        if (host, port) in found:
            reader.faults.add(written_at, path, "comes twice; keep one of them")
        entry = Section(child, path, written_at, reader.faults)
        adapter = entry.get_optional("adapter", partial(entry.parsed, parse=values.check_adapter_word))
        url = entry.get_optional("url", partial(entry.parsed, parse=values.parse_url))
        entry.finish()
        if adapter is None and url is None:
            reader.faults.add(written_at, path, "says nothing; give an adapter, a url or both")
        found[host, port] = schema.PoolHost(host, port, adapter, url)
    return tuple(found.values())


def _prometheus(section: Section) -> schema.Prometheus:
    url = section.get_optional("url", partial(section.parsed, parse=values.parse_url))
    section.finish()
    return schema.Prometheus(url)
