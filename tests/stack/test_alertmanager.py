"""The shipped configuration in a real Alertmanager: who is told, what is put together, what is kept back."""

import datetime as dt
import re
import subprocess
import time

import pytest
import yaml

from tests.end_to_end.programs import wait_for
from tests.stack.servers import PROMETHEUS, Alertmanager, Sink, alerts, binary, quick_configuration

CONFIGURATION = PROMETHEUS / "alertmanager.yml"
DOCUMENT = yaml.safe_load(CONFIGURATION.read_text())
ALERTS = alerts()
AT = {"job": "flockwatch", "instance": "hall:9877", "site": "hall"}

pytestmark = pytest.mark.realstack


def alarm(alertname, severity, miner=None, **labels):
    who = {"miner": miner, "name": miner} if miner else {}
    return {"alertname": alertname, "severity": severity, **AT, **who, **labels}


def now():
    return dt.datetime.now(dt.UTC).isoformat()


@pytest.fixture
def sink():
    running = Sink()
    yield running
    running.close()


@pytest.fixture
def alertmanager(tmp_path, sink):
    running = Alertmanager(tmp_path, quick_configuration(tmp_path, sink))
    yield running
    running.stop()


def amtool(*words):
    return subprocess.run([binary("amtool"), *map(str, words)], capture_output=True, text=True, check=False, timeout=60)


def version():
    text = amtool("--version")
    return tuple(map(int, re.search(r"version (\d+)\.(\d+)", text.stdout + text.stderr).groups()))


# --- the file -----------------------------------------------------------------------------------------------------


def test_amtool_accepts_the_file():
    done = amtool("check-config", CONFIGURATION)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 templates" in done.stdout


def with_telegram():
    """The file with the receivers for Telegram uncommented, as an operator would do it."""
    lines = CONFIGURATION.read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if line == "  # - name: telegram")
    end = next(number for number, line in enumerate(lines) if number > begin and not line.startswith("  #"))
    lines[begin:end] = [line.replace("  # ", "  ", 1) for line in lines[begin:end]]
    return "\n".join(lines) + "\n"


def test_telegram_needs_a_newer_alertmanager_for_its_file_and_works_with_a_token_in_an_older_one(tmp_path):
    path = tmp_path / "alertmanager.yml"
    path.write_text(with_telegram().replace("receiver: nobody  # who is told of alarms", "receiver: telegram  #"))
    done = amtool("check-config", path)
    assert (done.returncode == 0) is (version() >= (0, 26)), done.stdout + done.stderr
    path.write_text(path.read_text().replace("bot_token_file: /run/secrets/telegram_token", 'bot_token: "1:x"'))
    done = amtool("check-config", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_secret_stands_in_the_file():
    secret = re.compile(r"(password|token|api_url|credentials|secret|api_key|routing_key|webhook_url)$")

    def look(node, path=""):
        if isinstance(node, dict):
            for key, value in node.items():
                assert not secret.search(str(key)), f"{path}.{key}"
                look(value, f"{path}.{key}")
        elif isinstance(node, list):
            for each in node:
                look(each, path)

    look(DOCUMENT)
    # Telegram's is the sixth, in the part that is commented out.
    files = set(re.findall(r"_file: ([\w/]+)", CONFIGURATION.read_text()))
    assert len(files) == 6
    assert all(path.startswith("/run/secrets/") for path in files)


def test_every_receiver_has_a_twin_for_news_that_tells_no_end():
    receivers = {each["name"]: each for each in DOCUMENT["receivers"]}
    assert set(receivers) >= {"email", "slack", "discord", "webhook", "ntfy"}
    for name, receiver in receivers.items():
        kinds = [value for key, value in receiver.items() if key != "name"]
        for integration in (each for kind in kinds for each in kind):
            assert integration["send_resolved"] is not name.endswith("-news")
        if kinds and not name.endswith("-news"):
            assert f"{name}-news" in receivers


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=MinerDown", "severity=critical"], "webhook"),
        (["alertname=MinerHashrateLow", "severity=warning"], "webhook"),
        (["alertname=MinerBlockFound", "severity=info"], "webhook-news"),
        (["alertname=DailySummary", "severity=info"], "webhook-news"),
        (["alertname=Watchdog", "severity=none"], "nobody"),
        (["alertname=SomethingOfYours"], "webhook"),
    ],
)
def test_amtool_routes(tmp_path, sink, labels, receiver):
    path = quick_configuration(tmp_path, sink)
    done = amtool("config", "routes", "test", f"--config.file={path}", f"--verify.receivers={receiver}", *labels)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == receiver


