"""Follows a Dockerfile in Debian roots made with mmdebstrap, since tests have no engine to build it with.

It knows what our Dockerfile uses: FROM with a stage, COPY with and without --from, RUN, ENV, USER, WORKDIR. Mounts are
made in a mount namespace of each command and end with it.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.stack.servers import binary

CERTIFICATES = "/etc/certificates-of-the-host.crt"
CERTIFICATES_HERE = "/etc/ssl/certs/ca-certificates.crt"
MIRROR = "http://deb.debian.org/debian"
MEMORY = "/dev/shm"
#: Three roots have less than 1 GiB together.
ROOM = 4 * 2**30
#: pip in the root finds packages the way pip here does.
PASSED_ON = ("PIP_", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy")


def instructions(text):
    """(instruction, rest) of each logical line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


class Stage:
    """One stage: its root folder and what instructions have set so far."""

    def __init__(self, root):
        self.root = Path(root)
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.user = None
        self.workdir = "/"
        self.said = {}

    def inside(self, path):
        """A path of the stage as one of this machine."""
        absolute = path if path.startswith("/") else f"{self.workdir}/{path}"
        return self.root / absolute.lstrip("/")

    def command(self, *words, user=None, read_only=False, mounts=(), environment=None):
        """The command line that runs `words` in the root, without capabilities where a user is given."""
        variables = [f"{name}={value}" for name, value in (self.environment | (environment or {})).items()]
        root = shlex.quote(str(self.root))
        script = [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev", f"mount -t tmpfs tmp {root}/tmp"]
        script += [f"mount --bind {shlex.quote(str(source))} {root}{target}" for source, target in mounts]
        if read_only:
            script[:0] = [f"mount --bind {root} {root}", f"mount -o remount,bind,ro {root}"]
        drop = [
            "setpriv",
            f"--reuid={user}",
            f"--regid={user}",
            "--clear-groups",
            "--bounding-set=-all",
            "--no-new-privs",
        ]
        inner = shlex.join([*(drop if user else []), *words])
        inner = f"cd {shlex.quote(self.workdir)} && exec {inner}"
        script.append(
            "exec " + shlex.join(["chroot", str(self.root), "/usr/bin/env", *variables, "/bin/sh", "-c", inner])
        )
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join(script)]

    def run(self, *words, check=True, **options):
        """Run `words` and wait; its output is in the error where it fails."""
        more = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        if (self.root / CERTIFICATES.lstrip("/")).exists():
            more["PIP_CERT"] = CERTIFICATES
        done = subprocess.run(
            self.command(*words, **options),
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
            env={"PATH": os.environ["PATH"], "DEBIAN_FRONTEND": "noninteractive", **more},
        )
        assert not check or done.returncode == 0, f"{words}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done


def _does(*words, **options):
    """Whether a command is there and ends well."""
    try:
        done = subprocess.run([str(word) for word in words], capture_output=True, check=False, timeout=60, **options)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def hindrance(folder, suite):
    """Why an image cannot be made on this machine, or None. What is asked for goes into `folder`."""
    if os.geteuid() != 0:
        return "root makes Debian roots and runs programs in them"
    if not _does("unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmp", "/mnt"):
        return "root of this machine may not mount"
    # apt and pip ask the way they will in the root: with the same proxies, and pip without a configuration file.
    release = f"{MIRROR}/dists/{suite}/InRelease"
    if not _does("/usr/lib/apt/apt-helper", "download-file", release, Path(folder) / "InRelease"):
        return f"apt cannot reach {release}"
    pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--dest", folder, "idna")
    if not _does(*pip, env={**os.environ, "PIP_CONFIG_FILE": os.devnull}):
        return "pip can reach no archive of packages"
    return None


def place_for_roots(folder):
    """Where roots are made: in memory where there is plenty of it, which takes half the time; else in `folder`."""
    if os.path.ismount(MEMORY):
        about = os.statvfs(MEMORY)
        if about.f_bavail * about.f_frsize >= ROOM and not about.f_flag & (os.ST_NODEV | os.ST_NOEXEC | os.ST_NOSUID):
            return Path(tempfile.mkdtemp(prefix="flockwatch-image-", dir=MEMORY))
    return Path(tempfile.mkdtemp(dir=folder))


def debian_root(folder, suite):
    """A minimal Debian; it takes the place of the image debian:<suite>-slim.

    The lists of packages stay in it, so that `apt-get update` has nothing to load anew, and dpkg does not wait for the
    disk, since nothing of it is kept.
    """
    root = Path(folder)
    subprocess.run(
        [
            binary("mmdebstrap"), "--variant=apt", "--include=passwd", "--mode=root", "--quiet",
            "--dpkgopt=force-unsafe-io", "--skip=cleanup/apt/lists", suite, str(root), MIRROR,
        ],
        check=True, capture_output=True, text=True, timeout=500, env={**os.environ, "TMPDIR": str(root.parent)},
    )  # fmt: skip
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    # This machine may trust a proxy. Not where Debian's own are, for their package writes those anew.
    for certificates in filter(None, (os.environ.get("PIP_CERT"), CERTIFICATES_HERE)):
        if Path(certificates).is_file():
            shutil.copy(certificates, root / CERTIFICATES.lstrip("/"))
            break
    return root


def _copy(stage, stages, context, words):
    source_root = context
    if words[0].startswith("--from="):
        source_root = stages[words.pop(0).removeprefix("--from=")].root
    *sources, target = words
    for source in sources:
        origin = source_root / source.lstrip("/")
        destination = stage.inside(target)
        if origin.is_dir():
            shutil.copytree(origin, destination, symlinks=True, dirs_exist_ok=True)
        else:
            into = len(sources) > 1 or target.endswith("/") or target in (".", "./")
            destination = destination / origin.name if into else destination
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, destination)


def follow(dockerfile, context, base, folder):
    """Follow a Dockerfile; `base` is a root as of `debian_root`, copied for each stage. Returns the last stage."""
    stages, stage, known = {}, None, {"ARG", "EXPOSE", "VOLUME"}
    for word, rest in instructions(Path(dockerfile).read_text()):
        if word == "FROM":
            name = rest.split()[-1] if " AS " in rest else "last"
            subprocess.run(["cp", "-a", str(base), str(Path(folder) / name)], check=True, timeout=300)
            stage = stages[name] = Stage(Path(folder) / name)
        elif word == "RUN":
            stage.run("sh", "-c", rest)
        elif word == "COPY":
            _copy(stage, stages, Path(context), rest.split())
        elif word == "ENV":
            stage.environment.update(part.split("=", 1) for part in shlex.split(rest))
        elif word == "USER":
            stage.user = rest.split(":")[0]
        elif word == "WORKDIR":
            stage.workdir = rest
            stage.inside(".").mkdir(parents=True, exist_ok=True)
        elif word in ("ENTRYPOINT", "CMD"):
            stage.said[word] = json.loads(rest)
        elif word == "HEALTHCHECK":
            stage.said[word] = json.loads(rest[rest.index("[") :])
        else:
            assert word in known, f"{word} is not understood here"
    return stage
