"""The "Example One" of the template: a loopback server that answers as the template's texts say, and nothing else."""

import contextlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUS = {
    "maker": "Example Miners",
    "product": "Example One",
    "firmware": "1.4.0",
    "mac": "02:00:5E:10:00:01",
    "serial": "EX-0001",
    "hostname": "example-1",
    "state": "mining",
    "mode": "eco",
    "uptime_s": 86461,
    "hashrate_ghs": 1072.5,
    "hashrate_1h_ghs": "1069.0",
    "power_w": 18.5,
    "fans": [{"rpm": 4100, "percent": 55}],
    "chip": {"model": "BM1370", "temperature_c": 58.5, "frequency_mhz": 525, "voltage_mv": 1150},
    "pools": [
        {
            "url": "stratum+tcp://pool.example.org:3333",
            "user": "wallet.example-1",
            "active": True,
            "accepted": 1200,
            "rejected": 3,
            "last_share_s_ago": 12,
        }
    ],
    "best_share": "4.29G",
    "wifi_password": "hunter2-wifi",
}
SETTINGS = {"modes": ["eco", "turbo"], "power_limit_w": 25, "display": {"brightness": 80}}


class ExampleDevice:
    """`asked` holds each request as (method, path, body). With `deaf` it says ok to writes and does nothing."""

    def __init__(self):
        self.status, self.settings = dict(STATUS), dict(SETTINGS)
        self.asked = []
        self.deaf = False
        self.refusal = None

    def answer(self, method, path, body):
        self.asked.append((method, path, body))
        if (method, path) == ("GET", "/api/status"):
            return 200, self.status
        if (method, path) == ("GET", "/api/settings"):
            return 200, self.settings
        if self.refusal is not None:
            return 200, {"ok": False, "message": self.refusal}
        if (method, path, body) == ("POST", "/api/restart", b""):
            if not self.deaf:
                self.status = {**self.status, "uptime_s": 2}
            return 200, {"ok": True}
        if (method, path) == ("POST", "/api/mode") and json.loads(body).get("mode") in self.settings["modes"]:
            if not self.deaf:
                self.status = {**self.status, **json.loads(body)}
            return 200, {"ok": True}
        return 404, {"ok": False, "message": "no such thing"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):  # a scan connects and goes away
            super().handle_error(request, client_address)


@contextlib.contextmanager
def example_device(address="127.0.0.1"):
    """Serve one; yields (device, "host:port")."""
    device = ExampleDevice()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = device.answer(self.command, self.path, body)
            said = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with _Server((address, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield device, f"{address}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
