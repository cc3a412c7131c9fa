"""A base for the image where there is no registry of images: a Debian with Python, made of what apt's mirror has."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.needs import absent

SUITE = "bookworm"
"""Of the base that the Dockerfile names: the Python is 3.11."""
PACKAGES = ("ca-certificates", "python3-venv")
_NOT_NEEDED = ("dev", "proc", "sys", "usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache", "var/lib/apt")
_ADMIN = "/usr/sbin:/sbin"
"""Where debootstrap and what it calls lie, and many a path does not lead."""


def why_not() -> str:
    """Why none can be made here, as a part of a sentence; empty when one can."""
    if found := absent("apt-get", "buildah", "mount", "unshare"):
        return found
    if shutil.which("debootstrap", path=_path()) is None:
        return "no debootstrap"
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode:
        return "no right to mount"
    return "" if _mirror() else f"no Debian {SUITE} in apt's sources"


def tarball() -> Path:
    """The base, made into a cache outside the tree once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "collector-tests"
    there = cache / f"{SUITE}-{'-'.join(PACKAGES)}.tar"
    if not there.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as home:
            root, partial = Path(home) / "root", Path(home) / "base.tar"
            options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
            _do("debootstrap", *options, SUITE, str(root), _mirror())
            _do("tar", "-C", str(root), *(f"--exclude=./{each}/*" for each in _NOT_NEEDED), "-cf", str(partial), ".")
            partial.rename(there)
    return there


def _mirror() -> str:
    """Empty where there is none."""
    command = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return next((line.split()[1] for line in told.splitlines() if line.startswith(f"{SUITE} ")), "")


def _do(*command: str) -> None:
    done = subprocess.run(
        command, env={**os.environ, "PATH": _path()}, check=False, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stdout[-1000:]}{done.stderr[-1000:]}")


def _path() -> str:
    return f"{os.environ['PATH']}:{_ADMIN}"
