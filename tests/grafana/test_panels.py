"""Every query of every dashboard, asked of a real Prometheus over the real program and a simulated flock."""

import time

import pytest

from tests.end_to_end.programs import wait_for
from tests.grafana.boards import (
    column,
    dashboards,
    figure,
    linked,
    panels,
    queries,
    result,
    strays,
    tables,
)
from tests.grafana.flock import HOT, stack
from tests.grafana.truths import KINDS, NOT_COMPARED, NOT_OF_MINERS, OF_THE_FLOCK, TOLD, WORDS, heat, hottest

pytestmark = [pytest.mark.timeout(420), pytest.mark.realstack]

BOARDS = dashboards()


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

    def series_of_miner(self, board, title, which, key):
        """The series of a query (a letter) or of a column (its head), with one miner chosen."""
        find = figure if len(which) == 1 else column
        return result(self.prometheus, find(board, BOARDS[board], title, which), miner=key)

    def of_miner(self, board, title, which, key):
        """Their newest values."""
        return [last(each) for each in self.series_of_miner(board, title, which, key)]


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


def check_a_miner(shown, truth):
    """The panels about one miner against the truth about it."""
    for told in TOLD:
        told.check(shown, truth)
    key = truth["mac"]
    for place, label, word, kinds in WORDS:
        if truth["kind"] in kinds:
            assert {each["metric"].get(label) for each in shown.series_of_miner(*place, key)} == {truth[word]}, place
    chips = shown.series_of_miner("boards", "Map of chips", "A", key)
    if chips:
        assert len({each["metric"]["place"] for each in chips}) == len(truth["boards"])
        coolest = min(board["chip_min"] for board in truth["boards"])
        assert min(map(last, chips)) == pytest.approx(coolest, abs=2.5)
        assert max(map(last, chips)) == pytest.approx(hottest(truth), abs=2.5)


def check_the_flock(shown, running, truth):
    """Sums and counts against the sums of the truth."""
    devices = [*running.simulator.devices, running.simulator.water_cooled]
    number = len(devices) + len(running.simulator.boards)
    rate = sum(truth[device["address"]]["hashrate_hs"] for device in devices)
    assert shown.one("fleet", "Miners") == shown.one("fleet", "Up") == number
    assert (
        shown.one("fleet", "Down") == shown.one("fleet", "Overheated") == shown.one("fleet", "Resting on purpose") == 0
    )
    assert shown.one("fleet", "Hash rate over time") == pytest.approx(rate, rel=0.02)
    assert shown.one("fleet", "Miners up", "A") == shown.one("fleet", "Miners up", "B") == number
    assert set(shown.many("fleet", "Sites over time", "site").values()) == {1}
    versions = result(running.prometheus, figure("fleet", BOARDS["fleet"], "Firmwares"))
    assert sum(map(last, versions)) == number
    assert {each["metric"]["driver"] for each in versions} >= {device["driver"] for device in devices}
    rows = shown.cells("fleet", "Hottest chips", "Hottest chip")
    for device in devices:
        if device["mac"] in rows:
            assert rows[device["mac"]] == pytest.approx(hottest(truth[device["address"]]), abs=2.5)
    assert shown.one("fleet", "Hash rate") == pytest.approx(rate, rel=0.02)
    by_site = shown.many("fleet", "Hash rate of each site", "site")
    assert sum(by_site.values()) == pytest.approx(rate, rel=0.02)
    assert set(by_site) == {"hall", "barn", "tank", ""}
    assert sum(shown.cells("fleet", "By site", "Hash rate", key="site").values()) == pytest.approx(rate, rel=0.02)
    assert sum(shown.cells("fleet", "By site", "Miners", key="site").values()) == number
    power = shown.one("fleet", "Power")
    assert sum(shown.many("fleet", "Power of each site", "site").values()) == pytest.approx(power, rel=1e-6)
    told = shown.cells("miners", "Miners", "Power")
    assert power == pytest.approx(sum(told.values()), rel=1e-6)
    silent = running.simulator.of("antminer")["mac"]
    assert silent not in told, "this one does not tell its power"
    assert shown.one("energy", "A day costs, in ${currency}") == pytest.approx(power / 1000 * 24 * 0.15, rel=1e-6)
    water = truth[running.simulator.water_cooled["address"]]
    key = water["mac"]
    inlet = shown.many("miner", "Air, water and target", "position", "B", miner=key)
    assert inlet == {"inlet": 33, "outlet": 46}
    assert shown.one("energy", "Water, outlet less inlet") == 13


