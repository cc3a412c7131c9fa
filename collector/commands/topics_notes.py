"""What `collector topics` says besides topics and rights, in every form."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from collector.kafka.plan import Operation, Plan, Resource, but_name
from collector.kafka.settings import KafkaSettings

_CREATE = (
    "The user may Create the topics, since kafka.create_topics is true. Where only administrators create topics,",
    "set it to false, and print this again.",
)
_IAM = (
    "kafka.sasl.aws_region: with IAM, Amazon MSK decides by policies, and not by ACLs. The role needs these actions:",
    "cluster",
    "    kafka-cluster:Connect",
    "    kafka-cluster:WriteDataIdempotently",
)
_ACTIONS: Mapping[tuple[Resource, Operation], Sequence[str]] = {
    (Resource.TOPIC, Operation.READ): ("DescribeTopic", "ReadData"),
    (Resource.TOPIC, Operation.WRITE): ("DescribeTopic", "WriteData"),
    (Resource.TOPIC, Operation.DESCRIBE_CONFIGS): ("DescribeTopicDynamicConfiguration",),
    (Resource.TOPIC, Operation.CREATE): ("CreateTopic",),
    (Resource.TRANSACTIONAL_ID, Operation.WRITE): ("DescribeTransactionalId", "AlterTransactionalId"),
    (Resource.GROUP, Operation.READ): ("DescribeGroup", "AlterGroup"),
}
"""The actions of an IAM policy that correspond to a right, by AWS's "Semantics of IAM authorization policy actions"."""


def notes(plan: Plan, settings: KafkaSettings) -> Iterator[str]:
    """Lines for the reader: why Create is among the rights, and which rights Amazon MSK has instead."""
    if settings.create_topics:
        yield from _CREATE
    if settings.sasl is not None and settings.sasl.aws_region is not None:
        yield from _IAM
        for (resource, operations, is_prefix), rights in groupby(plan.rights, but_name):
            names = ", ".join(f"{each.name}{'*' if is_prefix else ''}" for each in rights)
            yield f"{resource} {names}"
            yield from (f"    kafka-cluster:{each}" for each in _actions(resource, operations))


def comments(plan: Plan, settings: KafkaSettings) -> Iterator[str]:
    """The notes as comments of a shell, of YAML and of Terraform."""
    return (f"# {each}" for each in notes(plan, settings))


def _actions(resource: Resource, operations: Iterable[Operation]) -> Iterable[str]:
    return dict.fromkeys(action for each in operations for action in _ACTIONS[resource, each])
