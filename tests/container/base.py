"""Builds a base image without an image registry: Debian with Python, from the apt mirror of this machine."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.needs import absent

SUITE = "bookworm"
"""The Debian release of the Dockerfile's base, with Python 3.11."""
PACKAGES = ("ca-certificates", "python3-venv")
_EXCLUDED = ("dev", "proc", "sys", "usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache", "var/lib/apt")
_ADMIN = "/usr/sbin:/sbin"
"""The folders of debootstrap and of the programs that it calls. Many users' PATH does not have them."""


def why_not() -> str:
    """Return why the base cannot be built here, as a part of a sentence; empty if it can."""
    if found := absent("apt-get", "buildah", "mount", "unshare"):
        return found
    if shutil.which("debootstrap", path=_path()) is None:
        return "no debootstrap"
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode:
        return "no permission to mount"
    return "" if _mirror() else f"no Debian {SUITE} in apt's sources"


def tarball() -> Path:
    """Return the base as a tar file. It is built once, into a cache outside of the checkout."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "collector-tests"
    cached = cache / f"{SUITE}-{'-'.join(PACKAGES)}.tar"
    if not cached.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as home:
            root, partial = Path(home) / "root", Path(home) / "base.tar"
            options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
            _run("debootstrap", *options, SUITE, str(root), _mirror())
            _run("tar", "-C", str(root), *(f"--exclude=./{each}/*" for each in _EXCLUDED), "-cf", str(partial), ".")
            partial.rename(cached)
    return cached


def _mirror() -> str:
    """Return the URL of a mirror of the Debian release in apt's sources; empty if there is none."""
    command = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]
    targets = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return next((line.split()[1] for line in targets.splitlines() if line.startswith(f"{SUITE} ")), "")


def _run(*command: str) -> None:
    done = subprocess.run(
        command, env={**os.environ, "PATH": _path()}, check=False, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stdout[-1000:]}{done.stderr[-1000:]}")


def _path() -> str:
    return f"{os.environ['PATH']}:{_ADMIN}"
