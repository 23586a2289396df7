"""The rules: promtool's own tests, and what every rule must have."""

import functools
import re
import subprocess

import promql_parser
import pytest
import yaml

from exporter.metrics.catalog import CATALOGUE
from exporter.metrics.catalog_wallet import WALLET_METRICS
from exporter.metrics.selfmetrics import SELF_METRICS
from tests.end_to_end.programs import ROOT
from tests.stack.servers import PROMETHEUS, alerts, binary, rule_files, rules

RULES = rules()
ALERTS = alerts()
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
#: What Prometheus, Alertmanager and the client library tell of themselves, as far as the rules use it.
WELL_KNOWN = {
    "ALERTS", "up", "scrape_duration_seconds", "process_start_time_seconds",
    "prometheus_config_last_reload_successful", "prometheus_notifications_alertmanagers_discovered",
    "prometheus_notifications_dropped_total", "prometheus_remote_storage_highest_timestamp_in_seconds",
    "prometheus_remote_storage_queue_highest_sent_timestamp_seconds", "prometheus_rule_evaluation_failures_total",
    "prometheus_tsdb_compactions_failed_total", "prometheus_tsdb_wal_corruptions_total",
    "alertmanager_config_last_reload_successful", "alertmanager_notifications_failed_total",
}  # fmt: skip
#: News, and what is gone when its cause is: these end on their own.
NEWS = {"MinerBlockFound", "MinerNewBestShare", "WalletNewBestShare", "DailySummary", "FlockShrank"}
#: They hold no longer than the target they are about, which does not depend on what the exporter says.
ABOUT_TARGETS = {"ExporterDown", "ExporterAbsent", "ExporterRestarting"}


def known_names():
    names = {spec.name for spec in (*CATALOGUE, *SELF_METRICS, *WALLET_METRICS)}
    histograms = {spec.name for spec in SELF_METRICS if spec.type == "histogram"}
    names |= {f"{name}{end}" for name in histograms for end in ("_bucket", "_sum", "_count")}
    return names | WELL_KNOWN | {rule["record"] for _, rule in RULES if "record" in rule}


def metric_names(expression):
    """The names of all metrics in an expression, read by a real PromQL parser."""
    found = set()

    def look(node):
        selector = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
        if isinstance(selector, promql_parser.VectorSelector):
            found.add(selector.name)
            return
        for attribute in ("lhs", "rhs", "expr", "param"):
            child = getattr(node, attribute, None)
            if isinstance(child, promql_parser.Expr):
                look(child)
        for child in getattr(node, "args", None) or ():
            look(child)

    look(promql_parser.parse(expression))
    return found


