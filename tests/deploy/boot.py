"""Becomes systemd as the first process of a machine of its own.

The machine consists of namespaces, with an empty /run and /opt, and an /etc whose changes are kept apart. `unshare`
runs this program. Its first argument is JSON with the arguments of `boot`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SYSTEMD = "/lib/systemd/systemd"
TARGET = "test.target"


def boot(binds: Mapping[str, str], files: Mapping[str, str], layers: str) -> None:
    """Replace this process by systemd, which starts no unit.

    Args:
        binds: folders of this machine by their path there.
        files: the texts of further files by their path there. Programs can be executed.
        layers: an empty folder, for the changes of /etc.

    """
    _mount("--make-rprivate", "/")
    _mount("-t", "proc", "proc", "/proc")
    _mount("-t", "tmpfs", "tmpfs", "/run")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/opt")
    _mount("-t", "tmpfs", "tmpfs", layers)  # an overlay cannot be on another one
    upper, work = Path(layers, "upper"), Path(layers, "work")
    _mount("-t", "overlay", "-o", f"lowerdir=/etc,upperdir={_made(upper)},workdir={_made(work)}", "overlay", "/etc")
    subprocess.run(["umount", "--lazy", "--recursive", "/sys/fs/cgroup"], check=False)
    _mount("-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
    for inside, outside in binds.items():
        _mount("--bind", "-o", "ro", outside, str(_made(Path(inside))))
    units = {f"/run/systemd/system/{TARGET}": "[Unit]\nDefaultDependencies=no\n"}
    for name, text in {**units, **files}.items():
        _made(Path(name).parent)
        Path(name).write_text(text, "utf-8")
        Path(name).chmod(0o755 if "/bin/" in name else 0o644)
    Path("/run/systemd/system/network-online.target").symlink_to(os.devnull)
    _mount("--make-rshared", "/")  # as systemd makes it at a real boot: credentials are mounted by another process
    arguments = [SYSTEMD, "--system", f"--unit={TARGET}", "--log-target=null", "--show-status=no"]
    os.execve(SYSTEMD, arguments, {"PATH": os.defpath, "container": "test"})  # noqa: S606 - no shell


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    boot(**json.loads(sys.argv[1]))
