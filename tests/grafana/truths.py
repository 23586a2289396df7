"""What panels show against what the simulator knows, one line a figure, and which panels there is no truth for."""

from dataclasses import dataclass
from typing import Any

import pytest

#: Kinds of which one miner each is looked at.
KINDS = ("bitaxe", "vnish", "avalon")
MINING = 1
#: Degrees of the alarms: small boards, large miners.
LIMITS = {"bitaxe": (68, 75)}
LARGE = (90, 100)
#: As `EVERYTHING` of the choices above a dashboard.
PRICE, INCOME = 0.15, 0.07


def limits(truth):
    """Where warning and critical alarm of the chips begin."""
    return LIMITS.get(truth["driver"], LARGE)


def hottest(truth):
    return max(board["chip_max"] for board in truth["boards"])


def heat(celsius, truth):
    """The code of the word: 0 fine, 1 warm, 2 hot, 3 too hot."""
    warning, critical = limits(truth)
    return (celsius > critical) + (celsius > warning) + (celsius + 5 > warning)


def hot_air(truth):
    """The air that leaves the hottest board."""
    return max(board["outlet"] for board in truth["boards"])


def to_the_limit(truth):
    return [limits(truth)[0] - board["chip_max"] for board in truth["boards"]]


def of_expected(truth):
    return [board["hashrate"] / board["expected"] for board in truth["boards"]]


def preset_watts(truth):
    """Presets of VNish are called after their power."""
    return float(truth["mode"])


def day_costs(truth):
    return truth["power_w"] / 1000 * 24 * PRICE


def day_brings(truth):
    return truth["hashrate_hs"] / 1e12 * INCOME


def per_terahash(truth):
    return 1e12 * truth["power_w"] / truth["hashrate_hs"]


def left_of_a_day(truth):
    return day_brings(truth) - day_costs(truth)


@dataclass(frozen=True)
class Told:
    """A figure of one miner.

    Attributes:
        place: dashboard, title of the panel, and the head of a column or the letter of a query.
        truth: a key of the truth, or a function of it. A list is compared with the figures of all series, whatever
            their order.
        tolerance: arguments of `pytest.approx`, or a function of the truth that gives them.
        silent: kinds whose firmware does not tell it, which must then have no figure.
        total: the figures of all series together.
        kinds: kinds of which the simulator knows it in the same terms.
    """

    place: tuple[str, str, str]
    truth: Any
    tolerance: Any
    silent: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS
    total: bool = False

    def expected(self, truth):
        """The figures there should be."""
        value = truth[self.truth] if isinstance(self.truth, str) else self.truth(truth)
        return sorted(value) if isinstance(value, list) else [value]

    def check(self, shown, truth):
        """Ask for the figures of a miner and compare them."""
        if truth["kind"] not in self.kinds:
            return
        found = sorted(shown.of_miner(*self.place, truth["mac"]))
        if self.total:
            found = [sum(found)]
        if truth["kind"] in self.silent:
            assert found == [], self.place
        else:
            tolerance = self.tolerance(truth) if callable(self.tolerance) else self.tolerance
            assert found == pytest.approx(self.expected(truth), **tolerance), self.place


def of_boards(key):
    return lambda truth: [board[key] for board in truth["boards"]]


EXACT = {"rel": 1e-9}
SOME = {"rel": 0.02}
#: Of figures that wander a little within the ten minutes over which they are averaged.
MEAN = {"rel": 0.06}
POWER = {"rel": 0.03}
DEGREES = {"abs": 1.5}
TURNS = {"abs": 61}


def small_change(truth):
    """What is left is the difference of two figures, each of which may be off."""
    return {"abs": 0.02 * day_brings(truth) + 0.03 * day_costs(truth)}


