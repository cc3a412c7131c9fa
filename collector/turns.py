"""Does long work in turns with other tasks."""

from time import perf_counter
from typing import TypeVar

import anyio.lowlevel

from collector.steps import Running, Steps

T = TypeVar("T")

MAX_TURN_S = 0.01
"""How long other tasks wait at most, apart from the last step: half of what is noticeable to them."""
MAX_TURN_STEPS = 1000
"""For how many steps other tasks wait at most, however fast the machine is: so that turns can be counted in tests."""


class Turn:
    """The work between two moments at which other tasks may run."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._steps = 0
        self._ends_s = perf_counter() + MAX_TURN_S

    async def step(self) -> None:
        """Count a step. Let other tasks run if the turn has been long enough."""
        self._steps += 1
        if self._steps >= MAX_TURN_STEPS or perf_counter() >= self._ends_s:
            await anyio.lowlevel.checkpoint()
            self._start()


async def in_turns(steps: Steps[T]) -> T:
    """Do the work, and let other tasks run between its steps. Returns its result, and raises what it raises."""
    turn, running = Turn(), Running(steps)
    for _ in running:
        await turn.step()
    return running.result
