"""The header of a state partition names the deployment that owns the state. A partition without one is refused."""

from collections.abc import Mapping
from secrets import token_hex

import msgspec
from msgspec import Struct

from collector.errors import KafkaMisconfigured
from collector.kafka.settings import KafkaSettings

HEADER = b"#header"
"""The key of the header. The keys of streams do not start with `#`."""
BARRIER = b"#barrier"
"""The key of the record that marks the end of what an epoch restores."""
TRUNCATED = b"#truncated"
"""The key of the mark on a partition that lost its newest records: it is refused until an operator accepts the loss."""
VERSION = 1
_ADVICE = (
    "stop the collector and restore the topic from a copy; without a copy, follow 'When state is lost' in "
    "docs/operations.md, which ends with: collector state init"
)


class Header(Struct, frozen=True):
    """The deployment that owns the state of a partition."""

    version: int
    group: str
    partitions: int
    id: str = ""
    """Identifies the transaction that wrote the header: offsets are comparable only while it stays the same."""


class HeaderMissing(KafkaMisconfigured):
    """A partition of the state topic has no header: it was never claimed, or its state is lost."""

    def __init__(self, topic: str, partition: int) -> None:
        self.partition = partition
        super().__init__(
            f"partition {partition} of {topic} has no header: its state was deleted, the topic re-created, or another "
            "deployment publishes into the same event topics",
            advice="if this deployment is new, and shares event topics with another one, run collector state init; "
            f"otherwise, {_ADVICE}",
            code="state_header_missing",
        )


class StateLost(KafkaMisconfigured):
    """Records that were appended to a state partition no longer exist: it was re-created or truncated."""

    def __init__(self, topic: str, partition: int, *, known_offset: int, new_offset: int) -> None:
        super().__init__(
            f"partition {partition} of {topic} was re-created or truncated: a record was appended at offset "
            f"{new_offset}, although the partition had records up to offset {known_offset}",
            advice=_ADVICE,
            code="state_lost",
        )


def state_topic_missing(topic: str) -> KafkaMisconfigured:
    """The error of a state topic that no longer exists."""
    reason = f"the topic {topic} is missing: the state in it is lost"
    return KafkaMisconfigured(reason, advice=_ADVICE, code="state_topic_missing")


def new_header(settings: KafkaSettings) -> bytes:
    """A header of this deployment with a new id, for the partitions that are claimed or accepted now."""
    return msgspec.json.encode(Header(VERSION, settings.group, settings.state_partitions, token_hex(8)))


def verify_header(settings: KafkaSettings, partition: int, pairs: Mapping[bytes, bytes]) -> Header:
    """Verify that the restored pairs of a partition are the whole state of this deployment; return its header.

    Raises HeaderMissing, or KafkaMisconfigured when it belongs to another deployment or lost its newest records.
    """
    if (encoded := pairs.get(HEADER)) is None:
        raise HeaderMissing(settings.state_topic, partition)
    try:
        header = msgspec.json.decode(encoded, type=Header)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # the last two: bad UTF-8, and nesting without end
        header = None
    if header is None or header != Header(VERSION, settings.group, settings.state_partitions, header.id):
        raise KafkaMisconfigured(
            f"{settings.state_topic} belongs to another deployment: {encoded.decode('utf-8', 'replace')}",
            advice="restore the former kafka.group and kafka.state_partitions, or set another kafka.topic_prefix",
            code="state_of_another_deployment",
        )
    if (mark := pairs.get(TRUNCATED)) is not None:
        raise KafkaMisconfigured(mark.decode("utf-8", "replace"), advice=_ADVICE, code="state_truncated")
    return header
