"""What a test needs of the machine: without it, it is skipped with the reason, unless it must not be."""

import os
import shutil

import pytest


def absent(*commands: str) -> str:
    """Which of the commands are not on the path, as a part of a sentence; empty when all are there."""
    missing = [name for name in commands if shutil.which(name) is None]
    return f"no {' and no '.join(missing)} on the path" if missing else ""


def need(what: str, reason: str) -> None:
    """Skip the test when there is a reason; fail it when `REQUIRE_<what>` is set."""
    if not reason:
        return
    if os.environ.get(f"REQUIRE_{what}"):
        pytest.fail(f"REQUIRE_{what} is set, and there is {reason}")
    pytest.skip(f"needs {what.lower()}: {reason}")
