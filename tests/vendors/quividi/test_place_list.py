"""The list of an account's locations: malformed rows, clocks, offsets and which of them are followed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
import pytest

from collector.steps import Running, Steps
from collector.vendors.quividi.place_list import (
    Disagreement,
    Place,
    PlaceList,
    decode_places,
    decode_tags,
    disagreements,
    followed,
)
from collector.vendors.quividi.topology.values import utc_offset_s

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JULY, JANUARY = datetime(2026, 7, 15, 12, tzinfo=UTC), datetime(2026, 1, 15, 12, tzinfo=UTC)


T = TypeVar("T")


def result_of(steps: Steps[T]) -> T:
    running = Running(steps)
    for _ in running:
        pass
    return running.result


def decoded(*rows: object) -> PlaceList:
    return result_of(decode_places(msgspec.json.encode(rows)))


def test_a_location_has_what_decides_what_is_requested() -> None:
    row = {
        "id": 1056,
        "label": "Hall",
        "site_id": 178,
        "active": False,
        "last_upload_timestamp": "2026-07-15T12:00:00",
        "last_timezone": 7200,
        "new": {"id": 1},
    }

    assert {1056: Place(1056, 178, False, JULY, 7200)} == decoded(row).places  # noqa: FBT003 - in the order of the fields


@pytest.mark.parametrize(
    "row",
    [
        {"id": 1056},
        {"id": 1056, "site_id": None, "active": None, "last_upload_timestamp": None, "last_timezone": None},
        {"id": 1056, "site_id": "x", "active": "yes", "last_upload_timestamp": "soon", "last_timezone": "CET"},
        {"id": 1056, "site_id": [], "active": {}, "last_upload_timestamp": 7, "last_timezone": 1.5},
        {"id": 1056, "last_upload_timestamp": "", "last_timezone": 10_000_000},
    ],
)
def test_a_field_that_is_absent_null_or_not_understood_is_unknown_and_the_location_is_active(
    row: Mapping[str, object],
) -> None:
    assert PlaceList({1056: Place(1056)}, is_whole=True) == decoded(row)


@pytest.mark.parametrize("malformed", [{}, {"id": "1O56"}, {"id": None}, {"id": -1}, {"id": 1.5}, 1056, None, []])
def test_a_malformed_row_is_left_out_and_the_list_is_not_whole(malformed: object) -> None:
    found = decoded({"id": 1}, malformed, {"id": 2})

    assert ([1, 2], False) == (list(found.places), found.is_whole)


def test_ids_that_are_written_as_text_are_the_same_ids() -> None:
    """Otherwise, locations without a site would be read in the source's own zone: see the vehicle proof of play."""
    assert decoded({"id": 1056, "site_id": 178}) == decoded({"id": "1056", "site_id": "178"})
    tags = [{"id": "5", "network_id": "2", "sites": [{"id": "178"}]}]
    assert {5: (2, frozenset({178}))} == result_of(decode_tags(msgspec.json.encode(tags)))


def test_an_empty_list_is_whole() -> None:
    assert PlaceList({}, is_whole=True) == decoded()


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"null", b"<html>", b'{"message": "no", "error": 403}', b"[{}]", b'[{"id": 1}', b'"[]"']
)
def test_a_response_that_is_no_list_of_locations_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        result_of(decode_places(body))


@pytest.mark.parametrize(
    ("vendor", "seconds"),
    [
        (None, None),
        (0, 0),
        (3600, 3600),
        (-18000, -18000),
        (50400, 50400),
        (37800, 37800),
        (60, 3600),  # minutes, as until 2025-03-31
        (-300, -18000),
        (630, 37800),
        (840, 50400),
        (15, 900),
        (900, 900),
        (-900, -900),
        (14, None),
        (1, None),
        (841, None),
        (899, None),
        (50401, None),
        (-50401, None),
    ],
)
def test_an_offset_is_in_seconds_or_in_minutes_by_its_size(vendor: int | None, seconds: int | None) -> None:
    assert seconds == utc_offset_s(vendor, None)


@pytest.mark.parametrize(
    ("zone", "offset_h", "at"),
    [
        ("Europe/Paris", 2, JULY),
        ("Europe/Paris", 1, JULY),  # it has uploaded before the change, or the vendor's offset is not renewed
        ("Europe/Paris", 2, JANUARY),
        ("America/New_York", -4, JULY),
        ("America/New_York", -5, JULY),
        ("Asia/Tokyo", 9, JULY),
        ("Australia/Lord_Howe", 10.5, JULY),
        ("Australia/Lord_Howe", 11, JULY),
        ("Pacific/Kiritimati", 14, JULY),
        ("UTC", 0, JULY),
    ],
)
def test_the_offset_of_summer_or_of_winter_agrees(zone: str, offset_h: float, at: datetime) -> None:
    place = Place(7, last_upload=at, offset_s=int(3600 * offset_h))

    assert [] == list(disagreements([(place, zone, ZoneInfo(zone))], at + DAY))


