"""Skips tests whose requirements the machine does not meet."""

import os
import shutil
import socket

import pytest


def absent(*commands: str) -> str:
    """The commands that are not in PATH, as the reason for `need`; empty when all are."""
    missing = [name for name in commands if shutil.which(name) is None]
    return f"no {' and no '.join(missing)} in PATH" if missing else ""


def no_ipv6() -> str:
    """That loopback has no IPv6, as the reason for `need`; empty when it has."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        return f"no IPv6 on loopback: {error.strerror}"
    return ""


def need(what: str, reason: str) -> None:
    """Skip the test if a reason is given. With `REQUIRE_<what>` in the environment, fail it instead."""
    if not reason:
        return
    if os.environ.get(f"REQUIRE_{what}"):
        pytest.fail(f"REQUIRE_{what} is set, but: {reason}")
    pytest.skip(f"needs {what.lower()}: {reason}")
