"""The command line: parsing, and what every subcommand shares (one clear line and status 2 for a usage error)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from exporter import __version__
from exporter.errors import FlockwatchError, UsageError
from exporter.logs import FORMATS, LEVELS, set_up_logging

Command = Callable[[argparse.Namespace], int]

_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand. Exit status: 0 done, 1 failed, 2 the operator can mend it (the message says how)."""
    options = _parser().parse_args(arguments)
    # A command that prints a table speaks for itself; only the long-running program tells its story.
    set_up_logging(options.log_level or ("info" if options.command is _run else "warning"), options.log_format)
    command: Command = options.command
    try:
        return command(options)
    except UsageError as error:
        sys.stderr.write(f"flockwatch: {error}\n")
        return 2
    except FlockwatchError as error:
        sys.stderr.write(f"flockwatch: {error}\n")
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _shared() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    group = shared.add_argument_group("global options")
    default = argparse.SUPPRESS
    group.add_argument("--config.file", dest="config_file", type=Path, metavar="FILE", default=default)
    group.add_argument("--log.level", dest="log_level", choices=LEVELS, default=default)
    group.add_argument("--log.format", dest="log_format", choices=FORMATS, default=default)
    return shared


def _parser() -> argparse.ArgumentParser:
    shared = _shared()
    parser = argparse.ArgumentParser(
        prog="flockwatch",
        description="Finds Bitcoin miners on the network and on USB, and shows them as Prometheus metrics.",
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"flockwatch {__version__}")
    parser.set_defaults(config_file=Path("targets.yml"), log_level=None, log_format="logfmt")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, parents=[shared])
        sub.set_defaults(command=command)
        return sub

    run = add("run", _run, "Run the exporter and the web UI.")
    run.add_argument("--web.listen-address", dest="metrics_addr", metavar="HOST:PORT", help="the metrics listener")
    run.add_argument("--ui.listen-address", dest="ui_addr", metavar="HOST:PORT", help="the web UI and REST API")
    run.add_argument("--web.config.file", dest="web_config", type=Path, metavar="FILE", help="TLS and basic auth")
    run.add_argument("--yes", action="store_true", help="accept networks larger than a /16")

    scan = add("scan", _scan, "Search networks once and show what is there; nothing is stored.")
    scan.add_argument("cidr", nargs="*", help="networks or addresses (default: those of the configuration)")
    scan.add_argument("--yes", action="store_true", help="accept networks larger than a /16")
    scan.add_argument("--json", action="store_true", help="print JSON instead of a table")

    rescan = add("rescan", _rescan, "Have the running program poll a miner, or search all networks, at once.")
    rescan.add_argument("miner", nargs="?", help="id, MAC, name or address (default: search)")

    try_ = add("try", _try, "Show one miner's reading and its samples.")
    try_.add_argument("host", help="address, or address:port")
    try_.add_argument("--driver", help="driver_type to use (default: found out by probing)")

    record = add("record", _record, "Write a redacted fixture folder of one miner's answers.")
    record.add_argument("host", help="address, or address:port")
    record.add_argument("--driver", help="driver_type to use (default: found out by probing)")
    record.add_argument("--output", type=Path, default=Path("fixtures"), help="folder to write into")

    check = add("check-config", _check_config, "Check a configuration file.")
    check.add_argument("file", nargs="?", type=Path, help="default: --config.file")
    check.add_argument("--yes", action="store_true", help="accept networks larger than a /16")

    drivers = add("drivers", _drivers, "Show the drivers.")
    drivers.add_argument("action", choices=("list",))

    backup = add("backup", _backup, "Write a copy of the database, also while the program runs.")
    backup.add_argument("file", type=Path)
    backup.add_argument("--force", action="store_true", help="overwrite an existing file")

    restore = add("restore", _restore, "Put a backup in the place of the database; the program must not run.")
    restore.add_argument("file", type=Path)
    return parser


# The subcommands import what they need when they are called, so that `--help` and errors are quick.


def _run(options: argparse.Namespace) -> int:
    from exporter.commands.run import run

    return run(options)


def _scan(options: argparse.Namespace) -> int:
    from exporter.commands.scan import scan

    return scan(options)


def _rescan(options: argparse.Namespace) -> int:
    from exporter.commands.running import rescan

    return rescan(options)


def _try(options: argparse.Namespace) -> int:
    from exporter.commands.look import try_miner

    return try_miner(options)


def _record(options: argparse.Namespace) -> int:
    from exporter.commands.look import record_miner

    return record_miner(options)


def _check_config(options: argparse.Namespace) -> int:
    from exporter.config import load_settings

    path = options.file or options.config_file
    load_settings(path, os.environ, allow_large=options.yes)
    sys.stdout.write(f"{path}: valid\n")
    return 0


def _drivers(options: argparse.Namespace) -> int:
    from exporter.commands.drivers import list_drivers

    return list_drivers(options)


def _backup(options: argparse.Namespace) -> int:
    from exporter.commands.running import backup

    return backup(options)


def _restore(options: argparse.Namespace) -> int:
    from exporter.commands.running import restore_backup

    return restore_backup(options)
