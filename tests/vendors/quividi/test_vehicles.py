"""Vehicles, and rows that are a vehicle or a person."""

from collections import Counter

import pytest

from tests.vendors.quividi.example import ABSENT, PARIS
from tests.vendors.quividi.finest import BUS, CAR, MIXED_CAR, MIXED_PERSON, Row, record, value

ALIKE = [("vehicles", CAR), ("vehicles_footfall", MIXED_CAR)]
each_export = pytest.mark.parametrize(("stream", "row"), ALIKE)
STARTED = {
    "location_id": 5120,
    "started_at": "2026-01-14T16:41:12.000Z",
    "started_local": "2026-01-14T17:41:12",
    "utc_offset_s": 3600,
    "ambiguous": False,
}
PERSON_FIELDS = ("vr_id", "watcher_id", "watcher_started_at", "tracking_mode", "footfall_presence_ms")
VEHICLE_FIELDS = (
    *("vehicle_presence_ms", "vehicle_type", "vehicle_type_code", "color", "color_code"),
    *("impressions", "impressions_per_vehicle"),
)


def test_a_car() -> None:
    assert {
        **STARTED,
        "record_id": "quividi/acme/vehicle/5120/2026-01-14T17:41:12/1-8400/0",
        "ended_at": "2026-01-14T16:41:20.400Z",
        "presence_ms": 8400,
        "vehicle_type": "car",
        "vehicle_type_code": 1,
        "color": "black",
        "color_code": 7,
        "impressions": 1.6,
        "impressions_per_vehicle": 1.6,
        "before_renumbering": False,
        "occurrence": 0,
    } == value("vehicles", CAR)


def test_integers_among_floats_are_floats() -> None:
    got = value("vehicles", BUS)

    assert [float, float] == [type(got[name]) for name in ("impressions", "impressions_per_vehicle")]
    assert ("bus", None, None, 0.0) == (got["vehicle_type"], got["color"], got["color_code"], got["impressions"])


@pytest.mark.parametrize(
    ("code", "word"),
    [
        *enumerate(["unknown", "car", "bus", "truck_or_suv", "van", "bike"]),
        *((6, "unknown"), (-1, "unknown"), (80123, "unknown")),
    ],
)
@each_export
def test_types_are_words_beside_the_code(stream: str, row: Row, code: int, word: str) -> None:
    got = value(stream, row, type=code)

    assert (word, code) == (got["vehicle_type"], got["vehicle_type_code"])


@pytest.mark.parametrize(
    ("code", "word"),
    [
        *enumerate(["unknown", "white", "gray", "yellow", "red", "green", "blue", "black"]),
        *((8, "unknown"), (41873, "unknown"), (None, None)),
    ],
)
@each_export
def test_colors_are_words_beside_the_code(stream: str, row: Row, code: int | None, word: str | None) -> None:
    got = value(stream, row, color=code)

    assert (word, code) == (got["color"], got["color_code"])


def test_a_vehicle_without_a_type_is_unknown() -> None:
    got = value("vehicles", CAR, type=None)

    assert ("unknown", None) == (got["vehicle_type"], got["vehicle_type_code"])


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2021-08-09T23:59:59", True),
        ("2021-08-10T00:00:00", False),
        ("2021-03-22T10:00:00", True),
        ("1969-12-31T00:00:00", True),
    ],
)
@each_export
def test_vehicles_before_the_renumbering_of_types_are_marked(stream: str, row: Row, start: str, expected: bool) -> None:
    assert expected is value(stream, row, period_start=start)["before_renumbering"]


@each_export
def test_the_old_name_of_impressions_is_accepted(stream: str, row: Row) -> None:
    old = {"vehicle_impressions": ABSENT, "impressions": 1.6}

    assert value(stream, row) == value(stream, row, **old)
    assert 1.6 == value(stream, row, impressions=9)["impressions"]


@each_export
def test_a_changed_factor_does_not_change_a_vehicle(stream: str, row: Row) -> None:
    got = record(stream, row, impressions_per_vehicle=2.5, vehicle_impressions=2.5)

    assert (record(stream, row).key, record(stream, row).fingerprint) == (got.key, got.fingerprint)


