"""The rows of exports of finest footfall: the persons who passed, seen or not by the camera that counts viewers.

Source: the vendor's newer document, "Finest footfall export". `vr_id` and the link to the viewer came in October 2025,
`tracking_mode` later.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from collector.instants import Timestamp, format_ms
from collector.model import EventType, Record
from collector.vendors.quividi.finest import FinestForm, FinestRow, Located, milliseconds, row_decoder, text_of
from collector.vendors.quividi.finest_fields import Lasting, Occurrence, VrId, ended_at
from collector.vendors.quividi.wire import ABSENT, Integer, Tenths


class Person(FinestRow, frozen=True, gc=False, omit_defaults=True):
    """The fields of a person in all exports that have persons who pass."""

    LINK: ClassVar[tuple[str, str]] = ("watcher_id", "watcher_start")

    footfall_presence_time: Tenths | None = ABSENT
    vr_id: Integer | str | None = None
    watcher_id: Integer | str | None = None
    watcher_start: str | None = None
    tracking_mode: Integer | None = None

    @property
    def footfall_ms(self) -> int | None:
        return milliseconds(self.footfall_presence_time)

    @property
    def link(self) -> tuple[int | str | None, str | None]:
        return self.watcher_id, self.watcher_start


class Footfall(Person, frozen=True, gc=False, omit_defaults=True):
    """A row: a person who passed."""

    KIND = "footfall"
    REQUIRED = (("footfall_presence_time",),)

    @property
    def key_fields(self) -> tuple[int | str | None, ...]:
        return (self.footfall_ms,)

    @property
    def fingerprint_fields(self) -> tuple[object, ...]:
        return text_of(self.vr_id), self.tracking_mode

    @property
    def length_ms(self) -> int | None:
        return self.footfall_ms

    @property
    def is_placeholder(self) -> bool:
        return self.footfall_ms is None and self.vr_id is None


WatcherId = Annotated[
    str | None,
    Meta(
        description="`vr_id` of this person in `quividi.viewer.v1`; null if the person did not look, or the vendor "
        "sends none. The viewer may be published later, or not at all."
    ),
]
WatcherStartedAt = Annotated[
    Timestamp | None, Meta(description="Arrival of the person as a viewer, in UTC; null if the vendor sends none.")
]
TrackingMode = Annotated[
    int | None,
    Meta(
        description="The vendor's code of how the person was tracked, which is not documented; null if there is none."
    ),
]


class FootfallV1(Lasting, frozen=True, kw_only=True, gc=False):
    """A person who passed the location. Those who looked at the screen are viewers, too."""

    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/footfall/<location>/<started_local>/<presence>/<occurrence>`, with "
            "milliseconds."
        ),
    ]
    presence_ms: Annotated[int | None, Meta(description="How long the person was there, in milliseconds.")]
    vr_id: VrId
    watcher_id: WatcherId
    watcher_started_at: WatcherStartedAt
    tracking_mode: TrackingMode
    occurrence: Occurrence


def footfall_fields(record: Record[Any]) -> dict[str, Any]:
    """The fields of `FootfallV1` beside those that all types have. The row is a `Person`."""
    row = record.payload.row
    return {
        "ended_at": ended_at(record, row),
        "presence_ms": row.footfall_ms,
        **link_fields(record.payload),
    }


def link_fields(located: Located[Any]) -> Mapping[str, Any]:
    """The fields of a person that identify records. The row is a `Person`."""
    row, link = located.row, located.link
    return {
        "vr_id": text_of(row.vr_id),
        "watcher_id": link.id,
        "watcher_started_at": None if link.start_ms is None else format_ms(link.start_ms),
        "tracking_mode": row.tracking_mode,
    }


FOOTFALL = EventType("quividi.footfall.v1", "quividi.footfall", FootfallV1)
FORM = FinestForm(FOOTFALL, row_decoder(Footfall), footfall_fields)
