"""What a viewer becomes: one event, and one for each content that was played meanwhile."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct, structs

from collector.instants import Timestamp, format_ms
from collector.model import Event, EventType, Record
from collector.vendors.quividi.contents import Content, SeenApc
from collector.vendors.quividi.wire import Number, Seen, Viewer
from collector.vendors.vocabulary import AgeGroup, Beard, Gender, Glasses, Mustache

# The vendor's document, "Finest viewers export" and "Aggregated viewers export". Zero is unknown, and so is what is
# missing or not in the list; glasses, mustaches and beards are only looked for under some licences.
GENDERS: Mapping[object, Gender] = {1: "male", 2: "female"}
AGE_GROUPS: Mapping[object, AgeGroup] = {1: "child", 2: "young_adult", 3: "adult", 4: "senior"}
_GLASSES: dict[int, Glasses] = {0: "unknown", 1: "none", 2: "glasses", 3: "sunglasses"}
_MUSTACHES: dict[int, Mustache] = {0: "unknown", 1: "none", 2: "mustache"}
_BEARDS: dict[int, Beard] = {0: "unknown", 1: "none", 2: "beard"}

W = TypeVar("W")

_Percent = Annotated[
    Number | None, Meta(description="Per cent of the time; the five make some 100. Null where it was not said.")
]


class Mood(Struct, frozen=True, kw_only=True, gc=False):
    """How the viewer's mood was distributed over time."""

    very_happy: _Percent
    happy: _Percent
    neutral: _Percent
    unhappy: _Percent
    very_unhappy: _Percent


class ViewerV1(Struct, frozen=True, kw_only=True, gc=False):
    """A person was in front of the screen and looked at it."""

    event_id: Annotated[str, Meta(description="`<32 hex digits of the record's id>/viewer/0`: unique, and stable.")]
    record_id: Annotated[
        str, Meta(description="`<location>/<start_local>/<gender>-<age>-<dwell>-<attention>/<occurrence>`, in codes.")
    ]
    source: Annotated[str, Meta(description="The source's name in the collector's configuration.")]
    location_id: Annotated[int, Meta(description="The vendor's number of the location.")]
    start: Annotated[Timestamp, Meta(description="When the person came, UTC.")]
    start_local: Annotated[str, Meta(description="The same as the vendor wrote it: local, without a zone.")]
    utc_offset_s: Annotated[int, Meta(description="Local time minus UTC, in seconds, by the source's time zone.")]
    ambiguous: Annotated[
        bool, Meta(description="Whether the local time comes twice, when summer ends: the first is taken.")
    ]
    end: Annotated[Timestamp, Meta(description="`start` + `dwell_ms`, UTC; `start` where no dwell time was said.")]
    dwell_ms: Annotated[int | None, Meta(description="In front of the screen, in milliseconds.")]
    attention_ms: Annotated[int | None, Meta(description="Looking at it, in milliseconds; may be above `dwell_ms`.")]
    gender: Annotated[Gender, Meta(description="What the camera took the person for.")]
    gender_code: Annotated[int | None, Meta(description="The vendor's code of the gender.")]
    age_group: Annotated[AgeGroup, Meta(description="What the camera took the person for.")]
    age_code: Annotated[int | None, Meta(description="The vendor's code of the age.")]
    age_years: Annotated[Number | None, Meta(description="What the camera took the person for, in years.")]
    mood: Annotated[Mood | None, Meta(description="Null where the licence has none.")]
    glasses: Annotated[Glasses | None, Meta(description="Null where the licence or the API's age has none.")]
    mustache: Annotated[Mustache | None, Meta(description="Null where the licence or the API's age has none.")]
    beard: Annotated[Beard | None, Meta(description="Null where the licence or the API's age has none.")]
    vr_id: Annotated[int | str | None, Meta(description="The box's number of the viewer, where it is told.")]
    footfall_id: Annotated[int | str | None, Meta(description="The passer-by that the viewer was, where it is told.")]
    footfall_start: Annotated[Timestamp | None, Meta(description="When that person came by, UTC, where it is told.")]
    occurrence: Annotated[
        int, Meta(description="Which of several viewers whose rows do not tell them apart, from 0.", ge=0)
    ]


class ViewerApcV1(ViewerV1, frozen=True, kw_only=True, gc=False):
    """A person was in front of the screen, while contents were played that are known."""

    event_id: Annotated[str, Meta(description="`<32 hex digits of the record's id>/viewer_apc/0`: unique, and stable.")]
    content_count: Annotated[int, Meta(description="How many content events the viewer exploded into.", ge=0)]


_MoodMs = Annotated[int | None, Meta(description="In milliseconds. Null where it was not said.")]


class MoodMs(Struct, frozen=True, kw_only=True, gc=False):
    """How long the viewer was in which mood."""

    very_happy: _MoodMs
    happy: _MoodMs
    neutral: _MoodMs
    unhappy: _MoodMs
    very_unhappy: _MoodMs


