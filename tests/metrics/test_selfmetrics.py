"""The exporter's own metrics."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from exporter.errors import REASONS, FlockwatchError
from exporter.metrics.selfmetrics import SELF_METRICS, SelfMetrics
from tests.metrics.flock import samples_of


@dataclass(frozen=True)
class Loaded:
    driver_type: str
    version: str = "1.2.3"
    source: str = "bundled"
    sha256: str = "ab12"


def samples(own: SelfMetrics) -> dict[str, float]:
    return {
        series.removeprefix("miner_exporter_"): value
        for series, value in samples_of(own.render(False).decode()).items()
        if series.startswith("miner_exporter_")
    }


def test_known_series_begin_at_zero():
    own = SelfMetrics()
    own.drivers_loaded([Loaded("bitaxe"), Loaded("vnish", source="user")], ["refused.py"])
    found = samples(own)
    for driver in ("bitaxe", "vnish"):
        assert found[f'polls_total{{driver="{driver}"}}'] == 0.0
        assert found[f'poll_duration_seconds_count{{driver="{driver}"}}'] == 0.0
        assert found[f'stream_faults_total{{driver="{driver}"}}'] == 0.0
        for reason in REASONS:
            assert found[f'poll_failures_total{{driver="{driver}",reason="{reason}"}}'] == 0.0
    assert found["polls_in_flight"] == 0.0
    assert found["drivers_rejected"] == 1.0
    assert found['driver_info{driver="vnish",sha256="ab12",source="user",version="1.2.3"}'] == 1.0
    assert found['discovery_hosts_probed_total{method="network"}'] == 0.0
    assert found['devices_waiting{source="network"}'] == 0.0
    assert found['exposition_faults_total{kind="raised"}'] == 0.0
    assert 'discovery_last_run_timestamp_seconds{method="network"}' not in found


def test_polls_are_counted_from_begin_to_end():
    own = SelfMetrics()
    own.poll_begun("bitaxe")
    own.poll_begun("bitaxe")
    assert samples(own)["polls_in_flight"] == 2.0
    own.poll_ended("bitaxe", 0.05)
    own.poll_ended("bitaxe", 99.0)
    own.poll_failed("bitaxe", "timeout")
    found = samples(own)
    assert found["polls_in_flight"] == 0.0
    assert found['polls_total{driver="bitaxe"}'] == 2.0
    assert found['poll_failures_total{driver="bitaxe",reason="timeout"}'] == 1.0
    assert found['poll_duration_seconds_bucket{driver="bitaxe",le="0.025"}'] == 0.0
    # A bound belongs to its bucket.
    assert found['poll_duration_seconds_bucket{driver="bitaxe",le="0.05"}'] == 1.0
    assert found['poll_duration_seconds_bucket{driver="bitaxe",le="30.0"}'] == 1.0
    assert found['poll_duration_seconds_bucket{driver="bitaxe",le="+Inf"}'] == 2.0
    assert found['poll_duration_seconds_sum{driver="bitaxe"}'] == pytest.approx(99.05)


def test_a_poll_that_was_given_up_is_in_flight_no_more_and_no_failure():
    own = SelfMetrics()
    own.poll_begun("bitaxe")
    own.poll_dropped("bitaxe")
    found = samples(own)
    assert found["polls_in_flight"] == 0.0
    assert found['polls_total{driver="bitaxe"}'] == 1.0
    assert found['poll_duration_seconds_count{driver="bitaxe"}'] == 0.0
    assert found['poll_failures_total{driver="bitaxe",reason="timeout"}'] == 0.0


def test_an_unlisted_reason_is_counted_as_internal():
    own = SelfMetrics()
    own.poll_begun("x")
    own.poll_ended("x", 0.1)
    own.poll_failed("x", "weather")
    assert samples(own)['poll_failures_total{driver="x",reason="internal"}'] == 1.0


def test_a_fault_on_a_datagram_is_no_failure_of_a_poll():
    own = SelfMetrics()
    own.stream_fault("nmminer")
    own.stream_fault("nmminer")
    found = samples(own)
    assert found['stream_faults_total{driver="nmminer"}'] == 2.0
    assert found['poll_failures_total{driver="nmminer",reason="internal"}'] == 0.0
    assert found["polls_in_flight"] == 0.0


def test_commands_are_counted_by_how_they_ended():
    own = SelfMetrics()
    assert not any(name.startswith("commands_total") for name in samples(own))
    own.command_ended("bitaxe", "restart", "confirmed")
    own.command_ended("bitaxe", "restart", "confirmed")
    own.command_ended("bitaxe", "restart", "refused")
    found = samples(own)
    assert found['commands_total{command="restart",driver="bitaxe",result="confirmed"}'] == 2.0
    assert found['commands_total{command="restart",driver="bitaxe",result="refused"}'] == 1.0


def test_loading_drivers_again_keeps_the_counters():
    own = SelfMetrics()
    own.poll_begun("bitaxe")
    own.drivers_loaded([Loaded("bitaxe", version="2.0.0")], [])
    own.poll_ended("bitaxe", 0.1)
    assert samples(own)['polls_total{driver="bitaxe"}'] == 1.0
    assert samples(own)["polls_in_flight"] == 0.0


def test_targets_that_are_gone_are_zero():
    own = SelfMetrics()
    own.set_targets({("bitaxe", "fixed"): 2, ("vnish", "network"): 5})
    own.set_targets({("vnish", "network"): 4})
    found = samples(own)
    assert found['targets{driver="bitaxe",source="fixed"}'] == 0.0
    assert found['targets{driver="vnish",source="network"}'] == 4.0


def test_reloads():
    own = SelfMetrics()
    assert "config_last_reload_successful" not in samples(own)
    own.config_reloaded(True, 100.0)
    own.config_reloaded(False, 200.0)
    found = samples(own)
    assert found["config_last_reload_successful"] == 0.0
    assert found["config_last_reload_success_timestamp_seconds"] == 100.0


def test_discovery_adds_up():
    own = SelfMetrics()
    own.discovery_run("network", probed=254, found=5, adopted=2, ended_at=10.0)
    own.discovery_run("network", probed=254, found=5, adopted=0, ended_at=40.0)
    own.discovery_run("usb", probed=1, found=1, adopted=1, ended_at=41.0)
    own.set_devices_waiting("usb", 3)
    own.set_usb_ports({"nerdminer": 2})
    found = samples(own)
    assert found['discovery_hosts_probed_total{method="network"}'] == 508.0
    assert found['discovery_miners_found{adopted="true",method="network"}'] == 0.0
    assert found['discovery_miners_found{adopted="false",method="network"}'] == 5.0
    assert found['discovery_last_run_timestamp_seconds{method="network"}'] == 40.0
    assert found['discovery_miners_found{adopted="true",method="usb"}'] == 1.0
    assert found['devices_waiting{source="usb"}'] == 3.0


def test_a_lag_source_that_fails_costs_its_own_sample_only(caplog):
    own = SelfMetrics()

    def dead() -> float:
        raise FlockwatchError("the engine is not running")

    own.set_lag_source(dead)
    found = samples(own)
    assert "poll_lag_seconds" not in found
    assert found["polls_in_flight"] == 0.0
    assert "poll_lag_seconds" in caplog.text
    own.set_lag_source(lambda: 2.5)
    assert samples(own)["poll_lag_seconds"] == 2.5


def test_build_and_process_are_there_and_creation_times_are_not():
    text = SelfMetrics(revision="abc1234").render(False).decode()
    assert 'miner_exporter_build_info{pythonversion="3.' in text
    assert 'revision="abc1234"' in text
    assert "process_cpu_seconds_total" in text
    assert "python_gc_collections_total" in text
    assert "_created" not in text


def test_names_choose_families():
    own = SelfMetrics()
    own.poll_begun("bitaxe")
    text = own.render(False, ["miner_exporter_polls_total", "miner_exporter_polls_in_flight"]).decode()
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        'miner_exporter_polls_total{driver="bitaxe"} 1.0',
        "miner_exporter_polls_in_flight 1.0",
    ]
    assert own.render(True, ["nothing"]).decode() == "# EOF\n"


def test_every_declared_family_can_be_shown():
    own = SelfMetrics()
    own.drivers_loaded([Loaded("bitaxe")], [])
    own.set_targets({("bitaxe", "fixed"): 1})
    own.config_reloaded(True, 1.0)
    own.discovery_run("network", probed=1, found=0, adopted=0)
    own.set_lag_source(lambda: 0.0)
    own.set_usb_ports({"nerdminer": 1})
    own.command_ended("bitaxe", "restart", "confirmed")
    text = own.render(False).decode()
    for spec in SELF_METRICS:
        assert f"# TYPE {spec.name} {spec.type}\n" in text
