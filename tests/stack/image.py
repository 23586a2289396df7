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
from pathlib import Path

CERTIFICATES = "/etc/certificates-of-the-host.crt"
MIRROR = "http://deb.debian.org/debian"
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
        if "PIP_CERT" in more:
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


def debian_root(folder, suite):
    """A minimal Debian; it takes the place of the image debian:<suite>-slim."""
    root = Path(folder)
    subprocess.run(
        ["mmdebstrap", "--variant=minbase", "--mode=root", "--quiet", suite, str(root), MIRROR],
        check=True, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    certificates = os.environ.get("PIP_CERT")
    if certificates:
        # Not where Debian's own are, for their package writes those anew.
        shutil.copy(certificates, root / CERTIFICATES.lstrip("/"))
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
