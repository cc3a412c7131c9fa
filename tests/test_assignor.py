"""How the leader of the group divides the state partitions: each once, evenly by their streams, and moving few."""

from collections import Counter
from collections.abc import Collection, Mapping
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from bench.spread import names
from collector.kafka.assignor import assignor, divide
from collector.kafka.epoch import partition_of

PARTITIONS = range(32)
MEMBERS = st.sampled_from("abcdefgh")
STREAMS = st.dictionaries(st.sampled_from(PARTITIONS), st.integers(0, 200))
FORMER = st.dictionaries(MEMBERS, st.sets(st.integers(0, 40)), min_size=1)
"""What members report: also partitions that no longer exist, and some that two of them report."""
Divided = Mapping[str, Collection[int]]


def work(streams: Mapping[int, int], divided: Divided) -> dict[str, int]:
    return {member: sum(streams.get(each, 0) for each in mine) for member, mine in divided.items()}


def moved(before: Divided, after: Divided) -> int:
    """Partitions that have another owner although theirs is still a member."""
    return sum(len({*before[member]} - {*after[member]}) for member in before.keys() & after.keys())


@given(STREAMS, FORMER)
def test_every_partition_is_assigned_once_to_a_member(streams: dict[int, int], former: dict[str, set[int]]) -> None:
    divided = divide(PARTITIONS, streams, former)

    assert former.keys() == divided.keys()
    assert [*PARTITIONS] == sorted(each for mine in divided.values() for each in mine)


@given(STREAMS, FORMER, st.randoms())
def test_the_order_of_members_does_not_matter(
    streams: dict[int, int], former: dict[str, set[int]], any_: Random
) -> None:
    order = list(former)
    any_.shuffle(order)

    assert divide(PARTITIONS, streams, former) == divide(PARTITIONS, streams, {each: former[each] for each in order})


@given(STREAMS, FORMER)
def test_nothing_moves_without_a_change(streams: dict[int, int], former: dict[str, set[int]]) -> None:
    divided = divide(PARTITIONS, streams, former)

    assert divided == divide(PARTITIONS, streams, divided)


@given(STREAMS, FORMER)
def test_no_partition_could_move_to_a_member_with_less_to_do(
    streams: dict[int, int], former: dict[str, set[int]]
) -> None:
    divided = divide(PARTITIONS, streams, former)
    total = work(streams, divided)

    for member, mine in divided.items():
        occupied = [streams[each] for each in mine if streams.get(each)]
        assert total[member] - min(total.values()) <= min(occupied, default=0)


@given(FORMER)
def test_without_streams_the_numbers_of_partitions_differ_by_one_at_most(former: dict[str, set[int]]) -> None:
    sizes = {len(mine) for mine in divide(PARTITIONS, {}, former).values()}

    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 3), st.integers(1, 7))
def test_of_equal_partitions_only_those_of_a_changed_member_move(streams: int, members: int) -> None:
    equal = dict.fromkeys(PARTITIONS, streams)
    before = divide(PARTITIONS, equal, {f"m{number}": () for number in range(members)})
    joined = divide(PARTITIONS, equal, {**before, "new": ()})

    assert moved(before, joined) == len(joined["new"]) == len(PARTITIONS) // (members + 1)
    assert 0 == moved(joined, divide(PARTITIONS, equal, {name: joined[name] for name in before}))


def accounts(number: int, seed: int) -> Mapping[int, int]:
    """The streams of each partition, for real-looking accounts with one stream each."""
    return Counter(partition_of(each, len(PARTITIONS)) for each in names(number, Random(seed)))


