"""Draws a dashboard as a picture, from a running Prometheus.

    npm install --legacy-peer-deps && npx vite build
    python -m grafana.pictures.draw URL fleet docs/images/dashboard-fleet.png

There is no Grafana in it but its components: heat maps and strips of states are left out, and so are links.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

_DASHBOARDS = Path(__file__).parents[1] / "dashboards"
_BUILT = Path(__file__).parent / "dist"
#: What is chosen; a miner's dashboard shows one of them.
_CHOICE = {
    "job": "flockwatch", "site": ".*", "rack": ".*", "group": ".*", "driver": ".*", "model": ".*", "miner": ".+",
    "price": "0.15", "income": "0.07", "currency": "EUR", "flockwatch": "http://127.0.0.1:8080",
    "__rate_interval": "30s",
}  # fmt: skip

Frame = dict[str, Any]


def _filled(expression: str, choice: dict[str, str]) -> str:
    for name in sorted(choice, key=len, reverse=True):
        expression = expression.replace(f"${{{name}}}", choice[name]).replace(f"${name}", choice[name])
    return expression


def _legend(target: dict[str, Any], labels: dict[str, str]) -> str:
    pattern = target.get("legendFormat") or "value"
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), pattern).strip() or "(none)"


def _series(target: dict[str, Any], found: list[dict[str, Any]]) -> Iterator[Frame]:
    for each in found:
        points = each.get("values") or [each["value"]]
        legend = _legend(target, each["metric"])
        yield {
            "refId": target["refId"],
            "name": legend,
            "fields": [
                {"name": "Time", "type": "time", "values": [point[0] * 1000 for point in points], "config": {}},
                {
                    "name": "Value",
                    "type": "number",
                    "values": [float(point[1]) for point in points],
                    "labels": each["metric"],
                    "config": {"displayNameFromDS": legend},
                },
            ],
        }


def _table(target: dict[str, Any], found: list[dict[str, Any]], *, several: bool) -> Frame:
    labels = sorted({name for each in found for name in each["metric"]})
    fields: list[Frame] = [
        {"name": "Time", "type": "time", "values": [each["value"][0] * 1000 for each in found], "config": {}}
    ]
    fields += [
        {"name": name, "type": "string", "values": [each["metric"].get(name, "") for each in found], "config": {}}
        for name in labels
    ]
    head = f"Value #{target['refId']}" if several else "Value"
    fields.append({"name": head, "type": "number", "values": [float(each["value"][1]) for each in found], "config": {}})
    return {"refId": target["refId"], "fields": fields}


def answers(document: dict[str, Any], url: str, seconds: int, choice: dict[str, str], end: float) -> dict[int, Any]:
    """The data frames of every panel, by its number."""
    client = httpx.Client(base_url=f"{url}/api/v1/", timeout=60)
    found: dict[int, Any] = {}
    for panel in document["panels"]:
        frames: list[Frame] = []
        for target in panel.get("targets", ()):
            query = {"query": _filled(target["expr"], {**choice, "__range": f"{seconds}s"})}
            if target["instant"]:
                answer = client.get("query", params={**query, "time": end})
            else:
                step = max(2, seconds // 200)
                answer = client.get("query_range", params={**query, "start": end - seconds, "end": end, "step": step})
            series = answer.raise_for_status().json()["data"]["result"]
            if panel["type"] == "table":
                frames.extend([_table(target, series, several=len(panel["targets"]) > 1)] if series else [])
            else:
                frames.extend(_series(target, series))
        found[panel["id"]] = frames
    return found


def _complain(error: object) -> None:
    sys.stderr.write(f"{error}\n")


def draw(url: str, name: str, picture: Path, *, seconds: int = 600, height: int | None = None, **choice: str) -> None:
    """Write the picture of a dashboard; `height` cuts it, in pixels."""
    document = json.loads((_DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))
    end = time.time()
    data = answers(document, url, seconds, {**_CHOICE, **choice}, end)
    handler = partial(SimpleHTTPRequestHandler, directory=str(_BUILT))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.on("pageerror", _complain)
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            page.wait_for_function("() => Boolean(window.draw)")
            page.evaluate(
                "([board, data, from, to]) => window.draw(board, data, from, to)",
                [document, data, (end - seconds) * 1000, end * 1000],
            )
            page.wait_for_timeout(3000)
            whole = page.locator("#dashboard").bounding_box()
            assert whole is not None
            page.set_viewport_size({"width": 1600, "height": int(height or whole["height"])})
            page.screenshot(path=picture)
            browser.close()
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    draw(sys.argv[1], sys.argv[2], Path(sys.argv[3]), **dict(word.split("=", 1) for word in sys.argv[4:]))  # type: ignore[arg-type]
