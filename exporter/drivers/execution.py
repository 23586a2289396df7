"""Runs the content of a driver file, so that whatever it does costs that file only.

It runs on a thread of its own with a time limit: a file that does not end holds up neither the start nor a reload, and
one that wants to end the program (`sys.exit`, `KeyboardInterrupt`) ends its own load.
"""

from __future__ import annotations

import re
import sys
import threading
import traceback
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from exporter.drivers.api import Driver
from exporter.drivers.checks import check_values, driver_class
from exporter.drivers.manifest import Manifest
from exporter.errors import DriverRejected

#: Seconds for a file to run and its driver to be made; honest ones take a few milliseconds.
LOAD_SECONDS: Final = 10.0
#: The name of the threads.
THREAD: Final = "driver-load"
#: Threads that were given up, by the name of their module. A thread cannot be ended from outside.
_given_up: Final[dict[str, threading.Thread]] = {}


@dataclass(slots=True)
class _Outcome:
    """What became of a load; neither is set while it runs."""

    driver: Driver | None = None
    error: BaseException | None = None


class _ContentLoader(SourceFileLoader):
    """Runs the content that was checked, not what the file holds a moment later, and leaves no compiled copy."""

    def __init__(self, name: str, path: Path, content: bytes) -> None:
        super().__init__(name, str(path))
        self._content = content

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._content, self.path)


def run_file(manifest: Manifest, content: bytes, source: str) -> Driver:
    """Run a file's content and build its driver.

    Its module is known to `sys.modules` under a name of its own; on failure what was there before is there again.

    Args:
        manifest: of the file.
        content: of the file, as the manifest was read from.
        source: "bundled" or "user"; part of the module's name.

    Raises:
        DriverRejected: anything goes wrong, or it takes longer than `LOAD_SECONDS`.
    """
    stem = re.sub(r"\W", "_", manifest.path.stem)
    name = f"_flockwatch_{source}_{stem}_{manifest.sha256[:16]}"
    _check_ended(name)
    loader = _ContentLoader(name, manifest.path, content)
    spec = spec_from_loader(name, loader, origin=str(manifest.path))
    assert spec is not None
    module = module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    driver: Driver | None = None
    try:
        driver = _run_bounded(name, loader, module, manifest)
    finally:
        if driver is None:
            sys.modules.pop(name, None)
            if before is not None:
                sys.modules[name] = before
    return driver


def _check_ended(name: str) -> None:
    """The same content is not begun again while it still runs: each reload would leave one more thread behind."""
    thread = _given_up.get(name)
    if thread is not None and thread.is_alive():
        raise DriverRejected("has not finished loading since it was tried before; mend the file")
    _given_up.pop(name, None)


def _run_bounded(name: str, loader: _ContentLoader, module: ModuleType, manifest: Manifest) -> Driver:
    outcome = _Outcome()
    # A daemon: one that hangs must not keep the program from ending.
    thread = threading.Thread(target=_run, args=(outcome, loader, module, manifest), name=THREAD, daemon=True)
    thread.start()
    thread.join(LOAD_SECONDS)
    if outcome.driver is not None:
        return outcome.driver
    if isinstance(outcome.error, DriverRejected):
        raise outcome.error
    if outcome.error is not None:
        raise DriverRejected(f"fails when it is loaded: {_one_line(outcome.error)}") from outcome.error
    _given_up[name] = thread
    raise DriverRejected(
        f"did not finish loading within {LOAD_SECONDS:g} s; a driver file may define things only, not wait or work"
    )


def _run(outcome: _Outcome, loader: _ContentLoader, module: ModuleType, manifest: Manifest) -> None:
    try:
        loader.exec_module(module)
        driver = driver_class(module, manifest)()
        check_values(driver)
    except BaseException as error:  # noqa: BLE001 - raised again by who waits
        outcome.error = error
    else:
        outcome.driver = driver


def _one_line(error: BaseException) -> str:
    """The error in one line; its own words may fail too, which `traceback` bears."""
    words = " ".join("".join(traceback.format_exception_only(error)).split())
    return words.removeprefix(f"{type(error).__module__}.")[:300]
