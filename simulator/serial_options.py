"""The command line of the serial boards, and the flock of boards that it describes."""

from __future__ import annotations

import argparse
from pathlib import Path

from simulator.chance import mix
from simulator.devices.nerdminer import MODELS, SCENARIOS, BoardSpec
from simulator.serial_miners import BAUD, SerialHub


def add_serial_options(parser: argparse.ArgumentParser) -> None:
    """Options of boards on pseudo-terminals."""
    group = parser.add_argument_group("boards on pseudo-terminals")
    group.add_argument("--serial", type=int, default=0, metavar="N", help="NerdMiner boards (default 0)")
    group.add_argument(
        "--serial-folder", type=Path, default=Path("build/serial"), help="where their ports are (default build/serial)"
    )
    group.add_argument("--serial-scenario", default="good", help=f"one or several, by comma: {', '.join(SCENARIOS)}")
    group.add_argument("--serial-model", default=",".join(MODELS), help="one or several, by comma (default: all)")
    group.add_argument("--serial-baud", type=int, default=BAUD, help="0: as fast as it is read (default 115200)")
    group.add_argument("--serial-speed", type=float, default=1.0, help="how much faster the boards live (default 1)")
    group.add_argument("--serial-uptime", type=float, default=None, help="seconds they have been mining already")
    group.add_argument("--serial-unplugged", action="store_true", help="they wait to be plugged in")


def board_specs(
    count: int,
    *,
    seed: int = 1,
    scenarios: tuple[str, ...] = ("good",),
    models: tuple[str, ...] = tuple(MODELS),
    uptime: float | None = None,
) -> list[BoardSpec]:
    """`count` boards that take models and scenarios in turn.

    Raises:
        ValueError: a scenario or a model is unknown.
    """
    for kind, names, known in (("scenario", scenarios, SCENARIOS), ("NerdMiner model", models, MODELS)):
        for name in names:
            if name not in known:
                raise ValueError(f"no {kind} {name!r}; known are {', '.join(known)}")
    return [
        BoardSpec(
            model=models[number % len(models)],
            scenario=scenarios[number % len(scenarios)],
            seed=mix(seed, number, 201) % 2**24,
            uptime=uptime,
        )
        for number in range(count)
    ]


def serial_hub(options: argparse.Namespace) -> SerialHub | None:
    """The hub that the options describe; None for no boards.

    Raises:
        ValueError: a scenario, a model or a number is wrong.
        OSError: the folder cannot be made.
    """
    if options.serial < 0 or options.serial_speed <= 0 or options.serial_baud < 0:
        raise ValueError("--serial and --serial-baud must not be negative, --serial-speed must be above 0")
    if not options.serial:
        return None
    specs = board_specs(
        options.serial,
        seed=options.seed,
        scenarios=tuple(options.serial_scenario.split(",")),
        models=tuple(options.serial_model.split(",")),
        uptime=options.serial_uptime,
    )
    hub = SerialHub(options.serial_folder.resolve(), baud=options.serial_baud or None, speed=options.serial_speed)
    try:
        for spec in specs:
            hub.add(spec, plugged=not options.serial_unplugged)
    except BaseException:
        hub.close()
        raise
    return hub
