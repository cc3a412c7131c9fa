"""The events of a session: one for the session, and one for each of its intervals."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from collector.instants import Timestamp, format_ms
from collector.model import Event, EventType, Record
from collector.vendors.event_fields import (
    AgeCode,
    DeviceId,
    EstimatedAgeGroup,
    EstimatedGender,
    GenderCode,
    Position,
    Revision,
)
from collector.vendors.seemetrix.wire import AttentionInterval, EmotionInterval, Play, Session
from collector.vendors.vocabulary import AgeGroup, Emotion, Gender

# Source: the vendor's document, "Raw data". Gender: 0 female, 1 male. Age: 0 kid, 1 young, 2 adult, 3 old. Emotion:
# -1 undefined, 0 neutral, 1 happy, 2 angry, 3 surprised. Zero is a value; a missing or undocumented code is unknown.
_GENDERS: dict[int | None, Gender] = {0: "female", 1: "male"}
_AGE_GROUPS: dict[int | None, AgeGroup] = {0: "child", 1: "young_adult", 2: "adult", 3: "senior"}
EMOTIONS: dict[int | None, Emotion] = {0: "neutral", 1: "happy", 2: "angry", 3: "surprised"}

_SessionNumber = Annotated[int, Meta(description="The device's sequence number of the session.")]


class SessionV1(Struct, frozen=True, kw_only=True, gc=False):
    """A face was in front of the screen, from its detection to its loss."""

    record_id: Annotated[
        str,
        Meta(
            description="`seemetrix/<user>/session/<device>/<number>/<started_at>`: equal for all revisions of the "
            "record."
        ),
    ]
    revision: Revision
    device_id: DeviceId
    session_number: _SessionNumber
    started_at: Annotated[Timestamp, Meta(description="Detection of the face, in UTC.")]
    ended_at: Annotated[Timestamp, Meta(description="Loss of the face, in UTC.")]
    duration_ms: Annotated[
        int,
        Meta(
            description="Duration as the vendor sends it, in milliseconds; `ended_at` - `started_at` if it sends none."
        ),
    ]
    attention_ms: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Total time for which the person looked at the screen, in milliseconds; null if the vendor "
            "sends no attention."
        ),
    ]
    gender: EstimatedGender
    gender_code: GenderCode
    age_group: EstimatedAgeGroup
    age_code: AgeCode
    attention_count: Annotated[int, Meta(description="Number of attention events of this session.", ge=0)]
    emotion_count: Annotated[int, Meta(description="Number of emotion events of this session.", ge=0)]
    content_view_count: Annotated[int, Meta(description="Number of content view events of this session.", ge=0)]


class _IntervalV1(Struct, frozen=True, kw_only=True, gc=False):
    """The fields of all intervals of a session."""

    record_id: Annotated[str, Meta(description="`record_id` of the session.")]
    revision: Annotated[
        int,
        Meta(
            description="`revision` of the session. A newer one replaces all intervals of an older one, even if it has "
            "fewer of them.",
            ge=0,
        ),
    ]
    session_event_id: Annotated[str, Meta(description="`event_id` of the session's event.")]
    device_id: DeviceId
    session_number: _SessionNumber
    position: Position
    started_at: Annotated[
        Timestamp, Meta(description="Start of the session plus the durations of the previous intervals, in UTC.")
    ]
    ended_at: Annotated[Timestamp, Meta(description="`started_at` + `duration_ms`, in UTC.")]
    duration_ms: Annotated[int, Meta(description="Duration in milliseconds.", ge=0)]
    gender: EstimatedGender
    age_group: EstimatedAgeGroup


class AttentionV1(_IntervalV1, frozen=True, kw_only=True, gc=False):
    """An interval of a session: the person looked at the screen for all of it, or for none of it."""

    looking: Annotated[bool, Meta(description="Whether the person looked at the screen.")]


class EmotionV1(_IntervalV1, frozen=True, kw_only=True, gc=False):
    """An interval of a session in which the person showed one emotion."""

    emotion: Annotated[Emotion, Meta(description="Emotion as estimated by the camera.")]
    emotion_code: Annotated[int | None, Meta(description="The vendor's code of the emotion.")]


class ContentViewV1(_IntervalV1, frozen=True, kw_only=True, gc=False):
    """A movie that was played during a session. Movies may overlap."""

    started_at: Annotated[Timestamp, Meta(description="Start of the movie during the session, in UTC.")]
    movie_id: Annotated[int, Meta(description="The vendor's number of the movie.")]


SESSION = EventType("seemetrix.session.v1", "seemetrix.sessions", SessionV1)
ATTENTION = EventType("seemetrix.attention.v1", "seemetrix.attention", AttentionV1)
EMOTION = EventType("seemetrix.emotion.v1", "seemetrix.emotions", EmotionV1)
CONTENT_VIEW = EventType("seemetrix.content_view.v1", "seemetrix.content_views", ContentViewV1)
TYPES = (SESSION, ATTENTION, EMOTION, CONTENT_VIEW)


class Parent(Struct, frozen=True, gc=False):
    """The values that all events of a session share."""

    record: Record[Session]
    digest: str
    record_id: str
    revision: int
    gender: Gender
    age_group: AgeGroup
    start: Timestamp
    key: str
    subject: str
    event_id: str


def parent_of(record: Record[Session], digest: str, revision: int, user: int) -> Parent:
    """What the events of the session share."""
    session = record.payload
    key, start = str(session.d), format_ms(record.start_ms)
    return Parent(
        record=record,
        digest=digest,
        record_id=f"seemetrix/{user}/session/{key}/{session.o}/{start}",
        revision=revision,
        gender=_GENDERS.get(session.s, "unknown"),
        age_group=_AGE_GROUPS.get(session.a, "unknown"),
        start=start,
        key=key,
        subject=f"device/{key}/session/{session.o}",
        event_id=f"{digest}/session/0",
    )


def explode_session(record: Record[Session], digest: str, revision: int, user: int) -> Iterator[Event]:
    """Yield the session's event, then those of its attention, emotion and movie intervals, in the vendor's order.

    Attention and emotion intervals have no start in the response: each starts at the end of the previous one.
    `session_messages.py` encodes them as messages in less time.
    """
    parent, session = parent_of(record, digest, revision, user), record.payload
    yield session_event(parent)
    yield from _attentions(parent, session.at or ())
    yield from _emotions(parent, session.em or ())
    yield from _content_views(parent, session.v or ())


def session_event(parent: Parent) -> Event:
    """The event of the session itself."""
    record, session = parent.record, parent.record.payload
    attentions = session.at or ()
    data = SessionV1(
        record_id=parent.record_id,
        revision=parent.revision,
        device_id=session.d,
        session_number=session.o,
        started_at=parent.start,
        ended_at=format_ms(record.end_ms),
        duration_ms=record.end_ms - record.start_ms if session.i is None else session.i,
        attention_ms=None if session.at is None else sum(attention.d for attention in attentions if attention.a),
        gender=parent.gender,
        gender_code=session.s,
        age_group=parent.age_group,
        age_code=session.a,
        attention_count=len(attentions),
        emotion_count=len(session.em or ()),
        content_view_count=len(session.v or ()),
    )
    return Event(SESSION, parent.event_id, parent.subject, parent.start, parent.key, data)


def _attentions(parent: Parent, attentions: Sequence[AttentionInterval]) -> Iterator[Event]:
    session, start, end_ms = parent.record.payload, parent.start, parent.record.start_ms
    for position, attention in enumerate(attentions):
        event_id, end_ms = f"{parent.digest}/attention/{position}", end_ms + attention.d
        end = format_ms(end_ms)
        data = AttentionV1(
            record_id=parent.record_id,
            revision=parent.revision,
            session_event_id=parent.event_id,
            device_id=session.d,
            session_number=session.o,
            position=position,
            started_at=start,
            ended_at=end,
            duration_ms=attention.d,
            gender=parent.gender,
            age_group=parent.age_group,
            looking=attention.a == 1,
        )
        yield Event(ATTENTION, event_id, parent.subject, start, parent.key, data)
        start = end


def _emotions(parent: Parent, emotions: Sequence[EmotionInterval]) -> Iterator[Event]:
    session, start, end_ms = parent.record.payload, parent.start, parent.record.start_ms
    for position, emotion in enumerate(emotions):
        event_id, end_ms = f"{parent.digest}/emotion/{position}", end_ms + emotion.d
        end = format_ms(end_ms)
        data = EmotionV1(
            record_id=parent.record_id,
            revision=parent.revision,
            session_event_id=parent.event_id,
            device_id=session.d,
            session_number=session.o,
            position=position,
            started_at=start,
            ended_at=end,
            duration_ms=emotion.d,
            gender=parent.gender,
            age_group=parent.age_group,
            emotion=EMOTIONS.get(emotion.e, "unknown"),
            emotion_code=emotion.e,
        )
        yield Event(EMOTION, event_id, parent.subject, start, parent.key, data)
        start = end


def _content_views(parent: Parent, plays: Sequence[Play]) -> Iterator[Event]:
    session = parent.record.payload
    for position, play in enumerate(plays):
        event_id, start_ms = f"{parent.digest}/content_view/{position}", parent.record.start_ms + play.s
        start = format_ms(start_ms) if play.s else parent.start
        data = ContentViewV1(
            record_id=parent.record_id,
            revision=parent.revision,
            session_event_id=parent.event_id,
            device_id=session.d,
            session_number=session.o,
            position=position,
            started_at=start,
            ended_at=format_ms(start_ms + play.d),
            duration_ms=play.d,
            gender=parent.gender,
            age_group=parent.age_group,
            movie_id=play.i,
        )
        yield Event(CONTENT_VIEW, event_id, parent.subject, start, parent.key, data)
