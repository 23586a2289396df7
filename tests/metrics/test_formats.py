"""Other people's parsers accept the page, whatever the readings hold."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from exporter.metrics.catalog import CATALOGUE, RenderOptions
from exporter.metrics.page import PageStore
from exporter.metrics.selfmetrics import SelfMetrics
from tests.metrics.flock import NOW, USB, flocks, full_reading, record, samples_of, text_of

ALL = RenderOptions(chips=True, pool_user=True, label_names=("rack", "site"))


def whole_page(openmetrics: bool) -> str:
    """Miners and exporter, as /metrics joins them."""
    store, own = PageStore(ALL), SelfMetrics()
    store.publish(record(1, reading=full_reading(), usb=USB, pools_expected=((("0",), True),)))
    store.publish(record(2, up=False, reading=None))
    own.poll_begun("bitaxe")
    own.poll_ended("bitaxe", 0.2)
    own.poll_failed("bitaxe", "timeout")
    own.discovery_run("network", probed=10, found=2, adopted=1)
    own.config_reloaded(True, 1.7e9)
    own.set_targets({("bitaxe", "network"): 2})
    own.set_lag_source(lambda: 0.0)
    return text_of(store, openmetrics=openmetrics, end=False) + own.render(openmetrics).decode()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(flock=flocks())
def test_any_reading_gives_a_page_that_parses(flock):
    store = PageStore(ALL)
    for each in flock:
        store.publish(each)
    text = text_of(store)
    ours = samples_of(text)
    theirs = [sample for family in text_families(text) for sample in family.samples]
    assert len(theirs) == len(ours)
    assert all(sample.value == sample.value and abs(sample.value) != float("inf") for sample in theirs)
    openmetrics = text_of(store, openmetrics=True)
    also = [sample for family in openmetrics_families(openmetrics) for sample in family.samples]
    assert sorted(map(repr, also)) == sorted(map(repr, theirs))
    for each in flock:
        up = ours.get(f'miner_up{{miner="{each.key}"}}')
        alive = each.enabled and each.managed and each.up is True and each.expires_at > NOW
        assert up == (float(alive) if each.enabled and each.managed else None)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(first=flocks(), second=flocks())
def test_rendering_over_an_old_page_is_rendering_anew(first, second):
    store, fresh = PageStore(ALL), PageStore(ALL)
    for each in (*first, *second):
        store.publish(each)
    for each in {each.id: each for each in (*first, *second)}.values():
        fresh.publish(each)
    assert sorted(text_of(store).splitlines()) == sorted(text_of(fresh).splitlines())


@pytest.mark.parametrize("openmetrics", [False, True])
def test_the_whole_page_parses_and_types_agree(openmetrics):
    text = whole_page(openmetrics)
    families = list((openmetrics_families if openmetrics else text_families)(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    types = {family.name: family.type for family in families}
    for spec in CATALOGUE:
        # Both parsers name a counter's family without _total.
        assert types[spec.name.removesuffix("_total") if spec.type == "counter" else spec.name] == spec.type
    samples_of(text)


def test_openmetrics_units_are_the_suffixes():
    for family in openmetrics_families(whole_page(True)):
        if family.unit:
            assert family.name.endswith(f"_{family.unit}")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (apt-get install prometheus)")
def test_promtool_finds_nothing_to_say():
    text = whole_page(False)
    ours = text[: text.index("# HELP process_") if "# HELP process_" in text else text.index("# HELP python_")]
    own = text[text.index("# HELP miner_exporter_") :]
    checked = subprocess.run(["promtool", "check", "metrics"], input=ours + own, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
