"""A pool's web server on loopback, which answers what a test says and remembers what it was asked."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PoolServer:
    """`answers` maps a path to JSON, to bytes, or to a function that is given the request's handler."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.headers = []

    def _handle(self, handler):
        self.asked.append(handler.path)
        self.headers.append(dict(handler.headers))
        answer = self.answers.get(handler.path)
        if callable(answer):
            answer(handler)
        elif answer is None:
            send(handler, b"not found", 404)
        else:
            send(handler, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def send(handler, body, status=200, **headers):
    """A whole answer."""
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


class Held:
    """An answer that is kept back until `go` is set: the server accepts and says nothing."""

    def __init__(self, document):
        self.document = document
        self.go = threading.Event()

    def __call__(self, handler):
        assert self.go.wait(60)
        send(handler, json.dumps(self.document).encode())


@contextlib.contextmanager
def pool_server():
    """Yields a `PoolServer` with its `url`."""
    pool = PoolServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                pool._handle(self)

        def log_message(self, *_):
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    pool.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield pool
    finally:
        for answer in pool.answers.values():
            if isinstance(answer, Held):
                answer.go.set()
        server.shutdown()
        server.server_close()
        thread.join()
