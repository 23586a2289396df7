"""What every dashboard must have: the rules of Grafana's dashboard-linter, and some of our own."""

import json
import re
from collections import Counter

import promql_parser
import pytest

from exporter.metrics.catalog import CATALOGUE
from exporter.metrics.catalog_wallet import WALLET_METRICS
from grafana.source import looks
from grafana.source.links import RUNBOOKS
from grafana.source.queries import STATES, WARM
from tests.end_to_end.programs import ROOT
from tests.grafana.boards import dashboards, filled, linked, order_of, panels, queries, tables
from tests.stack.test_rules import known_names, metric_names

BOARDS = dashboards()
TABLES = [(name, panel) for name, document in BOARDS.items() for panel in tables(document)]
PANELS = [(name, panel) for name, document in BOARDS.items() for panel in panels(document)]
QUERIES = [asked for name, document in BOARDS.items() for asked in queries(name, document)]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
#: Names that Grafana's table of units knows; it scales those of base units.
UNITS = {
    "Hs", "watt", "watth", "celsius", "rotrpm", "percentunit", "hertz", "volt", "s", "dtdurations", "dateTimeFromNow",
    "bytes", "dBm", "amp", "short", "sishort", "cps", "none", "locale", "string",
}  # fmt: skip
#: What Prometheus and Alertmanager tell of themselves and the scrapes, as far as the dashboards use it.
WELL_KNOWN = {
    "up", "scrape_duration_seconds", "scrape_samples_scraped", "process_cpu_seconds_total", "process_max_fds",
    "process_open_fds", "process_resident_memory_bytes", "process_start_time_seconds", "prometheus_tsdb_head_series",
    "prometheus_rule_group_last_duration_seconds",
}  # fmt: skip
#: Metrics on no dashboard: the first is read as `miner:info`, the second no miner of the simulated flock tells, so that
#: a panel of it could not be tried.
NOWHERE = {"miner_info", "miner_psu_fan_speed_rpm"}
#: They are not of the job that is chosen.
OTHER_JOBS = re.compile(r"(prometheus|alertmanager)_|ALERTS$")
#: Sums of sites and figures of the exporter have no label `miner`.
PER_MINER = re.compile(r"miner(:|_(?!exporter|wallet))")


def named(pairs):
    return {"argvalues": pairs, "ids": [f"{name}: {panel['title']}" for name, panel in pairs]}


def parsed(asked):
    """The query as a tree; of a variable, its PromQL."""
    text = filled(asked.expression)
    if asked.kind == "variable":
        text = re.fullmatch(r"label_values\((.+), \w+\)|query_result\((.+)\)", text)
        text = text[1] or text[2]
    return text, promql_parser.parse(text)


def nodes(node):
    """A node and all below it."""
    yield node
    if isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
    for attribute in ("lhs", "rhs", "expr", "param"):
        child = getattr(node, attribute, None)
        if isinstance(child, promql_parser.Expr):
            yield from nodes(child)
    for child in getattr(node, "args", None) or ():
        yield from nodes(child)


def selectors(asked):
    return [node for node in nodes(parsed(asked)[1]) if isinstance(node, promql_parser.VectorSelector)]


