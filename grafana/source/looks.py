"""Colours, thresholds and units, in one place."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from grafana.source.queries import STATES, WARM

# Grafana's names of units. They scale base units: 2.05e14 in HASHES is 205 TH/s.
HASHES: Final = "Hs"
WATTS: Final = "watt"
#: Joules per hash times 10^12.
EFFICIENCY: Final = "suffix: J/TH"
CELSIUS: Final = "celsius"
RPM: Final = "rotrpm"
RATIO: Final = "percentunit"
HERTZ: Final = "hertz"
VOLTS: Final = "volt"
AMPERES: Final = "amp"
WATT_HOURS: Final = "watth"
SECONDS: Final = "s"
DURATION: Final = "dtdurations"
#: Wants milliseconds.
FROM_NOW: Final = "dateTimeFromNow"
BYTES: Final = "bytes"
DBM: Final = "dBm"
COUNT: Final = "short"
#: K, M, G, T as miners and pools write it.
DIFFICULTY: Final = "sishort"
PER_SECOND: Final = "cps"
BOOL: Final = "bool_yes_no"
PLAIN: Final = "none"
MONEY: Final = "locale"
TEXT: Final = "string"

GREEN, YELLOW, ORANGE, RED = "green", "yellow", "orange", "red"
BLUE, PURPLE, GREY = "blue", "purple", "#808080"

Steps = tuple[tuple[float | None, str], ...]

NEUTRAL: Final[Steps] = ((None, BLUE),)
#: Hash rate over expected hash rate: the warning begins below 0.9, the critical alarm below 0.75.
OF_EXPECTED: Final[Steps] = ((None, RED), (0.75, ORANGE), (0.9, GREEN))
#: Of voltage regulators: the warning begins above 95, and at 105 most boards switch off.
REGULATOR: Final[Steps] = ((None, GREEN), (95, ORANGE), (105, RED))
#: Degrees up to the limit of a miner's chips.
HEAT_LEFT: Final[Steps] = ((None, ORANGE), (0, YELLOW), (WARM, GREEN))
REJECTS: Final[Steps] = ((None, GREEN), (0.01, YELLOW), (0.05, RED))
#: Nothing of it is wanted.
NONE_WANTED: Final[Steps] = ((None, GREEN), (1, RED))
NONE_WANTED_MILD: Final[Steps] = ((None, GREEN), (1, ORANGE))
ALL_UP: Final[Steps] = ((None, RED), (0.5, ORANGE), (0.95, YELLOW), (1, GREEN))
YES_WANTED: Final[Steps] = ((None, RED), (1, GREEN))
#: Money that is left.
GAIN: Final[Steps] = ((None, RED), (0, GREEN))
# Grafana takes an open end below for 0 in the steps of a column, and would stop there for every figure below 0.
SIGNAL: Final[Steps] = ((-200, RED), (-80, ORANGE), (-70, GREEN))

_STATE_COLOURS: Final = {
    "mining": GREEN, "tuning": BLUE, "starting": YELLOW, "idle": GREY, "curtailed": PURPLE, "unknown": GREY,
    "fault": ORANGE, "unreachable": RED,
}  # fmt: skip


def thresholds(steps: Steps) -> builders.ThresholdsConfig:
    """The builder of absolute thresholds."""
    found = [models.Threshold(value=value, color=colour) for value, colour in steps]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(found)


def words(texts: dict[str, tuple[str, str]]) -> list[models.ValueMapping]:
    """Value mappings: figure -> (text, colour)."""
    return [
        models.ValueMap(
            options={
                value: models.ValueMappingResult(text=text, color=colour, index=index)
                for index, (value, (text, colour)) in enumerate(texts.items())
            }
        )
    ]


STATE_WORDS: Final = words({str(code): (state, _STATE_COLOURS[state]) for state, code in STATES.items()})
UP_WORDS: Final = words({"0": ("down", RED), "1": ("up", GREEN)})
YES_WORDS: Final = words({"0": ("no", GREY), "1": ("yes", BLUE)})
#: Of heat (0 or 1) and lamp (0 or 2).
SIGN_WORDS: Final = words({"0": ("no", GREY), "1": ("yes", RED), "2": ("on", BLUE)})
#: Of `queries.heat_code`: chips of small boards may be less hot than those of large miners, so degrees have no colour.
HEAT_WORDS: Final = words({"0": ("fine", GREEN), "1": ("warm", YELLOW), "2": ("hot", ORANGE), "3": ("too hot", RED)})
#: A cell without a figure has no colour.
NOTHING: Final[list[models.ValueMapping]] = [
    models.SpecialValueMap(
        options=models.DashboardSpecialValueMapOptions(
            match=models.SpecialValueMatch.NULL_AND_NAN,
            result=models.ValueMappingResult(text=" ", color="transparent"),
        )
    )
]
GOOD_YES_WORDS: Final = words({"0": ("no", RED), "1": ("yes", GREEN)})
