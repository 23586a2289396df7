"""The rules: promtool's own tests, and what every rule must have."""

import functools
import re
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml

from exporter.metrics.catalog import CATALOGUE
from exporter.metrics.catalog_wallet import WALLET_METRICS
from exporter.metrics.selfmetrics import SELF_METRICS
from tests.end_to_end.programs import ROOT
from tests.stack.servers import PROMETHEUS, alerts, binary, rule_files, rules, store_alerts

RULES = rules()
ALERTS = alerts()
RECORDED = [(file, rule) for file, rule in RULES if "record" in rule]
#: With those that a store for several halls raises; promtool's tests of these are in test_scale.py.
EVERY_ALERT = [*ALERTS, *store_alerts()]
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
#: What Prometheus, Alertmanager and the client library tell of themselves, as far as the rules use it.
WELL_KNOWN = {
    "ALERTS", "up", "scrape_duration_seconds", "process_start_time_seconds",
    "prometheus_config_last_reload_successful", "prometheus_notifications_alertmanagers_discovered",
    "prometheus_notifications_dropped_total", "prometheus_remote_storage_highest_timestamp_in_seconds",
    "prometheus_remote_storage_queue_highest_sent_timestamp_seconds", "prometheus_rule_evaluation_failures_total",
    "prometheus_target_scrapes_exceeded_sample_limit_total", "prometheus_tsdb_compactions_failed_total",
    "prometheus_tsdb_wal_corruptions_total",
    "alertmanager_config_last_reload_successful", "alertmanager_notifications_failed_total",
}  # fmt: skip
#: News, and what is gone when its cause is: these end on their own.
NEWS = {"MinerBlockFound", "MinerNewBestShare", "WalletNewBestShare", "DailySummary", "FlockShrank"}
#: They hold no longer than the target they are about, which does not depend on what the exporter says.
ABOUT_TARGETS = {"ExporterDown", "ExporterAbsent", "ExporterRestarting"}
#: In a group of promtool's tests that is named after its rule alone, each case is a subject of its own. By the kind of
#: the alert: the label that tells the subjects apart, and the subject whose alarm fires and ends.
SUBJECTS = {
    "Miner": ("miner", "aa"),
    "Wallet": ("wallet", "3"),
    "Site": ("site", "home"),
    "Flock": ("job", "flockwatch"),
}
#: What the other subjects with these names are about.
ABOUT = {
    "well": "stays away",
    "muted": "is not for a miner that is muted",
    "silent": "goes on while the miner is silent",
    "lone": "goes on while the exporter is down",
}


def known_names():
    names = {spec.name for spec in (*CATALOGUE, *SELF_METRICS, *WALLET_METRICS)}
    histograms = {spec.name for spec in SELF_METRICS if spec.type == "histogram"}
    names |= {f"{name}{end}" for name in histograms for end in ("_bucket", "_sum", "_count")}
    return names | WELL_KNOWN | {rule["record"] for _, rule in RECORDED}


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
    files = [*(PROMETHEUS / "rules").glob("*.yml"), *(ROOT / "deploy/scale").glob("*.rules.yml")]
    done = run(binary("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *files)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "rule", [rule for _, rule in (*RULES, *store_alerts())], ids=lambda rule: rule.get("alert", rule.get("record"))
)
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


@pytest.mark.parametrize(
    "rule", [r for _, r in EVERY_ALERT], ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}"
)
def test_an_alert_has_all_that_a_person_needs(rule):
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
    assert pages == {rule["alert"] for _, rule in EVERY_ALERT}


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
    # A miner that has just come back may not have told all its readings yet.
    assert "unless on (job, instance, miner) (miner_up == 1)" not in expression


def seconds(text):
    return sum(int(number) * {"s": 1, "m": 60, "h": 3600}[unit] for number, unit in re.findall(r"(\d+)([smh])", text))


def subjects(group, label):
    """The values of a label in the input of a group, in their order."""
    found = (re.search(rf'\b{label}="([^"]*)"', each["series"]) for each in group["input_series"])
    return list(dict.fromkeys(match[1] for match in found if match))


def of_subject(entries, label, subject):
    """The entries with no alerts but those of a subject."""
    return [
        {**entry, "exp_alerts": [each for each in entry["exp_alerts"] if each["exp_labels"][label] == subject]}
        for entry in entries
    ]


def cases_of(group):
    """(alert, severity, what the case is about, its entries in the order of time) of each case of a group."""
    match = re.fullmatch(r"(\w+) \((\w+)(?:, [\w ]+)?\)(?: (.+))?", group["name"])
    assert match, group["name"]
    name, severity, about = match.groups()
    entries = sorted(group["alert_rule_test"], key=lambda entry: seconds(entry["eval_time"]))
    assert {entry["alertname"] for entry in entries} == {name}, group["name"]
    if about:
        return [(name, severity, about, entries)]
    label, first = SUBJECTS[re.match("[A-Z][a-z]+", name)[0]]
    meanings = {first: "fires and ends", **ABOUT}
    return [
        (name, severity, meanings.get(each, f"is about {each}"), of_subject(entries, label, each))
        for each in subjects(group, label)
    ]


@functools.cache
def promtool_tests():
    """(stems of the rule files, group) of each group of promtool's tests."""
    groups = []
    for path in TESTS:
        document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
        used = {Path(file).stem for file in document["rule_files"]}
        groups += [(used, group) for group in document["tests"]]
    return groups


