"""The dashboard Boards and chips: heat, missing parts, voltage and clock over all boards."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.panels import Panel, bars, figure, heat, lines
from grafana.source.queries import ON, chosen, named, of, paged
from grafana.source.tables import MINER as NAME
from grafana.source.tables import SITE, Column, rows

_HOTTEST = of("miner_board_chip_temperature_max_celsius")
_CHIPS_GONE = f"{of('miner_board_chips_expected')} - {of('miner_board_chips')}"
_BOARD = Column("Board", label="board", width=70)
_CHIP = Column("Chip", label="chip", width=70)


def _per_board(expression: str) -> str:
    """Boards of the chosen miners, with what a table's first columns need."""
    return f"max by (miner, name, ip, site, board) ({named(expression, 'name, ip, site')})"


def _spread(metric: str) -> list[tuple[str, str]]:
    """Highest, 95 %, middle, 5 % and lowest of a figure of all boards."""
    values = chosen(of(metric))
    return [
        (f"max({values})", "highest"),
        (f"quantile(0.95, {values})", "95 % are below"),
        (f"quantile(0.5, {values})", "middle"),
        (f"quantile(0.05, {values})", "5 % are below"),
        (f"min({values})", "lowest"),
    ]


def _heat() -> list[Panel]:
    # 1000 more, so that "1045" and "1100" sort as figures do; the legend shows the figure without it.
    buckets = f'count_values("sorted", 1000 + 5 * ceil(({chosen(_HOTTEST)}) / 5))'
    return [
        heat(
            "Boards by their hottest chip",
            "How many boards have their hottest chip in which five degrees; the figure at the left is the upper end.",
            (f'label_replace({buckets}, "upto", "$1", "sorted", "1?0*(.+)")', "{{upto}} °C"),
            looks.COUNT,
            buckets=False,
        ),
        lines(
            "Hottest chip, spread over boards",
            "The boards between coolest and hottest.",
            _spread("miner_board_chip_temperature_max_celsius"),
            looks.CELSIUS,
            height=9,
            steps=looks.CHIP,
        ),
        rows(
            "Hottest boards",
            "The twenty boards with the hottest chip, with their sensors.",
            paged(f"topk(20, {_per_board(_HOTTEST)})"),
            [NAME, SITE, _BOARD, Column("Hottest chip", unit=looks.CELSIUS, steps=looks.CHIP)],
            sort="Hottest chip",
            width=12,
        ),
        rows(
            "Hottest regulators",
            "The twenty boards with the hottest voltage regulator.",
            paged(f"topk(20, {_per_board(of('miner_board_vreg_temperature_celsius'))})"),
            [
                NAME,
                SITE,
                _BOARD,
                Column(
                    "Regulator", unit=looks.CELSIUS, steps=((None, looks.GREEN), (90, looks.ORANGE), (105, looks.RED))
                ),
            ],
            sort="Regulator",
            width=12,
        ),
    ]


def _missing() -> list[Panel]:
    boards_up = f"sum by (job, instance, miner) ({of('miner_board_up')})"
    missing_boards = f"({of('miner_boards_expected')} - {ON} {boards_up}) > 0"
    missing_chips = f"({_CHIPS_GONE}) > 0"
    return [
        figure("Boards", "Boards that the chosen miners tell.", f"count({chosen(of('miner_board_up'))})", width=6),
        figure(
            "Boards down",
            "Boards that are told as missing or not hashing.",
            f"sum({chosen('1 - ' + of('miner_board_up'))})",
            steps=looks.NONE_WANTED,
            width=6,
        ),
        figure(
            "Chips missing",
            "Chips that should answer and do not, of the boards that tell both.",
            f"sum({chosen(f'clamp_min({_CHIPS_GONE}, 0)')})",
            steps=looks.NONE_WANTED,
            width=6,
        ),
        figure(
            "Bad chips",
            "Chips that are told to be dead, slow or hot.",
            f"sum({chosen(of('miner_board_chips_bad'))})",
            steps=looks.NONE_WANTED_MILD,
            width=6,
        ),
        rows(
            "Miners with boards missing",
            "Boards that should be there, less those that hash.",
            paged(f"max by (miner, name, ip, site) ({named(missing_boards, 'name, ip, site')})"),
            [NAME, SITE, Column("Boards missing", steps=looks.NONE_WANTED)],
            sort="Boards missing",
            width=8,
        ),
        rows(
            "Boards with chips missing",
            "Chips that should answer, less those that do.",
            paged(_per_board(missing_chips)),
            [NAME, SITE, _BOARD, Column("Chips missing", steps=looks.NONE_WANTED)],
            sort="Chips missing",
            width=8,
        ),
        rows(
            "Boards with bad chips",
            "Chips that the firmware grades as dead or slow, or that are too hot.",
            paged(
                "max by (miner, name, ip, site, board, kind) ("
                + named(of("miner_board_chips_bad") + " > 0", "name, ip, site")
                + ")"
            ),
            [NAME, SITE, _BOARD, Column("Kind", label="kind"), Column("Chips", steps=looks.NONE_WANTED_MILD)],
            sort="Chips",
            width=8,
        ),
    ]