TOLD = [
    Told(("miners", "Miners", "State"), lambda _: MINING, EXACT),
    Told(("miners", "Miners", "Hash rate"), "hashrate_hs", SOME),
    Told(("miners", "Miners", "Of expected"), lambda truth: truth["hashrate_hs"] / truth["hashrate_expected_hs"], MEAN),
    Told(("miners", "Miners", "Power"), "power_w", POWER),
    Told(("miners", "Miners", "J/TH"), per_terahash, MEAN),
    Told(("miners", "Miners", "Hottest chip"), hottest, DEGREES),
    Told(("miners", "Miners", "Heat"), lambda truth: heat(hottest(truth), truth), EXACT),
    Told(("miners", "Miners", "Slowest fan"), lambda truth: min(truth["fans_rpm"]), TURNS),
    Told(("miners", "Miners", "Best share"), "best_difficulty", SOME),
    Told(("miners", "Miners", "Uptime"), "uptime_s", {"abs": 61}),
    Told(("miner", "State", "A"), lambda _: MINING, EXACT),
    Told(("miner", "State over time", "A"), lambda _: MINING, EXACT),
    Told(("miner", "Hash rate", "A"), "hashrate_hs", SOME),
    Told(("miner", "Of the expected", "A"), lambda truth: truth["hashrate_hs"] / truth["hashrate_expected_hs"], MEAN),
    Told(("miner", "Power", "A"), "power_w", POWER),
    Told(("miner", "Hottest chip", "A"), hottest, DEGREES),
    Told(("miner", "Hottest chip", "B"), lambda truth: heat(hottest(truth), truth), EXACT),
    Told(("miner", "Fans missing", "A"), lambda _: 0, EXACT, silent=("avalon",)),
    Told(("miner", "Hash rate over time", "A"), "hashrate_hs", SOME),
    Told(("miner", "Hash rate over time", "B"), "hashrate_expected_hs", SOME),
    Told(("miner", "Hash rate over time", "C"), "hashrate_nameplate_hs", SOME, silent=("bitaxe", "avalon")),
    Told(("miner", "Boards", "Coolest chip"), of_boards("chip_min"), DEGREES),
    Told(("miner", "Power and its limit", "A"), "power_w", POWER),
    Told(("miner", "Power and its limit", "B"), preset_watts, SOME, silent=("bitaxe",), kinds=("bitaxe", "vnish")),
    Told(("miner", "Efficiency", "A"), per_terahash, MEAN),
    Told(("miner", "Boards", "Up"), lambda truth: [1 for _ in truth["boards"]], EXACT),
    Told(("miner", "Boards", "Hash rate"), of_boards("hashrate"), SOME),
    Told(("miner", "Boards", "Expected"), of_boards("expected"), SOME, silent=("avalon",)),
    Told(("miner", "Boards", "Chips"), of_boards("chips"), EXACT),
    Told(("miner", "Boards", "Should have"), of_boards("chips"), EXACT),
    Told(("miner", "Boards", "Voltage"), of_boards("voltage"), SOME, silent=("avalon",)),
    Told(("miner", "Boards", "Clock"), of_boards("frequency"), SOME),
    Told(("miner", "Boards", "Power"), of_boards("power"), POWER, silent=("bitaxe", "avalon")),
    Told(("miner", "Boards", "Hottest chip"), of_boards("chip_max"), DEGREES),
    Told(("miner", "Boards", "Heat"), lambda t: [heat(board["chip_max"], t) for board in t["boards"]], EXACT),
    Told(("miner", "Hash rate of each board", "A"), of_boards("hashrate"), SOME),
    Told(("miner", "Chip temperatures", "A"), of_boards("chip_max"), DEGREES),
    Told(("miner", "Chip temperatures", "B"), of_boards("chip_avg"), DEGREES),
    Told(("miner", "Chip temperatures", "C"), lambda truth: limits(truth)[0], EXACT),
    Told(("miner", "Chip temperatures", "D"), lambda truth: limits(truth)[1], EXACT),
    Told(("miner", "Board and regulator temperatures", "B"), "vreg_celsius", DEGREES, silent=("vnish", "avalon")),
    Told(("miner", "Voltage and its target", "A"), of_boards("voltage"), SOME, silent=("avalon",)),
    Told(("miner", "Fans", "A"), "fans_rpm", TURNS),
    Told(("miner", "Fan drive", "A"), lambda t: [t["fan_duty_ratio"] for _ in t["fans_rpm"]], {"abs": 0.02}),
    Told(("miner", "Air, water and target", "A"), hot_air, DEGREES, silent=("bitaxe", "vnish")),
    Told(("miner", "Pools", "Accepted"), "accepted", EXACT, total=True),
    Told(("miner", "Pools", "Rejected"), "rejected", EXACT, total=True),
    Told(("miner", "Pools", "Stale"), "stale", EXACT, total=True, kinds=("vnish", "avalon")),
    Told(("miner", "Pools", "Difficulty"), "difficulty", SOME),
    Told(("miner", "Best share", "A"), "best_difficulty", SOME),
    Told(("miner", "Best share", "B"), "session_best_difficulty", SOME, kinds=("bitaxe",)),
    Told(("miner", "Uptime", "A"), "uptime_s", {"abs": 61}),
    Told(("miner", "Uptime", "B"), "mining_uptime_s", {"abs": 61}, silent=("bitaxe",)),
    Told(("home", "Best share of each miner", "A"), "best_difficulty", SOME),
    Told(("home", "Best share since the start", "A"), "session_best_difficulty", SOME, kinds=("bitaxe",)),
    Told(("home", "Best shares over time", "A"), "best_difficulty", SOME),
    Told(("home", "Small miners", "Hash rate"), "hashrate_hs", SOME, silent=("vnish", "avalon")),
    Told(("home", "Small miners", "Power"), "power_w", POWER, silent=("vnish", "avalon")),
    Told(("boards", "Hottest boards", "Hottest chip"), of_boards("chip_max"), DEGREES),
    Told(("boards", "Hottest boards", "To the limit"), to_the_limit, DEGREES),
    Told(("boards", "Hottest regulators", "Regulator"), "vreg_celsius", DEGREES, silent=("vnish", "avalon")),
    Told(("boards", "Slowest boards", "Of expected"), of_expected, SOME, silent=("avalon",)),
    Told(("energy", "Least efficient", "J/TH"), per_terahash, MEAN),
    Told(("energy", "Slowest fans", "A"), "fans_rpm", TURNS),
    Told(("energy", "Left of a day for each miner", "Left of a day"), left_of_a_day, small_change),
    # Panels of many miners, with one chosen.
    Told(("miners", "Chosen miners", "A"), lambda _: 1, EXACT),
    Told(("miners", "Hash rate", "A"), "hashrate_hs", SOME),
    Told(("miners", "Power", "A"), "power_w", POWER),
    Told(("miners", "Hottest chip", "A"), hottest, DEGREES),
    Told(("miners", "Hottest chip", "B"), lambda truth: heat(hottest(truth), truth), EXACT),
    Told(("miners", "What they do", "A"), lambda _: MINING, EXACT),
    Told(("home", "Best share ever", "A"), "best_difficulty", SOME),
    Told(("home", "Uptime", "A"), "uptime_s", {"abs": 61}),
    Told(("boards", "Boards", "A"), lambda truth: len(truth["boards"]), EXACT),
    Told(("boards", "Boards down", "A"), lambda _: 0, EXACT),
    Told(("boards", "Chips missing", "A"), lambda _: 0, EXACT),
    Told(("boards", "Fans missing", "A"), lambda _: 0, EXACT, silent=("avalon",)),
    Told(("boards", "Hottest chip, spread over boards", "A"), hottest, DEGREES),
    Told(
        ("boards", "Hottest chip, spread over boards", "E"),
        lambda truth: min(board["chip_max"] for board in truth["boards"]),
        DEGREES,
    ),
    Told(
        ("boards", "Voltage, spread over boards", "A"),
        lambda truth: max(board["voltage"] for board in truth["boards"]),
        SOME,
        silent=("avalon",),
    ),
    Told(("boards", "Clock, spread over boards", "A"), lambda truth: truth["boards"][0]["frequency"], SOME),
    Told(("pools", "Hash rate at each pool", "A"), "hashrate_hs", SOME),
    Told(("pools", "Miners at each pool", "A"), lambda _: 1, EXACT),
    Told(("pools", "Share difficulty of each pool", "A"), "difficulty", SOME),
    Told(("energy", "Power", "A"), "power_w", POWER),
    Told(("energy", "Telling their power", "A"), lambda _: 1, EXACT),
    Told(("energy", "Efficiency", "A"), per_terahash, POWER),
    Told(("energy", "A day costs, in ${currency}", "A"), day_costs, POWER),
    Told(("energy", "A month costs, in ${currency}", "A"), lambda truth: 30.5 * day_costs(truth), POWER),
    Told(("energy", "A day of 1 TH/s costs, in ${currency}", "A"), lambda t: per_terahash(t) * 0.024 * PRICE, POWER),
    Told(("energy", "Power of each site", "A"), "power_w", POWER),
    Told(("energy", "Cost of an hour, in ${currency}", "A"), lambda truth: day_costs(truth) / 24, POWER),
    Told(("energy", "Efficiency of each model", "A"), per_terahash, POWER),
    Told(("energy", "A day brings, in ${currency}", "A"), day_brings, SOME),
    Told(("energy", "Left of a day, in ${currency}", "A"), left_of_a_day, small_change),
    Told(("energy", "Break-even efficiency", "A"), lambda _: 1000 * INCOME / 24 / PRICE, EXACT),
    Told(
        ("energy", "Cost more than they bring", "A"),
        lambda truth: int(per_terahash(truth) > 1000 * INCOME / 24 / PRICE),
        EXACT,
    ),
    Told(("energy", "Income and cost of an hour, in ${currency}", "A"), lambda t: day_brings(t) / 24, SOME),
    Told(("energy", "Income and cost of an hour, in ${currency}", "B"), lambda t: day_costs(t) / 24, POWER),
    Told(("energy", "Fan drive", "A"), "fan_duty_ratio", {"abs": 0.02}),
]

