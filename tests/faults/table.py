"""The table of results that the fault tests print."""

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


def show(rows: list[Row]) -> str:
    """The rows as a table, sorted by fault."""
    table = Table("fault", "times", "events", "lost", "duplicated", "out of order", "after final", "slowest recovery")
    for row in sorted(rows, key=lambda row: row.fault):
        counts = (row.times, row.events, row.lost, row.duplicated, row.disordered)
        after_final = "" if row.after_final is None else f"{row.after_final:,}"
        table.add_row(row.fault, *(f"{count:,}" for count in counts), after_final, f"{row.slowest_s:.1f} s")
    console = Console(width=110, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()
