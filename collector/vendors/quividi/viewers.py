"""The rows of exports of finest viewers, with the old and the new names of fields.

Source of every field: the vendor's document, "Finest viewers export". The new names, `vr_id` and `footfall_…` were
observed in newer versions of VidiCenter; `person_…` were the names of `footfall_…` for eight days of October 2025.
"""

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar
from zoneinfo import ZoneInfo

from collector.model import Record, Reject
from collector.vendors.leniency import comparable
from collector.vendors.quividi.finest import FinestRow, Link, Located, fields_of, milliseconds, read_row, row_decoder
from collector.vendors.quividi.wire import ABSENT, Integer, Number, Tenths

FIELDS_VERSION = 1
"""The version of the lists of fields in the key and the fingerprint."""


class Viewer(FinestRow, frozen=True, gc=False, omit_defaults=True):
    """A row of an export of finest viewers."""

    KIND = "viewer"
    REQUIRED = (
        ("gender",),
        ("age",),
        ("dwell_time_in_tenths_of_sec", "dwell_time"),
        ("attention_time_in_tenths_of_sec", "attention_time"),
    )
    LINK: ClassVar[tuple[str, str]] = ("footfall_id", "footfall_start")
    FORMER: ClassVar[Mapping[str, str]] = {"person_id": "footfall_id", "person_start": "footfall_start"}

    gender: Integer | None = ABSENT
    age: Integer | None = ABSENT
    dwell_time: Tenths | None = ABSENT
    dwell_time_in_tenths_of_sec: Tenths | None = ABSENT
    attention_time: Tenths | None = ABSENT
    attention_time_in_tenths_of_sec: Tenths | None = ABSENT
    age_value: Number | None = None
    very_happy: Number | None = None
    happy: Number | None = None
    neutral: Number | None = None
    unhappy: Number | None = None
    very_unhappy: Number | None = None
    glasses: Integer | None = None
    mustache: Integer | None = None
    beard: Integer | None = None
    vr_id: Integer | str | None = None
    footfall_id: Integer | str | None = None
    footfall_start: str | None = None
    person_id: Integer | str | None = None
    person_start: str | None = None

    @property
    def dwell_ms(self) -> int | None:
        return milliseconds(self.dwell_time_in_tenths_of_sec, self.dwell_time)

    @property
    def attention_ms(self) -> int | None:
        return milliseconds(self.attention_time_in_tenths_of_sec, self.attention_time)

    @property
    def moods(self) -> tuple[Number | None, ...]:
        return self.very_happy, self.happy, self.neutral, self.unhappy, self.very_unhappy

    @property
    def key_fields(self) -> tuple[int | str | None, ...]:
        return self.gender, self.age, self.dwell_ms, self.attention_ms

    def fingerprint(self, link: Link) -> tuple[object, ...]:
        """As in every release: the short-lived names are not in it, and an id is as the vendor wrote it."""
        age_value, *moods = [comparable(each) for each in (self.age_value, *self.moods)]
        footfall_start = None if self.footfall_start is None else link.start_local
        seen = (self.vr_id, self.footfall_id, footfall_start, age_value, self.glasses, self.mustache, self.beard)
        return (*seen, *moods)

    @property
    def length_ms(self) -> int | None:
        return self.dwell_ms

    @property
    def link(self) -> tuple[int | str | None, str | None]:
        return (
            self.person_id if self.footfall_id is None else self.footfall_id,
            self.person_start if self.footfall_start is None else self.footfall_start,
        )


LocatedViewer = Located[Viewer]
_decode = row_decoder(Viewer)
FIELDS = fields_of(Viewer)


def read_viewer(
    raw: bytes, zone: ZoneInfo, ignored: Counter[str] | None = None
) -> Record[LocatedViewer] | Reject | None:
    """Decode one row. Return None for a placeholder, which the vendor sends where it has no data."""
    return read_row(raw, zone, ignored, _decode)
