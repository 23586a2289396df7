"""``flockwatch scan``: search once, with a progress bar and a table."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from exporter.commands.bench import load_bench_settings, open_bench
from exporter.commands.words import device_words, firmware_words
from exporter.config import Settings
from exporter.config_values import parse_network
from exporter.discovery.networks import SearchNetwork, local_interfaces, search_networks
from exporter.engine.search import Find, SearchProgress, SearchResult
from exporter.errors import UsageError
from exporter.text import clean_text

#: Columns a terminal must have for a table with driver and name.
_WIDE = 110
#: Piped output has no width of its own.
_PIPED = 200


def named_network(text: str, *, allow_public: bool, allow_large: bool) -> ipaddress.IPv4Network:
    """One network, or one address, of the command line. Raises `UsageError` with the remedy."""
    network = text if "/" in text else f"{text}/32"
    try:
        return parse_network(network, allow_public=allow_public, allow_large=allow_large)
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from error


def networks_of(settings: Settings, cidrs: Sequence[str], *, allow_large: bool) -> tuple[SearchNetwork, ...]:
    """The networks to search: those named, else the configured ones."""
    interfaces = local_interfaces()
    if cidrs:
        public, large = settings.network.allow_public, allow_large or settings.network.allow_large
        named = [(named_network(text, allow_public=public, allow_large=large), ()) for text in cidrs]
        return search_networks(named, interfaces)
    found = search_networks([(subnet.cidr, subnet.labels) for subnet in settings.network.subnets], interfaces)
    if not found:
        raise UsageError("this host has no private network of its own; name one: flockwatch scan 192.168.1.0/24")
    return found


def scan(options: argparse.Namespace) -> int:
    """Search and show; nothing is stored. Exit status 0 also where nothing was found."""
    settings = load_bench_settings(options.config_file, allow_large=options.yes)
    networks = networks_of(settings, options.cidr, allow_large=options.yes)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[found]} found"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("scan", total=None, found=0)

        def show(progress: SearchProgress) -> None:
            bar.update(
                task,
                description=progress.stage,
                completed=progress.done,
                total=progress.total,
                found=progress.found,
            )

        async def search() -> SearchResult:
            async with open_bench(settings) as bench:
                return await bench.searcher.search(networks, on_progress=show)

        result = asyncio.run(search())
    finds = sorted(result.finds, key=lambda find: ipaddress.ip_address(find.address))
    if options.json:
        json.dump([_as_json(find) for find in finds], sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    _show(finds)
    searched = ", ".join(str(network.network) for network in networks)
    sys.stdout.write(
        f"{len(finds)} miners; {result.open_hosts} hosts with an open port, {result.tried} ports tried in {searched}\n"
    )
    if not finds:
        sys.stdout.write(
            "None found: is the miner powered, in this network, and does a firewall let TCP 80 and 4028 through?\n"
        )
    return 0


def _as_json(find: Find) -> dict[str, object]:
    identity = find.identity
    return {
        "address": find.address,
        "driver": find.identification.driver_type,
        "make": identity.make,
        "model": identity.model,
        "firmware": identity.firmware,
        "firmware_version": identity.firmware_version,
        "mac": identity.mac or find.neighbour_mac,
        "serial": identity.serial,
        "hostname": identity.hostname,
    }


def _show(finds: Sequence[Find]) -> None:
    if not finds:
        return
    terminal = Console(highlight=False)
    console = terminal if terminal.is_terminal else Console(width=_PIPED, highlight=False)
    wide = console.width >= _WIDE
    table = Table(show_edge=False)
    for heading in ("address", "MAC", "device", "firmware", *(("driver", "name") if wide else ())):
        table.add_column(heading, no_wrap=heading in ("address", "MAC", "driver"), overflow="fold")
    for find in finds:
        identity = find.identity
        driver = find.identification.driver_type
        device = clean_text(device_words(identity)) or "?"
        row = [
            find.address,
            identity.mac or find.neighbour_mac or "-",
            device if driver or wide else f"{device} (no driver yet)",
            clean_text(firmware_words(identity)) or "",
        ]
        table.add_row(
            *(escape(cell) for cell in (*row, *((driver or "none yet", identity.hostname or "") if wide else ())))
        )
    console.print(table)