class ViewerContentV1(Struct, frozen=True, kw_only=True, gc=False):
    """A content that was played while a person was in front of the screen."""

    event_id: Annotated[
        str,
        Meta(description="`<32 hex digits of the viewer's record's id>/viewer_content/<index>`: unique, and stable."),
    ]
    viewer_event_id: Annotated[str, Meta(description="`event_id` of the viewer.")]
    source: Annotated[str, Meta(description="The source's name in the collector's configuration.")]
    location_id: Annotated[int, Meta(description="The vendor's number of the location.")]
    index: Annotated[int, Meta(description="Position in the vendor's array, from 0.", ge=0)]
    start: Annotated[Timestamp, Meta(description="When the viewer came, UTC; when the content began is not told.")]
    content_id: Annotated[str, Meta(description="The player's id of the content.")]
    campaign_id: Annotated[str | None, Meta(description="The player's id of the campaign, where it has one.")]
    app_id: Annotated[str | None, Meta(description="The player's id of itself, where it is told.")]
    dwell_ms: Annotated[
        int | None, Meta(description="In front of the screen while it was played, in milliseconds; all times together.")
    ]
    attention_ms: Annotated[
        int | None, Meta(description="Looking while it was played, in milliseconds; may be above `dwell_ms`.")
    ]
    mood_ms: Annotated[MoodMs | None, Meta(description="Null where the licence has none.")]
    gender: Annotated[Gender, Meta(description="What the camera took the viewer for.")]
    age_group: Annotated[AgeGroup, Meta(description="What the camera took the viewer for.")]


VIEWER = EventType("quividi.viewer.v1", "quividi.viewers", ViewerV1)
VIEWER_APC = EventType("quividi.viewer_apc.v1", "quividi.viewers_apc", ViewerApcV1)
VIEWER_CONTENT = EventType("quividi.viewer_content.v1", "quividi.viewer_contents", ViewerContentV1)


def explode_viewer(record: Record[Seen], digest: str, occurrence: int, source: str) -> Iterator[Event]:
    """The viewer's event."""
    viewer = _viewer(record, record.payload, f"{digest}/viewer/0", occurrence, source)
    key = str(viewer.location_id)
    yield Event(VIEWER, viewer.event_id, f"location/{key}/viewer/{digest}", viewer.start, key, viewer)


def explode_viewer_apc(record: Record[SeenApc], digest: str, occurrence: int, source: str) -> Iterator[Event]:
    """The viewer's event, and those of its contents."""
    contents = record.payload.contents
    viewer = _viewer(record, record.payload.seen, f"{digest}/viewer_apc/0", occurrence, source)
    key, subject = str(viewer.location_id), f"location/{viewer.location_id}/viewer_apc/{digest}"
    whole = ViewerApcV1(**structs.asdict(viewer), content_count=len(contents))
    yield Event(VIEWER_APC, viewer.event_id, subject, viewer.start, key, whole)
    for index, content in enumerate(contents):
        event_id = f"{digest}/viewer_content/{index}"
        told = ViewerContentV1(
            event_id=event_id,
            viewer_event_id=viewer.event_id,
            source=source,
            location_id=viewer.location_id,
            index=index,
            start=viewer.start,
            content_id=str(content.content_id),
            campaign_id=_text(content.campaign_id),
            app_id=_text(content.app_id),
            dwell_ms=content.dwell_ms,
            attention_ms=content.attention_ms,
            mood_ms=_mood_ms(content),
            gender=viewer.gender,
            age_group=viewer.age_group,
        )
        yield Event(VIEWER_CONTENT, event_id, f"{subject}/content/{index}", viewer.start, key, told)


def _viewer(record: Record[Any], seen: Seen, event_id: str, occurrence: int, source: str) -> ViewerV1:
    row, footfall_ms = seen.row, seen.footfall_ms
    codes = (row.gender, row.age, row.dwell_ms, row.attention_ms)
    said = "-".join("" if each is None else str(each) for each in codes)
    return ViewerV1(
        event_id=event_id,
        record_id=f"{row.location_id}/{seen.start_local.replace(' ', 'T', 1)}/{said}/{occurrence}",
        source=source,
        location_id=row.location_id,
        start=format_ms(record.start_ms),
        start_local=seen.start_local,
        utc_offset_s=record.vendor_local_s - record.start_ms // 1000,
        ambiguous=seen.ambiguous,
        end=format_ms(record.end_ms),
        dwell_ms=row.dwell_ms,
        attention_ms=row.attention_ms,
        gender=GENDERS.get(row.gender, "unknown"),
        gender_code=row.gender,
        age_group=AGE_GROUPS.get(row.age, "unknown"),
        age_code=row.age,
        age_years=row.age_value,
        mood=_mood(row),
        glasses=_word(_GLASSES, row.glasses, "unknown"),
        mustache=_word(_MUSTACHES, row.mustache, "unknown"),
        beard=_word(_BEARDS, row.beard, "unknown"),
        vr_id=row.vr_id,
        footfall_id=row.footfall_id,
        footfall_start=None if footfall_ms is None else format_ms(footfall_ms),
        occurrence=occurrence,
    )


def _mood(row: Viewer) -> Mood | None:
    if all(mood is None for mood in row.moods):
        return None
    return Mood(
        very_happy=row.very_happy,
        happy=row.happy,
        neutral=row.neutral,
        unhappy=row.unhappy,
        very_unhappy=row.very_unhappy,
    )


def _mood_ms(content: Content) -> MoodMs | None:
    if all(mood is None for mood in content.moods_ms):
        return None
    very_happy, happy, neutral, unhappy, very_unhappy = content.moods_ms
    return MoodMs(very_happy=very_happy, happy=happy, neutral=neutral, unhappy=unhappy, very_unhappy=very_unhappy)


def _text(identifier: int | str | None) -> str | None:
    return None if identifier is None else str(identifier)


def _word(words: dict[int, W], code: int | None, otherwise: W) -> W | None:
    return None if code is None else words.get(code, otherwise)
