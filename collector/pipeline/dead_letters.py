"""Dead letters as they are read back from their topic, and the marks of those that were published again.

A mark is a record of the state topic, in the partition of the stream's account. It is committed together with the
events of the dead letter:

    #replayed/<vendor>/<user>/<source>/<stream>/<digest of the dead letter>     a `Mark`, as JSON
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from collector.errors import NotReplayable
from collector.model import RejectedRow, Window
from collector.pipeline.message import MAX_PAYLOAD_BYTES, Origin, dead_letter_digest
from collector.pipeline.rejects import FAR_AHEAD
from collector.redaction import REDACTED

MARK_VERSION = 1
_MARKS = b"#replayed/"
_CUT = 3
"""The most bytes that are cut off with the end of a payload, so that it ends with a whole character."""


class DeadLetter(Struct, frozen=True):
    """The value of a dead letter, also of earlier releases: see `message.DeadLetterV1`."""

    event_id: str
    source: str
    stream: str
    seen_at: datetime
    window_start: datetime
    window_end: datetime
    reason: str
    error: str
    payload: str
    vendor: str = ""
    place: str | None = None
    timezone: str | None = None

    @property
    def digest(self) -> str:
        """What identifies the dead letter: the first part of its id."""
        return self.event_id.partition("/")[0]


class StoredLetter(Struct, frozen=True):
    """A dead letter, and when it was published."""

    letter: DeadLetter
    key: str
    published_ms: int
    """Unix time in milliseconds, as Kafka has it."""


_decode = msgspec.json.Decoder(DeadLetter).decode


def stored_letter(key: bytes, value: bytes, published_ms: int) -> StoredLetter | None:
    """The dead letter of a message; None for a message that the collector does not write."""
    try:
        return StoredLetter(_decode(value), key.decode(), published_ms)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def rejected_row(stored: StoredLetter, origin: Origin) -> RejectedRow:
    """The row of a dead letter of this stream. Raises NotReplayable if the dead letter does not contain all of it.

    The id of a dead letter is a digest of the account, the stream, the place and the whole row. That it fits proves
    that none of them has changed since, and that nothing of the row was cut off or removed.
    """
    letter = stored.letter
    if letter.reason == "too_large":
        raise NotReplayable("its messages are too large, and it has a part of the record only", code="too_large")
    if letter.error == FAR_AHEAD:
        text = "it has the decoded record instead of the row; the stream publishes that when its time has come"
        raise NotReplayable(text, code="far_ahead")
    payload, key = letter.payload.encode(), stored.key
    # Earlier releases did not write the place. It is empty in most streams, and else it often is the message key.
    for place in ("", key) if letter.place is None else (letter.place,):
        if dead_letter_digest(origin, place, payload) == letter.digest:
            window = Window(letter.window_start, letter.window_end)
            has_key = key != f"{origin.source}/{origin.stream}"
            return RejectedRow(payload, letter.error, key if has_key else None, place, window, letter.seen_at)
    raise _incomplete(letter, payload)


def _incomplete(letter: DeadLetter, payload: bytes) -> NotReplayable:
    """Why the digest of a dead letter does not fit."""
    if REDACTED in letter.payload or REDACTED in (letter.place or ""):
        return NotReplayable("a secret was removed from its row", code="redacted")
    if len(payload) >= MAX_PAYLOAD_BYTES - _CUT:
        return NotReplayable(f"its row is truncated to {MAX_PAYLOAD_BYTES >> 10} KiB", code="truncated")
    if "\N{REPLACEMENT CHARACTER}" in letter.payload:
        return NotReplayable("its row has bytes that are not UTF-8, and they were replaced", code="not_utf8")
    if letter.place is None:
        text = "an earlier release wrote it, and does not say where the row was found; or the account has changed"
        return NotReplayable(text, code="place_unknown")
    return NotReplayable("it is of another account than that of the source now", code="other_account")


class Mark(Struct, frozen=True):
    """That a dead letter was published again."""

    version: int
    at: datetime
    """When."""
    published_at: datetime
    """When the dead letter was published."""
    seen_at: datetime
    """When its row was requested."""
    digests: Sequence[str] = ()
    """Of records that the ledger did not know any more, in a `MULTISET` stream: the first part of their events' ids.
    Another row of the same response with an equal key is another record, and must have another number."""


def mark_key(prefix: str, digest: str) -> bytes:
    """The key of the mark of a dead letter. `prefix` is that of the whole stream's state."""
    return _MARKS + f"{prefix}/{digest}".encode()


def marks(pairs: Mapping[bytes, bytes]) -> dict[bytes, Mark | None]:
    """The marks in a state partition by their key; None for one of a later version, or one that cannot be read.

    Such a mark still says that the dead letter was published again.
    """
    return {key: _mark(value) for key, value in pairs.items() if key.startswith(_MARKS)}


def split_mark_key(key: bytes) -> tuple[str, str]:
    """The prefix of the stream, and the digest of the dead letter."""
    prefix, _, digest = key.removeprefix(_MARKS).decode("utf-8", "replace").rpartition("/")
    return prefix, digest


def encode_mark(mark: Mark) -> bytes:
    """The value of the record."""
    return msgspec.json.encode(mark)


def _mark(value: bytes) -> Mark | None:
    try:
        mark = msgspec.json.decode(value, type=Mark)
    except msgspec.MsgspecError:
        return None
    return mark if mark.version == MARK_VERSION else None
