"""A real Alertmanager, a real Prometheus and a sink for webhooks, on free loopback ports."""

import contextlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import yaml

from tests.end_to_end.programs import CLIENT, ROOT, Process, free_port, wait_for

PROMETHEUS = ROOT / "prometheus"


def binary(*names):
    """The path of a program that is installed under one of `names`."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    assert found, f"{names[0]} is missing; run tests/install-packages"
    return found


class Sink:
    """Keeps what is posted to it: `posts` are (path, headers, document)."""

    def __init__(self):
        self.posts = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.posts.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_arguments):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(10)

    def messages(self, receiver=None):
        """The documents of Alertmanager's webhooks, in the order in which they came."""
        documents = [document for _, _, document in list(self.posts) if "alerts" in document]
        return [each for each in documents if receiver in (None, each["receiver"])]

    def told(self, status, **labels):
        """Every alert of a status ("firing" or "resolved") in all messages, whose labels contain `labels`."""
        return [
            alert
            for message in self.messages()
            for alert in message["alerts"]
            if alert["status"] == status and labels.items() <= alert["labels"].items()
        ]


def quick_configuration(folder, sink, receiver="webhook", **route):
    """The shipped configuration with its webhook at `sink` and short waits; `route` overrides keys of every route."""
    document = yaml.safe_load((PROMETHEUS / "alertmanager.yml").read_text())
    secret = folder / "secret"
    secret.write_text("s3cret\n")
    (folder / "slack_url").write_text(f"{sink.url}/slack")
    for each in document["receivers"]:
        for hook in each.get("webhook_configs", ()):
            hook["url"] = f"{sink.url}/{each['name']}"
            hook["http_config"]["authorization"]["credentials_file"] = str(secret)
        for hook in each.get("slack_configs", ()):
            hook["api_url_file"] = str(folder / "slack_url")
    document["route"]["receiver"] = receiver
    quick = {"group_wait": "1s", "group_interval": "1s", **route}
    document["route"].update(quick)
    for each in document["route"]["routes"]:
        each.update(quick)
        if 'severity="info"' in each["matchers"]:
            each["receiver"] = f"{receiver}-news"
    document["templates"] = [str(PROMETHEUS / "templates" / "*.tmpl")]
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(document))
    return path


class Alertmanager:
    """``prometheus-alertmanager`` as a process of its own."""

    def __init__(self, folder, configuration):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process(
            binary("prometheus-alertmanager", "alertmanager"), f"--config.file={configuration}",
            f"--storage.path={folder}/alertmanager", f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        )  # fmt: skip
        wait_for(self._ready, "Alertmanager")

    def _ready(self):
        with contextlib.suppress(httpx.TransportError):
            return CLIENT.get(f"{self.url}/-/ready", timeout=5).status_code == 200
        assert self.process.child.poll() is None, "\n".join(self.process.lines)
        return False

    def post(self, *alerts, ends=None, annotations=None):
        """Hand over alerts, given by their labels, as Prometheus does; `ends` (RFC 3339) makes them resolved.

        `annotations` stand in place of the same plain ones for all.
        """
        body = [
            {
                "labels": labels,
                "annotations": annotations
                or {
                    "summary": f"{labels['alertname']} of {labels.get('name', 'all')}",
                    "description": "What is known.",
                    "runbook_url": "https://example.org/runbook",
                },
                **({"endsAt": ends} if ends else {}),
            }
            for labels in alerts
        ]
        CLIENT.post(f"{self.url}/api/v2/alerts", json=body, timeout=10).raise_for_status()

    def suppressed(self):
        """The names of alerts that are kept back."""
        found = CLIENT.get(f"{self.url}/api/v2/alerts", timeout=10).raise_for_status().json()
        return sorted(alert["labels"]["alertname"] for alert in found if alert["status"]["inhibitedBy"])

    def stop(self):
        self.process.stop()


class Prometheus:
    """A real Prometheus with a configuration file."""

    def __init__(self, folder, configuration):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process(
            binary("prometheus"), f"--config.file={configuration}", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}",
        )  # fmt: skip
        self.process.wait_for_line("Server is ready to receive web requests")

    def query(self, expression):
        answer = CLIENT.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10)
        return answer.raise_for_status().json()["data"]["result"]

    def failing_rules(self):
        """The rules whose last evaluation failed, with the error."""
        groups = CLIENT.get(f"{self.url}/api/v1/rules", timeout=10).raise_for_status().json()["data"]["groups"]
        return {rule["name"]: rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")}

    def stop(self):
        self.process.stop()


def rule_files():
    """The rule files by name."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted(Path(PROMETHEUS / "rules").glob("*.yml"))}


def store_alerts():
    """(file, rule) of every alert that is raised by a store for several halls."""
    found = sorted((ROOT / "deploy/scale").glob("*.rules.yml"))
    groups = [(path.stem, group) for path in found for group in yaml.safe_load(path.read_text())["groups"]]
    return [(name, rule) for name, group in groups for rule in group["rules"]]


def rules():
    """(file, rule) of every rule."""
    return [(name, rule) for name, file in rule_files().items() for group in file["groups"] for rule in group["rules"]]


def alerts():
    """(file, rule) of every alert."""
    return [(name, rule) for name, rule in rules() if "alert" in rule]
