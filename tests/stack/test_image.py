"""The Dockerfile, followed in Debian roots: what it makes runs without root, capabilities and a writable disk."""

import os
import socket
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.end_to_end.programs import ROOT, Process, free_base, free_port
from tests.stack.image import debian_root, follow, hindrance, instructions, place_for_roots

DOCKERFILE = ROOT / "Dockerfile"
SUITE = "trixie"
LARGEST_MIB = 260


def test_every_dependency_has_a_pinned_version_that_fits():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {}
    for line in (ROOT / "deploy/constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, version = line.split("==")
            pinned[canonicalize_name(name)] = version
    for text in (*project["dependencies"], *project["optional-dependencies"]["fast"]):
        wanted = Requirement(text)
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)]), text


def test_the_image_takes_nothing_that_the_build_is_not_given():
    """Every file that the Dockerfile copies is let through .dockerignore, and is there."""
    let_through = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = {
        source
        for word, rest in instructions(DOCKERFILE.read_text())
        if word == "COPY" and not rest.startswith("--from=")
        for source in rest.split()[:-1]
    }
    assert copied == let_through
    assert all((ROOT / each).exists() for each in copied)


def test_roots_are_made_of_the_debian_that_the_image_is():
    assert f"ARG DEBIAN=debian:{SUITE}-" in DOCKERFILE.read_text()


@pytest.fixture
def image(tmp_path):
    reason = hindrance(tmp_path, SUITE)
    if reason:
        pytest.skip(reason)
    folder = place_for_roots(tmp_path)
    try:
        try:
            base = debian_root(folder / "base", SUITE)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"mmdebstrap makes no root here: {error.stderr[-500:]}")
        yield follow(DOCKERFILE, ROOT, base, folder)
    finally:
        # Nothing is mounted there: each command had a mount namespace of its own.
        subprocess.run(["rm", "-r", str(folder)], check=True, timeout=120)


def settings():
    """The variables of a program in the image, with free ports."""
    return {
        "FLOCKWATCH_METRICS_ADDR": f"127.0.0.1:{free_port()}",
        "FLOCKWATCH_HTTP_ADDR": f"127.0.0.1:{free_port()}",
        "FLOCKWATCH_UDP_NMMINER_PORT": str(free_port(socket.SOCK_DGRAM)),
        "FLOCKWATCH_SERIAL_ENABLED": "false",
    }


def data(image, folder):
    """What is mounted at /data, as a new named volume is: owned by the image's user."""
    folder.mkdir(mode=0o700)
    os.chown(folder, int(image.user), int(image.user))
    return folder


@pytest.mark.timeout(900)
def test_what_the_dockerfile_makes_is_small_and_runs_without_rights(image, tmp_path):
    """One test, since what takes long is making the image."""
    it_is_small_and_holds_no_installer(image)
    it_runs_as_nobody_on_a_read_only_root(image, tmp_path)
    the_demo_runs_in_it(image, tmp_path)


def it_is_small_and_holds_no_installer(image):
    size = sum(path.lstat().st_size for path in image.root.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < LARGEST_MIB * 2**20, f"{size / 2**20:.0f} MiB"
    assert not list((image.root / "opt/flockwatch").rglob("pip"))
    assert not list((image.root / "var/lib/apt/lists").iterdir())


def it_runs_as_nobody_on_a_read_only_root(image, folder):
    kept, flock = data(image, folder / "data"), folder / "targets.yml"
    flock.write_text("network: {subnets: [127.0.0.0/30]}\n")
    mounts = ((kept, "/data"), (flock, "/etc/flockwatch/targets.yml"))
    health = {"user": image.user, "environment": settings()}
    assert image.run(*image.said["HEALTHCHECK"], check=False, **health).returncode == 1
    words = (*image.said["ENTRYPOINT"], *image.said["CMD"])
    program = Process(*image.command(*words, read_only=True, mounts=mounts, **health))
    try:
        program.wait_for_line("msg=ready", 60)
        assert image.run(*image.said["HEALTHCHECK"], **health).stderr == ""
        status = Path(f"/proc/{program.child.pid}/status").read_text()
        told = dict(line.split(":", 1) for line in status.splitlines())
        assert told["Uid"].split() == [image.user] * 4
        assert {int(told[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    finally:
        ended = program.stop()
    assert ended == 0
    assert (kept / "flockwatch.json").stat().st_uid == int(image.user)


def the_demo_runs_in_it(image, folder):
    words = ("python3", "-m", "simulator.demo", "--folder", "/data", "--base", f"{free_base()}.0")
    mounts = ((data(image, folder / "demo"), "/data"),)
    program = Process(*image.command(*words, user=image.user, read_only=True, mounts=mounts, environment=settings()))
    try:
        program.wait_for_line("simulated miners, found within", 60)
    finally:
        ended = program.stop()
    assert ended == 0
