"""Divides the state partitions among the members of the group, evenly by the streams that they contain.

Only the leader of the group divides; the others use its assignment. On the wire this is aiokafka's sticky assignor: the
name and the user data of members are the same, so the group can have members of former releases, which divide by
number. The leader also sends a generation, which former releases ignore.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

Streams = Mapping[int, int]
"""The number of configured streams of each partition that has any."""


def divide(
    partitions: Collection[int], streams: Streams, former: Mapping[str, Collection[int]]
) -> dict[str, Collection[int]]:
    """The partitions of each member, given those that it had before.

    Each partition is in exactly one of them. No partition moves that need not: one that has an owner moves only from a
    member to one with less to do, and only if that one still has less to do than the former owner had. Therefore the
    same members divide the same partitions as before.
    """
    # Among members with as many streams, the one with fewer partitions has less to do.
    work = {partition: streams.get(partition, 0) * (len(partitions) + 1) + 1 for partition in partitions}
    owned: dict[str, set[int]] = {}
    free = set(partitions)
    for member in sorted(former):
        owned[member] = free & set(former[member])
        free -= owned[member]
    total = {member: sum(work[each] for each in mine) for member, mine in owned.items()}
    for partition in sorted(free, key=lambda each: (-work[each], each)):
        idlest = min(total, key=total.__getitem__)
        owned[idlest].add(partition)
        total[idlest] += work[partition]
    while move := _improvement(work, owned, total):
        partition, giver, taker = move
        owned[giver].remove(partition)
        owned[taker].add(partition)
        total[giver] -= work[partition]
        total[taker] += work[partition]
    return {member: sorted(mine) for member, mine in owned.items()}


def _improvement(
    work: Mapping[int, int], owned: Mapping[str, Collection[int]], total: Mapping[str, int]
) -> tuple[int, str, str] | None:
    """A partition that should move to the idlest member, with both members: from the busiest that has one."""
    taker = min(total, key=total.__getitem__)
    for giver in sorted(total, key=total.__getitem__, reverse=True):
        difference = total[giver] - total[taker]
        movable = [each for each in owned[giver] if work[each] < difference]
        if movable:
            return min(movable, key=lambda each: (abs(difference - 2 * work[each]), each)), giver, taker
    return None


def _former(topic: str, members: Mapping[str, Any]) -> dict[str, Collection[int]]:
    """The partitions of a topic that each member had before. Of several members, the latest owner counts.

    A member that was cut off from the group for a while still reports what it had.
    """
    reported = {
        name: {found.partition for found in member.partitions if found.topic == topic}
        for name, member in members.items()
    }
    latest: dict[int, int] = {}
    for name, mine in reported.items():
        latest |= {each: max(latest.get(each, -1), members[name].generation) for each in mine}
    return {
        name: [each for each in mine if members[name].generation >= latest[each]] for name, mine in reported.items()
    }


def assignor(topic: str, streams: Callable[[], Streams]) -> type[StickyPartitionAssignor]:
    """An assignor of this member, a class of its own: aiokafka keeps the assignment of a member in its class.

    `streams` returns the streams of the state topic at the time of a rebalance.
    """

    class Assignor(StickyPartitionAssignor):  # type: ignore[misc]
        @classmethod
        def assign(cls, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - no types
            """Divide the partitions of each topic among the members that subscribe to it."""
            known = {member: cls.parse_member_metadata(each) for member, each in members.items()}
            # aiokafka does not pass the generation of the group to assignors, so leaders count.
            generation = 1 + max(member.generation for member in known.values())
            assigned: dict[str, list[tuple[str, Collection[int]]]] = {member: [] for member in members}
            for each in sorted({name for member in known.values() for name in member.subscription}):
                subscribers = {name: member for name, member in known.items() if each in member.subscription}
                former = _former(each, subscribers)
                partitions = cluster.partitions_for_topic(each) or ()
                for name, mine in divide(partitions, streams() if each == topic else {}, former).items():
                    if mine:
                        assigned[name].append((each, mine))
            return {
                member: ConsumerProtocolMemberAssignment(cls.version, topics, generation.to_bytes(4, "big"))
                for member, topics in assigned.items()
            }

        @classmethod
        def on_assignment(cls, assignment: Any) -> None:  # noqa: ANN401 - no types
            """Keep the assignment of this member, and its generation: 0 from a leader of a former release."""
            super().on_assignment(assignment)
            cls.on_generation_assignment(int.from_bytes(assignment.user_data or b"", "big"))

    return Assignor
