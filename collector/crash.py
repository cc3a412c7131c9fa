"""Named points at which the tests kill the process, at once, as a power cut would. Elsewhere nothing happens at them.

Only the environment variable arms one: `COLLECTOR_CRASH_POINT=after_begin:3` is the third time that it is passed.
"""

import os
import signal

VARIABLE = "COLLECTOR_CRASH_POINT"
POINTS = ("after_init", "after_barrier", "mid_restore", "after_begin", "after_sends", "commit_sent", "after_commit")

_name, _, _times = os.environ.get(VARIABLE, "").partition(":")
_left = {_name: int(_times or 1)}


def is_armed(name: str) -> bool:
    return name in _left


def crash_point(name: str) -> None:
    if is_armed(name):
        _left[name] -= 1
        if _left[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
