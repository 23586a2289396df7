"""docker-compose.yml as Docker Compose itself reads it."""

import json
import os
import subprocess

from tests.end_to_end.programs import ROOT

PLUGIN = ROOT / "build/tools/docker-compose"
FILE = ROOT / "docker-compose.yml"


def compose(*words, file=FILE, variables=None):
    """Run Docker Compose without an engine and without an .env file; `variables` are what .env would hold."""
    assert PLUGIN.exists(), f"{PLUGIN} is missing; run tests/install-packages"
    return subprocess.run(
        [str(PLUGIN), "--file", str(file), "--env-file", os.devnull, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(variables or {})},
    )


def resolved(profiles=(), variables=None):
    """The file with everything filled in, as a dictionary."""
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    done = compose(*chosen, "config", "--format", "json", variables=variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def started_with(document, *names):
    """The services that `up` with these names starts: they and what they depend on."""
    found = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += document["services"][name].get("depends_on", {})
    return found


def mounted(service):
    """Where the repository's files are mounted: folder of this machine by path in the container."""
    return {each["target"]: each["source"] for each in service.get("volumes", ()) if each["type"] == "bind"}
