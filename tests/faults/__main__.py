"""`make soak`: the faults of the table again and again, bounded in time; a seed gives the same ones in the same order.

Each round is one fault on a stage of its own, so a run that was ended is taken up with `--seed N --from-round K`.
"""

import argparse
import logging
import tempfile
from pathlib import Path
from random import Random, SystemRandom

import anyio
from msgspec import structs
from rich.console import Console

from tests.faults import scenarios, table
from tests.faults.scenarios import Fault
from tests.faults.stage import Row, stage, verdict
from tests.kafka.broker import Broker, running
from tests.kafka.town import Counted


async def soak(seconds: float, seed: int, first: int, out: Console) -> list[Row]:
    """Rounds until the time is over; what each fault did in all."""
    totals: dict[str, Row] = {}
    ends = anyio.current_time() + seconds
    with tempfile.TemporaryDirectory() as name, running(Path(name) / "broker") as broker:
        number = first
        while anyio.current_time() < ends:
            row = await _round(Path(name), broker, seed, number)
            out.print(f"round {number}: {row.fault}, {row.events} events, {'good' if row.is_good else row}")
            before = totals.get(row.fault)
            totals[row.fault] = row if before is None else _both(before, row)
            number += 1
    return list(totals.values())


async def _round(home: Path, broker: Broker, seed: int, number: int) -> Row:
    random = Random(f"{seed}/{number}")
    faults = Counted(scenarios.UNWELL, seed=random.randrange(1 << 30))
    kinds: dict[str, tuple[Fault, int]] = {
        "broker killed or stopped": (scenarios.broker_killed(broker), 4),
        "killed at each step": (scenarios.killed_at_each_step, 3),
        "killed at random": (scenarios.killed_at_random, 25),
        "paused beyond the session": (scenarios.paused, 5),
        "replicas come and go": (scenarios.joining_and_leaving, 10),
        "rolling restart of three": (scenarios.rolling_restart, 9),
        "vendor unwell": (scenarios.vendor_unwell(faults), 60),
    }
    what = random.choice(sorted(kinds))
    fault, times = kinds[what]
    prefix = f"soak{seed}-{number}-"
    (home / prefix).mkdir()
    unwell = faults if what == "vendor unwell" else None
    async with stage(home / prefix, broker.address, prefix, faults=unwell) as found:
        found.random = random
        return await verdict(found, broker.address, prefix, what, await fault(found, times))


def _both(one: Row, other: Row) -> Row:
    return structs.replace(
        one,
        times=one.times + other.times,
        events=one.events + other.events,
        lost=one.lost + other.lost,
        duplicated=one.duplicated + other.duplicated,
        disordered=one.disordered + other.disordered,
        slowest_s=max(one.slowest_s, other.slowest_s),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak ARGS=…", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10_000))
    parser.add_argument("--from-round", type=int, default=0)
    given = parser.parse_args()
    logging.getLogger().addHandler(logging.NullHandler())  # the readers' libraries are loud while a broker is away
    out = Console(highlight=False, width=110)
    out.print(f"seed {given.seed}: the same faults in the same order with --seed {given.seed}")
    rows = anyio.run(soak, given.seconds, given.seed, given.from_round, out)
    out.print(table.show(rows))
    return 0 if all(row.is_good for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
