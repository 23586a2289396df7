"""Device passwords from the file that ``FLOCKWATCH_CREDENTIALS_FILE`` names.

The file is a YAML list, tried from top to bottom::

    - {driver: antminer, cidr: 10.1.0.0/22, username: root, password: "..."}
    - {driver: "*", password: "..."}

No message shows any value of it.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from exporter.config_reader import BadValue, Faults, Section
from exporter.config_values import check_driver_word
from exporter.config_yaml import Listing, Place, Scalar, Value, decode_text, parse_yaml
from exporter.errors import ConfigError
from exporter.store.secret import Secret

VARIABLE: Final = "FLOCKWATCH_CREDENTIALS_FILE"
ANY_DRIVER: Final = "*"

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Credential:
    """A password to try. `driver` is a driver type or "*"; `cidr` None is any address; `username` None the driver's
    own default."""

    driver: str
    cidr: IpNetwork | None
    username: str | None
    password: Secret


def load_credentials(environ: Mapping[str, str]) -> tuple[Credential, ...]:
    """The device passwords of the file that the environment names, in its order; none where it names no file.

    Raises:
        ConfigError: the file is missing, has faults, or may be read or written by others.
    """
    name = environ.get(VARIABLE, "")
    return read_credentials(Path(name)) if name else ()


def read_credentials(path: Path) -> tuple[Credential, ...]:
    """Read one credentials file.

    Raises:
        ConfigError: as for `load_credentials`.
    """
    source = str(path)
    faults = Faults(hide=True)
    value = parse_yaml(decode_text(read_private(path, VARIABLE), source), source)
    if value is None or (isinstance(value, Scalar) and value.kind == "null"):
        return ()
    if not isinstance(value, Listing):
        raise ConfigError(f"{value.place}: must be a list of {{driver, cidr, username, password}}")
    found = tuple(_credential(item, index, faults) for index, item in enumerate(value.items()))
    faults.check()
    return found


def candidates(credentials: Iterable[Credential], driver_type: str, address: str) -> tuple[Credential, ...]:
    """The passwords to try on a miner, in the order they were written. A host name matches only those without CIDR."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        ip = None
    return tuple(
        credential
        for credential in credentials
        if credential.driver in (driver_type, ANY_DRIVER)
        and (credential.cidr is None or (ip is not None and ip in credential.cidr))
    )


def read_private(path: Path, variable: str) -> bytes:
    """Read a file with secrets that the environment variable `variable` names.

    Raises:
        ConfigError: there is none, or others may read or write it.
    """
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{path}: is no regular file; {variable} must name one")
            if status.st_mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
                raise ConfigError(
                    f"{path}: holds passwords and may be read or written by others"
                    f" (mode {stat.S_IMODE(status.st_mode):04o}); run: chmod 600 {path}"
                )
            return stream.read()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; create it or unset {variable}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error


def _credential(item: Value, index: int, faults: Faults) -> Credential:
    section = Section(item, f"[{index}]", Place(item.place.source), faults)
    section.require("driver", "password")
    driver = section.get_parsed("driver", _driver, "")
    cidr = section.get_optional("cidr", partial(section.parsed, parse=_cidr))
    username = section.get_optional("username", section.written)
    password = section.get("password", _password, Secret(""))
    section.finish()
    return Credential(driver, cidr, username, password)


def _password(value: Value, key: str) -> Secret:
    if not isinstance(value, Scalar) or value.kind in ("null", "other"):
        raise BadValue(value.place, key, 'must be text in quotes; write "" for an empty password')
    return Secret(value.text)


def _driver(text: str) -> str:
    return text if text == ANY_DRIVER else check_driver_word(text)


def _cidr(text: str) -> IpNetwork:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            'must be a network such as "10.1.0.0/22" (no bits set behind the prefix), or one address'
        ) from None
