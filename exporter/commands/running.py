"""Subcommands that talk to the running program, or open the database where none runs."""

from __future__ import annotations

import argparse
import os
import sys

from exporter.config import load_settings
from exporter.control.client import ControlClient
from exporter.errors import UsageError
from exporter.store.backup import backup_bytes, restore, write_backup
from exporter.store.database import Database


def rescan(options: argparse.Namespace) -> int:
    """``flockwatch rescan [MINER]``."""
    settings = load_settings(options.config_file, os.environ)
    client = ControlClient.connect(settings.database.path)
    if client is None:
        raise UsageError("no program runs on this database; start it with `flockwatch run`, or use `flockwatch scan`")
    result = client.call("rescan", {"miner": options.miner}, timeout=600.0)
    if "up" in result:
        sys.stdout.write("the miner answers\n" if result["up"] else "the miner does not answer\n")
        return 0 if result["up"] else 1
    sys.stdout.write(
        f"{result['known']} miners are known, {result['answering']} answer; beside those {result['found']} were found\n"
    )
    return 0


def backup(options: argparse.Namespace) -> int:
    """``flockwatch backup FILE``: consistent also while the program runs; mode 0600, since it holds secrets."""
    settings = load_settings(options.config_file, os.environ)
    if options.file.exists() and not options.force:
        raise UsageError(f"{options.file}: there is a file already; choose another name, or --force to overwrite it")
    client = ControlClient.connect(settings.database.path)
    if client is not None:
        data = client.call("backup")["document"].encode()
    else:
        if not settings.database.path.exists():
            raise UsageError(f"{settings.database.path}: no such database; is --config.file right?")
        with Database.open(settings.database.path) as db:
            data = backup_bytes(db)
    write_backup(options.file, data, overwrite=options.force)
    sys.stdout.write(f"{options.file}: {len(data)} bytes\n")
    return 0


def restore_backup(options: argparse.Namespace) -> int:
    """``flockwatch restore FILE``: refused while the program runs; the old database is kept beside the new one."""
    settings = load_settings(options.config_file, os.environ)
    restore(options.file, settings.database.path)
    sys.stdout.write(f"{settings.database.path}: restored from {options.file}\n")
    return 0
