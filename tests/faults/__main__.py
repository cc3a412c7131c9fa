"""`make soak`: injects the faults of the delivery page many times, until the time is over.

The same seed gives the same faults in the same order. Each round is one fault on a testbed of its own, so a run that
was stopped continues with `--seed N --from-round K`.
"""

import argparse
import logging
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random, SystemRandom

import anyio
from msgspec import structs
from rich.console import Console

from tests.faults import table
from tests.faults.brokers import cluster
from tests.faults.fault_list import SCENARIOS, long_run, run_scenario
from tests.faults.leaders import two_node_cluster
from tests.faults.table import Row
from tests.faults.testbed import TARGET_S


async def soak(options: argparse.Namespace, home: Path, out: Console, totals: dict[str, Row]) -> None:
    """Run rounds until the time is over or the list of rounds is done. Adds the results to `totals`, by fault.

    The files of a round are kept if it failed, or if a recovery took longer than `TARGET_S`.
    """
    async with (
        cluster(home / "one", 1) as one,
        two_node_cluster(home / "two") as two,
        cluster(home / "three", 3) as three,
    ):
        ends = anyio.current_time() + options.seconds
        for number, (scenario, times) in enumerate(long_run(Random(options.seed))):
            if number < options.from_round or options.only not in ("", scenario.name):
                continue
            if anyio.current_time() > ends:
                return
            out.print(f"round {number}: {scenario.name}", end=", ")
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak ARGS=…", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800, help="no round starts after this time")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10_000))
    rounds = sum(1 for _ in long_run(Random(0)))
    parser.add_argument("--from-round", type=int, default=0, help=f"the round to start from, 0 to {rounds - 1}")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", choices=names, default="", help="run only the rounds of this fault")
    options = parser.parse_args()
    logging.getLogger().addHandler(logging.NullHandler())  # the clients of the tests log every failed connection
    out = Console(highlight=False, width=110)
    out.print(f"seed {options.seed}: to repeat this run, pass --seed {options.seed}")
    home, totals, is_good = Path(tempfile.mkdtemp(prefix="soak-")), dict[str, Row](), False
    try:
        with suppress(KeyboardInterrupt):
            anyio.run(soak, options, home, out, totals)
        is_good = bool(totals) and all(row.is_good for row in totals.values())
    finally:
        out.print(f"\n{table.show(list(totals.values()))}")
        if is_good and all(row.slowest_s <= TARGET_S for row in totals.values()):
            shutil.rmtree(home)
        else:
            out.print(f"the logs of replicas and brokers are in {home}")
    return 0 if is_good else 1


if __name__ == "__main__":
    raise SystemExit(main())
