"""What of Kafka works, but not as it should: warnings of `check` and of the log, each with its consequence."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

MIN_SESSION_S = 3.0
"""The shortest session with which a transaction may take as long as one of a cluster's first ones, about a second: in
tests, sessions of 1 s were cut at the start, and those of 2 s and 3 s were not."""
_CONSEQUENCES = {
    "min.insync.replicas": "a commit may be on a single broker, and be lost with it",
    "segment.bytes": "the state topic is compacted later, so that a start reads more of it",
    "min.cleanable.dirty.ratio": "the state topic is compacted later, so that a start reads more of it",
    "retention.ms": "events are deleted after another time than kafka.retention",
}
"""What it means that a topic lacks a setting with which the collector creates it."""


class KafkaNotice(Struct, frozen=True):
    """A fact with a consequence that an operator should know. Nothing waits for a change."""

    code: str
    reason: str
    consequence: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.consequence}"


def settings_refused(topic: str, differences: Mapping[str, tuple[str, str | None]], reason: str) -> KafkaNotice:
    """The brokers refuse settings of a topic, which is created without them.

    `differences` has the wished and the actual value by the setting's name, the latter None if it is not known.
    `reason` is that of the brokers.
    """
    texts = [
        f"{name} = {wished}" if actual is None else f"{name} = {wished} (it is {actual})"
        for name, (wished, actual) in differences.items()
    ]
    consequences = dict.fromkeys(_CONSEQUENCES[name] for name in differences)
    return KafkaNotice(
        "settings_refused",
        f"the brokers refuse {', '.join(texts)} for {topic} ({reason})",
        "; ".join(consequences),
    )


def not_replicated(topics: Sequence[str], brokers: int) -> KafkaNotice:
    """Topics of a cluster with several brokers have one replica only."""
    return KafkaNotice(
        "not_replicated",
        f"{', '.join(topics)}: on one of {brokers} brokers only",
        "without that broker nothing can be published, and if its disk fails, events and state are lost. Add replicas "
        "with kafka-reassign-partitions.sh; for new topics, set kafka.replication_factor",
    )


def short_sessions(session_s: float) -> KafkaNotice:
    """The brokers end sessions so early that usual transactions are cut."""
    return KafkaNotice(
        "short_sessions",
        f"the brokers end a session after {session_s:g} s (connections.max.reauth.ms, or the end of the token)",
        f"a transaction that takes longer than {session_s / 2:g} s is cut and repeated, and a slow broker can stop the "
        f"collector. Let sessions last {MIN_SESSION_S:g} s or longer",
    )


def too_few_in_sync(topics: Sequence[str]) -> KafkaNotice:
    """Topics with three or more replicas accept messages that only one of them has."""
    return KafkaNotice(
        "too_few_in_sync",
        f"{', '.join(topics)}: three or more replicas, but min.insync.replicas is 1",
        "Kafka may acknowledge a commit that is on a single broker, and lose it with that broker. Set "
        "min.insync.replicas=2 with kafka-configs.sh --alter",
    )


def transactions_not_verified(version: int) -> KafkaNotice:
    """Before KIP-890, a message that arrives late could become part of a later transaction."""
    return KafkaNotice(
        "transactions_not_verified",
        f"the brokers do not report that they verify transactions (AddPartitionsToTxn 4, KIP-890; they have {version})",
        "Apache Kafka before 3.6 can lose or double messages when a connection fails: upgrade it. Others may do "
        "without: see Kafka services in docs/operations.md",
    )
