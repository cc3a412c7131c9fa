"""What the fault tests print when they are done."""

from msgspec import Struct
from rich.console import Console
from rich.table import Table


class Row(Struct, frozen=True):
    """What a fault did."""

    fault: str
    times: int
    events: int
    lost: int
    duplicated: int
    disordered: int
    slowest_s: float
    """The slowest recovery: until the reader that ran all along saw, of each source, what was published after it."""

    @property
    def is_good(self) -> bool:
        return self.events > 0 and self.lost == self.duplicated == self.disordered == 0


rows: list[Row] = []
"""Of this run."""


def show(found: list[Row]) -> str:
    """Fault, times, events, lost, duplicated, disordered, slowest recovery."""
    table = Table("fault", "times", "events", "lost", "duplicated", "disordered", "slowest recovery")
    for row in sorted(found, key=lambda row: row.fault):
        counts = (row.times, row.events, row.lost, row.duplicated, row.disordered)
        table.add_row(row.fault, *(f"{count:,}" for count in counts), f"{row.slowest_s:.1f} s")
    console = Console(width=110, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()