# --- the dashboards -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_has_what_links_need(name):
    document = BOARDS[name]
    assert document["uid"] == f"flockwatch-{name}"
    assert document["title"].startswith("Flockwatch / ")
    assert document["description"]
    assert document["editable"] is False
    assert "flockwatch" in document["tags"]
    assert document.get("id") is None
    numbers = [panel["id"] for panel in document["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
    (others, ui) = document["links"]
    assert (others["tags"], others["includeVars"], others["keepTime"]) == (["flockwatch"], True, True)
    assert ui["url"] == "${flockwatch:raw}/"


def test_names_of_dashboards_and_panels_are_unique():
    assert max(Counter(document["uid"] for document in BOARDS.values()).values()) == 1
    for name, document in BOARDS.items():
        doubles = [title for title, count in Counter(panel["title"] for panel in panels(document)).items() if count > 1]
        assert doubles == [], name


@pytest.mark.parametrize("name", BOARDS)
def test_panels_do_not_overlap_and_fill_the_width(name):
    taken = {}
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies upon {taken[x, y]}"
                taken[x, y] = panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_alarms_are_annotations(name):
    (annotation,) = BOARDS[name]["annotations"]["list"]
    assert annotation["datasource"] == SOURCE
    assert annotation["enable"] is True
    assert annotation["expr"].startswith('ALERTS{alertstate="firing"')


# --- variables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOARDS)
def test_the_variables(name):
    variables = {variable["name"]: variable for variable in BOARDS[name]["templating"]["list"]}
    order = list(variables)
    assert order[:2] == ["datasource", "job"]
    assert (variables["datasource"]["type"], variables["datasource"]["label"]) == ("datasource", "Data source")
    job = variables["job"]
    assert job["multi"] is True
    assert job["includeAll"] is False, "with All, a miner of two jobs counts twice"
    assert job["current"]["value"] == "flockwatch"
    for variable in variables.values():
        assert variable["description"], variable["name"]
        assert variable["label"], variable["name"]
        if variable["type"] != "query":
            continue
        assert variable["datasource"] == SOURCE
        assert variable["refresh"] == 2, "on a change of the time range"
        used = set(re.findall(r"\$(\w+)", variable["query"]["query"]))
        assert used <= set(order[: order.index(variable["name"])]), "a variable may depend on those before it only"
        if variable["includeAll"]:
            # Miners without a site belong to All, but there is no miner without a key.
            assert variable["allValue"] == (".+" if variable["name"] == "miner" else ".*")
    assert variables["flockwatch"]["type"] == "textbox"


def test_dashboards_of_miners_have_all_choices():
    for name in ("miners", "boards", "pools", "home", "energy"):
        variables = [variable["name"] for variable in BOARDS[name]["templating"]["list"]]
        assert variables[2:8] == ["site", "rack", "group", "driver", "model", "miner"]
    for name in ("fleet", "energy"):
        assert {"price", "currency"} <= {variable["name"] for variable in BOARDS[name]["templating"]["list"]}


def test_the_names_of_miners_are_taken_from_what_prometheus_answers():
    (variable,) = [each for each in BOARDS["miners"]["templating"]["list"] if each["name"] == "miner"]
    pattern = variable["regex"].strip("/").replace("(?<", "(?P<")
    found = re.search(pattern, '{miner="02:07:b9:89:f0:ee",name="shed, left"} 1 1795273754000')
    assert found.groupdict() == {"value": "02:07:b9:89:f0:ee", "text": "shed, left"}


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_in_use_exists(name):
    document = BOARDS[name]
    known = {variable["name"] for variable in document["templating"]["list"]}
    known |= {"__rate_interval", "__range", "__data", "__field", "__url_time_range"}
    assert set(re.findall(r"\$\{?([A-Za-z_]\w*)", json.dumps(document))) <= known


# --- panels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "panel"), **named(PANELS))
def test_a_panel_says_what_it_shows(name, panel):
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == SOURCE
    assert panel["targets"]
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in UNITS or defaults["unit"] == "suffix: J/TH"
    for override in panel["fieldConfig"]["overrides"]:
        for wanted in override["properties"]:
            assert wanted["id"] != "unit" or wanted["value"] in UNITS or wanted["value"] == "suffix: J/TH"
    assert [target["refId"] for target in panel["targets"]] == list(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(panel["targets"])]
    )
    assert all(target["datasource"] == SOURCE for target in panel["targets"])


@pytest.mark.parametrize(("name", "panel"), **named(TABLES))
def test_the_columns_of_a_table(name, panel):
    merge, order = panel["transformations"]
    assert merge["id"] == "merge"
    heads = list(order["options"]["renameByName"].values())
    assert len(set(heads)) == len(heads)
    styled = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
    assert set(heads) <= styled | set(heads)
    for sort in panel["options"].get("sortBy", ()):
        assert sort["displayName"] in heads
    assert all(target["format"] == "table" for target in panel["targets"])


def links_of(panel, head="Miner"):
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == head:
            return [link["url"] for each in override["properties"] if each["id"] == "links" for link in each["value"]]
    return []


def test_a_matrix_sorts_its_rows_as_numbers_and_colours_without_limits():
    (panel,) = [panel for _, panel in PANELS if panel["type"] == "table" and order_of(panel) is None]
    convert, sort, matrix = panel["transformations"]
    assert convert["options"]["conversions"] == [{"targetField": "chip", "destinationType": "number"}]
    assert sort["options"]["sort"] == [{"field": "chip"}]
    options = matrix["options"]
    assert (options["rowField"], options["columnField"], options["valueField"]) == ("chip", "place", "Value")
    assert panel["fieldConfig"]["defaults"]["color"]["mode"].startswith("continuous-")


def test_names_of_miners_lead_to_their_dashboard_their_page_and_flockwatch():
    seen = 0
    for name, panel in TABLES:
        order = order_of(panel)
        if order["renameByName"].get("name") != "Miner":
            continue
        seen += 1
        dashboard, page, ui = links_of(panel)
        assert dashboard.startswith("/d/flockwatch-miner?var-miner=${__data.fields.miner:percentencode}&"), (
            name,
            panel["title"],
        )
        assert page == "${__data.fields.page:raw}"
        assert ui == "${flockwatch:raw}/miners/by-key/${__data.fields.miner:percentencode}"
        assert not {"miner", "name", "page"} & set(order["excludeByName"]), "the links need these fields"
    assert seen >= 15
    assert BOARDS["miner"]["uid"] == "flockwatch-miner"


def test_series_of_miners_lead_to_their_dashboard_their_page_and_flockwatch():
    seen = 0
    for name, panel in PANELS:
        if panel["type"] == "table" or not any("{{name}}" in each.get("legendFormat", "") for each in panel["targets"]):
            continue
        if all("miner_wallet_info" in each["expr"] for each in panel["targets"]):
            continue  # a wallet's name
        seen += 1
        links = [link["url"] for link in panel["fieldConfig"]["defaults"].get("links", ())]
        dashboard, page, ui = links
        assert dashboard.startswith("/d/flockwatch-miner?var-miner=${__field.labels.miner:percentencode}&"), (
            name,
            panel["title"],
        )
        assert page == "${__field.labels.page}"
        assert ui == "${flockwatch:raw}/miners/by-key/${__field.labels.miner:percentencode}"
        assert all('"page"' in each["expr"] for each in panel["targets"])
    assert seen == sum(len(linked(document)) for document in BOARDS.values()) >= 12


def test_names_of_alarms_lead_to_their_pages():
    rules = "".join(path.read_text() for path in (ROOT / "prometheus" / "rules").glob("alerts-*.yml"))
    for alert in set(re.findall(r"alert: (\w+)", rules)) - {"Watchdog", "DailySummary"}:
        assert f"{RUNBOOKS}/{alert}.md" in rules, alert
        assert (ROOT / "docs" / "runbooks" / f"{alert}.md").is_file()
    with_alarms = [panel for _, panel in TABLES if "alertname" in order_of(panel)["renameByName"]]
    assert len(with_alarms) == 2
    for panel in with_alarms:
        assert links_of(panel, "Alarm") == [f"{RUNBOOKS}/${{__data.fields.alertname}}.md"]


# --- colours ------------------------------------------------------------------------------------------------------


def coloured(panel):
    """(title of the panel or head of the column, whether its own steps or words colour it)."""
    if panel["type"] == "stat":
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        yield panel["title"], len(steps) > 1
        return
    for override in panel["fieldConfig"]["overrides"]:
        ids = {each["id"] for each in override["properties"]}
        yield override["matcher"]["options"], bool(ids & {"thresholds", "mappings"})


def test_degrees_of_chips_have_no_colour_of_their_own_but_a_word_by_the_limits_of_the_alarms():
    words = 0
    for name, panel in PANELS:
        text = json.dumps(panel["targets"])
        if panel["type"] not in ("table", "stat") or "chip_temperature" not in text or order_of_or_none(panel) == {}:
            continue
        if not {"Hottest chip", "Temperature"} & {head for head, _ in coloured(panel)}:
            continue
        words += 1
        assert ("Hottest chip", True) not in coloured(panel), (name, panel["title"])
        assert ("Temperature", True) not in coloured(panel), (name, panel["title"])
        for level in ("warning", "critical"):
            assert f"miner:chip_temperature_limit_celsius:{level}" in text, (name, panel["title"])
    assert words == 7


def order_of_or_none(panel):
    """What a table shows; {} for a matrix, None for anything else."""
    return (order_of(panel) or {}) if panel["type"] == "table" else None


def test_the_colours_agree_with_the_alarms():
    def bounds(file, expression):
        text = (ROOT / "prometheus" / "rules" / file).read_text()
        return {float(found) for found in re.findall(expression, text)}

    regulator = bounds("alerts-heat.yml", r"miner_board_vreg_temperature_celsius > (\d+)")
    assert regulator
    assert regulator <= {start for start, _ in looks.REGULATOR}
    assert min(regulator) == next(start for start, colour in looks.REGULATOR if colour == looks.ORANGE)
    below = bounds("alerts-miner.yml", r"miner:hashrate:ratio10m < ([0-9.]+)")
    assert below
    assert below <= {start for start, _ in looks.OF_EXPECTED}
    # What raises an alarm is orange or red, and nothing else is.
    assert max(below) == next(start for start, colour in looks.OF_EXPECTED if colour == looks.GREEN)
    assert [colour for start, colour in looks.HEAT_LEFT] == [looks.ORANGE, looks.YELLOW, looks.GREEN]
    assert [start for start, _ in looks.HEAT_LEFT] == [None, 0, WARM]


def test_steps_of_columns_with_figures_below_zero_have_an_end():
    """In an override Grafana compares a figure with an open end as with 0: every signal would be a bad one."""
    found = [
        [step["value"] for step in wish["value"]["steps"]]
        for _, panel in PANELS
        for override in panel["fieldConfig"]["overrides"]
        for wish in override["properties"]
        if wish["id"] == "thresholds"
    ]
    below = [values for values in found if any(value is not None and value < 0 for value in values)]
    assert below
    assert [values for values in below if None in values] == []


def test_the_limits_of_chips_are_lines_on_the_dashboard_of_a_miner():
    (panel,) = [panel for _, panel in PANELS if panel["title"] == "Chip temperatures"]
    limits = {each["legendFormat"]: each["expr"] for each in panel["targets"] if "limit" in each["expr"]}
    assert set(limits) == {"warning", "critical"}
    for level, expression in limits.items():
        assert f"miner:chip_temperature_limit_celsius:{level}" in expression
    assert {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]} == set(limits)