def matches(matcher, labels):
    name, operator, value = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher).groups()
    have = labels.get(name, "")
    if operator in ("=", "!="):
        return (have == value) is (operator == "=")
    return bool(re.fullmatch(value, have)) is (operator == "=~")


def test_no_two_alarms_keep_each_other_back():
    """A ring would silence all of its alarms."""
    every = {(rule["alert"], rule["labels"]["severity"]) for _, rule in ALERTS}
    about = {
        name: {"alertname": name, "severity": severity, **({"miner": "aa"} if name.startswith("Miner") else {})}
        for name, severity in every
    }
    edges = {name: set() for name in about}
    for rule in DOCUMENT["inhibit_rules"]:
        for source, its in about.items():
            if "alertname" in rule["equal"] or not all(matches(each, its) for each in rule["source_matchers"]):
                continue
            for target, others in about.items():
                if target != source and all(matches(each, others) for each in rule["target_matchers"]):
                    edges[source].add(target)

    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for follower in edges[todo.pop()] - seen:
                seen.add(follower)
                todo.append(follower)
        return seen

    assert "MinerDown" in edges["SiteMinersDown"]
    assert "MinerBoardDown" in reach("SiteMinersDown")
    assert edges["MinerDown"] >= {"MinerBoardDown", "MinerFanStopped"}
    assert [name for name in edges if name in reach(name)] == []


def test_inhibitions_name_alerts_that_exist():
    rules = DOCUMENT["inhibit_rules"]
    matchers = " ".join(each for rule in rules for each in (*rule["source_matchers"], *rule["target_matchers"]))
    named = set(re.findall(r"[A-Z][A-Za-z]{5,}", matchers))
    assert named <= {rule["alert"] for _, rule in ALERTS}


# --- the program --------------------------------------------------------------------------------------------------


def test_alarms_of_a_kind_and_site_come_in_one_message(alertmanager, sink):
    alertmanager.post(
        *(alarm("MinerFanStopped", "critical", f"m{number}", fan="1") for number in range(3)),
        alarm("MinerFanStopped", "critical", "far", fan="1") | {"site": "barn"},
        alarm("MinerRejectsHigh", "warning", "m0"),
    )
    wait_for(lambda: len(sink.messages()) >= 3, "three messages")
    groups = {
        (message["groupLabels"]["alertname"], message["groupLabels"]["site"]): len(message["alerts"])
        for message in sink.messages("webhook")
    }
    assert groups == {("MinerFanStopped", "hall"): 3, ("MinerFanStopped", "barn"): 1, ("MinerRejectsHigh", "hall"): 1}
    assert all(headers["Authorization"] == "Bearer s3cret" for _, headers, _ in sink.posts)


