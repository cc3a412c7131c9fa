"""Measures a hundred accounts on four replicas: how even their work is, and what happens when one dies.

python -m bench.replicas
"""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import mean, median

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench import rebalances
from bench.broker import running
from bench.daemon import Daemon, get, start, write_config
from bench.scale import live_sources
from bench.spread import numbers
from tests.processes import running_module

REPLICAS = 4
ACCOUNTS = numbers(100, Random(0))
INTERVAL_S = 5
MEASURED_S = 120
"""Each account has two sessions."""
SETTLED_S = 20
"""The replicas join one after the other: the last assignment has been received when none changes for so long."""
WAIT_S = 300


class Work(Struct, frozen=True):
    """What one replica did while it was measured."""

    accounts: int
    events: int
    cpu_s: float


def accounts(replica: Daemon) -> frozenset[str]:
    """The sources whose accounts this replica polls."""
    return frozenset(each["source"] for each in replica.streams() if each["state"] == "live")


def work(replica: Daemon) -> Work:
    """What a replica has done since its start."""
    events = sum(sum(each["counts"]["events"].values()) for each in replica.streams())
    return Work(len(accounts(replica)), events, replica.cpu_s)


class Takeover(Struct, frozen=True):
    """How long accounts were not polled when a replica died, in seconds."""

    lost: Sequence[float]
    """Of each account of the dead replica: from its last poll to the first one by another replica."""
    longest_kept: float
    """The longest gap between two polls of an account of another replica, in the same time."""


def measured(replicas: Sequence[Daemon]) -> Sequence[Work]:
    """What each replica does in two minutes."""
    before = [work(each) for each in replicas]
    time.sleep(MEASURED_S)
    after = [work(each) for each in replicas]
    return [
        Work(each.accounts, each.events - earlier.events, each.cpu_s - earlier.cpu_s)
        for each, earlier in zip(after, before, strict=True)
    ]


def killed(replica: Daemon, url: str) -> Takeover:
    """End a replica with SIGKILL, and return when others poll all of its accounts."""
    lost = {name.removeprefix("account").lstrip("0") for name in accounts(replica)}
    replica.kill()
    died = time.time()
    requests: dict[str, list[float]] = {}

    def are_polled() -> bool:
        requests.update(json.loads(get(f"{url}/requests")))
        return all(requests[each][-1] > died for each in lost)

    _wait(are_polled)
    gaps = {account: _longest_gap(times, died) for account, times in requests.items()}
    return Takeover([gaps[each] for each in lost], max(gaps[each] for each in gaps.keys() - lost))


def _longest_gap(times: Sequence[float], since: float) -> float:
    return max((later - earlier for earlier, later in pairwise(times) if later > since), default=0.0)


def _settled(replicas: Sequence[Daemon]) -> None:
    """Return when all accounts are polled, and their owners have not changed for a while."""
    seen: list[frozenset[str]] = []
    since = time.monotonic()

    def are_settled() -> bool:
        nonlocal seen, since
        former, seen = seen, [accounts(each) for each in replicas]
        if seen != former or sum(map(len, seen)) < len(ACCOUNTS):
            since = time.monotonic()
        return time.monotonic() - since > SETTLED_S

    _wait(are_settled)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the replicas do not poll all accounts")
        time.sleep(1)


def table(before: Sequence[Work], after: Sequence[Work]) -> Table:
    """What each replica did, in a row for each. The last row of each part is the busiest by the mean."""
    found = Table(f"{len(ACCOUNTS)} accounts", "accounts", f"events in {MEASURED_S} s", f"CPU s in {MEASURED_S} s")
    for name, works in (("of four replicas", before), ("of three, after one died", after)):
        for each in works:
            found.add_row(name, f"{each.accounts}", f"{each.events:,}", f"{each.cpu_s:.1f}")
        columns = ([each.accounts for each in works], [each.events for each in works], [each.cpu_s for each in works])
        found.add_row("busiest : mean", *(f"{max(values) / mean(values):.2f}" for values in columns), end_section=True)
    return found


def main() -> None:
    out = Console(highlight=False, width=110)
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as broker:
        with running_module("bench.live_vendor") as url:
            tables = live_sources(url, ACCOUNTS, INTERVAL_S)
            configs = [
                write_config(Path(name), f"replica{each}", broker.address, tables, "replicas.")
                for each in range(REPLICAS)
            ]
            replicas = [start(each) for each in configs]
            try:
                _settled(replicas)
                before = measured(replicas)
                busiest = max(replicas, key=lambda each: len(accounts(each)))
                replicas.remove(busiest)
                takeover = killed(busiest, url)
                _settled(replicas)
                after = measured(replicas)
            finally:
                for each in replicas:
                    each.stop()
        out.print(table(before, after))
        lost = f"50 % for {median(takeover.lost):.1f} s, the longest for {max(takeover.lost):.1f} s"
        out.print(f"{len(takeover.lost)} accounts of the replica that was killed were not polled: {lost}; ", end="")
        out.print(f"all others for {takeover.longest_kept:.1f} s at most")
        out.print(rebalances.table(broker.address))


if __name__ == "__main__":
    main()