def test_every_metric_of_miners_is_on_a_dashboard():
    shown = set().union(*(metric_names(parsed(asked)[0]) for asked in QUERIES))
    assert "miner_board_up" in shown
    missing = {spec.name for spec in (*CATALOGUE, *WALLET_METRICS)} - shown
    assert missing <= NOWHERE


def test_the_codes_of_states_have_words():
    (override,) = [
        each
        for each in next(panel for _, panel in PANELS if panel["title"] == "Miners" and panel["type"] == "table")[
            "fieldConfig"
        ]["overrides"]
        if each["matcher"]["options"] == "State"
    ]
    (mappings,) = [each["value"] for each in override["properties"] if each["id"] == "mappings"]
    assert {int(code): word["text"] for code, word in mappings[0]["options"].items()} == {
        code: state for state, code in STATES.items()
    }


# --- queries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", QUERIES, ids=str)
def test_a_query_is_sound(asked):
    text, tree = parsed(asked)
    assert "vector(" not in text, "an empty answer stays empty"
    assert metric_names(text) - known_names() - WELL_KNOWN - {spec.name for spec in WALLET_METRICS} == set()
    for selector in selectors(asked):
        matchers = {(each.name, each.value) for each in selector.matchers.matchers}
        if not OTHER_JOBS.match(selector.name) and not asked.expression.startswith("label_values(miner_up"):
            assert ("job", "flockwatch") in matchers, selector.name
        if PER_MINER.match(selector.name) and "$miner" in json.dumps(BOARDS[asked.board]) and asked.kind != "variable":
            assert ("miner", ".+") in matchers, selector.name
    for node in nodes(tree):
        if isinstance(node, promql_parser.Call) and node.func.name == "rate":
            window = re.search(r"rate\([^()]*\[([^]]+)\]", asked.expression)[1]
            assert window in ("$__rate_interval", "1h"), "rates follow the resolution of the panel, or are of an hour"


@pytest.mark.parametrize("asked", QUERIES, ids=str)
def test_counters_are_read_by_their_growth(asked):
    """Only tables of one miner's pools and of counts show counters as they stand."""
    text, tree = parsed(asked)
    grown = {
        selector.name
        for node in nodes(tree)
        if isinstance(node, promql_parser.MatrixSelector)
        for selector in [node.vector_selector]
    }
    plain = {selector.name for selector in selectors(asked) if selector.name.endswith("_total")} - grown
    shown_as_counts = {
        "miner_pool_shares_accepted_total", "miner_pool_shares_rejected_total", "miner_pool_shares_stale_total",
        "miner_blocks_found_total", "miner_usb_boots_total", "miner_block_templates_total", "miner_wallet_shares_total",
    }  # fmt: skip
    assert plain <= shown_as_counts, text
