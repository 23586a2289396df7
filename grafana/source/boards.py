"""The dashboard Boards and chips: heat, missing parts, voltage and clock over all boards."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.panels import Panel, bars, figure, heat, lines
from grafana.source.queries import ON, chosen, fans_missing, heat_code, heat_left, named, of, paged
from grafana.source.tables import MINER as NAME
from grafana.source.tables import SITE, Column, matrix, rows

_HOTTEST = of("miner_board_chip_temperature_max_celsius")
_CHIPS_GONE = f"{of('miner_board_chips_expected')} - {of('miner_board_chips')}"
_CHIP_HEAT = of("miner_chip_temperature_celsius")
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


def _hottest_boards() -> Panel:
    """By the limits of the alarms: a small board may be too hot where a large miner is well."""
    base = paged(f"bottomk(20, {_per_board(heat_left(_HOTTEST))})")

    def by_board(expression: str) -> str:
        return f"max by (miner, board) ({chosen(expression)})"

    return rows(
        "Hottest boards",
        "The twenty boards whose hottest chip is nearest to the limit of its kind of miner, or furthest above it. The"
        " words follow the alarms: hot is above the limit of the warning, too hot above that of the critical alarm.",
        base,
        [
            NAME,
            SITE,
            _BOARD,
            Column("To the limit", unit=looks.CELSIUS, steps=looks.HEAT_LEFT, decimals=0, width=100),
            Column("Hottest chip", expression=by_board(_HOTTEST), unit=looks.CELSIUS, decimals=0, width=110),
            Column("Heat", expression=by_board(heat_code(_HOTTEST)), mappings=looks.HEAT_WORDS, width=80),
        ],
        sort="To the limit",
        descending=False,
        width=12,
        kept_by="miner, board",
    )


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
        ),
        _hottest_boards(),
        rows(
            "Hottest regulators",
            "The twenty boards with the hottest voltage regulator.",
            paged(f"topk(20, {_per_board(of('miner_board_vreg_temperature_celsius'))})"),
            [
                NAME,
                SITE,
                _BOARD,
                Column("Regulator", unit=looks.CELSIUS, steps=looks.REGULATOR),
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
        figure("Boards", "Boards that the chosen miners tell.", f"count({chosen(of('miner_board_up'))})", width=5),
        figure(
            "Boards down",
            "Boards that are told as missing or not hashing.",
            f"sum({chosen('1 - ' + of('miner_board_up'))})",
            steps=looks.NONE_WANTED,
            width=5,
        ),
        figure(
            "Chips missing",
            "Chips that should answer and do not, of the boards that tell both.",
            f"sum({chosen(f'clamp_min({_CHIPS_GONE}, 0)')})",
            steps=looks.NONE_WANTED,
            width=5,
        ),
        figure(
            "Bad chips",
            "Chips that are told to be dead, slow or hot.",
            f"sum({chosen(of('miner_board_chips_bad'))})",
            steps=looks.NONE_WANTED_MILD,
            width=5,
        ),
        figure(
            "Fans missing",
            "Fans that the models have, less those that are seen, of the miners that tell both.",
            f"sum({chosen(fans_missing())})",
            steps=looks.NONE_WANTED,
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

    def of_chip(expression: str) -> str:
        return f"max by (miner, board, chip) ({chosen(expression)})"

    errors = of("miner_chip_hardware_errors_total")
    only = " Only with `metrics.collectors.chips`; choose few miners."
    none = "no miner chosen tells single chips, or metrics.collectors.chips is off"
    buckets = f'count_values("upto", 5 * ceil(({chosen(_CHIP_HEAT)}) / 5))'
    return [
        bars(
            "Chips by temperature",
            "How many chips are in which five degrees; the figure is the upper end." + only,
            f"sort({buckets})",
            "{{upto}} °C",
            width=6,
            height=9,
            none=none,
        ),
        rows(
            "Hottest chips",
            "The fifty hottest chips." + only,
            paged(f"topk(50, {per_chip(_CHIP_HEAT)})"),
            [
                NAME,
                _BOARD,
                _CHIP,
                Column("Temperature", unit=looks.CELSIUS, decimals=0, width=110),
                Column("Heat", expression=of_chip(heat_code(_CHIP_HEAT)), mappings=looks.HEAT_WORDS, width=80),
            ],
            sort="Temperature",
            width=8,
            kept_by="miner, board, chip",
        ),
        rows(
            "Slowest chips",
            "The fifty chips with the lowest hash rate." + only,
            paged(f"bottomk(50, {per_chip(of('miner_chip_hashrate_hashes_per_second'))})"),
            [
                NAME,
                _BOARD,
                _CHIP,
                Column("Hash rate", unit=looks.HASHES),
                Column("Clock", expression=of_chip(of("miner_chip_frequency_hertz")), unit=looks.HERTZ),
                Column("Voltage", expression=of_chip(of("miner_chip_voltage_volts")), unit=looks.VOLTS),
                Column("Wrong in 1 h", expression=of_chip(f"increase({errors}[1h])"), decimals=0),
            ],
            sort="Hash rate",
            descending=False,
            width=10,
            kept_by="miner, board, chip",
        ),
        _map(),
    ]


def _map() -> Panel:
    """A cell for each chip. More than a few miners are no map any more, so there are three at most."""
    three = f"topk(3, max by (job, instance, miner) ({chosen(_CHIP_HEAT)}))"
    labelled = named(f"{_CHIP_HEAT} and {ON} ({three})", "name")
    return matrix(
        "Map of chips",
        "Temperature of every chip of the three chosen miners with the hottest one: a column for each board, a row for"
        " each chip as the firmware numbers them. The colours go from the coolest to the hottest chip shown and say"
        " nothing about limits. Only with `metrics.collectors.chips`.",
        f'max by (place, chip) (label_join({labelled}, "place", ", board ", "name", "board"))',
        down="chip",
        across="place",
        unit=looks.CELSIUS,
        height=16,
    )


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
