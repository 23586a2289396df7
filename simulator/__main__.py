"""``python -m simulator``: a flock of fake miners as a process."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from simulator.control import ControlServer
from simulator.devices.base import DeviceSpec
from simulator.fleet import DEFAULT_BASE, default_fleet, read_fleet
from simulator.serial_miners import SerialHub
from simulator.serial_options import add_serial_options, serial_hub
from simulator.simulation import (
    HTTP_PORT,
    RPC_PORT,
    UNPRIVILEGED_HTTP_PORT,
    UNPRIVILEGED_RPC_PORT,
    Simulation,
    usable_port,
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="simulator", description="Fake miners on loopback addresses.")
    result.add_argument("fleet", nargs="?", type=Path, help="YAML file with the devices; without it a mix of all kinds")
    result.add_argument("--count", type=int, default=12, help="devices of the mix (default 12)")
    result.add_argument("--seed", type=int, default=1, help="same seed, same flock (default 1)")
    result.add_argument("--base", default=DEFAULT_BASE, help="devices start after this address")
    result.add_argument("--http-port", type=int, default=HTTP_PORT, help="0: one of the system's choice per device")
    result.add_argument("--rpc-port", type=int, default=RPC_PORT, help="0: one of the system's choice per device")
    result.add_argument("--udp-target", default="127.0.0.1:12345", help="where datagrams go")
    result.add_argument("--control-port", type=int, default=None, help="truth and switches on 127.0.0.1; 0 chooses")
    result.add_argument(
        "--compact", type=float, default=0.0, metavar="SECONDS", help="use an answer again, for benches"
    )
    result.add_argument("--json", action="store_true", help="one JSON line when ready")
    add_serial_options(result)
    result.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
    return result


def target(text: str) -> tuple[str, int]:
    """host:port as a pair; ValueError where it is none."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"--udp-target {text!r}: expected an address and a port, like 127.0.0.1:12345")
    return host, int(port)


def chosen_ports(arguments: argparse.Namespace, address: str) -> tuple[int, int]:
    """The ports to use: the wanted ones where this process may bind them."""
    http, rpc = arguments.http_port, arguments.rpc_port
    return (
        usable_port(address, http, UNPRIVILEGED_HTTP_PORT) if http else 0,
        usable_port(address, rpc, UNPRIVILEGED_RPC_PORT) if rpc else 0,
    )


def ready_lines(
    simulation: Simulation, control: ControlServer | None, *, as_json: bool, serial: SerialHub | None = None
) -> list[str]:
    """What is said when all devices listen."""
    devices = [host.describe() for host in simulation.hosts.values()]
    if as_json:
        document: dict[str, Any] = {"ready": True, "devices": devices}
        if control is not None:
            document["control_port"] = control.port
        if serial is not None:
            document |= {"serial": serial.describe(), "serial_lines": serial.lines_path}
        return [json.dumps(document)]
    http = sorted({device["http_port"] for device in devices if device["http_port"]})
    rpc = sorted({device["rpc_port"] for device in devices if device["rpc_port"]})
    ports = f"HTTP {_ports(http)}, CGMiner {_ports(rpc)}"
    first, last = (devices[0]["address"], devices[-1]["address"]) if devices else ("-", "-")
    line = f"ready: {len(devices)} devices, {first} to {last}, {ports}"
    if serial is not None:
        line += f", {len(serial.slots)} boards in {serial.folder}"
    return [line if control is None else f"{line}, control http://127.0.0.1:{control.port}/__sim__/truth"]


def _ports(ports: list[int]) -> str:
    return "none" if not ports else str(ports[0]) if len(ports) == 1 else "various ports"


async def serve(specs: list[DeviceSpec], arguments: argparse.Namespace, serial: SerialHub | None) -> None:
    """Run the flock until SIGINT or SIGTERM."""
    http, rpc = chosen_ports(arguments, specs[0].address) if specs else (0, 0)
    simulation = Simulation(
        specs,
        http_port=http,
        rpc_port=rpc,
        udp_target=target(arguments.udp_target),
        compact=arguments.compact,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    control = ControlServer(simulation, serial) if arguments.control_port is not None else None
    try:
        await simulation.start()
        if serial is not None:
            serial.start()
        if control is not None:
            await control.start(arguments.control_port)
        for line in ready_lines(simulation, control, as_json=arguments.json, serial=serial):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        if control is not None:
            await control.close()
        if serial is not None:
            await serial.aclose()
        await simulation.close()


def main(arguments: list[str] | None = None) -> int:
    """Run; 2 for bad input, 1 where the ports cannot be opened."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    try:
        target(options.udp_target)
        if options.fleet is not None:
            specs = read_fleet(options.fleet, seed=options.seed, base=options.base)
        else:
            specs = default_fleet(options.count, options.seed, options.base)
        serial = serial_hub(options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    try:
        asyncio.run(serve(specs, options, serial))
    except OSError as error:
        sys.stderr.write(f"simulator: cannot listen: {error}; try --http-port and --rpc-port, or another --base\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
