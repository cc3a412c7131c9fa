"""The table of results that the fault tests print."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from rich.console import Console
from rich.table import Table


class Row(Struct, frozen=True):
    """The results of one fault."""

    fault: str
    times: int
    events: int
    lost: int
    duplicated: int
    disordered: int
    slowest_s: float
    """The slowest recovery: until the continuous reader received an event of each source published after the fault."""
    after_final: int | None = None
    """Events that a consumer did not have although it had read `final` after their start; None where state is lost, so
    that records are published again on purpose."""

    @property
    def is_good(self) -> bool:
        return self.events > 0 and self.lost == self.duplicated == self.disordered == (self.after_final or 0) == 0


rows: list[Row] = []
"""The results of this test run."""


COLUMNS = ("fault", "times", "events", "lost", "duplicated", "out of order", "after final", "slowest recovery")


def show(rows: list[Row]) -> str:
    """The rows as a table, sorted by fault."""
    table = Table(*COLUMNS)
    for cells in _cells(rows):
        table.add_row(*cells)
    console = Console(width=110, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def markdown(rows: list[Row]) -> str:
    """As `show`, in Markdown: one line per fault, as documents contain it."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *_cells(rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(rows: list[Row]) -> Iterator[Sequence[str]]:
    for row in sorted(rows, key=lambda row: row.fault):
        counts = (row.times, row.events, row.lost, row.duplicated, row.disordered)
        after_final = "" if row.after_final is None else f"{row.after_final:,}"
        yield row.fault, *(f"{count:,}" for count in counts), after_final, f"{row.slowest_s:.1f} s"