def _electric() -> list[Panel]:
    errors = f"rate({of('miner_board_hardware_errors_total')}[$__rate_interval])"
    rate, expected = (of(f"miner_board_hashrate{word}_hashes_per_second") for word in ("", "_expected"))
    below = f"{rate} / ({expected} > 0)"
    return [
        lines(
            "Voltage, spread over boards",
            "Measured board or core voltage.",
            _spread("miner_board_voltage_volts"),
            looks.VOLTS,
        ),
        lines(
            "Clock, spread over boards",
            "Mean chip clock of the boards.",
            _spread("miner_board_frequency_hertz"),
            looks.HERTZ,
        ),
        lines(
            "Hardware errors",
            "The ten boards with the most wrong nonces a second.",
            [(f"topk(10, {named(errors)})", "{{name}} board {{board}}")],
            looks.PER_SECOND,
            low=0,
            linked=True,
        ),
        rows(
            "Slowest boards",
            "The twenty boards with the least of their expected hash rate.",
            paged(f"bottomk(20, {_per_board(below)})"),
            [NAME, SITE, _BOARD, Column("Of expected", unit=looks.RATIO, steps=looks.OF_EXPECTED, decimals=1)],
            sort="Of expected",
            descending=False,
            width=12,
            height=8,
        ),
    ]


def _chips() -> list[Panel]:
    def per_chip(expression: str) -> str:
        return f"max by (miner, name, ip, site, board, chip) ({named(expression, 'name, ip, site')})"

    only = " Only with `metrics.collectors.chips`; choose few miners."
    none = "no miner chosen tells single chips, or metrics.collectors.chips is off"
    buckets = f'count_values("upto", 5 * ceil(({chosen(of("miner_chip_temperature_celsius"))}) / 5))'
    return [
        bars(
            "Chips by temperature",
            "How many chips are in which five degrees; the figure is the upper end." + only,
            f"sort({buckets})",
            "{{upto}} °C",
            none=none,
        ),
        rows(
            "Hottest chips",
            "The fifty hottest chips." + only,
            paged(f"topk(50, {per_chip(of('miner_chip_temperature_celsius'))})"),
            [NAME, _BOARD, _CHIP, Column("Temperature", unit=looks.CELSIUS, steps=looks.CHIP)],
            sort="Temperature",
            width=8,
        ),
        rows(
            "Slowest chips",
            "The fifty chips with the lowest hash rate." + only,
            paged(f"bottomk(50, {per_chip(of('miner_chip_hashrate_hashes_per_second'))})"),
            [NAME, _BOARD, _CHIP, Column("Hash rate", unit=looks.HASHES)],
            sort="Hash rate",
            descending=False,
            width=8,
        ),
    ]


def build() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        "flockwatch-boards",
        "Flockwatch / Boards and chips",
        "Heat, missing parts, voltages, clocks and errors of all hashboards.",
        [
            Row("Heat", _heat()),
            Row("Missing and bad parts", _missing()),
            Row("Voltage, clock, errors", _electric()),
            Row("Single chips", _chips()),
        ],
        variables.of_miners(),
        alarm_matchers='job=~"$job", site=~"$site", miner=~"$miner"',
    )
