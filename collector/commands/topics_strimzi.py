"""`collector topics --as strimzi`: resources of Strimzi's operators, from version 0.49 on (`kafka.strimzi.io/v1`)."""

import re
from collections.abc import Iterator
from hashlib import sha256

from collector.commands.escaping import yaml_string
from collector.commands.topics_notes import comments
from collector.kafka.plan import Plan, PlannedTopic, Resource, Right
from collector.kafka.settings import KafkaSettings

_HEAD = """\
# The topics and the user that the collector needs: by `collector topics --as strimzi`.
# Replace my-cluster by the name of your Kafka resource.
# To delete a KafkaTopic deletes the topic and its events; of the state topic, all state."""
_DEFAULT_REPLICATION = """\
# kafka.replication_factor is left out: the number of replicas is the brokers' default. If it is 3 or more, also set
# min.insync.replicas, in the topics or in the brokers."""
_RESOURCE = """\
---
apiVersion: kafka.strimzi.io/v1
kind: {kind}
metadata:
  name: {name}
  labels:
    strimzi.io/cluster: my-cluster
spec:"""
_TYPES = {Resource.TOPIC: "topic", Resource.TRANSACTIONAL_ID: "transactionalId", Resource.GROUP: "group"}
_PLACEHOLDER = "collector"
_MAX_NAME = 253
"""The longest name of a resource in Kubernetes."""
_DIGITS = 8


def strimzi(plan: Plan, settings: KafkaSettings) -> Iterator[str]:
    """The parts of the YAML stream: a KafkaTopic for each topic, and a KafkaUser."""
    yield _HEAD
    yield from comments(plan, settings)
    if settings.replication_factor is None:
        yield _DEFAULT_REPLICATION
    for topic in plan.topics:
        yield from _topic(topic, settings.replication_factor)
    yield from _user(plan, settings)


def _topic(topic: PlannedTopic, replication: int | None) -> Iterator[str]:
    name = resource_name(topic.name)
    yield _RESOURCE.format(kind="KafkaTopic", name=yaml_string(name))
    if name != topic.name:
        yield f"  topicName: {yaml_string(topic.name)}"
    yield f"  partitions: {topic.partitions}"
    if replication is not None:
        yield f"  replicas: {replication}"
    yield "  config:"
    yield from (f"    {key}: {yaml_string(value)}" for key, value in topic.configs.items())


def _user(plan: Plan, settings: KafkaSettings) -> Iterator[str]:
    username = settings.username or _PLACEHOLDER
    name = resource_name(username)
    yield _RESOURCE.format(kind="KafkaUser", name=yaml_string(name))
    if name != username:
        yield f"  # The name is the user's name. {yaml_string(username)} cannot be one: set kafka.sasl.username to it."
    if (authentication := _authentication(settings)) is not None:
        yield f"  authentication:\n    type: {authentication}"
    yield "  authorization:\n    type: simple\n    acls:"
    for right in plan.rights:
        yield from _acl(right)


def _authentication(settings: KafkaSettings) -> str | None:
    """How Strimzi makes the user's credentials; None where it does not."""
    if settings.sasl:
        return "scram-sha-512" if settings.sasl.mechanism == "SCRAM-SHA-512" else None
    return "tls" if settings.tls and settings.tls.cert_file else None


def _acl(right: Right) -> Iterator[str]:
    yield "      - resource:"
    yield f"          type: {_TYPES[right.resource]}"
    yield f"          name: {yaml_string(right.name)}"
    yield f"          patternType: {'prefix' if right.is_prefix else 'literal'}"
    yield f"        operations: [{', '.join(right.operations)}]"


def resource_name(name: str) -> str:
    """The name itself if Kubernetes accepts it, else one that ends with a digest of it.

    It depends on nothing but the name: a resource whose name changed would be deleted with its topic.
    """
    labels = (label.strip("-") for label in re.sub("[^a-z0-9.]+", "-", name.lower()).split("."))
    slug = ".".join(filter(None, labels))
    if slug == name and len(name) <= _MAX_NAME:
        return name
    digest = sha256(name.encode()).hexdigest()[:_DIGITS]
    return f"{slug[: _MAX_NAME - _DIGITS - 1].rstrip('-.') or _PLACEHOLDER}-{digest}"
