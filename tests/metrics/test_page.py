"""The page: families in order, expiry, filters, many writers and readers."""

from __future__ import annotations

import threading

from exporter.metrics.catalog import CATALOGUE, RenderOptions
from exporter.metrics.page import END, PageStore
from exporter.model import Board, Chip, Reading
from tests.metrics.flock import NOW, full_reading, names_in, record, samples_of, text_of


def filled(count: int = 3, options: RenderOptions | None = None) -> PageStore:
    store = PageStore(options)
    for miner_id in range(1, count + 1):
        store.publish(record(miner_id, reading=full_reading()))
    return store


def test_an_empty_store_writes_an_empty_page():
    assert text_of(PageStore()) == ""
    assert text_of(PageStore(), openmetrics=True) == "# EOF\n"


def test_each_family_has_one_header_and_its_samples_together():
    text = text_of(filled())
    families: list[str] = []
    for line in text.splitlines():
        name = line.split()[2] if line.startswith("#") else line.partition("{")[0]
        if not families or families[-1] != name:
            families.append(name)
    assert len(families) == len(set(families))
    in_order = [family.name for family in CATALOGUE if family.name in set(families)]
    assert families == in_order
    assert text.count("# TYPE miner_up gauge") == 1


def test_a_family_without_samples_is_left_out_with_its_header():
    store = PageStore()
    store.publish(record())
    assert "miner_power_watts" not in text_of(store)


def test_openmetrics_differs_in_the_headers_only():
    store = filled()
    text, openmetrics = text_of(store), text_of(store, openmetrics=True)
    without = [line for line in text.splitlines() if not line.startswith("#")]
    assert without == [line for line in openmetrics.splitlines() if not line.startswith("#")]
    assert "# TYPE miner_hashes counter\n# UNIT miner_hashes hashes\n# HELP miner_hashes " in openmetrics
    assert "# TYPE miner_hashes_total counter" in text
    assert openmetrics.endswith("\n# EOF\n")
    assert END not in b"".join(store.write(True, NOW, end=False))


def test_names_choose_families_and_an_id_chooses_a_miner():
    store = filled()
    assert names_in(text_of(store, names={"miner_up", "miner_power_watts"})) == {"miner_up", "miner_power_watts"}
    assert {series.split('"')[1] for series in samples_of(text_of(store, miner_id=2))} == {"02:00:00:00:00:02"}
    assert text_of(store, miner_id=99) == ""
    assert 2 in store
    assert 99 not in store


def test_one_expired_row_does_not_touch_the_others():
    store = PageStore()
    store.publish(record(1, reading=Reading(power=1.0), expires_at=NOW + 10.0))
    store.publish(record(2, reading=Reading(power=2.0), expires_at=NOW + 20.0))
    samples = samples_of(text_of(store, now=NOW + 15.0))
    assert samples['miner_up{miner="02:00:00:00:00:01"}'] == 0.0
    assert samples['miner_up{miner="02:00:00:00:00:02"}'] == 1.0
    assert [series for series in samples if series.startswith("miner_power_watts")] == [
        'miner_power_watts{miner="02:00:00:00:00:02"}'
    ]


def test_two_rows_never_share_a_key():
    store = PageStore()
    store.publish(record(1, key="addr:bitaxe:192.0.2.1", reading=Reading(power=1.0)))
    store.publish(record(2, key="02:00:00:00:00:aa", reading=Reading(power=2.0)))
    store.publish(record(1, key="02:00:00:00:00:aa", reading=Reading(power=3.0)))
    samples = samples_of(text_of(store, names={"miner_power_watts"}))
    assert samples == {'miner_power_watts{miner="02:00:00:00:00:aa"}': 3.0}
    store.remove(1)
    store.publish(record(2, key="02:00:00:00:00:aa", reading=Reading(power=4.0)))
    store.publish(record(3, key="addr:bitaxe:192.0.2.1", reading=Reading(power=5.0)))
    assert sorted(samples_of(text_of(store, names={"miner_power_watts"})).values()) == [4.0, 5.0]


