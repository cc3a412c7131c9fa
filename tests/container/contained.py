"""Becomes the process of a container: as the image's user, in its root file system, read-only and without a shell.

It is run by `unshare` in a mount and a process namespace of its own. Its first argument is JSON with the arguments of
`become`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SHELLS = ("bash", "dash")
NOTHING = "/dev/null"


def become(
    root: Path, command: list[str], environment: Mapping[str, str], user: str, home: str, mounts: Mapping[str, str]
) -> None:
    """Replace this process by `command` in the container. `mounts` has paths outside by their path inside."""
    _mount("--bind", str(root), str(root))
    for shell in SHELLS:
        _mount("--bind", NOTHING, str(root / "usr/bin" / shell))
    for inside, outside in mounts.items():
        _mount("--bind", outside, str(root / inside.lstrip("/")))
    _mount("-o", "remount,bind,ro", str(root))
    _mount("-t", "proc", "proc", str(root / "proc"))
    os.chroot(root)
    os.chdir(home)
    uid, gid = map(int, user.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.execve(command[0], command, environment)  # noqa: S606 - as an engine does: no shell


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    become(Path(arguments.pop("root")), **arguments)
