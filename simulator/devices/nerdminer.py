"""A NerdMiner board as a source of console bytes over simulated time (NerdMiner_v2 on ESP32 and ESP32-S3).

Sans-IO: `output(now)` gives what was printed since the call before, `due()` says when more comes. The firmware never
reads its console, so nothing goes in; what a host can do is to move DTR and RTS, or to pull the plug.
"""

from __future__ import annotations

from typing import Any, Final

from simulator.chance import mix, uniform
from simulator.devices.nerdminer_boot import life
from simulator.devices.nerdminer_firmware import MODELS, BoardModel
from simulator.devices.nerdminer_scenarios import SCENARIOS
from simulator.devices.nerdminer_state import BoardSpec, BoardState, Steps
from simulator.devices.nerdminer_tasks import wipe
from simulator.faults import garbage

__all__ = ["MODELS", "SCENARIOS", "BoardSpec", "NerdMiner"]

#: Seconds after which a level of GPIO0 counts as a long press.
LONG_PRESS: Final = 5.0
#: Seconds of console that are simulated, and thrown away, for a board that has been mining already.
_WARM_UP: Final = 30.0
#: Bytes without an end of line that the noisy scenario sends once.
_ENDLESS_LINE: Final = 100_000


class NerdMiner:
    """One board. All times are Unix seconds and must not go back.

    Raises:
        ValueError: model or scenario are unknown.
    """

    def __init__(self, spec: BoardSpec, now: float) -> None:
        self.spec = spec
        self._held = False
        self._wants_loader = False
        self._pressed_since: float | None = None
        self._noise_count = 0
        self._endless_sent = False
        self._printed = b""
        self._step: tuple[float, bytes] | None = None
        self._steps: Steps = iter(())
        began = now if spec.uptime is None else now - min(spec.uptime, _WARM_UP)
        self.board = BoardState(spec, began)
        self._start(began)
        if spec.uptime is not None:
            self._skip_to(now, spec.uptime)

    @property
    def model(self) -> BoardModel:
        """Board and firmware."""
        return self.board.model

    # Console --------------------------------------------------------------------------------------------------

    def output(self, now: float) -> bytes:
        """What the board printed up to `now` since the last call."""
        if self._pressed_since is not None and now >= self._pressed_since + LONG_PRESS:
            self._long_press(self._pressed_since + LONG_PRESS)
        printed = self._printed
        self._printed = b""
        return printed + self._run(now)

    def due(self) -> float | None:
        """When there is more to do; None while the board is silent for good."""
        times = [self._step[0]] if self._step is not None else []
        if self._pressed_since is not None:
            times.append(self._pressed_since + LONG_PRESS)
        return min(times, default=None)

    def truth(self, now: float) -> dict[str, Any]:
        """The board at `now`, as `BoardState.truth` describes it; nothing is lost for `output`."""
        self._printed += self._run(now)
        document = self.board.truth()
        return document | {"time": now, "held_in_reset": self._held, "hashrate_hs": self.board.rate(now)}

    def secrets(self) -> tuple[str, ...]:
        """Texts of its configuration that must not be shown: pool password and Wi-Fi password."""
        return self.board.secrets()

    # What is done to it ---------------------------------------------------------------------------------------

    def reset(self, now: float, *, download: bool | None = None) -> None:
        """Start again with the boot text; `download` waits in the ROM loader, None does as the scenario says."""
        self._printed += self._run(now)
        if download is not None:
            self.board.download = download
        self._start(now)

    def power_off(self, now: float) -> None:
        """Unplugged: it is silent, and what was not read is gone."""
        self._run(now)
        self._printed = b""
        self._step = None
        self._pressed_since = None

    def power_on(self, now: float) -> None:
        """Plugged in: it starts with what its flash holds."""
        self.power_off(now)
        self._start(now)

    def set_scenario(self, scenario: str, now: float) -> None:
        """Another scenario from now on, from its beginning.

        Raises:
            ValueError: there is no such scenario.
        """
        self._printed += self._run(now)
        self.board.choose(scenario)
        self._start(now)

    def set_lines(self, now: float, *, dtr: bool, rts: bool) -> None:
        """The host asserts (True) or releases DTR and RTS.

        Bridges have two transistors: DTR alone pulls GPIO0 low, RTS alone holds the chip in reset, both together do
        nothing. A board with one button takes a low GPIO0 of five seconds for "erase the configuration". The
        native USB of an S3 resets at RTS alone and remembers DTR alone as a wish for the ROM loader.
        """
        boot_pin_low, held = dtr and not rts, rts and not dtr
        if self.board.model.chip == "esp32s3":
            self._native_lines(now, boot_pin_low=boot_pin_low, reset=held and not self._held)
            self._held = held
            return
        if held and not self._held:
            self._printed += self._run(now)
            self._step = None
        released = self._held and not held
        self._held = held
        if not boot_pin_low:
            self._pressed_since = None
        elif self._pressed_since is None:
            self._pressed_since = now if self.board.model.one_button else None
        if released:
            self.reset(now, download=boot_pin_low)

    def _native_lines(self, now: float, *, boot_pin_low: bool, reset: bool) -> None:
        if boot_pin_low:
            self._wants_loader = True
        elif reset:
            self.reset(now, download=self._wants_loader)
            self._wants_loader = False

    # Running --------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self.board.now = now
        self.board.begin()
        self._held = False
        self._wants_loader = False
        self._pressed_since = None
        self._noise_count = 0
        self._endless_sent = False
        self._follow(life(self.board), now)

    def _follow(self, steps: Steps, now: float) -> None:
        self._steps = steps
        self._next_step(now)

    def _next_step(self, now: float) -> None:
        step = next(self._steps, None)
        self._step = None if step is None else (now + step[0], step[1])

    def _run(self, now: float) -> bytes:
        printed = bytearray()
        while self._step is not None and self._step[0] <= now:
            at, data = self._step
            self.board.now = at
            if data:
                printed += self._on_the_wire(data)
            self._next_step(at)
        self.board.now = max(self.board.now, now)
        return bytes(printed)

    def _skip_to(self, now: float, uptime: float) -> None:
        self._run(now)
        earlier = max(0.0, uptime - _WARM_UP)
        count = self.board.count
        if count.hashes:
            count.hashes += earlier * self.board.model.profile.hashrate
            count.templates += int(earlier / 32.0)
            self.board.mega_hashes = int(count.hashes // 1_000_000)
        count.uptime += int(earlier)
        self.board.boots = 0

    def _long_press(self, at: float) -> None:
        """GPIO0 was low for five seconds; only the main loop of the running firmware looks at it."""
        self._pressed_since = None
        self._printed += self._run(at)
        if self.board.tasks_from is None or self._step is None:
            return

        def erase_and_restart() -> Steps:
            yield from wipe(self.board)
            yield from life(self.board, "software")

        self._follow(erase_and_restart(), at)

    # The wire -------------------------------------------------------------------------------------------------

    def _on_the_wire(self, data: bytes) -> bytes:
        board = self.board
        self._noise_count += 1
        keys = (board.seed, board.boots, self._noise_count)
        if board.lossy:
            return _lose(data, *keys)
        if board.scenario.noise:
            data = _disturb(data, *keys)
            if not self._endless_sent and board.count.uptime > 15:
                self._endless_sent = True
                data = b"U" * _ENDLESS_LINE + b"\n" + data
        return data


def _lose(data: bytes, *keys: int) -> bytes:
    """Some output is lost, some is cut and glued to what follows; telemetry suffers less, as it comes alone."""
    chance = uniform(*keys, 1)
    if data.startswith((b">>>", b"[WORKER] ==>")):
        return data if chance > 0.1 else b""
    if chance < 0.35:
        return b""
    if chance < 0.55:
        return data[: mix(*keys, 2) % len(data)]
    return data


def _disturb(data: bytes, *keys: int) -> bytes:
    chance = uniform(*keys, 3)
    if chance < 0.03:
        return b"\xff" * 4096 + data
    if chance < 0.06:
        return garbage(64 + mix(*keys, 4) % 448, mix(*keys, 5)) + data
    if chance < 0.12:
        return data[: mix(*keys, 6) % len(data)]
    return data
