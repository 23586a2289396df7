"""Simulated boards on pseudo-terminals: a USB hub for programs that read serial ports.

Each board has a stable path (a symbolic link to the terminal). Pulling the plug closes the master and removes the link,
as the kernel does with a tty that is gone; plugging in makes a fresh terminal and a board that boots. What is printed
while nobody has the port open, or while nobody reads, is lost, as on a UART.

A terminal has no modem lines. A program under test that flushes its output (TCOFLUSH) while it has the port open has
reset the board; one that wants more tells its lines to a socket (`lines_path`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from simulator.clock import Clock
from simulator.devices.nerdminer import BoardSpec, NerdMiner
from simulator.terminal import CHUNK, LinesSocket, drain, forget_unread, make_terminal, remove_link, tell_flushes, write
from simulator.usb_tree import UsbIdentity, UsbPort, identity_of

BAUD: Final = 115200
#: Seconds between looks at the ports; openings and lines are noticed that fast.
TICK: Final = 0.01
#: Bytes that wait for a slow line at most; the firmware would wait, but the host has lost these anyway.
_BACKLOG: Final = 1 << 20


@dataclass(slots=True)
class Slot:
    """A board at a port of the hub. `master` is None while it is unplugged."""

    spec: BoardSpec
    usb: UsbPort
    board: NerdMiner
    resets_on_open: bool = False
    master: int | None = None
    owned: bool = True
    opened: bool = False
    waiting: bytearray = field(default_factory=bytearray)
    budget: float = 0.0
    plugs: int = 0
    opens: int = 0
    sent: int = 0
    lost: int = 0
    host_bytes: int = 0


class SerialHub:
    """A hub with NerdMiner boards below `folder`; usable as an asynchronous context manager, or with `thread()`.

    Args:
        folder: where the links are made; it is created.
        clock: whose time the boards live in; real time by default.
        baud: bits per second of each line, 10 per byte; None sends as fast as the reader reads.
        speed: how much faster than the clock the boards live (the baud rate stays).
    """

    def __init__(
        self, folder: Path, *, clock: Clock | None = None, baud: int | None = BAUD, speed: float = 1.0
    ) -> None:
        self.folder = folder
        self.clock = Clock() if clock is None else clock
        self.baud = baud
        self.speed = speed
        self.slots: dict[str, Slot] = {}
        self._start = self.clock.now()
        self._last = self._start
        self._lock = threading.RLock()
        self._poll = select.poll()
        self._task: asyncio.Task[None] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = LinesSocket(folder, self._on_lines, self.reset)

    # Boards ---------------------------------------------------------------------------------------------------

    def add(
        self,
        spec: BoardSpec,
        *,
        node: str | None = None,
        port_path: str | None = None,
        identity: UsbIdentity | None = None,
        plugged: bool = True,
        resets_on_open: bool = False,
    ) -> str:
        """A further board; the path of its terminal. Without `node` and `port_path` the next free ones are taken.

        `resets_on_open`: opening the port resets the board, as many boards with a bridge do.

        Raises:
            ValueError: the node is taken, or model or scenario are unknown.
        """
        with self._lock:
            board = NerdMiner(spec, self.now())
            usb = identity or identity_of(board.model.usb, spec.seed)
            node = node or self._free_node(usb.node)
            path = str(self.folder / node)
            if path in self.slots:
                raise ValueError(f"{path} is taken by another board")
            port = UsbPort(port_path or f"1-1.{len(self.slots) + 1}", node, usb)
            self.slots[path] = Slot(spec, port, board, resets_on_open)
            if plugged:
                self._connect(path, self.slots[path], None)
            else:
                board.power_off(self.now())
            return path

    def _free_node(self, kind: str) -> str:
        number = 0
        while str(self.folder / f"{kind}{number}") in self.slots:
            number += 1
        return f"{kind}{number}"

    def slot(self, path: str) -> Slot:
        """The board at a path; KeyError with a clear message where there is none."""
        if path not in self.slots:
            raise KeyError(f"no simulated board at {path}")
        return self.slots[path]

    def plug(
        self, path: str, *, node: str | None = None, port_path: str | None = None, master: int | None = None
    ) -> str:
        """Plug a board in, which starts it; the path that it has now.

        Args:
            path: the path it had.
            node: another device node than before.
            port_path: another port than before.
            master: the master of a terminal of the caller's, who also closes it; no link is made then.

        Raises:
            KeyError: no board has that path.
            ValueError: it is plugged in already, or the new node is taken.
        """
        with self._lock:
            slot = self.slot(path)
            if slot.master is not None:
                raise ValueError(f"{path} is plugged in already")
            new_path = path if node is None else str(self.folder / node)
            if new_path != path and new_path in self.slots:
                raise ValueError(f"{new_path} is taken by another board")
            slot.usb = replace(slot.usb, node=node or slot.usb.node, port_path=port_path or slot.usb.port_path)
            self.slots[new_path] = self.slots.pop(path)
            slot.board.power_on(self.now())
            self._connect(new_path, slot, master)
            return new_path

    def _connect(self, path: str, slot: Slot, master: int | None) -> None:
        slot.owned = master is None
        slot.master = make_terminal(path) if master is None else master
        os.set_blocking(slot.master, False)
        tell_flushes(slot.master)
        slot.opened = False
        slot.plugs += 1
        slot.budget = 0.0
        self._poll.register(slot.master, select.POLLIN)

    def unplug(self, path: str) -> None:
        """Pull the plug: the terminal hangs up and the link is gone. Unplugged already: nothing happens."""
        with self._lock:
            slot = self.slot(path)
            master, slot.master = slot.master, None
            if master is None:
                return
            self._poll.unregister(master)
            slot.waiting.clear()
            slot.opened = False
            slot.board.power_off(self.now())
            if slot.owned:
                remove_link(path)
                os.close(master)
            else:
                tell_flushes(master, False)

    def remove(self, path: str) -> None:
        """Take a board away for good."""
        with self._lock:
            self.unplug(path)
            del self.slots[path]

    def reset(self, path: str) -> None:
        """Press the reset button."""
        with self._lock:
            self.slot(path).board.reset(self.now())

    def set_lines(self, path: str, *, dtr: bool, rts: bool) -> None:
        """What the host does with DTR and RTS; see `NerdMiner.set_lines`."""
        with self._lock:
            self.slot(path).board.set_lines(self.now(), dtr=dtr, rts=rts)

    def set_scenario(self, path: str, scenario: str) -> None:
        """Start a board again with another scenario."""
        with self._lock:
            self.slot(path).board.set_scenario(scenario, self.now())

    def _on_lines(self, path: str, dtr: bool, rts: bool) -> None:
        self.set_lines(path, dtr=dtr, rts=rts)

    @property
    def lines_path(self) -> str:
        """Where DTR, RTS and resets are told (`LinesSocket`)."""
        return self._lines.path

    # Knowledge ------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The boards' time, Unix seconds."""
        return self._start + (self.clock.now() - self._start) * self.speed

    def truth(self) -> dict[str, dict[str, Any]]:
        """The truth of every board by path: `BoardState.truth`, the USB side, and what went over the line.

        `opens` counts openings by the host that a look at the port has seen (see `TICK`), `sent` bytes delivered,
        `lost` bytes that nobody read, `host_bytes` what the host wrote, which must be nothing.
        """
        with self._lock:
            return {path: self._truth(path, slot) for path, slot in self.slots.items()}

    def _truth(self, path: str, slot: Slot) -> dict[str, Any]:
        document = slot.board.truth(self.now())
        if slot.master is None:
            document |= {"status": "Inactive", "state": "Not Connected", "hashrate_hs": 0.0}
        return (
            document
            | self._describe(path, slot)
            | {
                "opened": slot.opened,
                "plugs": slot.plugs,
                "opens": slot.opens,
                "sent": slot.sent,
                "lost": slot.lost,
                "host_bytes": slot.host_bytes,
            }
        )

    def describe(self) -> list[dict[str, Any]]:
        """What a client needs to know to find the boards."""
        with self._lock:
            return [self._describe(path, slot) for path, slot in self.slots.items()]

    @staticmethod
    def _describe(path: str, slot: Slot) -> dict[str, Any]:
        identity = slot.usb.identity
        return {
            "path": path,
            "plugged": slot.master is not None,
            "model": slot.spec.model,
            "node": slot.usb.node,
            "port_path": slot.usb.port_path,
            "vendor_id": identity.vendor_id,
            "product_id": identity.product_id,
            "serial": identity.serial,
        }

    # Running --------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Do what is due, without waiting: lines, openings, and the bytes of all boards."""
        with self._lock:
            self._lines.read()
            events = dict(self._poll.poll(0))
            clock = self.clock.now()
            elapsed, self._last = max(0.0, clock - self._last), clock
            now = self.now()
            for slot in self.slots.values():
                if slot.master is not None:
                    self._serve(slot, slot.master, events.get(slot.master, 0), now, elapsed)

    def _serve(self, slot: Slot, master: int, event: int, now: float, elapsed: float) -> None:
        opened = not event & select.POLLHUP
        if opened and not slot.opened:
            slot.opens += 1
            slot.budget = 0.0
            if slot.resets_on_open:
                slot.board.power_on(now)
        elif slot.opened and not opened:
            forget_unread(master)
        was_open, slot.opened = slot.opened, opened
        if event & select.POLLIN:
            written, flushed = drain(master)
            slot.host_bytes += written
            # Programs that tidy a port up when they open or close it mean no reset.
            if flushed and was_open and opened:
                slot.board.reset(now)
        slot.waiting += slot.board.output(now)
        if not opened or len(slot.waiting) > _BACKLOG:
            slot.lost += len(slot.waiting)
            slot.waiting.clear()
            return
        self._send(slot, master, elapsed)

    def _send(self, slot: Slot, master: int, elapsed: float) -> None:
        size = len(slot.waiting)
        if self.baud is not None:
            rate = self.baud / 10
            # An idle line saves nothing up beyond one look.
            slot.budget = min(slot.budget + elapsed * rate, max(elapsed, 2 * TICK) * rate)
            size = min(size, int(slot.budget))
        while size > 0:
            chunk = bytes(slot.waiting[: min(size, CHUNK)])
            written = write(master, chunk)
            # A full buffer means that nobody reads: a bridge keeps only what it has room for. At full speed we wait.
            slot.sent += written
            gone = written if self.baud is None else len(chunk)
            slot.lost += gone - written
            del slot.waiting[:gone]
            slot.budget -= gone
            size -= gone
            if written < len(chunk):
                break

    # Life -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> SerialHub:
        """Run in the event loop."""
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Unplug everything."""
        await self.aclose()

    def start(self) -> None:
        """Run in the running event loop until `aclose`."""

        async def keep_pumping() -> None:
            while True:
                self.pump()
                await asyncio.sleep(TICK)

        self._task = asyncio.get_running_loop().create_task(keep_pumping())

    async def aclose(self) -> None:
        """Stop running and close."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self.close()

    @contextlib.contextmanager
    def thread(self) -> Iterator[SerialHub]:
        """Run in a thread of its own; closes at the end."""
        stop = threading.Event()

        def keep_pumping() -> None:
            while not stop.wait(TICK):
                self.pump()

        runner = threading.Thread(target=keep_pumping, name="serial-hub", daemon=True)
        runner.start()
        try:
            yield self
        finally:
            stop.set()
            runner.join()
            self.close()

    def close(self) -> None:
        """Unplug every board and close the socket."""
        with self._lock:
            for path in self.slots:
                self.unplug(path)
            self._lines.close()
