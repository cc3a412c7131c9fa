"""Long work in short steps. Pure: `turns.py` does such work, and lets other tasks run between its steps.

Whatever a vendor sends is decoded, compared and encoded by the process that also keeps the deadlines of all other
accounts. Such work is therefore divided into steps that are short whatever the data is.
"""

from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that yields after each step, and returns its result."""


class Running(Generic[T]):
    """Work that is done by iterating: one step each time. It has a `result` after the last step."""

    result: T

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[None]:
        self.result = yield from self._steps


def at_once(steps: Steps[T]) -> T:
    """Do the work without a pause. Returns its result, and raises what it raises."""
    running = Running(steps)
    for _ in running:
        pass
    return running.result
