"""Persons who pass, and their links to viewers."""

from collections import Counter

import pytest

from tests.vendors.quividi.example import ABSENT, PARIS
from tests.vendors.quividi.example import record as viewer_record
from tests.vendors.quividi.finest import MIXED_PERSON, PASSER, PERSON, VISITOR, Row, record, value
from tests.vendors.quividi.test_events import viewer

PERSONS = [("footfall", PERSON), ("vehicles_footfall", MIXED_PERSON), ("retail_analytics_footfall", VISITOR)]
each_person = pytest.mark.parametrize(("stream", "row"), PERSONS)


def test_a_person_who_looked() -> None:
    assert {
        "record_id": "quividi/acme/footfall/5120/2026-01-14T17:41:09/15600/0",
        "location_id": 5120,
        "started_at": "2026-01-14T16:41:09.000Z",
        "started_local": "2026-01-14T17:41:09",
        "utc_offset_s": 3600,
        "ambiguous": False,
        "ended_at": "2026-01-14T16:41:24.600Z",
        "presence_ms": 15600,
        "vr_id": "77031",
        "watcher_id": "40112",
        "watcher_started_at": "2026-01-14T16:41:10.250Z",
        "tracking_mode": 0,
        "occurrence": 0,
    } == value("footfall", PERSON)


def test_a_row_of_an_older_api_has_no_ids() -> None:
    old = dict.fromkeys(("vr_id", "watcher_id", "watcher_start", "tracking_mode"), ABSENT)
    got = value("footfall", PERSON, **old)

    assert {None} == {got[name] for name in ("vr_id", "watcher_id", "watcher_started_at", "tracking_mode")}
    assert record("footfall", PERSON, **old).key == record("footfall", PERSON).key


# Trap QT7. Without a start, 0 means that the person did not look.
LINKS: list[tuple[object, object, str | None, str | None, list[str]]] = [
    (0, None, None, None, []),
    (0, ABSENT, None, None, []),
    ("0", None, None, None, []),
    (0.0, None, None, None, []),
    (None, None, None, None, []),
    (0, "2026-01-14T17:41:10", "0", "2026-01-14T16:41:10.000Z", ["watcher_id"]),
    (7, "2026-01-14T17:41:10", "7", "2026-01-14T16:41:10.000Z", []),
    (7, "2026-01-14 17:41:10.123456", "7", "2026-01-14T16:41:10.123Z", []),
    (7, None, "7", None, []),
    (None, "2026-01-14T17:41:10", None, "2026-01-14T16:41:10.000Z", []),
    (7, "soon", "7", None, ["watcher_start"]),
]


@pytest.mark.parametrize(("linked", "start", "watcher_id", "started_at", "counted"), LINKS)
@each_person
def test_a_link_is_published_as_it_came(
    stream: str,
    row: Row,
    linked: object,
    start: object,
    watcher_id: str | None,
    started_at: str | None,
    counted: list[str],
) -> None:
    ignored = Counter[str]()
    record(stream, row, PARIS, ignored, watcher_id=linked, watcher_start=start)
    got = value(stream, row, watcher_id=linked, watcher_start=start)

    assert (watcher_id, started_at) == (got["watcher_id"], got["watcher_started_at"])
    assert counted == list(ignored)


@each_person
def test_rows_that_differ_in_the_number_of_the_box_are_two_of_one_key(stream: str, row: Row) -> None:
    one, other = record(stream, row, vr_id=1), record(stream, row, vr_id=2)

    assert one.key == other.key
    assert one.fingerprint != other.fingerprint
    assert record(stream, row, vr_id="1").fingerprint == one.fingerprint


@each_person
def test_a_link_that_comes_later_changes_nothing(stream: str, row: Row) -> None:
    without, later = record(stream, row, watcher_id=0, watcher_start=None), record(stream, row)

    assert (without.key, without.fingerprint) == (later.key, later.fingerprint)


def test_a_person_of_unknown_presence_has_no_end() -> None:
    got = value("footfall", PASSER, footfall_presence_time=None)

    assert (None, None, "77032") == (got["presence_ms"], got["ended_at"], got["vr_id"])


# Viewers name the same link `footfall_…`, and for eight days named it `person_…`.
@pytest.mark.parametrize(
    ("fields", "footfall_id", "started_at"),
    [
        ({"footfall_id": 0, "footfall_start": None}, None, None),
        ({"footfall_id": 0}, None, None),
        ({"footfall_id": 0, "footfall_start": "2018-01-29T01:28:50"}, "0", "2018-01-29T00:28:50.000Z"),
        ({"footfall_id": 4, "footfall_start": "2018-01-29T01:28:50.5"}, "4", "2018-01-29T00:28:50.500Z"),
        ({"person_id": 4, "person_start": "2018-01-29T01:28:50"}, "4", "2018-01-29T00:28:50.000Z"),
        ({"person_id": 0, "person_start": None}, None, None),
        ({"footfall_id": 5, "person_id": 4}, "5", None),
    ],
)
def test_a_viewer_is_linked_to_a_person(
    fields: dict[str, object], footfall_id: str | None, started_at: str | None
) -> None:
    got = viewer(**fields)

    assert (footfall_id, started_at) == (got["footfall_id"], got["footfall_started_at"])


def test_the_short_lived_names_are_not_in_the_fingerprint_of_a_viewer() -> None:
    """Viewers that were published before the names were known keep their lists of fields."""
    got = viewer_record(person_id=4, person_start="2018-01-29T01:28:50")

    assert (viewer_record().key, viewer_record().fingerprint) == (got.key, got.fingerprint)