def template_queries(rule):
    """The expressions that annotations ask for, with what is printed into them replaced."""
    text = " ".join(rule["annotations"].values())
    plain = re.findall(r'\bquery "((?:[^"\\]|\\.)*)"', text)
    printed = re.findall(r'printf "((?:[^"\\]|\\.)*)" \$labels\.\w+ \| query', text)
    return [*plain, *(each.replace("%q", '"x"') for each in printed)]


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=110)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
@pytest.mark.realstack
def test_promtool_passes_the_tests_of_the_rules(path):
    done = run(binary("promtool"), "test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.realstack
def test_promtool_accepts_configuration_and_rules():
    done = run(binary("promtool"), "check", "config", PROMETHEUS / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(
        binary("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *(PROMETHEUS / "rules").glob("*.yml")
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", [rule for _, rule in RULES], ids=lambda rule: rule.get("alert", rule.get("record")))
def test_rules_name_only_metrics_that_exist(rule):
    names = metric_names(rule["expr"])
    for query in template_queries(rule) if "alert" in rule else ():
        names |= metric_names(query)
    assert names - known_names() == set()


def test_the_parser_sees_names_in_every_place():
    expression = (
        "sum by (a) (rate(one[5m])) > on (a) group_left () topk(1, two offset 1h) unless -three or f(four[1h:1m])"
    )
    found = metric_names(expression.replace("f(", "max_over_time("))
    assert found == {"one", "two", "three", "four"}


@pytest.mark.parametrize(("file", "rule"), ALERTS, ids=[f"{r['alert']}-{r['labels']['severity']}" for _, r in ALERTS])
def test_an_alert_has_all_that_a_person_needs(file, rule):
    name = rule["alert"]
    assert re.fullmatch(r"[A-Z][A-Za-z]+", name)
    assert rule["labels"]["severity"] in ("critical", "warning", "info", "none")
    assert re.fullmatch(r"\d+[smh]", str(rule["for"]))
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{name}.md")
    page = ROOT / "docs" / "runbooks" / f"{name}.md"
    assert page.is_file(), f"{name} has no runbook"
    text = page.read_text()
    assert text.startswith(f"# {name}\n")
    assert "## What to do" in text
    assert f"`{rule['labels']['severity']}`" in text


def test_no_runbook_is_left_over():
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
    assert pages == {rule["alert"] for _, rule in ALERTS}


@pytest.mark.parametrize(("file", "rule"), ALERTS, ids=[f"{r['alert']}-{r['labels']['severity']}" for _, r in ALERTS])
def test_an_alert_holds_and_can_be_muted(file, rule):
    """No alarm of a miner ends because the miner is silent or forgotten, and each knows who is muted."""
    name, severity, expression = rule["alert"], rule["labels"]["severity"], rule["expr"]
    if file == "alerts-stack" or name in ABOUT_TARGETS:
        return
    if name.startswith(("Miner", "Site")):
        assert "miner:watched" in expression
    if name.startswith("Wallet"):
        assert "wallet:watched" in expression
    if name not in NEWS:
        assert f'ALERTS{{alertname="{name}", alertstate="firing", severity="{severity}"}}' in expression


@functools.cache
def promtool_cases():
    """(alert, severity, what the test is about) of promtool's tests, with its entries in the order of time."""
    cases = []
    for path in TESTS:
        document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
        assert {file.split("/")[-1][:-4] for file in document["rule_files"]} >= {path.stem}
        for case in document["tests"]:
            match = re.fullmatch(r"(\w+) \((\w+)(?:, [\w ]+)?\) (.+)", case["name"])
            assert match, f"{path.name}: {case['name']}"
            cases.append((match[1], match[2], match[3], case["alert_rule_test"]))
    return cases


def seconds(text):
    return sum(int(number) * {"s": 1, "m": 60, "h": 3600}[unit] for number, unit in re.findall(r"(\d+)([smh])", text))


def fires(entry, severity):
    return any(alert["exp_labels"]["severity"] == severity for alert in entry["exp_alerts"])


@pytest.mark.parametrize(("file", "rule"), ALERTS, ids=[f"{r['alert']}-{r['labels']['severity']}" for _, r in ALERTS])
def test_every_alert_is_seen_to_fire_to_end_and_to_stay_away(file, rule):
    name, severity = rule["alert"], rule["labels"]["severity"]
    cases = {about: entries for alert, level, about, entries in promtool_cases() if (alert, level) == (name, severity)}
    if name == "Watchdog":
        assert all(fires(entry, severity) for entry in cases["is always on"])
        return
    entries = sorted(cases["fires and ends"], key=lambda entry: seconds(entry["eval_time"]))
    states = [fires(entry, severity) for entry in entries]
    assert True in states, "never fires"
    assert states[-1] is False, "is not seen to end"
    assert states[0] is False or rule["for"] == "0s", "is not seen to wait"
    assert cases["stays away"], "is not seen to stay away"
    assert not any(fires(entry, severity) for entry in cases["stays away"])
    if name.startswith("Miner") and name not in NEWS:
        assert not any(fires(entry, severity) for entry in cases["is not for a miner that is muted"])
    if "ALERTS{" in rule["expr"]:
        held = [entries for about, entries in cases.items() if about.startswith("goes on while")]
        assert held, "is not seen to hold"
        assert all(fires(entry, severity) for entries in held for entry in entries)


def test_names_of_recording_rules_are_level_metric_operation():
    levels = {"miner", "wallet", "site", "model", "flock"}
    for _, rule in RULES:
        if "record" in rule:
            assert rule["record"].split(":")[0] in levels, rule["record"]
            assert re.fullmatch(r"[a-z]+:[a-z_]+(:[a-z0-9_]+)?", rule["record"]), rule["record"]


def test_no_name_is_recorded_twice_and_no_group_twice():
    recorded = [rule["record"] for _, rule in RULES if "record" in rule]
    assert len(recorded) == len(set(recorded))
    groups = [group["name"] for file in rule_files().values() for group in file["groups"]]
    assert len(groups) == len(set(groups))


def test_the_documentation_lists_every_alert():
    text = (ROOT / "docs" / "alerts.md").read_text()
    for _, rule in ALERTS:
        row = f"| [{rule['alert']}](runbooks/{rule['alert']}.md) | {rule['labels']['severity']} | {rule['for']} |"
        assert row in text, rule["alert"]
    assert text.count("](runbooks/") == len(ALERTS)