@pytest.mark.parametrize("offset_h", [-5, -4])
@pytest.mark.parametrize("days", range(0, 365, 5))
def test_both_offsets_agree_on_every_day_of_the_year(days: int, offset_h: int) -> None:
    """Around a change, the upload may be on a clock some hours away; and summer is longer than half a year."""
    at = JANUARY + days * DAY
    place = Place(7, last_upload=at, offset_s=3600 * offset_h)

    assert [] == list(disagreements([(place, "America/New_York", ZoneInfo("America/New_York"))], at))


@pytest.mark.parametrize(
    ("zone", "offset_s", "at", "text"),
    [
        ("Europe/Paris", -18000, JULY, "location 7 uploads with the offset -05:00, but Europe/Paris has +02:00"),
        ("Europe/Paris", 0, JANUARY, "location 7 uploads with the offset +00:00, but Europe/Paris has +01:00"),
        ("Asia/Tokyo", 28800, JULY, "location 7 uploads with the offset +08:00, but Asia/Tokyo has +09:00"),
        ("Australia/Lord_Howe", 36000, JULY, "with the offset +10:00, but Australia/Lord_Howe has +10:30"),
        ("America/St_Johns", -7200, JULY, "with the offset -02:00, but America/St_Johns has -02:30"),
    ],
)
def test_another_offset_disagrees(zone: str, offset_s: int, at: datetime, text: str) -> None:
    [found] = disagreements([(Place(7, last_upload=at, offset_s=offset_s), zone, ZoneInfo(zone))], at)

    assert text in str(found)


def test_a_place_without_an_offset_or_an_upload_cannot_disagree_wrongly() -> None:
    zone = ZoneInfo("Europe/Paris")
    places = [Place(1), Place(2, last_upload=JULY), Place(3, offset_s=3600), Place(4, offset_s=0)]

    found = disagreements([(each, "Europe/Paris", zone) for each in places], JULY)

    assert [Disagreement(4, 0, "Europe/Paris", 7200)] == list(found)


def test_an_upload_in_the_future_is_compared_now() -> None:
    """The clock of a box may be years ahead, and the calendar may end."""
    place = Place(7, last_upload=datetime(9999, 12, 31, tzinfo=UTC), offset_s=7200)

    assert [] == list(disagreements([(place, "Europe/Paris", ZoneInfo("Europe/Paris"))], JULY))


@pytest.mark.parametrize(
    ("place", "is_followed"),
    [
        (Place(1), True),
        (Place(1, last_upload=JULY - 400 * DAY), True),
        (Place(1, is_active=False, last_upload=JULY - 3 * DAY), True),
        (Place(1, is_active=False, last_upload=JULY - 4 * DAY - 14 * HOUR), True),  # on a clock of UTC-14
        (Place(1, is_active=False, last_upload=JULY - 4 * DAY - 14 * HOUR - HOUR), False),
        (Place(1, is_active=False), True),
    ],
)
def test_a_location_that_is_no_longer_active_is_followed_until_its_last_data_is_final(
    place: Place, *, is_followed: bool
) -> None:
    assert is_followed == (place in followed([place], JULY, 4 * DAY))


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", "0001-01-02 00:00:00"])
def test_an_upload_at_the_ends_of_the_calendar_is_no_crash(text: str) -> None:
    found = decoded({"id": 1, "active": False, "last_upload_timestamp": text, "last_timezone": 3600})

    list(followed(found.places.values(), JULY, 4 * DAY))
    list(disagreements([(each, "Europe/Paris", ZoneInfo("Europe/Paris")) for each in found.places.values()], JULY))
    assert [1] == list(found.places)


def test_the_tags_of_an_account_have_networks_and_members() -> None:
    rows = [
        {"id": 5, "label": "North", "network_id": 2},
        {"id": 6, "network_id": 2, "locations": [{"id": 1}, {"id": 2, "label": "x"}]},
        {"id": 7, "sites": [{"id": 3}]},
        {"id": "x", "network_id": 2},
        {"id": 9, "locations": [{"id": "x"}]},
        {"id": 10, "locations": [{"id": 4, "active": "yes", "site_id": {}}]},
        None,
    ]

    found = result_of(decode_tags(msgspec.json.encode(rows)))

    assert {
        5: (2, frozenset()),
        6: (2, frozenset({1, 2})),
        7: (None, frozenset({3})),
        10: (None, frozenset({4})),
    } == found


@pytest.mark.parametrize("body", [b"{}", b"", b"null", b'{"message": "no", "error": 403}'])
def test_a_response_that_is_no_list_of_tags_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        result_of(decode_tags(body))
