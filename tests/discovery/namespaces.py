"""Two network namespaces joined by a virtual cable: a scanner and a segment with miners. Needs root and iproute2."""

import contextlib
import os
import shutil
import subprocess
import uuid

import pytest

PREFIX = 22
LIVING = tuple(f"10.99.{block}.{host}" for block in range(4) for host in range(20, 220, 10))

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and iproute2"
)

_SERVER = """
import select, socket, sys
servers = [socket.create_server(("", port), backlog=512) for port in map(int, sys.argv[1:])]
print("ready", flush=True)
while True:
    for server in select.select(servers, [], [])[0]:
        server.accept()[0].close()
"""


def ip(*words):
    subprocess.run(("ip", *words), check=True, capture_output=True, text=True)


@contextlib.contextmanager
def segment(*ports):
    """A segment 10.99.0.0/22 with `LIVING` hosts that listen on `ports`; yields the scanner's namespace and port."""
    tag = uuid.uuid4().hex[:6]
    scanner, miners = f"fw-s-{tag}", f"fw-m-{tag}"
    server = None
    try:
        for name in (scanner, miners):
            ip("netns", "add", name)
        ip("link", "add", f"s{tag}", "netns", scanner, "type", "veth", "peer", "name", f"m{tag}", "netns", miners)
        ip("-n", scanner, "addr", "add", f"10.99.3.254/{PREFIX}", "dev", f"s{tag}")
        batch = "\n".join(f"addr add {address}/{PREFIX} dev m{tag}" for address in LIVING)
        subprocess.run(("ip", "-n", miners, "-batch", "-"), input=batch, check=True, capture_output=True, text=True)
        for name, link in ((scanner, f"s{tag}"), (miners, f"m{tag}")):
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", link, "up")
        command = ("ip", "netns", "exec", miners, "python3", "-c", _SERVER, *map(str, ports))
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "ready\n"
        yield scanner
    finally:
        if server is not None:
            server.terminate()
            server.wait()
            server.stdout.close()
        for name in (scanner, miners):
            subprocess.run(("ip", "netns", "del", name), check=False, capture_output=True)
