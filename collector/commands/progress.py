"""The progress of a command: a line at the end of a terminal, which is erased when the command ends.

It is written to stderr, so that stdout can be piped. If stderr is not a terminal, no progress is shown.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich import progress as rich_progress
from rich.console import Console


class Progress:
    """The progress line, or nothing where it is not shown."""

    def __init__(self, bar: rich_progress.Progress | None) -> None:
        self._bar = bar

    @property
    def is_shown(self) -> bool:
        return self._bar is not None

    def show(self, text: str) -> None:
        """Replace the text of the line."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=text)

    def count(self, done: int, total: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hide the line within the block, so that other output can be printed."""
        if self._bar is not None:
            self._bar.stop()
        yield
        if self._bar is not None:
            self._bar.start()


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """Show the line within the block, if stderr is a terminal."""
    console = Console(stderr=True)
    if not sys.stderr.isatty() or not console.is_interactive:
        yield Progress(None)
        return
    columns = (
        rich_progress.SpinnerColumn(),
        rich_progress.BarColumn(20),
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.TimeElapsedColumn(),
    )
    with rich_progress.Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        bar.add_task(text, total=None)
        yield Progress(bar)