@pytest.mark.parametrize("seed", range(20))
def test_a_hundred_accounts_are_even_on_four_replicas_that_come_and_go(seed: int) -> None:
    streams = accounts(100, seed)
    before: Divided = {}
    divided: Divided = {}
    for number in range(4):
        before, divided = divided, divide(PARTITIONS, streams, {**divided, f"m{number}": ()})
    assert max(work(streams, divided).values()) <= 1.1 * 25
    assert moved(before, divided) <= len(PARTITIONS) // 3

    left = {name: mine for name, mine in divided.items() if name != "m0"}
    after = divide(PARTITIONS, streams, left)
    assert max(work(streams, after).values()) <= 1.1 * 34
    assert moved(left, after) <= 3


class Cluster:
    """The metadata of the topics."""

    def __init__(self, **partitions: int) -> None:
        self._partitions = partitions

    def topics(self) -> set[str]:
        return {*self._partitions}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {*range(self._partitions[topic])} if topic in self._partitions else None


def assigned(kind: Any, cluster: Cluster, members: Mapping[str, Any]) -> dict[str, list[TopicPartition]]:  # noqa: ANN401
    return {member: each.partitions() for member, each in kind.assign(cluster, members).items()}


def assignment(*partitions: TopicPartition) -> SimpleNamespace:
    """What a leader of a former release sends to a member."""
    return SimpleNamespace(partitions=lambda: [*partitions], user_data=b"")


def metadata(kind: Any, topic: str = "state", partitions: Collection[int] = ()) -> Any:  # noqa: ANN401 - aiokafka's
    """What a member with these partitions sends when it joins."""
    own: Any = type("Own", (kind,), {})
    own.on_assignment(assignment(*(TopicPartition(topic, each) for each in partitions)))
    return own.metadata([topic])


def test_members_of_a_former_release_keep_what_they_have() -> None:
    kind = assignor("state", lambda: {0: 5, 1: 1, 2: 1, 3: 3})
    former = metadata(StickyPartitionAssignor, partitions=[0, 1])
    members = {"old": former, "new": metadata(kind, partitions=[2, 3])}

    assert {"old": [0], "new": [1, 2, 3]} == {
        member: [each.partition for each in mine] for member, mine in assigned(kind, Cluster(state=4), members).items()
    }
    by_number = assigned(StickyPartitionAssignor, Cluster(state=4), members)
    assert [2, 2] == [len(mine) for mine in by_number.values()]


def test_a_deployment_with_another_topic_may_share_the_group() -> None:
    kind = assignor("state", lambda: {0: 5, 1: 1})
    members = {
        "a": metadata(kind),
        "b": metadata(kind),
        "c": metadata(kind, "other"),
        "d": metadata(kind, "missing"),
    }

    found = assigned(kind, Cluster(state=2, other=3), members)
    assert {TopicPartition("state", 0), TopicPartition("state", 1)} == {*found["a"], *found["b"]}
    assert [TopicPartition("other", each) for each in range(3)] == found["c"]
    assert [] == found["d"]


def test_each_member_has_an_assignor_of_its_own() -> None:
    one, other = assignor("state", dict), assignor("state", dict)
    one.on_assignment(assignment(TopicPartition("state", 7)))

    assert [TopicPartition("state", 7)] == one.parse_member_metadata(one.metadata(["state"])).partitions
    assert [] == other.parse_member_metadata(other.metadata(["state"])).partitions


def test_a_member_that_was_away_has_no_claim_to_what_others_own_since() -> None:
    """It still reports what it had. Otherwise more partitions would move than it needs."""
    members: dict[str, Any] = {name: assignor("state", dict) for name in "abc"}

    def rebalance(names: str) -> Divided:
        """What these members have, after each of them was sent its assignment as bytes."""
        sent = {name: members[name].metadata(["state"]) for name in names}
        for name, each in members[names[0]].assign(Cluster(state=12), sent).items():
            members[name].on_assignment(type(each).decode(each.encode()))
        return {name: {each.partition for each in members[name].member_assignment} for name in names}

    rebalance("ab")
    rebalance("b")
    before, after = rebalance("bc"), rebalance("bca")

    assert moved(before, after) == len(after["a"]) == 4
