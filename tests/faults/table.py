"""What the fault tests print when they are done."""

from rich.console import Console
from rich.table import Table

from tests.faults.stage import Row

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