def test_a_site_that_is_down_silences_its_silent_miners_only(alertmanager, sink):
    """What those tell that still answer may be why the others do not: heat, say. It arrives."""
    answering = [
        alarm("MinerOverheat", "critical", "hot"),
        alarm("MinerCoolantHot", "critical", "wet"),
        alarm("MinerPoolUnexpected", "critical", "robbed"),
        alarm("MinerBoardDown", "warning", "halved", board="2"),
    ]
    silent = [
        *(alarm("MinerDown", "critical", f"m{number}") for number in range(4)),
        alarm("MinerSignInRefused", "warning", "m4"),
        alarm("MinerUnstable", "warning", "m5"),
    ]
    # Of a miner that is down, whose own alarm is kept back and keeps this one back all the same.
    board = alarm("MinerBoardDown", "warning", "m0", board="1")
    alertmanager.post(alarm("SiteMinersDown", "critical") | {"instance": ""})
    wait_for(lambda: sink.told("firing", alertname="SiteMinersDown"), "the site's alarm")
    alertmanager.post(*silent, board, *answering, alarm("MinerDown", "critical", "far") | {"site": "barn"})
    wait_for(lambda: sink.told("firing", alertname="MinerDown"), "the other site's miner")
    for each in answering:
        wait_for(lambda labels=each: sink.told("firing", **labels), f"{each['alertname']} of a miner that answers")
    kept_back = [each["alertname"] for each in (*silent, board)]
    wait_for(lambda: alertmanager.suppressed() == sorted(kept_back), "the alarms of silent miners to be kept back")
    assert [each["labels"]["site"] for each in sink.told("firing", alertname="MinerDown")] == ["barn"]
    for each in (*silent, board):
        assert sink.told("firing", **each) == []


@pytest.mark.parametrize(
    ("cause", "kept_back", "told"),
    [
        (
            alarm("MinerDown", "critical", "m1"),
            [alarm("MinerBoardDown", "warning", "m1", board="2"), alarm("MinerFanStopped", "critical", "m1", fan="1")],
            alarm("MinerBoardDown", "warning", "m2", board="2"),
        ),
        (
            alarm("MinerChipHot", "critical", "m1", board="1"),
            [alarm("MinerChipHot", "warning", "m1", board="1")],
            alarm("MinerChipHot", "warning", "m1", board="2"),
        ),
        (
            alarm("MinerSignInRefused", "warning", "m1"),
            [alarm("MinerDown", "critical", "m1")],
            alarm("MinerDown", "critical", "m2"),
        ),
        (
            alarm("MinerNoPool", "critical", "m1"),
            [alarm("MinerNotHashing", "critical", "m1"), alarm("MinerNoShares", "critical", "m1")],
            alarm("MinerNotHashing", "critical", "m2"),
        ),
        (
            {"alertname": "ExporterDown", "severity": "critical", "job": AT["job"], "instance": AT["instance"]},
            [alarm("MinerDown", "critical", "m1"), alarm("ExporterPollsLate", "warning")],
            alarm("MinerDown", "critical", "m2") | {"instance": "barn:9877"},
        ),
    ],
    ids=lambda value: value["alertname"] if isinstance(value, dict) else "",
)
def test_a_cause_keeps_back_what_follows_from_it(alertmanager, sink, cause, kept_back, told):
    alertmanager.post(cause)
    wait_for(lambda: sink.told("firing", **cause), "the cause")
    alertmanager.post(*kept_back, told)
    wait_for(lambda: sink.told("firing", **told), "an alarm that has nothing to do with it")
    wait_for(lambda: len(alertmanager.suppressed()) == len(kept_back), "alarms kept back")
    for each in kept_back:
        assert sink.told("firing", **each) == []


def test_an_alarm_is_told_once_and_its_end_once(alertmanager, sink):
    down = alarm("MinerDown", "critical", "m1")
    alertmanager.post(down)
    wait_for(lambda: sink.told("firing", **down), "the alarm")
    alertmanager.post(down)
    alertmanager.post(down, ends=now())
    wait_for(lambda: sink.told("resolved", **down), "its end")
    alertmanager.post(alarm("MinerFault", "critical", "m2"))
    wait_for(lambda: sink.told("firing", alertname="MinerFault"), "another alarm")
    assert len(sink.told("firing", **down)) == 1
    assert len(sink.told("resolved", **down)) == 1


