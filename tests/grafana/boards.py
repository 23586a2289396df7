"""The committed dashboards, and what Grafana would ask of Prometheus for them."""

import json
import re
import time
from dataclasses import dataclass

from tests.end_to_end.programs import CLIENT, ROOT

FOLDER = ROOT / "grafana" / "dashboards"
#: What is chosen on top of a dashboard: everything.
EVERYTHING = {
    "job": "flockwatch", "site": ".*", "rack": ".*", "group": ".*", "driver": ".*", "model": ".*", "miner": ".+",
    "price": "0.15", "income": "0.07", "currency": "EUR", "flockwatch": "http://127.0.0.1:8080",
    "__rate_interval": "15s", "__range": "3m",
}  # fmt: skip


def dashboards():
    """The documents by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(document):
    """All panels, without the heads of rows."""
    return [panel for panel in document["panels"] if panel["type"] != "row"]


@dataclass(frozen=True)
class Asked:
    """A query of a dashboard. `kind` is range, instant, variable or annotation."""

    board: str
    place: str
    ref: str
    expression: str
    kind: str

    def __str__(self):
        return f"{self.board} / {self.place} / {self.ref}"


def queries(name, document):
    """Every query of a dashboard."""
    for panel in panels(document):
        for target in panel["targets"]:
            yield Asked(
                name, panel["title"], target["refId"], target["expr"], "instant" if target["instant"] else "range"
            )
    for annotation in document["annotations"]["list"]:
        yield Asked(name, "annotation", annotation["name"], annotation["expr"], "range")
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            yield Asked(name, "variable", variable["name"], variable["query"]["query"], "variable")


def filled(expression, **choice):
    """The expression with Grafana's variables replaced."""
    for name, value in sorted({**EVERYTHING, **choice}.items(), key=lambda pair: -len(pair[0])):
        expression = expression.replace("${" + name + "}", value).replace("$" + name, value)
    return expression


def result(prometheus, asked, **choice):
    """What Prometheus answers: a list of series, or of values for a variable.

    Raises:
        AssertionError: it refuses the query.
    """
    expression = filled(asked.expression, **choice)
    now = time.time()
    if asked.kind == "variable":
        labels = re.fullmatch(r"label_values\((.+), (\w+)\)", expression)
        if labels:
            return _get(prometheus, f"label/{labels[2]}/values", {"match[]": labels[1]})
        expression = re.fullmatch(r"query_result\((.+)\)", expression)[1]
    if asked.kind == "range":
        return _get(prometheus, "query_range", {"query": expression, "start": now - 60, "end": now, "step": 5})[
            "result"
        ]
    return _get(prometheus, "query", {"query": expression})["result"]


def _get(prometheus, path, parameters):
    answer = CLIENT.get(f"{prometheus.url}/api/v1/{path}", params=parameters, timeout=30)
    assert answer.status_code == 200, f"{answer.text}\n{parameters}"
    return answer.json()["data"]


def panel(document, title):
    """The panel of a title; titles are unique within a dashboard unless `test_rules_of_dashboards` fails."""
    (found,) = [each for each in panels(document) if each["title"] == title]
    return found


def tables(document):
    """The tables that are put together of columns; a matrix is one query and has its own columns."""
    return [each for each in panels(document) if each["type"] == "table" and order_of(each) is not None]


def linked(document):
    """Panels of series, bars and strips with links of miners."""
    return [
        each for each in panels(document) if each["type"] != "table" and each["fieldConfig"]["defaults"].get("links")
    ]


def order_of(table):
    """What a table shows of the merged answers; None for a matrix."""
    return next((each["options"] for each in table["transformations"] if each["id"] == "organize"), None)


def column(name, document, title, head):
    """The query behind a column of a table."""
    table = panel(document, title)
    (field,) = [field for field, shown in order_of(table)["renameByName"].items() if shown == head]
    ref = field.removeprefix("Value #") if field.startswith("Value #") else "A"
    return next(asked for asked in queries(name, document) if (asked.place, asked.ref) == (title, ref))


def strays(document, asked, found):
    """Labels of a table's query that would stand in it as columns nobody asked for."""
    table = next((each for each in tables(document) if each["title"] == asked.place), None)
    if table is None:
        return set()
    order = order_of(table)
    hidden = {
        override["matcher"]["options"]
        for override in table["fieldConfig"]["overrides"]
        if any(each["id"] == "custom.hidden" for each in override["properties"])
    }
    return (
        {name for series in found for name in series["metric"]}
        - set(order["renameByName"])
        - set(order["excludeByName"])
        - hidden
    )


def figure(name, document, title, ref="A"):
    """A query of a panel."""
    return next(asked for asked in queries(name, document) if (asked.place, asked.ref) == (title, ref))