def test_new_options_show_at_once():
    reading = Reading(boards=(Board("0", chips=(Chip("0", 50.0),)),))
    flock = [record(1, reading=reading, labels=(("site", "a"),)), record(2, reading=reading, enabled=False)]
    store = PageStore()
    for each in flock:
        store.publish(each)
    assert "miner_chip" not in text_of(store)
    store.configure(RenderOptions(chips=True, label_names=("rack", "site")), flock)
    text = text_of(store)
    assert "miner_chip_temperature_celsius" in text
    assert 'rack="",site="a"' in text
    assert len(store) == 1
    store.publish(flock[0])
    assert text_of(store) == text
    store.configure(RenderOptions(), [*flock, record(9, key=flock[0].key)])
    assert "miner_chip" not in text_of(store)
    assert len(store) == 1
    assert store.options == RenderOptions()


def test_rows_that_are_published_while_options_change_fit_the_new_ones():
    reading = Reading(power=1.0, boards=(Board("0", power=1.0, chips=(Chip("0", 50.0),)),))
    store = PageStore()
    faults: list[str] = []
    stop = threading.Event()

    def publish() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            store.publish(record(turn % 20 + 1, reading=reading))
            store.remove(turn % 7 + 1)

    def scrape() -> None:
        while not stop.is_set():
            samples = samples_of(text_of(store))
            faults.extend(series for series, value in samples.items() if "power_watts" in series and value != 1.0)

    threads = [threading.Thread(target=work) for work in (publish, scrape)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        store.configure(RenderOptions(chips=turn % 2 == 0))
    stop.set()
    for thread in threads:
        thread.join(30.0)
    assert faults == []
    store.configure(RenderOptions(chips=True))
    samples = samples_of(text_of(store))
    chips = [series for series in samples if series.startswith("miner_chip_temperature_celsius")]
    assert len(chips) == len(store) > 0


def test_new_options_show_what_changed_meanwhile():
    """Records given with the options are an older view: what the store has is newer."""
    store = PageStore()
    store.publish(record(1, reading=Reading(power=2.0)))
    store.configure(RenderOptions(chips=True), [record(1, reading=Reading(power=1.0)), record(2)])
    samples = samples_of(text_of(store))
    assert samples['miner_power_watts{miner="02:00:00:00:00:01"}'] == 2.0
    assert 'miner_up{miner="02:00:00:00:00:02"}' in samples


def test_a_large_flock_comes_in_pieces():
    store = PageStore()
    for miner_id in range(4200):
        store.publish(record(miner_id, key=f"k{miner_id}", reading=Reading(power=float(miner_id))))
    pieces = list(store.write(False, NOW, names={"miner_power_watts"}))
    assert len(pieces) == 2
    samples = samples_of(b"".join(pieces).decode())
    assert len(samples) == 4200
    assert samples['miner_power_watts{miner="k4199"}'] == 4199.0
    assert b"# TYPE" not in pieces[1]


def test_readers_see_whole_rows_while_one_writes():
    """Each generation of a miner has the same figure everywhere: a torn row would show two."""
    store = PageStore()

    def publish(miner_id: int, figure: float) -> None:
        board = Board("0", power=figure, voltage=figure)
        store.publish(record(miner_id, reading=Reading(power=figure, uptime=figure, boards=(board,))))

    for miner_id in range(1, 30):
        publish(miner_id, 0.0)
    stop = threading.Event()
    scrapes: list[int] = []
    faults: list[str] = []
    shown = {"miner_power_watts", "miner_uptime_seconds", "miner_board_power_watts", "miner_board_voltage_volts"}

    def scrape() -> None:
        done = 0
        while not stop.is_set() or not done:
            figures: dict[str, set[float]] = {}
            for series, value in samples_of(text_of(store, names=shown)).items():
                figures.setdefault(series.split('"')[1], set()).add(value)
            faults.extend(miner for miner, seen in figures.items() if len(seen) != 1)
            done += 1
        scrapes.append(done)

    readers = [threading.Thread(target=scrape) for _ in range(4)]
    for reader in readers:
        reader.start()
    for turn in range(1, 60):
        for miner_id in range(1, 30):
            publish(miner_id, float(turn))
        store.remove(turn % 29 + 1)
        publish(100 + turn, float(turn))
    stop.set()
    for reader in readers:
        reader.join(30.0)
    assert len(scrapes) == 4
    assert faults == []
