"""Measures what a rebalance costs: real members of the group of a real broker, without streams.

All members but one are in this process. One dies in a process of its own, which runs `python -m bench.rebalances
KAFKA PREFIX PARTITIONS`.
"""

import logging
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from statistics import median

import anyio
import structlog
from anyio.abc import TaskGroup
from msgspec import Struct
from rich.table import Table

from bench.spread import names
from collector.kafka.epoch import partition_of
from collector.kafka.group import Assignment, Membership
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus

PARTITIONS_OF = {4: 32, 16: 32, 64: 128}
"""State partitions, by the number of members."""
ACCOUNTS = names(500, Random(0))
REPEATED = 3
POLL_S = 0.01
WAIT_S = 120


class Member(Membership):
    """A member that notes how its assignment changes."""

    def __init__(self, settings: KafkaSettings) -> None:
        streams = Counter(partition_of(each, settings.state_partitions) for each in ACCOUNTS)
        telemetry = KafkaTelemetry(Metrics(), ProcessStatus("bench", settings.group))
        super().__init__(settings, telemetry, lambda: None, lambda: streams)
        self.changes: list[tuple[float, Assignment]] = []
        """Since the last rebalance began, with the times of the event loop."""
        self.running = anyio.CancelScope()

    async def join(self) -> None:
        """Be a member until `running` is cancelled."""
        with self.running:
            await self.run()

    def set_assignment(self, assignment: Assignment) -> None:
        former = self.assignment
        super().set_assignment(assignment)
        if (former.partitions, former.is_settled) != (assignment.partitions, assignment.is_settled):
            self.changes.append((anyio.current_time(), assignment))


class Rebalance(Struct, frozen=True):
    """The figures of one rebalance. Times are in seconds."""

    lasted: float
    """From its cause until every member has its new assignment."""
    moved: int
    """Partitions that have another owner than before."""
    moved_needlessly: int
    """Those whose former owner is still a member, and whose new one was a member before."""
    paused: float
    """The longest time for which a partition that stays was not assigned to its owner."""
    unsettled: float
    """The longest time for which a member could not begin an epoch of a partition."""


class Group:
    """The members in this process."""

    def __init__(self, settings: KafkaSettings, tasks: TaskGroup) -> None:
        self._settings = settings
        self._tasks = tasks
        self.members: list[Member] = []

    def join(self) -> None:
        member = Member(self._settings)
        self.members.append(member)
        self._tasks.start_soon(member.join)

    def leave(self) -> None:
        """The member that joined first leaves. It may be the leader."""
        self.members.pop(0).running.cancel()

    def owners(self) -> Mapping[int, Member]:
        """The owner of each partition."""
        return {partition: each for each in self.members for partition in each.assignment.partitions}

    async def settled(self, missing: range) -> None:
        """Return when all members have an assignment, and as many partitions have no owner here."""
        with anyio.fail_after(WAIT_S):
            while not self._is_settled(missing):  # noqa: ASYNC110 - several members
                await anyio.sleep(POLL_S)

    def _is_settled(self, missing: range) -> bool:
        assigned = sum(len(each.assignment.partitions) for each in self.members)
        return (
            all(each.assignment.is_settled for each in self.members)
            and assigned == len(self.owners())
            and self._settings.state_partitions - assigned in missing
        )

    @asynccontextmanager
    async def measuring(self, found: list[Rebalance]) -> AsyncIterator[None]:
        """Measure the rebalance that the block causes, until all partitions have an owner here."""
        owners = self.owners()
        for each in self.members:
            each.changes.clear()
        started = anyio.current_time()
        yield
        await self.settled(range(1))
        lasted = anyio.current_time() - started
        after = self.owners()
        moved = [partition for partition in after if after[partition] is not owners.get(partition)]
        needless = [each for each in moved if owners.get(each) in self.members and after[each] in owners.values()]
        stayed = after.keys() - set(moved)
        paused = max(_longest(after[each], partial(_contains, each)) for each in stayed)
        unsettled = max(_longest(each, lambda now: now.is_settled) for each in self.members)
        found.append(Rebalance(lasted, len(moved), len(needless), paused, unsettled))


def _contains(partition: int, assignment: Assignment) -> bool:
    return partition in assignment.partitions


def _longest(member: Member, holds: Callable[[Assignment], bool]) -> float:
    """The longest time for which this did not hold for the assignment of the member."""
    longest, since = 0.0, None
    for at, assignment in member.changes:
        if not holds(assignment):
            since = at if since is None else since
        elif since is not None:
            longest, since = max(longest, at - since), None
    return longest


async def measured(kafka: str, members: int) -> Mapping[str, Sequence[Rebalance]]:
    """The rebalances of a group with so many members when one joins, leaves or dies."""
    partitions, prefix = PARTITIONS_OF[members], f"rebalances{members}."
    settings = _settings(kafka, prefix, partitions)
    await ensure_topics(settings, [])
    found: dict[str, list[Rebalance]] = {"joins": [], "leaves": [], "dies": []}
    async with anyio.create_task_group() as tasks:
        group = Group(settings, tasks)
        for _ in range(members - 1):
            group.join()
        await group.settled(range(1))
        for _ in range(REPEATED):
            async with group.measuring(found["joins"]):
                group.join()
            async with group.measuring(found["leaves"]):
                group.leave()
            command = [sys.executable, "-m", "bench.rebalances", kafka, prefix, str(partitions)]
            async with await anyio.open_process(command) as process:
                await group.settled(range(1, partitions))
                async with group.measuring(found["dies"]):
                    process.kill()
        tasks.cancel_scope.cancel()
    return found


def _settings(kafka: str, prefix: str, partitions: int) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=prefix, group=f"{prefix}group", state_partitions=partitions
    )


def table(kafka: str) -> Table:
    """The figures of all sizes of groups, as a table."""
    _silence()
    columns = (
        "members",
        "partitions",
        "one",
        "all assigned, 50 %",
        "longest",
        "moved",
        "needlessly",
        "paused",
        "unsettled",
    )
    found = Table(*columns)
    for members, partitions in PARTITIONS_OF.items():
        for what, rebalances in anyio.run(measured, kafka, members).items():
            lasted = [each.lasted for each in rebalances]
            found.add_row(
                str(members),
                str(partitions),
                what,
                f"{median(lasted):.1f} s",
                f"{max(lasted):.1f} s",
                f"{median(each.moved for each in rebalances)}",
                f"{median(each.moved_needlessly for each in rebalances)}",
                f"{max(each.paused for each in rebalances) * 1000:.0f} ms",
                f"{max(each.unsettled for each in rebalances) * 1000:.0f} ms",
            )
    return found


def _silence() -> None:
    """Let only the tables be printed: the log of many members in one process."""
    logging.disable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


async def _be_member(arguments: Sequence[str]) -> None:
    kafka, prefix, partitions = arguments
    await Member(_settings(kafka, prefix, int(partitions))).join()


if __name__ == "__main__":
    _silence()
    anyio.run(_be_member, sys.argv[1:])