def promtool_groups():
    """Those of the groups that test an alert."""
    return [(used, group) for used, group in promtool_tests() if "alert_rule_test" in group]


@functools.cache
def promtool_cases():
    return [case for _, group in promtool_groups() for case in cases_of(group)]


def fires(entry, severity):
    return any(alert["exp_labels"]["severity"] == severity for alert in entry["exp_alerts"])


def test_promtool_tests_an_alert_with_the_file_that_has_it():
    for used, group in promtool_groups():
        name = cases_of(group)[0][0]
        assert {file for file, rule in ALERTS if rule["alert"] == name} & used, group["name"]


@pytest.mark.parametrize(("file", "rule"), ALERTS, ids=[f"{r['alert']}-{r['labels']['severity']}" for _, r in ALERTS])
def test_every_alert_is_seen_to_fire_to_end_and_to_stay_away(file, rule):
    name, severity = rule["alert"], rule["labels"]["severity"]

    def seen(*about):
        """For each case about one of these, whether the alarm is on at each time that is looked at."""
        cases = [case for case in promtool_cases() if case[:2] == (name, severity) and case[2] in about]
        return [[fires(entry, severity) for entry in entries] for *_, entries in cases]

    if name == "Watchdog":
        assert [all(states) for states in seen("is always on")] == [True]
        return
    assert seen("fires and ends"), "never fires"
    for states in seen("fires and ends"):
        assert True in states, "never fires"
        assert states[-1] is False, "is not seen to end"
        assert states[0] is False or rule["for"] == "0s", "is not seen to wait"
    assert seen("stays away"), "is not seen to stay away"
    assert not any(map(any, seen("stays away")))
    if name.startswith("Miner") and name not in NEWS:
        assert seen("is not for a miner that is muted"), "is not seen to be muted"
        assert not any(map(any, seen("is not for a miner that is muted")))
    if "ALERTS{" in rule["expr"]:
        assert seen(ABOUT["silent"], ABOUT["lone"]), "is not seen to hold"
        for states in seen(ABOUT["silent"], ABOUT["lone"]):
            assert states[-1] is True, "does not hold"
            assert states == sorted(states), "goes off and on"


def readings(group, miner):
    """{a series without what identifies the miner: its values} of a miner in the input of a group."""
    return {
        re.sub(r',(instance|miner|name|ip|model)="[^"]*"', "", each["series"]): each["values"]
        for each in group["input_series"]
        if f',miner="{miner}"' in each["series"]
    }


MINER_GROUPS = [group for _, group in promtool_groups() if re.fullmatch(r"Miner\w+ \([^)]*\)", group["name"])]


@pytest.mark.parametrize("group", MINER_GROUPS, ids=lambda group: group["name"])
def test_the_miners_of_a_group_are_what_they_are_called(group):
    """That no alarm is seen of a miner proves nothing unless the miner gives a reason for one."""
    up, muted = 'miner_up{job="flockwatch"}', 'miner_muted{job="flockwatch"}'
    first, quiet, well = (readings(group, miner) for miner in ("aa", "muted", "well"))
    assert first.keys() == quiet.keys() == well.keys()
    assert [series for series in first if first[series] != quiet[series]] == [muted]
    assert quiet[muted].startswith("1x")
    assert first != well
    if silent := readings(group, "silent"):
        assert silent[up].split()[-1].startswith("0x")
    if lone := readings(group, "lone"):
        assert lone[up].endswith(" stale")
        exporters = {each["series"]: each["values"] for each in group["input_series"]}
        assert exporters['up{job="flockwatch",instance="barn:9877"}'].split()[-1].startswith("0x")


@pytest.mark.parametrize(("file", "rule"), RECORDED, ids=[rule["record"] for _, rule in RECORDED])
def test_every_record_is_seen_with_its_values(file, rule):
    checks = [
        check
        for used, group in promtool_tests()
        if file in used
        for check in group.get("promql_expr_test", ())
        if check["expr"] == rule["record"]
    ]
    assert any(check["exp_samples"] for check in checks)


def test_who_is_watched_hangs_on_no_other_record():
    """A scrape may end between two rules of a group, and then the two are made of different samples."""
    expression = next(rule["expr"] for _, rule in RECORDED if rule["record"] == "miner:watched")
    assert {name for name in metric_names(expression) if ":" in name} == {"miner:watched"}


def test_names_of_recording_rules_are_level_metric_operation():
    levels = {"miner", "wallet", "site", "model", "flock"}
    for _, rule in RECORDED:
        assert rule["record"].split(":")[0] in levels, rule["record"]
        assert re.fullmatch(r"[a-z]+:[a-z_]+(:[a-z0-9_]+)?", rule["record"]), rule["record"]


def test_no_name_is_recorded_twice_and_no_group_twice():
    recorded = [rule["record"] for _, rule in RECORDED]
    assert len(recorded) == len(set(recorded))
    groups = [group["name"] for file in rule_files().values() for group in file["groups"]]
    assert len(groups) == len(set(groups))


def test_the_documentation_lists_every_alert():
    text = (ROOT / "docs" / "alerts.md").read_text()
    for _, rule in EVERY_ALERT:
        row = f"| [{rule['alert']}](runbooks/{rule['alert']}.md) | {rule['labels']['severity']} | {rule['for']} |"
        assert row in text, rule["alert"]
    assert text.count("](runbooks/") == len(EVERY_ALERT)
