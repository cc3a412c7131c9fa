"""The health of places: their states, by both readings of the vendor's clock, and how it is reported."""

import json
from datetime import timedelta

import pytest

from collector.places import MAX_WORST, PLACE_STATES, PlaceHealth, PlaceState
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.vendors.quividi.topology.health import upload_age, with_place
from tests.vendors.quividi.topology import NOW, PATHS, Reported, result_of, stream_of, vidicenter

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
LOCATIONS_PATH = PATHS["locations"][0]


@pytest.mark.parametrize(
    ("uploaded", "offset_s", "expected"),
    [
        ("2026-11-01T11:30:00", None, HOUR / 2),
        ("2026-11-01T11:30:00", 0, HOUR / 2),
        ("2026-11-01T12:30:00", 3600, HOUR / 2),  # as UTC, it is in the future
        ("2026-11-01T11:30:00", 3600, HOUR / 2),  # as local time, it is an hour and a half ago
        ("2026-11-01T07:30:00", -14_400, HOUR / 2),  # as UTC, it is four hours and a half ago
        ("2026-11-01T11:30:00", -14_400, HOUR / 2),  # as local time, it is in the future
        ("2026-10-31T12:00:00", 3600, 24 * HOUR),
        ("2026-11-01T12:04:00", None, 0 * HOUR),  # a clock that is a little ahead
        ("2026-11-01T15:00:00", 3600, None),
        (None, 3600, None),
    ],
)
def test_the_shorter_reading_that_is_not_in_the_future_counts(
    uploaded: str | None, offset_s: int | None, expected: timedelta | None
) -> None:
    assert expected == upload_age(uploaded, offset_s, NOW)


def place(number: int, state: PlaceState = "silent", hours: float | None = 30) -> PlaceHealth:
    return PlaceHealth(number, f"place {number}", state, None if hours is None else hours * HOUR)


def test_the_worst_places_come_first_and_are_few() -> None:
    places = [
        place(1, "uploading", 1),
        place(2, "late", 3),
        place(3, "silent", 25),
        place(4, "silent", 70),
        place(5, "unknown", None),
        place(6, "inactive", 900),
        place(8, "late", 9),
        place(7, "late", 9),
    ]
    worst: list[PlaceHealth] = []
    for each in places:
        worst = list(with_place(worst, each))
    assert [4, 3, 7, 8, 2, 5] == [each.place_id for each in worst]
    for number in range(100, 200):
        worst = list(with_place(worst, place(number, "silent", number)))
    assert [199 - nth for nth in range(MAX_WORST)] == [each.place_id for each in worst]


def row(number: int, uploaded: str | None, **fields: object) -> dict[str, object]:
    return {"id": number, "label": f"place {number}", "active": True, "last_upload_timestamp": uploaded, **fields}


ROWS = (
    row(1, "2026-11-01T11:31:00"),
    row(2, "2026-11-01T10:01:00", active=None),
    row(3, "2026-11-01T10:00:00"),
    row(4, "2026-10-31T12:00:00"),
    row(5, "2026-10-01T12:00:00", active=False),
    row(6, None),
    row(7, "sometime"),
)


async def test_places_are_counted_by_state_when_the_list_was_read() -> None:
    reported = Reported()
    async with stream_of(vidicenter({LOCATIONS_PATH: json.dumps(ROWS).encode()}), "locations", reported) as stream:
        assert {} == reported.places()
        await result_of(stream)
    assert {"uploading": 2, "late": 1, "silent": 1, "inactive": 1, "unknown": 2} == reported.places()
    assert {
        "seen_at": "2026-11-01T12:00:00Z",
        "counts": {"uploading": 2, "late": 1, "silent": 1, "inactive": 1, "unknown": 2},
        "worst": [
            {"id": 4, "label": "place 4", "state": "silent", "hours_since_upload": 24.0},
            {"id": 3, "label": "place 3", "state": "late", "hours_since_upload": 2.0},
            {"id": 6, "label": "place 6", "state": "unknown", "hours_since_upload": None},
            {"id": 7, "label": "place 7", "state": "unknown", "hours_since_upload": None},
        ],
    } == reported.status.as_json()["places"]


async def test_an_account_without_places_has_zeros() -> None:
    reported = Reported()
    async with stream_of(vidicenter({LOCATIONS_PATH: b"[]"}), "locations", reported) as stream:
        await result_of(stream)
    assert dict.fromkeys(PLACE_STATES, 0) == reported.places()


@pytest.mark.parametrize("name", [name for name in PATHS if name != "locations"])
async def test_no_other_stream_reports_places(name: str) -> None:
    reported = Reported()
    async with stream_of(vidicenter(), name, reported) as stream:
        await result_of(stream)
    assert {} == reported.places()
    assert reported.status.as_json()["places"] is None


async def test_places_are_not_reported_once_the_stream_is_released() -> None:
    reported = Reported()
    async with stream_of(vidicenter(), "locations", reported) as stream:
        await result_of(stream)
    streams = {
        name: StreamTelemetry(
            reported.metrics,
            StreamStatus("quividi", "lobby", name),
            [],
            lambda name=name: reported.telemetry.stream_released(name),  # type: ignore[misc]
        )
        for name in ("sites", "locations")
    }
    for telemetry in streams.values():
        telemetry.owned(None, 0)
    streams["sites"].released()
    assert 2 == sum(reported.places().values())
    for _ in range(2):
        streams["locations"].released()
        assert {} == reported.places()
        assert reported.status.as_json()["places"] is None
