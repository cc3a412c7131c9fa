"""Named points at which the fault tests kill the process, as abruptly as a power failure; elsewhere they do nothing.

Only the environment variable arms one: with `COLLECTOR_CRASH_POINT=after_begin:3` the process is killed when it passes
`after_begin` for the third time.
"""

import os
import signal

VARIABLE = "COLLECTOR_CRASH_POINT"
POINTS = ("after_init", "after_barrier", "mid_restore", "after_begin", "after_sends", "commit_sent", "after_commit")

_name, _, _count = os.environ.get(VARIABLE, "").partition(":")
_remaining = {_name: int(_count or 1)}


def is_armed(name: str) -> bool:
    """Whether the process may be killed at this point."""
    return name in _remaining


def crash_point(name: str) -> None:
    """Kill the process if this point is armed and is now passed for the configured number of times."""
    if is_armed(name):
        _remaining[name] -= 1
        if _remaining[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