def test_a_vehicle_among_persons() -> None:
    got = value("vehicles_footfall", MIXED_CAR)

    assert "quividi/acme/vehicle_or_person/5120/2026-01-14T17:41:12/1-8400-0/0" == got["record_id"]
    assert ("vehicle", "2026-01-14T16:41:20.400Z") == (got["kind"], got["ended_at"])
    car = {**value("vehicles", CAR), "vehicle_presence_ms": 8400}
    assert {name: car[name] for name in VEHICLE_FIELDS} == {name: got[name] for name in VEHICLE_FIELDS}
    assert {None} == {got[name] for name in PERSON_FIELDS}


def test_a_person_among_vehicles() -> None:
    got = value("vehicles_footfall", MIXED_PERSON)

    assert ("person", "2026-01-14T16:41:24.600Z") == (got["kind"], got["ended_at"])
    assert (15600, "77031", "40112") == (got["footfall_presence_ms"], got["vr_id"], got["watcher_id"])
    assert {None} == {got[name] for name in VEHICLE_FIELDS}


NO_IDS: Row = {"vr_id": ABSENT, "watcher_id": ABSENT, "watcher_start": ABSENT, "tracking_mode": ABSENT}
NULL_IDS: Row = {"vr_id": None, "watcher_id": None, "watcher_start": None, "tracking_mode": None}


@pytest.mark.parametrize(
    ("vehicle", "footfall", "ids", "kind"),
    [
        (84, 0, NO_IDS, "vehicle"),
        (84, None, NO_IDS, "vehicle"),
        (84, 0, NULL_IDS, "vehicle"),
        (0, 156, NO_IDS, "person"),
        (None, 156, NO_IDS, "person"),
        (0, 0, NO_IDS | {"tracking_mode": 0}, "person"),
        (0, 0, NO_IDS | {"watcher_id": 0}, "person"),
        (0, 0, NO_IDS | {"vr_id": 8}, "person"),
        (0, 0, NO_IDS, "undetermined"),
        (0, 0, NULL_IDS, "undetermined"),
        (84, 156, NO_IDS, "undetermined"),
        (84, 0, NO_IDS | {"vr_id": 8}, "undetermined"),
    ],
)
@pytest.mark.parametrize("code", [0, 1])
def test_presences_and_ids_tell_vehicles_from_persons(
    vehicle: int | None, footfall: int | None, ids: Row, kind: str, code: int
) -> None:
    """Trap QT15: the type 0 and the color 0 are those of an unknown vehicle, too."""
    fields = {"vehicle_presence_time": vehicle, "footfall_presence_time": footfall, "type": code, "color": 0, **ids}
    ignored = Counter[str]()
    record("vehicles_footfall", MIXED_PERSON, PARIS, ignored, **fields)

    assert kind == value("vehicles_footfall", MIXED_PERSON, **fields)["kind"]
    assert (["kind"] if kind == "undetermined" else []) == list(ignored)


def test_an_undetermined_row_is_published_as_it_came() -> None:
    got = value("vehicles_footfall", MIXED_PERSON | NO_IDS, footfall_presence_time=0)

    assert (0, 0, 0, 0) == tuple(
        got[name] for name in ("vehicle_presence_ms", "footfall_presence_ms", "vehicle_type_code", "color_code")
    )
    assert ("unknown", "unknown", got["started_at"]) == (got["vehicle_type"], got["color"], got["ended_at"])
    both = value("vehicles_footfall", MIXED_CAR, footfall_presence_time=90)
    assert (8400, 9000, "2026-01-14T16:41:21.000Z") == (
        *(both["vehicle_presence_ms"], both["footfall_presence_ms"]),
        both["ended_at"],
    )


def test_what_the_vendor_fills_in_for_a_person_is_kept() -> None:
    got = value("vehicles_footfall", MIXED_PERSON, type=2, vehicle_impressions=1)

    assert ("bus", 2, 1.0) == (got["vehicle_type"], got["vehicle_type_code"], got["impressions"])
    assert (None, None) == (got["color"], got["vehicle_presence_ms"])