def test_the_end_of_news_is_not_told(alertmanager, sink):
    block = alarm("MinerBlockFound", "info", "m1")
    alertmanager.post(block)
    wait_for(lambda: sink.messages("webhook-news"), "the news")
    alertmanager.post(block, ends=now())
    # Alertmanager forgets an alert only after it has dealt with its end.
    time.sleep(3)
    alertmanager.post(alarm("MinerFault", "critical", "m2"))
    wait_for(lambda: sink.told("firing", alertname="MinerFault"), "another alarm")
    assert sink.told("resolved") == []
    assert len(sink.messages("webhook-news")) == 1


def daily_summary():
    """(labels, annotations) of the daily summary, as Prometheus makes them: promtool compares them with the rule's."""
    document = yaml.safe_load((PROMETHEUS / "tests/alerts-news.yml").read_text())
    made = [
        alert
        for group in document["tests"]
        for entry in group["alert_rule_test"]
        for alert in entry["exp_alerts"]
        if entry["alertname"] == "DailySummary"
    ]
    return {"alertname": "DailySummary", **made[0]["exp_labels"]}, made[0]["exp_annotations"]


def test_the_daily_summary_arrives_with_its_figures(alertmanager, sink):
    labels, annotations = daily_summary()
    assert re.search(r"Hash rate: \d+TH/s .*Power: \d+kW\. .*Shares of 24 h: \d+ accepted", annotations["description"])
    alertmanager.post(labels, annotations=annotations)
    (message,) = wait_for(lambda: sink.messages(), "the summary")
    assert message["receiver"] == "webhook-news"
    assert [alert["annotations"] for alert in message["alerts"]] == [annotations]


def test_the_daily_summary_reads_well(tmp_path, sink):
    labels, annotations = daily_summary()
    running = Alertmanager(tmp_path, quick_configuration(tmp_path, sink, receiver="discord"))
    try:
        running.post(labels, annotations=annotations)
        (message,) = wait_for(lambda: list(sink.posts), "the summary")
    finally:
        running.stop()
    attachment = message[2]["attachments"][0]
    assert attachment["title"] == f"News: {annotations['summary']}"
    assert attachment["color"] == "good"
    first, second, since, page = attachment["text"].strip().splitlines()
    assert (first, second) == (annotations["summary"], annotations["description"])
    assert re.fullmatch(r"Since \d{4}-\d\d-\d\d \d\d:\d\d UTC", since)
    assert page == f"What to do: {annotations['runbook_url']}"


def test_the_watchdog_goes_to_nobody_until_somebody_is_named(alertmanager, sink):
    alertmanager.post(alarm("Watchdog", "none"), alarm("MinerFault", "critical", "m2"))
    wait_for(lambda: sink.told("firing", alertname="MinerFault"), "another alarm")
    assert sink.told("firing", alertname="Watchdog") == []


def test_messages_to_people_read_well(tmp_path, sink):
    running = Alertmanager(tmp_path, quick_configuration(tmp_path, sink, receiver="discord"))
    try:
        two = [alarm("MinerFanStopped", "critical", f"m{number}", fan="1", model="S19") for number in range(2)]
        running.post(*two)
        first = wait_for(lambda: sink.posts, "a message")[0]
        running.post(*two, ends=now())
        wait_for(lambda: len(sink.posts) >= 2, "its end")
    finally:
        running.stop()
    attachment = first[2]["attachments"][0]
    assert first[0] == "/slack"
    assert attachment["title"] == "ALARM (hall): MinerFanStopped of m0 - 2 in all"
    assert attachment["color"] == "danger"
    text = attachment["text"]
    assert "MinerFanStopped of m1\nWhat is known.\nSince 20" in text
    assert " UTC, miner m1, S19\nWhat to do: https://example.org/runbook" in text
    ended = sink.posts[-1][2]["attachments"][0]
    assert ended["title"] == "Ended (hall): MinerFanStopped of m0 - 2 in all"
    assert "MinerFanStopped of m0: since 20" in ended["text"]
    assert ended["color"] == "good"
