"""Long work in short steps. Pure: `turns.py` does such work, and lets other tasks run between its steps.

Whatever a vendor sends is decoded, compared and encoded by the process that also keeps the deadlines of all other
accounts. Such work is therefore divided into steps that are short whatever the data is.
"""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that yields after each step, and returns its result."""


def at_once(steps: Steps[T]) -> T:
    """Do the work without a pause. Returns its result, and raises what it raises."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
