"""The Dockerfile, followed in Debian roots: what it makes runs without root, capabilities and a writable disk."""

import os
import shutil
import socket
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.end_to_end.programs import ROOT, Process, free_port
from tests.stack.image import debian_root, follow, instructions

DOCKERFILE = ROOT / "Dockerfile"
LARGEST_MIB = 260

wanted = pytest.mark.skipif(
    os.environ.get("FLOCKWATCH_TEST_IMAGE") != "1" or os.geteuid() != 0 or shutil.which("mmdebstrap") is None,
    reason="takes minutes and the Debian and Python archives: FLOCKWATCH_TEST_IMAGE=1 as root, with mmdebstrap",
)


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


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    base = debian_root(folder / "base", "trixie")
    yield follow(DOCKERFILE, ROOT, base, folder)
    # Nothing is mounted there: each command had a mount namespace of its own.
    shutil.rmtree(folder)


@pytest.fixture
def settings():
    """The variables of a program in the image, with free ports."""
    return {
        "FLOCKWATCH_METRICS_ADDR": f"127.0.0.1:{free_port()}",
        "FLOCKWATCH_HTTP_ADDR": f"127.0.0.1:{free_port()}",
        "FLOCKWATCH_UDP_NMMINER_PORT": str(free_port(socket.SOCK_DGRAM)),
        "FLOCKWATCH_SERIAL_ENABLED": "false",
    }


@pytest.fixture
def data(image, tmp_path):
    """What is mounted at /data, as a new named volume is: owned by the image's user."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    os.chown(folder, int(image.user), int(image.user))
    return folder


@wanted
@pytest.mark.timeout(900)
def test_it_runs_as_nobody_on_a_read_only_root(image, settings, data, tmp_path):
    (tmp_path / "targets.yml").write_text("network: {subnets: [127.0.0.0/30]}\n")
    mounts = ((data, "/data"), (tmp_path / "targets.yml", "/etc/flockwatch/targets.yml"))
    health = {"user": image.user, "environment": settings}
    assert image.run(*image.said["HEALTHCHECK"], check=False, **health).returncode == 1
    words = (*image.said["ENTRYPOINT"], *image.said["CMD"])
    program = Process(*image.command(*words, read_only=True, mounts=mounts, **health))
    try:
        program.wait_for_line("msg=ready")
        assert image.run(*image.said["HEALTHCHECK"], **health).stderr == ""
        status = Path(f"/proc/{program.child.pid}/status").read_text()
        told = dict(line.split(":", 1) for line in status.splitlines())
        assert told["Uid"].split() == [image.user] * 4
        assert {int(told[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    finally:
        assert program.stop() == 0
    assert (data / "flockwatch.json").stat().st_uid == int(image.user)


@wanted
@pytest.mark.timeout(900)
def test_it_is_small_and_holds_no_installer(image):
    size = sum(path.lstat().st_size for path in image.root.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < LARGEST_MIB * 2**20, f"{size / 2**20:.0f} MiB"
    assert not list((image.root / "opt/flockwatch").rglob("pip"))
    assert not list((image.root / "var/lib/apt/lists").iterdir())


@wanted
@pytest.mark.timeout(900)
def test_the_demo_runs_in_it(image, settings, data):
    words = ("python3", "-m", "simulator.demo", "--folder", "/data")
    mounts = ((data, "/data"),)
    program = Process(*image.command(*words, user=image.user, read_only=True, mounts=mounts, environment=settings))
    try:
        program.wait_for_line("simulated miners, found within")
    finally:
        assert program.stop() == 0
