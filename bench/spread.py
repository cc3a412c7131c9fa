"""How evenly accounts fall on state partitions, and these on replicas. A simulation: takes seconds, and needs nothing.

    python -m bench.spread

Accounts are numbers as Seemetrix gives them, and logins as VidiCenter gives them, in equal parts. Partitions are
assigned as the leader of the group assigns them: evenly by their streams, of which each account has one. A value is the
work of the busiest replica, as a multiple of the mean.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from statistics import mean

from rich.console import Console
from rich.table import Table

from collector.kafka.assignor import divide
from collector.kafka.epoch import partition_of
from collector.model import Account

ACCOUNTS = (100, 500, 5_000, 100_000)
PARTITIONS = (32, 128, 1000)
REPLICAS = (4, 16, 64)
HEAVY = 100
"""How much more data the one large account has than each of the others."""
SEEDS = range(20)
_WORDS = (
    "north",
    "mall",
    "retail",
    "media",
    "plaza",
    "group",
    "city",
    "outdoor",
    "signage",
    "digital",
    "hub",
    "center",
)


def numbers(accounts: int, random: Random) -> Sequence[int]:
    """Numbers of accounts, as Seemetrix gives them."""
    return random.sample(range(100, 100_000 + accounts), accounts)


def names(accounts: int, random: Random) -> Sequence[str]:
    """Names of accounts, as the state partitions are chosen by."""
    numbered = numbers(accounts - accounts // 2, random)
    logins = [f"{random.choice(_WORDS)}.{random.choice(_WORDS)}{number}@example.com" for number in range(accounts // 2)]
    return [str(Account("seemetrix", str(each))) for each in numbered] + [
        str(Account("quividi", each)) for each in logins
    ]


def busiest(work: Sequence[int], streams: Mapping[int, int], replicas: int) -> float:
    """The work of the busiest replica by the mean, if the partitions are divided by their streams."""
    divided = divide(range(len(work)), streams, {f"replica{number}": () for number in range(replicas)})
    shares = [sum(work[partition] for partition in mine) for mine in divided.values()]
    return max(shares) / mean(shares)


def spread(accounts: int, partitions: int, replicas: int, heavy: int = 1) -> float:
    """The mean of `busiest` over some sets of names, if one account has `heavy` times the work of each other."""
    found = []
    for seed in SEEDS if accounts < max(ACCOUNTS) else SEEDS[:3]:
        placed = [partition_of(name, partitions) for name in names(accounts, Random(seed))]
        streams = Counter(placed)
        work = [streams[each] for each in range(partitions)]
        work[placed[0]] += heavy - 1
        found.append(busiest(work, streams, replicas))
    return mean(found)


def main() -> None:
    table = Table(
        "accounts", "partitions", *(f"{each} replicas" for each in REPLICAS), f"one of {HEAVY} times, 4 replicas"
    )
    for accounts in ACCOUNTS:
        for partitions in PARTITIONS:
            values = [spread(accounts, partitions, replicas) for replicas in REPLICAS if replicas <= partitions]
            shown = [f"{each:.2f}" for each in values] + [""] * (len(REPLICAS) - len(values))
            table.add_row(f"{accounts:,}", str(partitions), *shown, f"{spread(accounts, partitions, 4, HEAVY):.2f}")
    Console(highlight=False, width=110).print(table)


if __name__ == "__main__":
    main()