def check_the_boards_on_usb(shown, running):
    """The table has boards on USB only, as they are."""
    boards = {f"port:{path}": running.simulator.truth()[path] for path in running.simulator.boards}
    rows = result(running.prometheus, figure("home", BOARDS["home"], "Boards on USB"))
    assert {each["metric"]["miner"] for each in rows} == set(boards)
    status = result(running.prometheus, figure("home", BOARDS["home"], "Boards on USB", "B"))
    told = {each["metric"]["miner"]: each["metric"]["status"] for each in status}
    assert told == {key: truth["status"] for key, truth in boards.items()} == dict.fromkeys(boards, "Active")
    assert set(shown.many("home", "Boot states of boards on USB", "miner")) == set(boards)


def keys_of(series, common):
    """What tells the rows of a table apart."""
    return {tuple((name, each["metric"].get(name, "")) for name in common) for each in series}


def check_rows(running, name, table):
    """No column has a row of its own: Grafana's merge would show it without a name."""
    base, *columns = [asked for asked in queries(name, BOARDS[name]) if asked.place == table["title"]]
    rows = result(running.prometheus, base)
    labels = {label for each in rows for label in each["metric"]}
    for asked in columns:
        found = result(running.prometheus, asked)
        common = sorted(labels & {label for each in found for label in each["metric"]})
        assert keys_of(found, common) - keys_of(rows, common) == set(), asked


def linked_queries():
    """Queries of series, bars and strips whose names lead to miners."""
    titles = {(name, panel["title"]) for name, document in BOARDS.items() for panel in linked(document)}
    return [
        asked for name, document in BOARDS.items() for asked in queries(name, document) if (name, asked.place) in titles
    ]


def check_links(running, asked):
    """Every series has what its links are made of."""
    addresses = {device["mac"]: device["address"] for device in running.simulator.devices}
    found = result(running.prometheus, asked)
    assert found or asked.place in ("Hardware errors", "Water, outlet less inlet"), asked
    for each in found:
        labels = each["metric"]
        assert {"miner", "name", "page"} <= set(labels), asked
        if labels["miner"] in addresses:
            assert labels["page"] == f"http://{addresses[labels['miner']]}"
        elif labels["miner"].startswith("port:"):
            assert labels["page"] == "http://127.0.0.1:8080/", "a board on USB has no page of its own"


def check_a_hot_board(shown, running):
    """A small board without its fan is hot, at degrees that are nothing for a large miner."""
    truth = running.simulator.truth()[running.simulator.of("bitaxe", HOT)["address"]]
    key = truth["mac"]
    (celsius,), (word,) = (shown.of_miner("miners", "Miners", head, key) for head in ("Hottest chip", "Heat"))
    assert word == heat(celsius, truth) >= 2
    assert shown.cells("fleet", "Hottest chips", "Heat")[key] >= 2
    assert shown.cells("fleet", "Hottest chips", "To the limit")[key] < 0
    assert running.prometheus.query(f'ALERTS{{alertname="MinerChipHot", alertstate="firing", miner="{key}"}}')


def check_wallets(shown, running):
    """What the miners of the wallet report together."""
    keys = [running.simulator.of(kind)["mac"] for kind in ("bitaxe", "nerdqaxe")]
    (number,) = shown.cells("pools", "Wallets", "Linked miners", key="wallet").values()
    assert number == 2
    rates = [shown.cells("miners", "Miners", "Hash rate")[key] for key in keys]
    assert list(shown.cells("pools", "Wallets", "They report", key="wallet").values()) == pytest.approx([sum(rates)])
    assert shown.one("pools", "Reported for wallets") == pytest.approx(sum(rates), rel=0.02)
    rows = result(running.prometheus, figure("pools", BOARDS["pools"], "Linked wallet and actual pool"))
    assert {(each["metric"]["miner"], each["metric"]["linked"]) for each in rows} == {(key, "Savings") for key in keys}


