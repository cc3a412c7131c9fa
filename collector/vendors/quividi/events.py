"""The events of a viewer: one for the viewer, and one for each content that was played."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct, structs

from collector.instants import Timestamp, format_ms
from collector.model import Event, EventType, Record
from collector.vendors.event_fields import (
    AgeCode,
    EstimatedAgeGroup,
    EstimatedGender,
    GenderCode,
    LocationId,
)
from collector.vendors.leniency import fraction
from collector.vendors.quividi.contents import Content, ViewerWithContents
from collector.vendors.quividi.finest import text_of
from collector.vendors.quividi.finest_fields import (
    Ambiguous,
    StartedLocal,
    UtcOffset,
    common_fields,
    ended_at,
    word,
)
from collector.vendors.quividi.viewers import LocatedViewer, Viewer
from collector.vendors.vocabulary import AgeGroup, Beard, Gender, Glasses, Mustache

# Source: the vendor's document, "Finest viewers export" and "Aggregated viewers export". Zero means unknown, as does a
# missing or an undocumented code. Only some licences detect glasses, mustaches and beards.
GENDERS: Mapping[object, Gender] = {1: "male", 2: "female"}
AGE_GROUPS: Mapping[object, AgeGroup] = {1: "child", 2: "young_adult", 3: "adult", 4: "senior"}
_GLASSES: dict[int, Glasses] = {0: "unknown", 1: "none", 2: "glasses", 3: "sunglasses"}
_MUSTACHES: dict[int, Mustache] = {0: "unknown", 1: "none", 2: "mustache"}
_BEARDS: dict[int, Beard] = {0: "unknown", 1: "none", 2: "beard"}

_Percent = Annotated[
    float | None,
    Meta(
        description="Percentage of the time in this mood. The five add up to about 100. Null if the vendor sends none."
    ),
]


class Mood(Struct, frozen=True, kw_only=True, gc=False):
    """The viewer's moods, as shares of the time."""

    very_happy: _Percent
    happy: _Percent
    neutral: _Percent
    unhappy: _Percent
    very_unhappy: _Percent


class ViewerV1(Struct, frozen=True, kw_only=True, gc=False):
    """A person who was in front of the screen and looked at it."""

    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/viewer/<location>/<started_local>/<gender>-<age>-<dwell>-<attention>/"
            "<occurrence>`, with the vendor's codes and milliseconds."
        ),
    ]
    location_id: LocationId
    started_at: Annotated[Timestamp, Meta(description="Arrival of the person, in UTC.")]
    started_local: StartedLocal
    utc_offset_s: UtcOffset
    ambiguous: Ambiguous
    ended_at: Annotated[
        Timestamp | None, Meta(description="`started_at` + `dwell_ms`, in UTC; null without a dwell time.")
    ]
    dwell_ms: Annotated[int | None, Meta(description="Time in front of the screen, in milliseconds.")]
    attention_ms: Annotated[
        int | None, Meta(description="Time of looking at the screen, in milliseconds; may exceed `dwell_ms`.")
    ]
    gender: EstimatedGender
    gender_code: GenderCode
    age_group: EstimatedAgeGroup
    age_code: AgeCode
    age_years: Annotated[float | None, Meta(description="Age as estimated by the camera, in years.")]
    mood: Annotated[Mood | None, Meta(description="The person's moods; null if the licence does not include them.")]
    glasses: Annotated[
        Glasses | None, Meta(description="Kind of glasses; null if the licence or the version of the API lacks it.")
    ]
    mustache: Annotated[
        Mustache | None,
        Meta(description="Whether there is one; null if the licence or the version of the API lacks it."),
    ]
    beard: Annotated[
        Beard | None, Meta(description="Whether there is one; null if the licence or the version of the API lacks it.")
    ]
    vr_id: Annotated[
        str | None, Meta(description="The number that the box gives the viewer; null if the vendor sends none.")
    ]
    footfall_id: Annotated[
        str | None,
        Meta(description="The vendor's id of this person as a passer-by; null if the vendor sends none."),
    ]
    footfall_started_at: Annotated[
        Timestamp | None,
        Meta(description="Arrival of the person as a passer-by, in UTC; null if the vendor sends none."),
    ]
    occurrence: Annotated[int, Meta(description="Number of the viewer among those with equal rows, from 0.", ge=0)]


class ViewerApcV1(ViewerV1, frozen=True, kw_only=True, gc=False):
    """A person who was in front of the screen, with the contents that were played during that time."""

    record_id: Annotated[
        str,
        Meta(
            description="As of `quividi.viewer.v1` with `viewer_apc` instead of `viewer`, followed by "
            "`/content_ids=<digest>` if the source selects contents."
        ),
    ]
    content_count: Annotated[
        int,
        Meta(
            description="Number of `quividi.viewer_content.v1` events published with the viewer. More may follow.",
            ge=0,
        ),
    ]


_MoodMs = Annotated[int | None, Meta(description="Time in this mood, in milliseconds. Null if the vendor sends none.")]


class MoodMs(Struct, frozen=True, kw_only=True, gc=False):
    """The viewer's time in each mood."""

    very_happy: _MoodMs
    happy: _MoodMs
    neutral: _MoodMs
    unhappy: _MoodMs
    very_unhappy: _MoodMs