#: (panel, label of its series, key of the truth, kinds that tell it).
WORDS = [
    (("miner", "Identity", "A"), "ip", "address", KINDS),
    (("miner", "Identity", "A"), "driver", "driver", KINDS),
    (("miner", "Identity", "A"), "serial", "serial", ("vnish", "avalon")),
    (("miner", "Mode", "A"), "mode", "mode", ("vnish",)),
]

#: What functions of the test compare, of many miners at once.
OF_THE_FLOCK = {
    ("fleet", "Miners"), ("fleet", "Up"), ("fleet", "Down"), ("fleet", "Hash rate"), ("fleet", "Power"),
    ("fleet", "A day costs, in ${currency}"), ("fleet", "Overheated"), ("fleet", "Hash rate of each site"),
    ("fleet", "Hash rate over time"), ("fleet", "Miners up"), ("fleet", "Sites over time"), ("fleet", "By site"),
    ("fleet", "Power of each site"), ("fleet", "Resting on purpose"), ("fleet", "Firmwares"),
    ("fleet", "Hottest chips"), ("energy", "Water, outlet less inlet"), ("boards", "Map of chips"),
    ("home", "Boot states of boards on USB"), ("home", "Boards on USB"),
}  # fmt: skip

_TIME = "of a time before; the simulated clock stands still while figures are compared"
_PROGRAM = "of the program and its surroundings, which the simulator knows nothing of"
_TROUBLE = "of troubles, which no miner has while figures are compared; asked for an answer after they are made"
_NO_RADIO = "the simulator's truth has no radio, memory, reason of a restart or block"
_NO_POOL = "the simulator's truth has counters of shares, but no connections and answers of pools"
_NO_SUPPLY = "the simulator's truth has no power supply"
_NO_WALLET = "the simulator's truth has no wallets"
_NETWORK = "the simulator's truth has no difficulty of the network"
_OTHERS = "of figures of many miners, each compared where it stands for itself"

