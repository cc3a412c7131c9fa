"""What one waits for: a line at the end of a terminal while it lasts, gone afterwards; elsewhere nothing.

It is written to stderr, so that what goes to stdout can be piped on.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Waiting:
    """Says what is waited for."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar

    @property
    def is_shown(self) -> bool:
        return self._bar is not None

    def say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=text)

    def count(self, done: int, total: int) -> None:
        """So much of so much is done."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Out of the way, for what is printed within the block."""
        if self._bar is not None:
            self._bar.stop()
        yield
        if self._bar is not None:
            self._bar.start()


@contextmanager
def waiting(text: str) -> Iterator[Waiting]:
    """Show it until the end of the block."""
    console = Console(stderr=True)
    if not sys.stderr.isatty() or not console.is_interactive:
        yield Waiting(None)
        return
    columns = SpinnerColumn(), BarColumn(20), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        bar.add_task(text, total=None)
        yield Waiting(bar)
