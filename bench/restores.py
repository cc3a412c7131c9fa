"""Measures starts: from the process's start, and from its assignment, to the first poll of the last stream.

    python -m bench.restores

With the state of a large account, with much state in every partition, and without state. The state is written as the
accounts leave it: see `stored_state`.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.broker import running
from bench.daemon import Config, first_polls, running_daemon, source, write_config
from bench.measurement import log_bytes
from bench.stored_state import spread_accounts, write_state
from collector.instants import floor_second
from collector.pipeline.page import ENTRY
from tests.processes import running_module

LARGE = 3_000_000
"""The entries of an account with a million sessions a day and three days of lateness."""
DAYS = 3
PARTITIONS = 32
PARTITION_BYTES = 32 << 20
EMPTY_RUNS = 5
TIMEOUT_S = 300


class Start(Struct, frozen=True):
    """The figures of one start. Times are in seconds."""

    name: str
    entries: int
    state_bytes: int
    """Of the state topic on the broker's disk."""
    after_start: float
    """From the start of the process to the first poll of the last stream."""
    after_assignment: float
    cpu: float
    peak_mib: float


def measured(name: str, config: Config, url: str, accounts: Sequence[int], entries: int, state_bytes: int) -> Start:
    """Start the daemon, and wait until all accounts have polled."""
    with running_daemon(config) as daemon:
        daemon.until(lambda: len(first_polls(url, daemon)) == len(accounts), TIMEOUT_S, pause_s=0.5)
        first = max(first_polls(url, daemon).values())
        assigned = datetime.fromisoformat(daemon.logged("partitions_assigned")[-1]["timestamp"]).timestamp()
        return Start(
            name,
            entries,
            state_bytes,
            first - daemon.started,
            first - assigned,
            daemon.cpu_s,
            daemon.peak_mib,
        )


def with_state(kafka: str, home: Path, url: str, name: str, accounts: Sequence[int], entries: int) -> Start:
    """Write so many entries for each account, and start."""
    prefix, now = f"{name.replace(' ', '-')}.", floor_second(datetime.now(UTC))
    lateness = f'[sources.account{{:05}}.streams.sessions]\nallowed_lateness = "{DAYS}d"'
    tables = "".join(source(each, f"{url}/api", now - timedelta(days=DAYS), lateness.format(each)) for each in accounts)
    config = write_config(home, prefix, kafka, tables, prefix)
    write_state(config.path, accounts, entries, DAYS, now)
    state_bytes = log_bytes(home / "data", f"{prefix}*state-*")
    return measured(name, config, url, accounts, entries * len(accounts), state_bytes)


def without_state(kafka: str, home: Path, url: str) -> Sequence[Start]:
    """The medians of starts in a new deployment, which creates its topics, and of starts in one that has them."""
    first, again = [], []
    for run in range(EMPTY_RUNS):
        prefix = f"empty{run}."
        config = write_config(
            home, prefix, kafka, source(1, f"{url}/api", datetime.now(UTC) - timedelta(minutes=2)), prefix
        )
        first.append(measured("no state, no topics", config, url, [1], 0, 0))
        again.append(measured("no state", config, url, [1], 0, 0))
    return _median(first), _median(again)


def _median(starts: Sequence[Start]) -> Start:
    def of(value: Callable[[Start], float]) -> float:
        return median(map(value, starts))

    after_start, after_assignment = of(lambda each: each.after_start), of(lambda each: each.after_assignment)
    return Start(
        f"{starts[0].name} (median of {len(starts)})",
        0,
        0,
        after_start,
        after_assignment,
        of(lambda each: each.cpu),
        of(lambda each: each.peak_mib),
    )


def table(starts: Sequence[Start]) -> Table:
    """The figures as a table."""
    columns = ("entries", "MiB", "start to first poll, s", "from assignment, s", "CPU s", "peak MiB")
    found = Table("restores", *columns)
    for each in starts:
        found.add_row(
            each.name,
            f"{each.entries:,}",
            f"{each.state_bytes / 2**20:,.0f}",
            f"{each.after_start:.2f}",
            f"{each.after_assignment:.2f}",
            f"{each.cpu:.1f}",
            f"{each.peak_mib:,.0f}",
        )
    return found


def main() -> None:
    each_partition = PARTITION_BYTES // ENTRY.size
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as broker:
        home, kafka = Path(name), broker.address
        with running_module("bench.live_vendor") as url:
            starts = [
                with_state(kafka, home, url, "one account", [1], LARGE),
                with_state(kafka, home, url, "32 partitions", spread_accounts(PARTITIONS), each_partition),
                *without_state(kafka, home, url),
            ]
    Console(highlight=False, width=110, file=sys.stdout).print(table(starts))


if __name__ == "__main__":
    main()
