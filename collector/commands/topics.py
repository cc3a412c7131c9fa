"""`collector topics`: the topics and the rights that the configuration needs, for people and for tools."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from collector.commands.arguments import Form
from collector.commands.topics_kafka import kafka
from collector.commands.topics_notes import notes
from collector.commands.topics_strimzi import strimzi
from collector.commands.topics_terraform import terraform
from collector.config import load
from collector.kafka.plan import CLEANUP_POLICY, Plan, PlannedTopic, Right, plan
from collector.kafka.settings import KafkaSettings
from collector.model import EventType

_GAP = "  "
_OF_TOPICS = ("topic", "type", "partitions", "replicas", "policy", "other settings")
_OF_RIGHTS = ("resource", "name", "operations")
_DEFAULT_REPLICAS = "default"


def topics(path: Path, form: Form) -> str:
    """The topics and the rights of a configuration, in a form. Kafka is not used.

    Raises InvalidConfiguration, or UserError when the file cannot be read.
    """
    settings = load(path)
    types = settings.topics()
    needed = plan(settings.kafka, types, settings.compacted_topics())
    if form is Form.TABLE:
        return "\n".join(_tables(needed, settings.kafka, types))
    return "\n".join(_FORMS[form](needed, settings.kafka))


_FORMS: Mapping[Form, Callable[[Plan, KafkaSettings], Iterator[str]]] = {
    Form.KAFKA: kafka,
    Form.STRIMZI: strimzi,
    Form.TERRAFORM: terraform,
}


def _tables(needed: Plan, settings: KafkaSettings, types: Mapping[str, EventType]) -> Iterator[str]:
    replicas = str(settings.replication_factor or _DEFAULT_REPLICAS)
    yield from _aligned(_OF_TOPICS, [_topic_row(each, replicas, types) for each in needed.topics])
    yield ""
    yield from _aligned(_OF_RIGHTS, [_right_row(each) for each in needed.rights])
    if lines := list(notes(needed, settings)):
        yield from ("", *lines)


def _topic_row(topic: PlannedTopic, replicas: str, types: Mapping[str, EventType]) -> Sequence[str]:
    kind = types[topic.name].name if topic.name in types else "state"
    others = " ".join(f"{key}={value}" for key, value in topic.configs.items() if key != CLEANUP_POLICY)
    return topic.name, kind, str(topic.partitions), replicas, topic.configs[CLEANUP_POLICY], others


def _right_row(right: Right) -> Sequence[str]:
    return right.resource, right.name + ("*" if right.is_prefix else ""), ", ".join(right.operations)


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines with columns as wide as their longest cell."""
    titles = [title.upper() for title in header]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        yield _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
