"""Runs services under a real systemd, in namespaces, beside whatever this machine was started with."""

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.container.image import TREE
from tests.deploy import boot
from tests.needs import absent

FOLDER = TREE / "deploy/systemd"
UNIT = FOLDER / "collector.service"
OLDEST = 251
"""The oldest version of systemd that deploy/README.md names."""
PROGRAM = "/opt/collector/current/bin/collector"
VERSIONS = ("1", "2")
"""The installed versions, which are all the checkout."""
BINDS = {
    "/opt/python": sys.base_prefix,
    "/opt/packages": sysconfig.get_path("purelib"),
    "/opt/checkout/collector": str(TREE / "collector"),
}
"""`ProtectHome=` hides them where they are if this Python is in a home folder."""
WRAPPER = f"""#!/bin/sh
export PYTHONPATH=/opt/checkout:/opt/packages LD_LIBRARY_PATH=/opt/python/lib
exec /opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor} -m collector "$@"
"""
SUDO = """#!/bin/sh
if [ "$1" = -u ]; then
    user=$2
    shift 2
    exec runuser -u "$user" -- "$@"
fi
exec "$@"
"""
_SHIMS = "/opt/shims/bin"
_BOOT_S = 30
_CGROUP2 = "cgroup2"


def why_not() -> str:
    """Return why no systemd can be started here, as a part of a sentence; empty if it can."""
    if found := absent("mount", "nsenter", "systemctl", "systemd-sysusers", "unshare"):
        return found
    if not Path(boot.SYSTEMD).exists() or version() < OLDEST:
        return f"no systemd {OLDEST} or newer"
    namespaces = ["unshare", "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--fork", "true"]
    if os.geteuid() != 0 or subprocess.run(namespaces, check=False, capture_output=True).returncode:
        return "no permission to create namespaces"
    cgroups = _cgroups()
    return "" if cgroups is not None and os.access(cgroups, os.W_OK) else "no cgroup2 that can be written to"


def version() -> int:
    """Return the version of systemd."""
    output = subprocess.run(["systemctl", "--version"], check=True, capture_output=True, text=True).stdout
    return int(output.split()[1].partition(".")[0])


class Machine:
    """A running systemd."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def run(self, *command: str, stdin: str = "") -> str:
        """Return the output of a command in the machine. Raises AssertionError when it fails."""
        inside = ["nsenter", "--target", str(self._pid), "--mount", "--pid", *command]
        done = subprocess.run(inside, check=False, capture_output=True, text=True, timeout=120, input=stdin)
        assert 0 == done.returncode, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def shell(self, script: str, stdin: str = "") -> str:
        """Return the output of a script of the checkout's root, which stops at the first command that fails."""
        return self.run("bash", "-euo", "pipefail", "-c", f"cd {TREE}\nPATH={_SHIMS}:$PATH\n{script}", stdin=stdin)

    def write(self, path: str, text: str) -> None:
        """Write a file in the machine."""
        self.run("tee", path, stdin=text)

    def shows(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit)

    def status(self, unit: str) -> dict[str, str]:
        """Return the kernel's status of the main process of a unit."""
        lines = self.run("cat", f"/proc/{self.shows(unit, 'MainPID')}/status").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@contextmanager
def booted(home: Path, files: Mapping[str, str]) -> Iterator[Machine]:
    """Start systemd until the end of the block, with files by their path."""
    layers = home / "etc"
    layers.mkdir()
    if (cgroups := _cgroups()) is None:
        raise AssertionError("no cgroup2")
    cgroup = cgroups / f"collector-test-{os.getpid()}"
    cgroup.mkdir()
    programs = {f"/opt/collector/{version}/bin/collector": WRAPPER for version in VERSIONS}
    programs[f"{_SHIMS}/sudo"] = SUDO
    arguments = json.dumps({"binds": BINDS, "files": {**programs, **files}, "layers": str(layers)})
    unshare = ["unshare", "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--fork", "--kill-child"]
    command = [*unshare, sys.executable, boot.__file__, arguments]
    enter = ["sh", "-c", f'echo $$ > {cgroup}/cgroup.procs && exec "$@"', "sh", *command]
    try:
        with subprocess.Popen(enter, stdin=subprocess.DEVNULL) as outer:
            try:
                machine = Machine(_first_process(outer))
                _await_boot(machine)
                yield machine
            finally:
                outer.kill()
    finally:
        _remove(cgroup)


def _first_process(outer: "subprocess.Popen[bytes]") -> int:
    deadline = time.monotonic() + _BOOT_S
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    while time.monotonic() < deadline and outer.poll() is None:
        if pids := children.read_text("utf-8").split():
            return int(pids[0])
        time.sleep(0.02)
    raise AssertionError("unshare has started no process")


def _await_boot(machine: Machine) -> None:
    deadline = time.monotonic() + _BOOT_S
    while time.monotonic() < deadline:
        with suppress(AssertionError):
            if "active" == machine.run("systemctl", "is-active", boot.TARGET):
                return
        time.sleep(0.1)
    raise AssertionError(f"systemd has not started within {_BOOT_S} s")


def _cgroups() -> Path | None:
    """Return where the unified hierarchy of control groups is mounted, if it is."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text("utf-8").splitlines())
    return next((Path(place) for _, place, kind, *_ in mounts if kind == _CGROUP2), None)


def _remove(cgroup: Path) -> None:
    """Remove a control group, whose processes are ending."""
    deadline = time.monotonic() + _BOOT_S
    while cgroup.exists() and time.monotonic() < deadline:
        for path in (*sorted(cgroup.rglob("*/"), reverse=True), cgroup):
            with suppress(OSError):
                path.rmdir()
        time.sleep(0.05)
