"""What a viewer becomes: one event."""

from collections.abc import Iterator
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from collector.model import Event, EventType, Record, Timestamp
from collector.rfc3339 import format_ms
from collector.vendors.quividi.wire import Number, Seen, Viewer
from collector.vendors.vocabulary import AgeGroup, Beard, Gender, Glasses, Mustache

# The vendor's document, "Finest viewers export" and "Aggregated viewers export". Zero is unknown, and so is what is
# missing or not in the list; glasses, mustaches and beards are only looked for under some licences.
_GENDERS: dict[int | None, Gender] = {1: "male", 2: "female"}
_AGE_GROUPS: dict[int | None, AgeGroup] = {1: "child", 2: "young_adult", 3: "adult", 4: "senior"}
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


VIEWER = EventType("quividi.viewer.v1", "quividi.viewers", ViewerV1)
TYPES = (VIEWER,)


def explode_viewer(record: Record[Seen], digest: str, occurrence: int, source: str) -> Iterator[Event]:
    """The viewer's event."""
    seen, row = record.payload, record.payload.row
    key, event_id = str(row.location_id), f"{digest}/viewer/0"
    start, footfall_ms = format_ms(record.start_ms), seen.footfall_ms
    codes = (row.gender, row.age, row.dwell_ms, row.attention_ms)
    said = "-".join("" if each is None else str(each) for each in codes)
    yield Event(
        VIEWER,
        event_id,
        f"location/{key}/viewer/{digest}",
        start,
        key,
        ViewerV1(
            event_id=event_id,
            record_id=f"{key}/{seen.start_local.replace(' ', 'T', 1)}/{said}/{occurrence}",
            source=source,
            location_id=row.location_id,
            start=start,
            start_local=seen.start_local,
            utc_offset_s=record.filed_s - record.start_ms // 1000,
            ambiguous=seen.ambiguous,
            end=format_ms(record.end_ms),
            dwell_ms=row.dwell_ms,
            attention_ms=row.attention_ms,
            gender=_GENDERS.get(row.gender, "unknown"),
            gender_code=row.gender,
            age_group=_AGE_GROUPS.get(row.age, "unknown"),
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
        ),
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


def _word(words: dict[int, W], code: int | None, otherwise: W) -> W | None:
    return None if code is None else words.get(code, otherwise)
