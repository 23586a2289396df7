"""The configuration: targets.yml and the environment in, one frozen `Settings` out, or one error with every fault.

There is no half a configuration: a fault anywhere means that nothing of the file is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Final

from exporter.config_build import build_settings
from exporter.config_schema import (
    Collectors,
    Control,
    Database,
    Drivers,
    FixedMiner,
    Http,
    Intervals,
    Metrics,
    Network,
    PoolHost,
    Pools,
    Ports,
    Prometheus,
    Serial,
    Settings,
    Subnet,
    Udp,
)
from exporter.config_values import Listen, parse_host, parse_listen, parse_network
from exporter.config_yaml import decode_text
from exporter.errors import ConfigError

__all__ = [
    "Collectors",
    "Control",
    "Database",
    "Drivers",
    "FixedMiner",
    "Http",
    "Intervals",
    "Listen",
    "Metrics",
    "Network",
    "PoolHost",
    "Pools",
    "Ports",
    "Prometheus",
    "Serial",
    "Settings",
    "Subnet",
    "Udp",
    "load_settings",
    "parse_host",
    "parse_listen",
    "parse_network",
    "restart_needed",
]

#: Settings that are read once, at start: what is bound, opened or loaded then.
_AT_START: Final = (
    "database.path",
    "udp.nmminer_port",
    "http.addr",
    "http.allowed_hosts",
    "metrics.addr",
    "drivers.path",
)


def load_settings(path: Path, environ: Mapping[str, str], *, allow_large: bool = False) -> Settings:
    """Read the configuration file and the ``FLOCKWATCH_<SECTION>_<KEY>`` variables of `environ`, which win.

    `allow_large` accepts networks larger than a /16, as ``network.allow_large`` does.

    Raises:
        ConfigError: the file is missing or has faults; one line for each, with file, line, key and remedy.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; create it (an empty one means the defaults) or name another with --config.file"
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory; --config.file wants the file itself") from None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {(error.strerror or str(error)).lower()}; check its owner and mode"
        ) from error
    return build_settings(decode_text(raw, str(path)), str(path), environ, allow_large=allow_large)


def restart_needed(old: Settings, new: Settings) -> tuple[str, ...]:
    """The settings that differ and take effect only after a restart, as dotted keys."""
    return tuple(key for key in _AT_START if attrgetter(key)(old) != attrgetter(key)(new))
