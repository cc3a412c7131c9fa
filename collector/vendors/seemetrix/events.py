"""What a Seemetrix session becomes: itself, and one event for each of its intervals."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from collector.instants import Timestamp, format_ms
from collector.model import Event, EventType, Record
from collector.vendors.seemetrix.wire import Session
from collector.vendors.vocabulary import AgeGroup, Emotion, Gender

# The vendor's document, "Raw data": gender 0 female, 1 male; age 0 kid, 1 young, 2 adult, 3 old; emotion -1 undefined,
# 0 neutral, 1 happy, 2 angry, 3 surprised. Zero is a value; what is missing or not in the list is unknown.
_GENDERS: dict[int | None, Gender] = {0: "female", 1: "male"}
_AGE_GROUPS: dict[int | None, AgeGroup] = {0: "child", 1: "young_adult", 2: "adult", 3: "senior"}
_EMOTIONS: dict[int | None, Emotion] = {0: "neutral", 1: "happy", 2: "angry", 3: "surprised"}

_EventId = Annotated[str, Meta(description="`<32 hex digits of the record's id>/<kind>/<index>`: unique, and stable.")]
_Source = Annotated[str, Meta(description="The source's name in the collector's configuration.")]
_DeviceId = Annotated[int, Meta(description="The vendor's number of the device.")]
_SessionNumber = Annotated[int, Meta(description="The device's number of the session, counted over all time.")]
_DurationMs = Annotated[int, Meta(description="Duration in milliseconds.", ge=0)]
_Gender = Annotated[Gender, Meta(description="What the camera took the person for.")]
_AgeGroup = Annotated[AgeGroup, Meta(description="What the camera took the person for.")]
_Index = Annotated[int, Meta(description="Position in the vendor's array, from 0.", ge=0)]
_Count = Annotated[int, Meta(description="How many such events the session exploded into.", ge=0)]


class SessionV1(Struct, frozen=True, kw_only=True, gc=False):
    """A face was in front of the screen: from the moment it was detected until it was lost."""

    event_id: _EventId
    record_id: Annotated[str, Meta(description="`<device>/<number>/<begin>`: the same for every revision.")]
    revision: Annotated[int, Meta(description="Counts the versions of the record, from 0; the highest counts.", ge=0)]
    source: _Source
    device_id: _DeviceId
    session_number: _SessionNumber
    start: Annotated[Timestamp, Meta(description="When the face was detected, UTC.")]
    end: Annotated[Timestamp, Meta(description="When the face was lost, UTC.")]
    duration_ms: Annotated[
        int, Meta(description="As the vendor says it, in milliseconds; `end` - `start` where it says nothing.")
    ]
    attention_ms: Annotated[int, Meta(description="Sum of the attention intervals that look, in milliseconds.", ge=0)]
    gender: _Gender
    gender_code: Annotated[int | None, Meta(description="The vendor's code of the gender.")]
    age_group: _AgeGroup
    age_code: Annotated[int | None, Meta(description="The vendor's code of the age.")]
    attention_count: _Count
    emotion_count: _Count
    content_view_count: _Count


class AttentionV1(Struct, frozen=True, kw_only=True, gc=False):
    """An interval of a session in which the person looked at the screen, or did not."""

    event_id: _EventId
    session_event_id: Annotated[str, Meta(description="`event_id` of the session that it is a part of.")]
    source: _Source
    device_id: _DeviceId
    session_number: _SessionNumber
    index: _Index
    start: Annotated[Timestamp, Meta(description="Begin of the session and the intervals before, UTC.")]
    end: Annotated[Timestamp, Meta(description="`start` + `duration_ms`, UTC.")]
    duration_ms: _DurationMs
    gender: _Gender
    age_group: _AgeGroup
    looking: Annotated[bool, Meta(description="Whether the person looked at the screen.")]


class EmotionV1(Struct, frozen=True, kw_only=True, gc=False):
    """An interval of a session in which the person showed one emotion."""

    event_id: _EventId
    session_event_id: Annotated[str, Meta(description="`event_id` of the session that it is a part of.")]
    source: _Source
    device_id: _DeviceId
    session_number: _SessionNumber
    index: _Index
    start: Annotated[Timestamp, Meta(description="Begin of the session and the intervals before, UTC.")]
    end: Annotated[Timestamp, Meta(description="`start` + `duration_ms`, UTC.")]
    duration_ms: _DurationMs
    gender: _Gender
    age_group: _AgeGroup
    emotion: Annotated[Emotion, Meta(description="What the camera took the face for.")]
    emotion_code: Annotated[int | None, Meta(description="The vendor's code of the emotion.")]


class ContentViewV1(Struct, frozen=True, kw_only=True, gc=False):
    """A movie that was played while the person was there. Movies may overlap."""

    event_id: _EventId
    session_event_id: Annotated[str, Meta(description="`event_id` of the session that it is a part of.")]
    source: _Source
    device_id: _DeviceId
    session_number: _SessionNumber
    index: _Index
    start: Annotated[Timestamp, Meta(description="When it began to play during the session, UTC.")]
    end: Annotated[Timestamp, Meta(description="`start` + `duration_ms`, UTC.")]
    duration_ms: _DurationMs
    gender: _Gender
    age_group: _AgeGroup
    movie_id: Annotated[int, Meta(description="The vendor's number of the movie.")]


SESSION = EventType("seemetrix.session.v1", "seemetrix.sessions", SessionV1)
ATTENTION = EventType("seemetrix.attention.v1", "seemetrix.attention", AttentionV1)
EMOTION = EventType("seemetrix.emotion.v1", "seemetrix.emotions", EmotionV1)
CONTENT_VIEW = EventType("seemetrix.content_view.v1", "seemetrix.content_views", ContentViewV1)
TYPES = (SESSION, ATTENTION, EMOTION, CONTENT_VIEW)


def explode_session(record: Record[Session], digest: str, revision: int, source: str) -> Iterator[Event]:
    """The session's event, then those of its attention, emotion and movie intervals, in the vendor's order.

    Attention and emotion intervals have no starts of their own: each begins where the one before ended.
    """
    session = record.payload
    gender, age_group = _GENDERS.get(session.s, "unknown"), _AGE_GROUPS.get(session.a, "unknown")
    attentions, moods, plays = session.at or (), session.em or (), session.v or ()
    key, session_event_id = str(session.d), f"{digest}/session/0"
    subject = f"device/{key}/session/{session.o}"
    begin = format_ms(record.start_ms)

    yield Event(
        SESSION,
        session_event_id,
        subject,
        begin,
        key,
        SessionV1(
            event_id=session_event_id,
            record_id=f"{key}/{session.o}/{begin}",
            revision=revision,
            source=source,
            device_id=session.d,
            session_number=session.o,
            start=begin,
            end=format_ms(record.end_ms),
            duration_ms=record.end_ms - record.start_ms if session.i is None else session.i,
            attention_ms=sum(attention.d for attention in attentions if attention.a),
            gender=gender,
            gender_code=session.s,
            age_group=age_group,
            age_code=session.a,
            attention_count=len(attentions),
            emotion_count=len(moods),
            content_view_count=len(plays),
        ),
    )

    start, end_ms = begin, record.start_ms
    for index, attention in enumerate(attentions):
        event_id, end_ms = f"{digest}/attention/{index}", end_ms + attention.d
        end = format_ms(end_ms)
        yield Event(
            ATTENTION,
            event_id,
            subject,
            start,
            key,
            AttentionV1(
                event_id=event_id,
                session_event_id=session_event_id,
                source=source,
                device_id=session.d,
                session_number=session.o,
                index=index,
                start=start,
                end=end,
                duration_ms=attention.d,
                gender=gender,
                age_group=age_group,
                looking=attention.a == 1,
            ),
        )
        start = end

    start, end_ms = begin, record.start_ms
    for index, mood in enumerate(moods):
        event_id, end_ms = f"{digest}/emotion/{index}", end_ms + mood.d
        end = format_ms(end_ms)
        yield Event(
            EMOTION,
            event_id,
            subject,
            start,
            key,
            EmotionV1(
                event_id=event_id,
                session_event_id=session_event_id,
                source=source,
                device_id=session.d,
                session_number=session.o,
                index=index,
                start=start,
                end=end,
                duration_ms=mood.d,
                gender=gender,
                age_group=age_group,
                emotion=_EMOTIONS.get(mood.e, "unknown"),
                emotion_code=mood.e,
            ),
        )
        start = end

    for index, play in enumerate(plays):
        event_id, start_ms = f"{digest}/content_view/{index}", record.start_ms + play.s
        start = format_ms(start_ms) if play.s else begin
        yield Event(
            CONTENT_VIEW,
            event_id,
            subject,
            start,
            key,
            ContentViewV1(
                event_id=event_id,
                session_event_id=session_event_id,
                source=source,
                device_id=session.d,
                session_number=session.o,
                index=index,
                start=start,
                end=format_ms(start_ms + play.d),
                duration_ms=play.d,
                gender=gender,
                age_group=age_group,
                movie_id=play.i,
            ),
        )
