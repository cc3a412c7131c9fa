"""The list of an account's locations, as far as it decides what is requested, and in which time zone it is read.

Source: the vendor's documentation of `/locations/`. The event of a location is in a module of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec
from msgspec import Raw, Struct, field

from collector.steps import Steps
from collector.vendors.leniency import MalformedRow, ResponseDecoder, RowDecoder
from collector.vendors.quividi.topology.values import Identifier, id_of, utc_offset_s
from collector.vendors.quividi.wire import Integer, parse_local
from collector.vendors.raw_rows import RawRows, as_list

MAX_OFFSET = timedelta(hours=14)
"""No time zone differs more from UTC."""
_IN_A_YEAR = [timedelta(days=days) for days in range(-183, 184, 61)]
"""Around an instant, these are in summer and in winter: each lasts four months or more."""
_YEARS = range(1970, 9000)
"""The years of uploads. What is at the ends of the calendar is no time, but stands for none."""


class Place(Struct, frozen=True):
    """A location of the account."""

    id: int
    site_id: int | None = None
    is_active: bool = True
    """True also if the vendor does not say."""
    last_upload: datetime | None = None
    """When it last uploaded, read as UTC: the vendor does not document on which clock it is. None if unknown."""
    offset_s: int | None = None
    """The offset from UTC of its latest upload, in seconds; None if unknown."""

    def may_have_uploaded_since(self, instant: datetime) -> bool:
        """Whether it has uploaded since then on any clock, as far as is known."""
        return self.last_upload is None or self.last_upload + MAX_OFFSET >= instant


class PlaceList(Struct, frozen=True):
    """The locations that the vendor lists for the account."""

    places: Mapping[int, Place]
    is_whole: bool
    """Whether every row of the response could be read."""
    tagged: Mapping[str, Mapping[int, frozenset[int]]] = field(default_factory=dict)
    """By the selector of a kind of tags: the locations, or the sites, that have each tag."""


class _Row(Struct, frozen=True):
    """A row of `/locations/`."""

    id: Identifier
    site_id: Identifier | None = None
    active: bool | None = None
    last_upload_timestamp: str | None = None
    last_timezone: Integer | None = None


_decode_list = ResponseDecoder(Raw, RawRows, lambda row: "id" in row)
_decode_row = RowDecoder(_Row, side=("site_id", "active", "last_upload_timestamp", "last_timezone"))


def decode_places(body: bytes) -> Steps[PlaceList]:
    """Decode a response. Raises msgspec.DecodeError, also if there are rows and none can be read."""
    rows = as_list((yield from _decode_list(body)))
    places: dict[int, Place] = {}
    reason = ""
    for raw in rows:
        try:
            row = _decode_row(raw)
        except MalformedRow as error:
            reason = str(error)
        else:
            number = int(row.id)
            places[number] = Place(
                number,
                id_of(row.site_id),
                row.active is not False,
                _last_upload(row.last_upload_timestamp),
                utc_offset_s(row.last_timezone, None),
            )
        yield
    if reason and not places:
        raise msgspec.DecodeError(reason)
    return PlaceList(places, not reason)


class _Tagged(Struct, frozen=True):
    """What has a tag: a location or a site."""

    id: Identifier


class _TagRow(Struct, frozen=True):
    """A row of `/location_tags/` and `/site_tags/`. With a network in the path, it has the tagged objects."""

    id: Identifier
    network_id: Identifier | None = None
    locations: tuple[_Tagged, ...] = ()
    sites: tuple[_Tagged, ...] = ()


_decode_tag = RowDecoder(_TagRow)


def decode_tags(body: bytes) -> Steps[Mapping[int, tuple[int | None, frozenset[int]]]]:
    """Decode a list of tags: the network of each, and the ids of what has the tag. Malformed rows are left out.

    Raises msgspec.DecodeError for a response that is no list.
    """
    found: dict[int, tuple[int | None, frozenset[int]]] = {}
    for raw in as_list((yield from _decode_list(body))):
        try:
            row = _decode_tag(raw)
        except MalformedRow:
            continue
        finally:
            yield
        found[int(row.id)] = id_of(row.network_id), frozenset(int(each.id) for each in (*row.locations, *row.sites))
    return found


def _last_upload(text: str | None) -> datetime | None:
    try:
        at = None if text is None else parse_local(text, "last_upload_timestamp").replace(tzinfo=UTC)
    except ValueError:
        return None
    return at if at is not None and at.year in _YEARS else None


class Disagreement(Struct, frozen=True):
    """A place whose zone does not have the offset that the vendor states."""

    place: int
    offset_s: int
    zone: str
    zone_offset_s: int

    def __str__(self) -> str:
        return (
            f"location {self.place} uploads with the offset {_hours(self.offset_s)}, but {self.zone} has "
            f"{_hours(self.zone_offset_s)}"
        )


def disagreements(places: Iterable[tuple[Place, str, tzinfo]], now: datetime) -> Iterator[Disagreement]:
    """The places whose zone does not have their offset, neither at their last upload nor within half a year of it.

    `places` are given with the name of their zone, and the zone.
    """
    for place, name, zone in places:
        if place.offset_s is None:
            continue
        at = min(place.last_upload or now, now)
        if place.offset_s not in [_offset_s(at + distance, zone) for distance in _IN_A_YEAR]:
            yield Disagreement(place.id, place.offset_s, name, _offset_s(at, zone))


def _offset_s(instant: datetime, zone: tzinfo) -> int:
    return int((instant.astimezone(zone).utcoffset() or timedelta(0)).total_seconds())


def _hours(seconds: int) -> str:
    """The offset as in ISO 8601: `-05:00`."""
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{minutes:02}"


def followed(places: Iterable[Place], now: datetime, allowed_lateness: timedelta) -> Iterator[Place]:
    """The places to request when the source follows the account.

    They are those that are active, and those that were until lately: what they uploaded may still be late.
    """
    for place in places:
        if place.is_active or place.may_have_uploaded_since(now - allowed_lateness):
            yield place
