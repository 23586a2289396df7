"""``make demo``: the simulated flock and the real program side by side, with a folder of their own.

The program runs as a separate process, as a user would start it: the simulator imports nothing from it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

_CONFIGURATION = """\
# Written by `make demo`; the flock is simulated.
database: {{path: {folder}/flockwatch.json}}
network:
  subnets: [{{cidr: {base}/24, labels: {{site: demo}}}}]
  ports: {{http: {http_ports}, cgminer: {api_ports}}}
serial: {{enabled: false}}
drivers: {{path: {folder}/miner_drivers}}
"""


def _ports(devices: list[dict[str, object]], kind: str, default: int) -> list[int]:
    found = sorted({port for device in devices if isinstance(port := device[kind], int)})
    return found or [default]


def _start_simulator(count: int, base: str) -> tuple[subprocess.Popen[str], list[dict[str, object]]]:
    command = [sys.executable, "-m", "simulator", "--base", base, "--count", str(count), "--json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own interpreter
    line = child.stdout.readline() if child.stdout is not None else ""
    if not line:
        child.wait()
        raise SystemExit(child.returncode or 1)
    return child, json.loads(line)["devices"]


def _say_when_ready(stream: IO[str], count: int) -> None:
    """Pass the program's log on, and say where to look once it is ready."""
    for line in stream:
        sys.stderr.write(line)
        if "msg=ready" in line:
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            sys.stdout.write(
                f"\n  {count} simulated miners, found within a few seconds:\n"
                f"    the flock in a browser   http://127.0.0.1:{words['ui']}/\n"
                f"    what Prometheus scrapes  http://127.0.0.1:{words['metrics']}/metrics\n"
                "  Ctrl-C ends it.\n\n"
            )
            sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run until the program ends or Ctrl-C; its exit status."""
    parser = argparse.ArgumentParser(prog="demo", description="The program against simulated miners.")
    parser.add_argument("--count", type=int, default=12, help="simulated miners (default 12)")
    parser.add_argument(
        "--base", default="127.131.0.0", help="the /24 of the simulated miners, in 127.0.0.0/8 (default 127.131.0.0)"
    )
    parser.add_argument("--folder", type=Path, default=Path("build/demo"), help="where database and drivers go")
    parser.add_argument("program", nargs="*", help="more words for `flockwatch run`, after --")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    simulator, devices = _start_simulator(options.count, options.base)
    try:
        configuration = folder / "targets.yml"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=folder,
                base=options.base,
                http_ports=_ports(devices, "http_port", 80),
                api_ports=_ports(devices, "rpc_port", 4028),
            )
        )
        command = [sys.executable, "-m", "exporter", "run", "--config.file", str(configuration), *options.program]
        program = subprocess.Popen(  # noqa: S603 - our own interpreter
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        signal.signal(signal.SIGTERM, lambda *_: program.terminate())
        if program.stderr is not None:
            reader = threading.Thread(target=_say_when_ready, args=(program.stderr, len(devices)), daemon=True)
            reader.start()
        while True:
            try:
                return program.wait()
            except KeyboardInterrupt:
                # The terminal sent it to the program as well, which is ending in order.
                continue
    finally:
        simulator.terminate()
        simulator.wait()


if __name__ == "__main__":
    sys.exit(main())
