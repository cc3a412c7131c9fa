"""Becomes a command on a machine on which IPv6 is disabled, as in many containers, with only a loopback interface.

It is run by `unshare` in a network namespace of its own. Its arguments are the command.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

from tests.needs import absent

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
COMMAND = ("unshare", "--net", sys.executable, "-m", "tests.web.without_ipv6")


def why_not() -> str:
    """Return why such a machine cannot be created here, as a part of a sentence; empty if it can."""
    if found := absent("unshare"):
        return found
    done = subprocess.run([*COMMAND, "true"], check=False, capture_output=True)
    return "no permission to create a network namespace" if done.returncode else ""


def become(command: list[str]) -> None:
    """Replace this process by the command."""
    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1", "utf-8")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))
    os.execvp(command[0], command)  # noqa: S606 - without a shell


if __name__ == "__main__":
    become(sys.argv[1:])
