"""The messages of a session, encoded in the fastest way. Pure.

They are those of the events that `explode_session` yields, byte for byte. Most of the messages that the collector
publishes are intervals of sessions, and those of one session differ in a few values. Everything else is encoded once.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from collector.cloudevents import Envelope, Message
from collector.instants import format_ms
from collector.model import EventType, Record
from collector.vendors.seemetrix.events import (
    ATTENTION,
    CONTENT_VIEW,
    EMOTION,
    EMOTIONS,
    SESSION,
    Parent,
    parent_of,
    session_event,
)
from collector.vendors.seemetrix.wire import Session

_encode = msgspec.json.Encoder().encode

_Interval: TypeAlias = tuple[bytes, bytes, int, bytes]
"""Start and end as events contain them, the duration in milliseconds, and the fields after `age_group`."""
_LOOKING = (b'"looking":false}', b'"looking":true}')


def encode_session(
    record: Record[Session], digest: str, revision: int, user: int, envelope_of: Callable[[EventType], Envelope]
) -> Iterator[Message]:
    """Yield the message of the session, then those of its attention, emotion and movie intervals."""
    parent = parent_of(record, digest, revision, user)
    event, session = session_event(parent), record.payload
    key, subject = event.key.encode(), event.subject.encode()
    yield envelope_of(SESSION).event(key, event.id.encode(), _encode(event.data), subject, event.time.encode())
    before_position = (
        f'"record_id":"{parent.record_id}","revision":{revision},"session_event_id":"{parent.event_id}",'
        f'"device_id":{session.d},"session_number":{session.o},"position":'
    ).encode()
    after_duration = f',"gender":"{parent.gender}","age_group":"{parent.age_group}",'.encode()
    for event_type, before_number, given, intervals in (
        (ATTENTION, f"{digest}/attention/", session.at, _attentions(parent)),
        (EMOTION, f"{digest}/emotion/", session.em, _emotions(parent)),
        (CONTENT_VIEW, f"{digest}/content_view/", session.v, _content_views(parent)),
    ):
        if not given:
            continue
        envelope = envelope_of(event_type).of_record(key, subject, before_number.encode())
        for position, (start, end, duration_ms, own_fields) in enumerate(intervals):
            number = b"%d" % position
            fields = b'%b%b,"started_at":"%b","ended_at":"%b","duration_ms":%d%b%b' % (
                before_position,
                number,
                start,
                end,
                duration_ms,
                after_duration,
                own_fields,
            )
            yield envelope.event(number, fields, start)


def _attentions(parent: Parent) -> Iterator[_Interval]:
    start, end_ms = parent.start.encode(), parent.record.start_ms
    for attention in parent.record.payload.at or ():
        end_ms += attention.d
        end = format_ms(end_ms).encode()
        yield start, end, attention.d, _LOOKING[attention.a]
        start = end


def _emotions(parent: Parent) -> Iterator[_Interval]:
    start, end_ms = parent.start.encode(), parent.record.start_ms
    for emotion in parent.record.payload.em or ():
        end_ms += emotion.d
        end = format_ms(end_ms).encode()
        yield start, end, emotion.d, _SHOWING.get(emotion.e) or _showing(emotion.e)
        start = end


def _showing(code: int | None) -> bytes:
    """The fields of an interval with this emotion."""
    return b'"emotion":"%b","emotion_code":%b}' % (EMOTIONS.get(code, "unknown").encode(), _encode(code))


_SHOWING = {code: _showing(code) for code in (None, -1, *EMOTIONS)}


def _content_views(parent: Parent) -> Iterator[_Interval]:
    for play in parent.record.payload.v or ():
        start_ms = parent.record.start_ms + play.s
        start, end = format_ms(start_ms) if play.s else parent.start, format_ms(start_ms + play.d)
        yield start.encode(), end.encode(), play.d, b'"movie_id":%d}' % play.i
