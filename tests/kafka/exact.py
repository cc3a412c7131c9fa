"""Whether the events of both simulated vendors were published exactly once."""

from datetime import datetime

from msgspec import structs

from collector.commands.verdict import judge
from collector.model import Checkpoint
from collector.simulator.seemetrix import SOURCE as SEEMETRIX
from collector.simulator.server import Simulated
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from tests.kafka.daemon import TopicReader, until
from tests.kafka.scenario import Replica, read_all, verdict_reader

MIN_RECORDS = 100
"""Fewer would prove little: a busy world has more in each minute."""


async def assert_published_once(
    replica: Replica, reader: TopicReader, vendors: Simulated, *, since: datetime, latest: datetime
) -> None:
    """Wait until everything up to `latest` is final. Nothing since `since` is missing by then, or published twice."""
    checkpoints: dict[str, Checkpoint] = {}

    async def are_final() -> bool:
        found = await replica.checkpoints()
        checkpoints.update({name: each for name, each in found.items() if each is not None and each.final > latest})
        return found.keys() == {SEEMETRIX, QUIVIDI} == checkpoints.keys()

    await until(are_final, "everything is final", 90)
    received = verdict_reader(await read_all(reader))
    checkpoints = {name: structs.replace(each, since=since) for name, each in checkpoints.items()}
    verdict = judge(vendors.vendors, since, checkpoints, received)
    assert (0, 0) == (verdict.missing, verdict.duplicated)
    assert verdict.simulated > MIN_RECORDS
