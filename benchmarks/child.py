"""Runs a measurement in a fresh interpreter, with the optional extras or as if they were not installed.

    python -m benchmarks.child [--plain] benchmarks.poll:measure '{"kind": "bitaxe"}'

Its CPU is its own: servers, peers and earlier measurements are other processes.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

EXTRAS: Final = ("orjson", "uvloop", "isal")
FLAG: Final = "--plain"


def cpu_seconds() -> float:
    """User and system time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


#: Microseconds of `pace` on an idle x86-64 virtual machine with two cores, where AxeOS' 1.9 KB take 9.5.
_IDLE_PACE: Final = 15.0
_DOCUMENT: Final = "{" + ", ".join(f'"field{n}": {n * 7.25}, "name{n}": "value {n}"' for n in range(72)) + "}"


def pace() -> float:
    """How much slower this machine is just now than an idle one: 2 at half the speed.

    CPU time grows while other programs share caches and cores, so that milliseconds alone say little. Measured by
    parsing a JSON document of 2.9 KB with the standard library, in a tight loop: a rough guide.
    """
    begun = time.thread_time()
    for _ in range(400):
        json.loads(_DOCUMENT)
    return (time.thread_time() - begun) / 400 * 1e6 / _IDLE_PACE


def has_extras() -> bool:
    """Whether all optional extras can be imported here."""
    return all(importlib.util.find_spec(name) is not None for name in EXTRAS)


def measured(function: str, *, plain: bool = True, prefix: Sequence[str] = (), **arguments: Any) -> Any:
    """Call ``module:function`` with `arguments` in a child process and return what it returns (as JSON carries it).

    Args:
        plain: without the optional extras.
        prefix: a command in front of the interpreter.
    """
    flags = (FLAG,) if plain else ()
    command = (*prefix, sys.executable, "-m", "benchmarks.child", *flags, function, json.dumps(arguments))
    environment = {**os.environ, "FLOCKWATCH_NO_UVLOOP": "1"} if plain else dict(os.environ)
    if not plain:
        environment.pop("FLOCKWATCH_NO_UVLOOP", None)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)  # noqa: S603
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    words = sys.argv[1:]
    if words[0] == FLAG:
        words.pop(0)
        for name in EXTRAS:  # None: importing it fails as where it is not installed
            sys.modules[name] = None  # type: ignore[assignment]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    module, _, function = words[0].partition(":")
    result = getattr(importlib.import_module(module), function)(**json.loads(words[1]))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
