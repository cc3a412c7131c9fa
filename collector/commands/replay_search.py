"""Finds what event topics contain of records that are older than `final`, of which the ledger knows nothing. Pure.

An id tells whether a record of a `MULTISET` stream is published. Of a `VERSIONED` stream, the revisions of a record
have its `record_id`, and the times at which they were published tell whether they are older than a dead letter.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from collector.cloudevents import Message
from collector.commands.dead_letters import Understood
from collector.model import DedupMode, Record
from collector.pipeline.message import event_message, record_digest

MAX_OCCURRENCES = 8
"""The most equal rows that are distinguished. Two are rare already: they start in the same second, and last equally
long."""
MARGIN = timedelta(days=1)
"""How much earlier than necessary the search begins: the clocks of brokers and of former processes may differ."""
_DIGEST = 32
"""The characters of a digest at the start of an event's id."""


Taken = Mapping[str, datetime]
"""The digests of records that were published of dead letters, and when their rows were requested."""


class _Versioned(Struct, frozen=True):
    """The fields of an event that tell its record and its revision."""

    record_id: str
    revision: int = 0


_decode = msgspec.json.Decoder(_Versioned).decode


class Revision(NamedTuple):
    """A published revision of a record."""

    published_ms: int
    """Unix time in milliseconds; 0 for one that this command has published of an earlier dead letter."""
    number: int
    id: bytes
    """Of its first event."""


def first_message(letter: Understood, record: Record[Any], number: int) -> Message:
    """The first message of a record."""
    stream, origin = letter.stream, letter.origin
    digest = record_digest(stream.dedup_mode, record, number, origin.account)
    return event_message(next(iter(stream.explode(record, digest, number))), origin)


class Search:
    """What is looked for in the event topics, and what has been found so far."""

    def __init__(self, own: set[bytes]) -> None:
        """`own` are the ids of events that this command has published."""
        self.since_ms: dict[str, int] = {}
        """From when each topic is to be read: Unix time in milliseconds."""
        self.keys: set[bytes] = set()
        """The keys of the messages."""
        self._own = own
        self._ids: set[tuple[bytes, bytes]] = set()
        self._found_ids: set[tuple[bytes, bytes]] = set()
        self._revisions: dict[tuple[bytes, bytes, str], list[Revision]] = {}

    def add(self, letter: Understood, record: Record[Any]) -> None:
        """Look for a record of a dead letter."""
        message = first_message(letter, record, 0)
        start = letter.stored.published_ms - (letter.stream.policy.allowed_lateness + MARGIN) // timedelta(
            milliseconds=1
        )
        self.since_ms[message.topic] = min(start, self.since_ms.get(message.topic, start))
        self.keys.add(message.key)
        if _is_multiset(letter):
            ids = [*_numbered(letter, record, message), *_former_ids(letter, record)]
            self._ids.update((message.envelope.source[1], each) for each in ids)
        else:
            self._revisions.setdefault(_of_record(message), [])

    def covers(self, letter: Understood, record: Record[Any]) -> bool:
        """Whether the record was looked for."""
        message = first_message(letter, record, 0)
        if _is_multiset(letter):
            return (message.envelope.source[1], message.id) in self._ids
        return _of_record(message) in self._revisions

    def see(self, key: bytes, headers: Mapping[str, bytes], value: bytes, published_ms: int) -> None:
        """Take note of a message in an event topic."""
        source, event_id = headers.get("ce_source", b""), headers.get("ce_id", b"")
        if key not in self.keys:
            return
        if (source, event_id) in self._ids:
            self._found_ids.add((source, event_id))
        if not self._revisions:
            return
        try:
            found = _decode(value)
        except msgspec.MsgspecError:
            return
        revisions = self._revisions.get((source, headers.get("ce_type", b""), found.record_id))
        if revisions is not None:
            revisions.append(Revision(0 if event_id in self._own else published_ms, found.revision, event_id))

    def occurrence(self, letter: Understood, record: Record[Any], taken: Taken) -> int | None:
        """The number with which a record of a `MULTISET` stream is to be published; None if it is published.

        Equal keys in one response are several records. In two responses, they are one record whose other fields have
        changed, as far as the rows tell.
        """
        message = first_message(letter, record, 0)
        source = message.envelope.source[1]
        if any((source, each) in self._found_ids for each in _former_ids(letter, record)):
            return None
        for number, event_id in enumerate(_numbered(letter, record, message)):
            seen_at = taken.get(event_id[:_DIGEST].decode())
            if seen_at is None:
                return None if (source, event_id) in self._found_ids else number
            if seen_at != letter.row.seen_at:
                return None
        return None

    def revision(self, letter: Understood, record: Record[Any]) -> int | None:
        """The number with which a record of a `VERSIONED` stream is to be published.

        None if it, or a later version of it, is published already.
        """
        found = self._revisions.get(_of_record(first_message(letter, record, 0)), [])
        if record.only_if_known and not found:
            return None
        for each in found:
            if each.published_ms > letter.stored.published_ms:
                return None
            if first_message(letter, record, each.number).id == each.id:
                return None
        return max((each.number for each in found), default=-1) + 1

    def published(self, letter: Understood, record: Record[Any], number: int) -> None:
        """Take note that this command has published a record."""
        message = first_message(letter, record, number)
        self._own.add(message.id)
        if not _is_multiset(letter) and (revisions := self._revisions.get(_of_record(message))) is not None:
            revisions.append(Revision(0, number, message.id))


def _numbered(letter: Understood, record: Record[Any], message: Message) -> list[bytes]:
    """The ids of the first event of a record, for each number that it may have."""
    mode, account, kind = letter.stream.dedup_mode, letter.origin.account, message.id[_DIGEST:]
    return [record_digest(mode, record, number, account).encode() + kind for number in range(MAX_OCCURRENCES)]


def _former_ids(letter: Understood, record: Record[Any]) -> list[bytes]:
    """The ids with which the former version of the lists of fields has published a record."""
    if letter.stream.former is None:
        return []
    return [first_message(letter, letter.stream.former(record), 0).id]


def _of_record(message: Message) -> tuple[bytes, bytes, str]:
    return message.envelope.source[1], message.envelope.type[1], _decode(message.value).record_id


def _is_multiset(letter: Understood) -> bool:
    return letter.stream.dedup_mode is DedupMode.MULTISET
