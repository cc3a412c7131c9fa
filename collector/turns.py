"""Does long work in turns with other tasks.

Tasks with long work take turns among themselves: however many they are, a task without long work waits for one of them.
"""

from time import perf_counter
from typing import TypeVar

import anyio
from anyio.lowlevel import RunVar, checkpoint

from collector.steps import Running, Steps

T = TypeVar("T")

MAX_TURN_S = 0.01
"""How long other tasks wait at most, apart from the last step: half of what is noticeable to them."""
MAX_TURN_STEPS = 1000
"""For how many steps other tasks wait at most, however fast the machine is: so that turns can be counted in tests."""
_next: RunVar[anyio.Lock] = RunVar("next_turn")
"""Held by the task whose turn is next: one in a pass of the event loop, however many tasks have long work."""


async def _until_next() -> None:
    """Let all other tasks run, and of those with long work the ones that have waited longer."""
    lock = _next.get(None)
    if lock is None:
        lock = anyio.Lock(fast_acquire=True)
        _next.set(lock)
    async with lock:
        await checkpoint()


class Turn:
    """The work between two moments at which other tasks may run."""

    def __init__(self, max_s: float | None = None) -> None:
        """`max_s` is the longest that other tasks wait, in seconds: MAX_TURN_S if it is not given."""
        self._max_s = MAX_TURN_S if max_s is None else max_s
        self._start()

    def _start(self) -> None:
        self._steps = 0
        self._ends_s = perf_counter() + self._max_s

    def is_over(self) -> bool:
        """Count a step. Returns whether the turn has been long enough: then other tasks must run, in `end`."""
        self._steps += 1
        return self._steps >= MAX_TURN_STEPS or perf_counter() >= self._ends_s

    async def end(self) -> None:
        """Let other tasks run, and begin the next turn."""
        await _until_next()
        self._start()


async def in_turns(steps: Steps[T], max_s: float | None = None) -> T:
    """Do the work, and let other tasks run between its steps, as `Turn` does with `max_s`.

    Returns its result, and raises what it raises.
    """
    turn, running = Turn(max_s), Running(steps)
    for _ in running:
        if turn.is_over():
            await turn.end()
    return running.result
