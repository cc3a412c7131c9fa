"""`make soak`: injects the faults of the delivery page many times, until the time is over.

The same seed gives the same faults in the same order. `make soak ROUND=3` runs the third of the ten rounds of the long
run, to its end. Each trial is one fault on a testbed of its own, so a run that was stopped continues at a later trial.
"""

import argparse
import logging
import math
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random, SystemRandom

import anyio
from msgspec import structs
from rich.console import Console

from tests.faults import table
from tests.faults.brokers import cluster
from tests.faults.fault_list import ROUNDS, SCENARIOS, long_run, run_scenario
from tests.faults.leaders import two_node_cluster
from tests.faults.table import Row
from tests.faults.testbed import TARGET_S

DEFAULT_S = 1800.0
"""How long trials start if no round is chosen."""


async def soak(options: argparse.Namespace, home: Path, out: Console, totals: dict[str, Row]) -> None:
    """Run trials until the time is over or the list of trials is done. Adds the results to `totals`, by fault.

    The files of a trial are kept if it failed, or if a recovery took longer than `TARGET_S`.
    """
    trials = long_run(Random(options.seed), *([[options.round]] if options.round else []))
    async with (
        cluster(home / "one", 1) as one,
        two_node_cluster(home / "two") as two,
        cluster(home / "three", 3) as three,
    ):
        ends = anyio.current_time() + options.seconds
        for number, (scenario, times) in enumerate(trials, 1):
            if number < options.from_trial or options.only not in ("", scenario.name):
                continue
            if anyio.current_time() > ends:
                return
            out.print(f"trial {number}: {scenario.name}", end=", ")
            prefix, random = f"soak{options.seed}-{number}-", Random(f"{options.seed}/{number}")
            row = await run_scenario(
                scenario, times, home / prefix, prefix, random, {1: one, 2: two, 3: three}[scenario.nodes]
            )
            out.print(f"{row.events} events, {'ok' if row.is_good else row}, recovered in {row.slowest_s:.1f} s")
            before = totals.get(row.fault)
            totals[row.fault] = row if before is None else _sum(before, row)
            if row.is_good and row.slowest_s <= TARGET_S:
                shutil.rmtree(home / prefix)


def _sum(one: Row, other: Row) -> Row:
    return structs.replace(
        one,
        times=one.times + other.times,
        events=one.events + other.events,
        lost=one.lost + other.lost,
        duplicated=one.duplicated + other.duplicated,
        disordered=one.disordered + other.disordered,
        after_final=None if one.after_final is None else one.after_final + (other.after_final or 0),
        slowest_s=max(one.slowest_s, other.slowest_s),
    )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a run. Without a round, it is all rounds, in which no trial starts after `seconds`."""
    parser = argparse.ArgumentParser(prog="make soak ROUND=n ARGS=…", description=__doc__)
    rounds = range(1, ROUNDS + 1)
    parser.add_argument(
        "--round", type=int, choices=rounds, help="run only this round, by default with its number as seed"
    )
    parser.add_argument("--seconds", type=float, help="no trial starts after this time; 1800, or unlimited in a round")
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--from-trial", type=int, default=1, help="the trial to start from, as a stopped run printed it"
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", choices=names, default="", help="run only the trials of this fault")
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = options.round or SystemRandom().randrange(10_000)
    if options.seconds is None:
        options.seconds = math.inf if options.round else DEFAULT_S
    return options


def main() -> int:
    options, started_s = parse(), time.monotonic()
    logging.getLogger().addHandler(logging.NullHandler())  # the clients of the tests log every failed connection
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # both end what was started
    out = Console(highlight=False, width=110)
    out.print(f"seed {options.seed}: to repeat this run, pass --seed {options.seed}")
    home, totals, is_good = Path(tempfile.mkdtemp(prefix="soak-")), dict[str, Row](), False
    try:
        with suppress(KeyboardInterrupt):
            anyio.run(soak, options, home, out, totals)
        is_good = bool(totals) and all(row.is_good for row in totals.values())
    finally:
        out.print(f"\n{table.show(list(totals.values()))}")
        out.print(table.markdown(list(totals.values())), soft_wrap=True)
        out.print(f"took {(time.monotonic() - started_s) / 60:.1f} minutes")
        if is_good and all(row.slowest_s <= TARGET_S for row in totals.values()):
            shutil.rmtree(home)
        else:
            out.print(f"the logs of replicas and brokers are in {home}")
    return 0 if is_good else 1


if __name__ == "__main__":
    raise SystemExit(main())