#: The panels that are not compared, and why.
NOT_COMPARED = {
    **dict.fromkeys(
        [
            ("energy", "Energy of the time above"), ("energy", "It cost, in ${currency}"), ("energy", "Sites"),
            ("energy", "Energy of an hour"), ("energy", "Energy of each miner"), ("fleet", "Credited by pools"),
            ("fleet", "Energy of the time above"), ("fleet", "It cost, in ${currency}"),
            ("fleet", "Most rejected shares"), ("fleet", "Shares of an hour"), ("boards", "Hardware errors"),
            ("miner", "Energy of the time above"), ("miner", "Last told"), ("miner", "Hardware errors"),
            ("miner", "Shares"), ("miner", "Time since the last share"), ("pools", "Credited by each pool"),
            ("pools", "Accepted within an hour"), ("pools", "Rejected within an hour"),
            ("pools", "Credited hash rate"), ("pools", "Rejected shares by reason"),
            ("pools", "Stale shares of each pool"), ("pools", "Most rejected"), ("pools", "Longest without a share"),
        ],
        _TIME,
    ),
    **dict.fromkeys(
        [
            ("fleet", "Alarms that fire"), ("fleet", "Muted"), ("fleet", "Lamp on"), ("miner", "Signs over time"),
            ("miner", "Alarms of this miner"), ("miner", "Errors that the firmware reports"),
            ("miner", "How long a poll takes"), ("miner", "Failed polls"), ("home", "What is the matter"),
            ("boards", "Bad chips"), ("boards", "Miners with boards missing"), ("boards", "Boards with chips missing"),
            ("boards", "Boards with bad chips"), ("fleet", "Below 90 %"), ("energy", "Resting on purpose"),
        ],
        _TROUBLE,
    ),
    **dict.fromkeys(
        [
            ("fleet", "Of the expected"), ("fleet", "Efficiency"), ("fleet", "Efficiency of each site"),
            ("fleet", "Furthest below what is expected"), ("fleet", "By model"),
            ("boards", "Boards by their hottest chip"), ("energy", "Power and limits"), ("energy", "Air"),
            ("energy", "Water"), ("boards", "Chips by temperature"), ("boards", "Hottest chips"),
            ("boards", "Slowest chips"),
        ],
        _OTHERS,
    ),
    **dict.fromkeys(
        [
            ("home", "WiFi signal"), ("home", "Free memory"), ("home", "Why miners restarted"),
            ("home", "Blocks found"),
        ],
        _NO_RADIO,
    ),
    **dict.fromkeys(
        [
            ("home", "Network difficulty"), ("home", "Best share to a block"), ("home", "A block on average every"),
            ("home", "Chance of a block within a year"),
        ],
        _NETWORK,
    ),
    **dict.fromkeys(
        [
            ("energy", "Input of power supplies"), ("miner", "Power supply, voltage"),
            ("miner", "Power supply, current"), ("miner", "Power supply, temperature"),
        ],
        _NO_SUPPLY,
    ),
    **dict.fromkeys(
        [
            ("pools", "On a fallback pool"), ("pools", "Pools that do not answer"), ("pools", "Pools' response time"),
            ("pools", "Lost pings"), ("pools", "Jobs"), ("pools", "Failed attempts to get work"),
        ],
        _NO_POOL,
    ),
    **dict.fromkeys(
        [
            ("pools", "Led astray"), ("pools", "Wallets"), ("pools", "Credited to wallets"),
            ("pools", "Reported for wallets"), ("pools", "Shares of wallets"),
            ("pools", "Linked wallet and actual pool"),
        ],
        _NO_WALLET,
    ),
}  # fmt: skip
#: Dashboards of which nothing is compared.
NOT_OF_MINERS = {"health": _PROGRAM, "onboarding": _PROGRAM}
