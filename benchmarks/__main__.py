# ruff: noqa: T201 - a report on standard output
"""All measurements in turn: ``python -m benchmarks [--quick] [NAME...]``, which is ``make bench``.

Each runs by itself as well, ``python -m benchmarks.scan``. About three minutes on two cores; figures are ratios to a
peer or a bar of the same run, since seconds of CPU do not travel between machines.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from typing import Final

NAMES: Final = ("scan", "poll", "farm", "exposition", "transports", "usb", "pages")
#: What they understand of --quick.
_QUICK: Final = {"transports": ("200",)}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; all by default")
    arguments.add_argument("--quick", action="store_true", help="smaller and shorter, for a first look")
    chosen = arguments.parse_args()
    unknown = set(chosen.names) - set(NAMES)
    if unknown:
        arguments.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    begun, failed = time.monotonic(), []
    for name in chosen.names or NAMES:
        print(f"--- {name}", flush=True)
        flags = _QUICK.get(name, ("--quick",)) if chosen.quick else ()
        if subprocess.run((sys.executable, "-m", f"benchmarks.{name}", *flags), check=False).returncode:  # noqa: S603
            failed.append(name)
    print(f"--- {time.monotonic() - begun:.0f} s", *(f"FAILED: {name}" for name in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
