"""The command line: parsing, and what every subcommand shares (one clear line and status 2 for a usage error)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

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
        _complain(str(error))
        return 2
    except FlockwatchError as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _complain(message: str) -> None:
    """Tell the person at the keyboard; a configuration with several faults has a line for each."""
    sys.stderr.write("".join(f"flockwatch: {line}\n" for line in message.splitlines()))


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        _complain(f"{message}; `{self.prog} --help` shows how")
        raise SystemExit(2)


def _shared() -> _Parser:
    shared = _Parser(add_help=False)
    group = shared.add_argument_group("global options")

    def add(option: str, text: str, **more: Any) -> None:
        group.add_argument(option, dest=option[2:].replace(".", "_"), default=argparse.SUPPRESS, help=text, **more)

    add("--config.file", "the configuration (default: targets.yml)", type=Path, metavar="FILE")
    add("--log.level", f"{', '.join(LEVELS)} (default: info for run, else warning)", choices=LEVELS, metavar="LEVEL")
    add("--log.format", f"{' or '.join(FORMATS)} (default: {FORMATS[0]})", choices=FORMATS, metavar="FORMAT")
    return shared


def _parser() -> argparse.ArgumentParser:
    # Parsers that have a parent share its options: the defaults set below must not reach those of the commands, which
    # would put them over what stands before the command.
    shared = _shared()
    parents = [shared]
    parser = _Parser(
        prog="flockwatch",
        description="Finds Bitcoin miners on the network and on USB, and shows them as Prometheus metrics.",
        epilog="`flockwatch COMMAND --help` tells more. Exit status: 0 done, 1 failed, 2 something for you to mend.",
        parents=[_shared()],
    )
    parser.add_argument("--version", action="version", version=f"flockwatch {__version__}")
    parser.set_defaults(config_file=Path("targets.yml"), log_level=None, log_format=FORMATS[0])
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Command, text: str, more: str = "") -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=f"{text} {more}", parents=parents)
        sub.set_defaults(command=command)
        return sub

    run = add(
        "run",
        _run,
        "Run the exporter and the web UI.",
        "SIGHUP re-reads the configuration, SIGINT and SIGTERM end the program.",
    )
    run.add_argument(
        "--web.listen-address",
        dest="metrics_addr",
        metavar="HOST:PORT",
        help="where Prometheus scrapes (default: metrics.addr of the configuration)",
    )
    run.add_argument(
        "--ui.listen-address",
        dest="ui_addr",
        metavar="HOST:PORT",
        help="the web UI and REST API (default: http.addr of the configuration)",
    )
    run.add_argument(
        "--web.config.file",
        dest="web_config",
        type=Path,
        metavar="FILE",
        help="TLS and basic auth of both, in the format of Prometheus' exporter-toolkit",
    )
    _accept_large(run)

    scan = add("scan", _scan, "Search networks once and show what is there; nothing is stored.")
    scan.add_argument(
        "cidr", nargs="*", help="networks such as 192.168.1.0/24, or addresses (default: those of the configuration)"
    )
    scan.add_argument("--json", action="store_true", help="print JSON instead of a table")
    _accept_large(scan)

    rescan = add("rescan", _rescan, "Have the running program poll a miner, or search its networks, at once.")
    rescan.add_argument("miner", nargs="?", help="id, MAC, name or address of a miner (default: search)")

    try_ = add("try", _try, "Show one miner's reading and its samples; nothing is stored.")
    _one_miner(try_)

    record = add("record", _record, "Write one miner's answers, redacted, as a folder for a bug report or a test.")
    _one_miner(record)
    record.add_argument(
        "--output", type=Path, default=Path("fixtures"), metavar="FOLDER", help="where to (default: fixtures)"
    )

    check = add("check-config", _check_config, "Check a configuration file.")
    check.add_argument("file", nargs="?", type=Path, help="the file (default: that of --config.file)")
    _accept_large(check)

    devices = add("devices", _devices, "Show new USB boards, and name them.")
    actions = devices.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="boards that wait to be named", parents=[shared])
    listing.add_argument("--json", action="store_true", help="print JSON instead of a table")
    listing.set_defaults(action="list")
    naming = actions.add_parser("onboard", help="make a waiting board a miner of the flock", parents=[shared])
    naming.add_argument("id", type=int, help="of the board, from `devices list`")
    naming.add_argument("--name", required=True, help="what to call the miner")
    naming.add_argument("--currency", required=True, help="what it mines: BTC, BCH, ..., OTHER")
    naming.add_argument("--chipset", help="a note")
    naming.add_argument("--location", help="a note")
    naming.set_defaults(action="onboard")

    _add_drivers(add("drivers", _drivers, "Show drivers, update them, go back, and test one of your own."), shared)

    shares = add(
        "shares", _shares, "Write the log of shares as lines of JSON, archive included; also while the program runs."
    )
    shares.add_argument("action", choices=("export",), help="what to do with them")
    shares.add_argument("file", type=Path, help="where to; - is the terminal")
    shares.add_argument("--since", metavar="DAY", help="from this day on (UTC), such as 2026-01-31")
    shares.add_argument("--until", metavar="DAY", help="up to this day, which is left out")
    shares.add_argument("--force", action="store_true", help="overwrite an existing file")

    backup = add("backup", _backup, "Write a copy of the database, also while the program runs.")
    backup.add_argument("file", type=Path, help="where to; it holds API keys, so only you may read it")
    backup.add_argument("--force", action="store_true", help="overwrite an existing file")

    restore = add("restore", _restore, "Put a backup in the place of the database; the program must not run.")
    restore.add_argument("file", type=Path, help="a backup; the old database is kept beside the new one")
    return parser


def _add_drivers(parser: argparse.ArgumentParser, shared: _Parser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def add(action: str, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(action, help=text, description=text, parents=[shared])
        sub.set_defaults(action=action)
        return sub

    add("list", "the drivers in use, and the files that were rejected")
    add("check-updates", "drivers of which the program brings a newer one than your folder has")
    update = add("update", "put the program's own driver in place of your file, which is kept beside it")
    update.add_argument("name", nargs="?", help="of the driver, such as bitaxe")
    update.add_argument("--all", action="store_true", help="every driver that check-updates lists")
    rollback = add("rollback", "put the file that was kept at the last update back in its place")
    rollback.add_argument("name", help="of the driver, such as bitaxe")
    add("reload", "have the running program load the driver files that changed")
    test = add("test", "check a driver file: what it says of itself, that it loads, and how it bears broken answers")
    test.add_argument("file", type=Path, help="the driver file, wherever it is")
    test.add_argument(
        "--fixtures", type=Path, metavar="FOLDER", help="recordings by `flockwatch record`, in any depth below it"
    )
    test.add_argument(
        "--accept", action="store_true", help="take what the driver makes of its recordings as right from now on"
    )


def _accept_large(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="accept networks larger than a /16")


def _one_miner(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", help="address or name, or either with a port: 192.168.1.50, 192.168.1.50:8080")
    parser.add_argument(
        "--driver", metavar="NAME", help="the driver to use, or a file that holds one (default: found out by asking)"
    )


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


def _devices(options: argparse.Namespace) -> int:
    from exporter.commands.devices import onboard_device, show_devices

    return show_devices(options) if options.action == "list" else onboard_device(options)


def _drivers(options: argparse.Namespace) -> int:
    from exporter.commands import drivers
    from exporter.commands.driver_check import check_driver_file

    actions: dict[str, Command] = {
        "list": drivers.list_drivers,
        "check-updates": drivers.check_updates,
        "update": drivers.update_drivers,
        "rollback": drivers.roll_back_driver,
        "reload": drivers.reload_drivers,
        "test": check_driver_file,
    }
    return actions[options.action](options)


def _shares(options: argparse.Namespace) -> int:
    from exporter.commands.shares import export_shares

    return export_shares(options)


def _backup(options: argparse.Namespace) -> int:
    from exporter.commands.running import backup

    return backup(options)


def _restore(options: argparse.Namespace) -> int:
    from exporter.commands.running import restore_backup

    return restore_backup(options)
