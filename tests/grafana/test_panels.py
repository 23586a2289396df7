"""Every query of every dashboard, asked of a real Prometheus over the real program and a simulated flock."""

import time

import pytest

from tests.end_to_end.programs import wait_for
from tests.grafana.boards import column, dashboards, figure, queries, result, strays
from tests.grafana.flock import stack

pytestmark = [pytest.mark.timeout(420), pytest.mark.realstack]

BOARDS = dashboards()
MINING = 1


def last(series):
    """The newest value of a series of either kind of query."""
    return float(series["values"][-1][1] if "values" in series else series["value"][1])


def eventually(check, seconds=40.0):
    """Run a check until it passes: on a busy machine a poll may take too long, and a miner is away until the next."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except (AssertionError, KeyError, ValueError):
            if time.monotonic() > end:
                raise
        time.sleep(0.5)


class Shown:
    """What the panels show."""

    def __init__(self, prometheus):
        self.prometheus = prometheus

    def cells(self, board, table, head, key="miner", **choice):
        """A table's column: value of the label `key` -> figure."""
        asked = column(board, BOARDS[board], table, head)
        return {each["metric"].get(key, ""): last(each) for each in result(self.prometheus, asked, **choice)}

    def one(self, board, title, ref="A", **choice):
        """The only figure of a panel."""
        (series,) = result(self.prometheus, figure(board, BOARDS[board], title, ref), **choice)
        return last(series)

    def many(self, board, title, key, ref="A", **choice):
        """A panel's figures by a label."""
        found = result(self.prometheus, figure(board, BOARDS[board], title, ref), **choice)
        return {each["metric"].get(key, ""): last(each) for each in found}


def freeze(running):
    """Stop the simulated clock and wait until everything shown is newer; returns the truth."""
    running.simulator.post("clock", freeze=True)
    truth = running.simulator.truth()
    frozen = truth[running.simulator.devices[0]["address"]]["time"]
    running.program.until(
        lambda page: min(page.values("miner_last_success_timestamp_seconds").values()) > frozen + 4,
        "a poll of every miner after the clock stopped",
        60,
    )
    ask = f"min(miner_last_success_timestamp_seconds) > {frozen + 4} and on () (count(miner:info) == count(miner_up))"
    wait_for(lambda: running.prometheus.query(ask), "a scrape and the rules after it", 30)
    return truth


def check_a_miner(shown, key, truth):
    """The panels about one miner against the truth about it."""
    hottest = max(board["chip_max"] for board in truth["boards"])
    assert shown.cells("miners", "Miners", "Hash rate")[key] == pytest.approx(truth["hashrate_hs"], rel=0.02)
    assert shown.cells("miners", "Miners", "Power")[key] == pytest.approx(truth["power_w"], rel=0.03)
    assert shown.cells("miners", "Miners", "Hottest chip")[key] == pytest.approx(hottest, abs=1.5)
    assert shown.cells("miners", "Miners", "Slowest fan")[key] == pytest.approx(min(truth["fans_rpm"]), abs=61)
    assert shown.cells("miners", "Miners", "Best share")[key] == pytest.approx(truth["best_difficulty"], rel=0.02)
    assert shown.cells("miners", "Miners", "State")[key] == MINING
    assert shown.one("miner", "State", miner=key) == MINING
    assert shown.one("miner", "Hash rate", miner=key) == pytest.approx(truth["hashrate_hs"], rel=0.02)
    assert shown.one("miner", "Power", miner=key) == pytest.approx(truth["power_w"], rel=0.03)
    assert shown.one("miner", "Hottest chip", miner=key) == pytest.approx(hottest, abs=1.5)
    fans = shown.many("miner", "Fans", "fan", miner=key)
    assert sorted(fans.values()) == pytest.approx(sorted(truth["fans_rpm"]), abs=61)
    accepted = shown.cells("miner", "Pools", "Accepted", "pool", miner=key)
    assert sum(accepted.values()) == truth["accepted"]
    rejected = shown.cells("miner", "Pools", "Rejected", "pool", miner=key)
    assert sum(rejected.values()) == truth["rejected"]
    chips = shown.cells("miner", "Boards", "Chips", "board", miner=key)
    if chips:
        assert sorted(chips.values()) == sorted(board["chips"] for board in truth["boards"])
    boards = shown.cells("miner", "Boards", "Hottest chip", "board", miner=key)
    assert len(boards) == len(truth["boards"])
    assert max(boards.values()) == pytest.approx(hottest, abs=1.5)


def check_the_flock(shown, running, truth):
    """Sums and counts against the sums of the truth."""
    devices = [*running.simulator.devices, running.simulator.behind_water]
    number = len(devices) + len(running.simulator.boards)
    rate = sum(truth[device["address"]]["hashrate_hs"] for device in devices)
    assert shown.one("fleet", "Miners") == shown.one("fleet", "Up") == number
    assert shown.one("fleet", "Down") == 0
    assert shown.one("fleet", "Hash rate") == pytest.approx(rate, rel=0.02)
    by_site = shown.many("fleet", "Hash rate of each site", "site")
    assert sum(by_site.values()) == pytest.approx(rate, rel=0.02)
    assert set(by_site) == {"hall", "barn", "tank", ""}
    power = shown.one("fleet", "Power")
    told = shown.cells("miners", "Miners", "Power")
    assert power == pytest.approx(sum(told.values()), rel=1e-6)
    silent = running.simulator.of("antminer")["mac"]
    assert silent not in told, "this one does not tell its power"
    assert shown.one("energy", "A day costs, in ${currency}") == pytest.approx(power / 1000 * 24 * 0.15, rel=1e-6)
    water = truth[running.simulator.behind_water["address"]]
    key = water["mac"]
    inlet = shown.many("miner", "Air, water and target", "position", "B", miner=key)
    assert inlet == {"inlet": 33, "outlet": 46}
    assert shown.one("energy", "Water, outlet less inlet") == 13


def check_choices(shown, running):
    """The variables narrow what is shown."""
    hall = shown.cells("miners", "Miners", "Hash rate", site="hall")
    everything = shown.cells("miners", "Miners", "Hash rate")
    assert 0 < len(hall) < len(everything)
    assert shown.one("miners", "Chosen miners", site="hall") == len(running.simulator.devices) // 2
    assert shown.one("miners", "Chosen miners", driver="vnish|bitaxe", rack="w1") == 1
    assert shown.one("boards", "Boards", miner=next(iter(hall))) <= shown.one("boards", "Boards", site="hall")


def test_panels_show_the_truth_and_none_is_empty(tmp_path):
    with stack(tmp_path) as running:
        running.settle()
        truth = freeze(running)
        shown = Shown(running.prometheus)
        for kind in ("bitaxe", "vnish", "avalon"):
            told = truth[running.simulator.of(kind)["address"]]
            eventually(lambda told=told: check_a_miner(shown, told["mac"], told))
        eventually(lambda: check_the_flock(shown, running, truth))
        eventually(lambda: check_choices(shown, running))

        running.simulator.post("clock", run=True)
        running.trouble()
        left = [asked for name, document in BOARDS.items() for asked in queries(name, document)]

        not_wanted = {}

        def answered(asked):
            found = result(running.prometheus, asked)
            if names := strays(BOARDS[asked.board], asked, found):
                not_wanted[str(asked)] = names
            return found

        def all_answered():
            left[:] = [asked for asked in left if not answered(asked)]
            return not left

        try:
            wait_for(all_answered, "an answer to every query", 150)
        finally:
            assert [f"{asked}: {asked.expression}" for asked in left] == []
        assert not_wanted == {}
        assert running.prometheus.failing_rules() == {}
