"""The header of a state partition: to whom the state belongs. A partition without one is lost, and is not opened."""

from collections.abc import Mapping
from secrets import token_hex

import msgspec
from msgspec import Struct

from collector.errors import KafkaMisconfigured
from collector.kafka.settings import KafkaSettings

HEADER = b"#header"
"""The key of the header; no stream has such a name, nor any of the following."""
BARRIER = b"#barrier"
"""The key of the record that marks the end of what an epoch restores."""
TRUNCATED = b"#truncated"
"""The key of the mark on a partition whose newest records were lost: it is refused until an operator accepts that."""
VERSION = 1
_ADVICE = (
    "stop the collector and put the topic back, if there is a copy; else do what docs/operations.md says under "
    "'When state is lost', which ends with: collector state init"
)


class Header(Struct, frozen=True):
    """To whom a state partition belongs."""

    version: int
    group: str
    partitions: int
    id: str = ""
    """Of the writing of headers that it is from: offsets are only compared as long as it is the same."""


class HeaderMissing(KafkaMisconfigured):
    """A partition of the state topic has no header: it was never claimed, or its state is lost."""

    def __init__(self, topic: str, partition: int) -> None:
        self.partition = partition
        super().__init__(
            f"partition {partition} of {topic} has no header: its state was deleted, or the topic re-created",
            advice=_ADVICE,
        )


class StateLost(KafkaMisconfigured):
    """Records that were appended to a state partition are there no more: it was re-created or truncated."""

    def __init__(self, topic: str, partition: int, *, known: int, landed: int) -> None:
        super().__init__(
            f"partition {partition} of {topic} was re-created or truncated: a record was appended at offset {landed}, "
            f"although the partition had records up to offset {known}",
            advice=_ADVICE,
        )


def topic_missing(topic: str) -> KafkaMisconfigured:
    """The error of a state topic that is not there any more."""
    return KafkaMisconfigured(f"the topic {topic} is missing: the state in it is lost", advice=_ADVICE)


def new_header(settings: KafkaSettings) -> bytes:
    """A header of this deployment, for all partitions whose state begins, or is accepted as it is, now."""
    return msgspec.json.encode(Header(VERSION, settings.group, settings.state_partitions, token_hex(8)))


def verify_header(settings: KafkaSettings, partition: int, pairs: Mapping[bytes, bytes]) -> Header:
    """Check that what was restored of a partition is this deployment's state, and all of it; return its header.

    Raises HeaderMissing, or Refused when it belongs to somebody else or lost its newest records.
    """
    if (header := pairs.get(HEADER)) is None:
        raise HeaderMissing(settings.state_topic, partition)
    try:
        theirs = msgspec.json.decode(header, type=Header)
    except msgspec.MsgspecError:
        theirs = None
    if theirs is None or theirs != Header(VERSION, settings.group, settings.state_partitions, theirs.id):
        raise KafkaMisconfigured(
            f"{settings.state_topic} belongs to another deployment: {header.decode('utf-8', 'replace')}",
            advice="set kafka.group and kafka.state_partitions as they were, or another kafka.topic_prefix",
        )
    if (mark := pairs.get(TRUNCATED)) is not None:
        raise KafkaMisconfigured(mark.decode("utf-8", "replace"), advice=_ADVICE)
    return theirs