class ViewerContentV1(Struct, frozen=True, kw_only=True, gc=False):
    """A content that was played while a person was in front of the screen.

    The vendor may report it later than the viewer. It is published then, with the next `position` of the viewer.
    """

    record_id: Annotated[str, Meta(description="`record_id` of the viewer.")]
    viewer_event_id: Annotated[str, Meta(description="`event_id` of the viewer's event.")]
    location_id: LocationId
    position: Annotated[
        int, Meta(description="Position among the contents of the viewer, in the order of publication, from 0.", ge=0)
    ]
    started_at: Annotated[
        Timestamp, Meta(description="Arrival of the viewer, in UTC. The vendor does not send the start of the content.")
    ]
    started_local: StartedLocal
    utc_offset_s: UtcOffset
    ambiguous: Ambiguous
    content_id: Annotated[str, Meta(description="The content's id in the player.")]
    campaign_id: Annotated[str | None, Meta(description="The campaign's id in the player; null without a campaign.")]
    app_id: Annotated[
        str | None, Meta(description="The id of the player's application; null if the vendor sends none.")
    ]
    dwell_ms: Annotated[
        int | None, Meta(description="Total time in front of the screen while the content was played, in milliseconds.")
    ]
    attention_ms: Annotated[
        int | None,
        Meta(description="Time of looking at the screen while it was played, in milliseconds; may exceed `dwell_ms`."),
    ]
    mood_ms: Annotated[
        MoodMs | None, Meta(description="Time in each mood; null if the licence does not include moods.")
    ]
    gender: EstimatedGender
    age_group: EstimatedAgeGroup


VIEWER = EventType("quividi.viewer.v1", "quividi.viewers", ViewerV1)
VIEWER_APC = EventType("quividi.viewer_apc.v1", "quividi.viewers_apc", ViewerApcV1)
VIEWER_CONTENT = EventType("quividi.viewer_content.v1", "quividi.viewer_contents", ViewerContentV1)


def explode_viewer(record: Record[LocatedViewer], digest: str, occurrence: int, user: str) -> Iterator[Event]:
    """Yield the viewer's event."""
    viewer = _viewer(record, record.payload, "viewer", occurrence, user)
    key = str(viewer.location_id)
    yield Event(VIEWER, f"{digest}/viewer/0", f"location/{key}/viewer/{digest}", viewer.started_at, key, viewer)


def explode_viewer_apc(record: Record[ViewerWithContents], digest: str, occurrence: int, user: str) -> Iterator[Event]:
    """Yield the viewer's event, then those of its contents in the vendor's order.

    If only some contents are published, because they came later than the viewer, yield their events alone.
    """
    contents, positions = record.payload.contents, record.payload.positions
    viewer = _viewer(record, record.payload.viewer, "viewer_apc", occurrence, user)
    record_id, viewer_event_id = viewer.record_id + record.payload.selection, f"{digest}/viewer_apc/0"
    key, subject = str(viewer.location_id), f"location/{viewer.location_id}/viewer_apc/{digest}"
    if positions is None:
        fields = structs.asdict(viewer) | {"record_id": record_id}
        viewer_apc = ViewerApcV1(**fields, content_count=len(contents))
        yield Event(VIEWER_APC, viewer_event_id, subject, viewer.started_at, key, viewer_apc)
        positions = {index: index for index in range(len(contents))}
    for index, position in positions.items():
        content, event_id = contents[index], f"{digest}/viewer_content/{position}"
        data = ViewerContentV1(
            record_id=record_id,
            viewer_event_id=viewer_event_id,
            location_id=viewer.location_id,
            position=position,
            started_at=viewer.started_at,
            started_local=viewer.started_local,
            utc_offset_s=viewer.utc_offset_s,
            ambiguous=viewer.ambiguous,
            content_id=str(content.content_id),
            campaign_id=text_of(content.campaign_id),
            app_id=text_of(content.app_id),
            dwell_ms=content.dwell_ms,
            attention_ms=content.attention_ms,
            mood_ms=_mood_ms(content),
            gender=viewer.gender,
            age_group=viewer.age_group,
        )
        yield Event(VIEWER_CONTENT, event_id, f"{subject}/content/{position}", viewer.started_at, key, data)


def _viewer(record: Record[Any], located: LocatedViewer, kind: str, occurrence: int, user: str) -> ViewerV1:
    row, link = located.row, located.link
    return ViewerV1(
        **common_fields(record, located, kind, occurrence, user),
        ended_at=ended_at(record, row),
        dwell_ms=row.dwell_ms,
        attention_ms=row.attention_ms,
        gender=GENDERS.get(row.gender, "unknown"),
        gender_code=row.gender,
        age_group=AGE_GROUPS.get(row.age, "unknown"),
        age_code=row.age,
        age_years=fraction(row.age_value),
        mood=_mood(row),
        glasses=word(_GLASSES, row.glasses, "unknown"),
        mustache=word(_MUSTACHES, row.mustache, "unknown"),
        beard=word(_BEARDS, row.beard, "unknown"),
        vr_id=text_of(row.vr_id),
        footfall_id=link.id,
        footfall_started_at=None if link.start_ms is None else format_ms(link.start_ms),
    )


def _mood(row: Viewer) -> Mood | None:
    if all(mood is None for mood in row.moods):
        return None
    return Mood(
        very_happy=fraction(row.very_happy),
        happy=fraction(row.happy),
        neutral=fraction(row.neutral),
        unhappy=fraction(row.unhappy),
        very_unhappy=fraction(row.very_unhappy),
    )


def _mood_ms(content: Content) -> MoodMs | None:
    if all(mood is None for mood in content.moods_ms):
        return None
    very_happy, happy, neutral, unhappy, very_unhappy = content.moods_ms
    return MoodMs(very_happy=very_happy, happy=happy, neutral=neutral, unhappy=unhappy, very_unhappy=very_unhappy)