def check_choices(shown, running):
    """The variables narrow what is shown."""
    hall = shown.cells("miners", "Miners", "Hash rate", site="hall")
    everything = shown.cells("miners", "Miners", "Hash rate")
    assert 0 < len(hall) < len(everything)
    assert shown.one("miners", "Chosen miners", site="hall") == len(running.simulator.devices) // 2
    assert shown.one("miners", "Chosen miners", driver="vnish|bitaxe", rack="w1") == 1
    assert shown.one("boards", "Boards", miner=next(iter(hall))) <= shown.one("boards", "Boards", site="hall")


def failures(page, name):
    """The reasons for which polls failed so far."""
    return {dict(labels)["reason"] for labels, count in page.values(name).items() if count}


def check_nothing_is_our_fault(running):
    """Whatever miners do, no poll fails by a fault of the program or a driver, and no such alarm is raised."""
    troubles = {"auth", "decode", "refused"}
    page = running.program.until(
        lambda page: troubles <= failures(page, "miner_poll_errors_total") and page, "each trouble to fail a poll"
    )
    for name in ("miner_poll_errors_total", "miner_exporter_poll_failures_total"):
        assert "internal" not in failures(page, name), running.program.log()
    assert set(page.values("miner_exporter_exposition_faults_total").values()) == {0}, running.program.log()
    assert [entry for entry in running.program.entries() if entry["level"] in ("ERROR", "CRITICAL")] == []
    # Answers that cannot be read are no fault of ours: looked at when the rules have seen them.
    seen = 'sum(increase(miner_exporter_poll_failures_total{reason="decode"}[30m])) > 0'
    wait_for(lambda: running.prometheus.query(seen), "a scrape after a broken answer")
    rules = 'prometheus_rule_group_last_evaluation_timestamp_seconds{rule_group=~".*;flockwatch-alerts-exporter"}'
    after = f"{rules} > {running.program.now()}"
    wait_for(lambda: running.prometheus.query(after), "the rules after it")
    assert running.prometheus.query('max_over_time(ALERTS{alertname="ExporterInternalErrors"}[1h])') == []


def test_each_panel_is_compared_or_named_with_the_reason_why_not():
    compared = {told.place[:2] for told in TOLD} | {place[:2] for place, *_ in WORDS} | OF_THE_FLOCK
    assert compared & set(NOT_COMPARED) == set()
    assert all(reason for reason in [*NOT_COMPARED.values(), *NOT_OF_MINERS.values()])
    there = {
        (name, panel["title"])
        for name, document in BOARDS.items()
        for panel in panels(document)
        if name not in NOT_OF_MINERS
    }
    assert there == compared | set(NOT_COMPARED)


def test_panels_show_the_truth_and_none_is_empty(tmp_path):
    with stack(tmp_path) as running:
        running.settle()
        truth = freeze(running)
        shown = Shown(running.prometheus)
        for kind in KINDS:
            told = truth[running.simulator.of(kind)["address"]]
            eventually(lambda told=told: check_a_miner(shown, told))
        eventually(lambda: check_the_flock(shown, running, truth))
        eventually(lambda: check_the_boards_on_usb(shown, running))
        eventually(lambda: check_choices(shown, running))
        for asked in linked_queries():
            eventually(lambda asked=asked: check_links(running, asked))

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
        for name, document in BOARDS.items():
            for table in tables(document):
                eventually(lambda name=name, table=table: check_rows(running, name, table))
        eventually(lambda: check_a_hot_board(shown, running))
        eventually(lambda: check_wallets(shown, running))
        assert running.prometheus.failing_rules() == {}
        check_nothing_is_our_fault(running)
