"""Values in rows of an account's lists: the forms that are understood, and what becomes null and is counted."""

import json

import pytest

from tests.vendors.quividi.topology import PATHS, RESPONSES, events, rows_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "field", "given", "expected"),
    [
        ("locations", "last_timezone", 0, {"utc_offset_s": 0}),
        ("locations", "last_timezone", 900, {"utc_offset_s": 900}),
        ("locations", "last_timezone", -50_400, {"utc_offset_s": -50_400}),
        ("locations", "last_timezone", 840, {"utc_offset_s": 50_400}),
        ("locations", "last_timezone", -15, {"utc_offset_s": -900}),
        ("locations", "last_timezone", 3600.0, {"utc_offset_s": 3600}),
        ("locations", "site_id", "178", {"site_id": 178}),
        ("locations", "last_seen", "", {"last_seen": None}),
        ("locations", "last_seen", "2026-11-01 12:00", {"last_seen": "2026-11-01T12:00"}),
        ("locations", "location_type", 3, {"location_type": "3"}),
        ("zones", "type", 9, {"zone_type": "unknown", "zone_type_code": 9}),
        ("zones", "type", 0, {"zone_type": "regular", "zone_type_code": 0}),
        ("zones", "type", None, {"zone_type": None, "zone_type_code": None}),
        ("zones", "presence_threshold", "0.5", {"presence_threshold_ms": 500}),
        ("zones", "presence_threshold", 0, {"presence_threshold_ms": 0}),
        ("zones", "coordinates", [], {"coordinates": []}),
        ("contents", "clip_id", 12, {"content_id": "12"}),
        ("contents", "clip_duration", 7.25, {"duration_ms": 7250}),
        ("tags", "extrapolation", None, {"is_extrapolation": None}),
    ],
)
async def test_forms_of_a_value(name: str, field: str, given: object, expected: dict[str, object]) -> None:
    path = PATHS[name][0]
    row = json.loads(RESPONSES[path])[0] | {field: given}
    event, *_ = await events(name, {path: json.dumps([row]).encode()})
    assert expected == {each: event[each] for each in expected}
    result, _ = await rows_of(name, json.dumps([row]).encode())
    assert not result.ignored


@pytest.mark.parametrize(
    ("name", "field", "given", "published"),
    [
        ("locations", "last_timezone", 14, "utc_offset_s"),
        ("locations", "last_timezone", 860, "utc_offset_s"),
        ("locations", "last_timezone", 50_401, "utc_offset_s"),
        ("locations", "last_timezone", "+01:00", "utc_offset_s"),
        ("locations", "last_seen", "yesterday", "last_seen"),
        ("locations", "last_upload_timestamp", "2026-11-01T12:00:00Z", "last_upload_timestamp"),
        ("locations", "last_upload_timestamp", 1_793_534_400, "last_upload_timestamp"),
        ("locations", "label", "x" * 1001, "label"),
        ("locations", "active", "yes", "active"),
        ("sites", "description", "x" * 10_001, "description"),
        ("zones", "coordinates", [{"x": 0, "y": 0}] * 1001, "coordinates"),
        ("zones", "coordinates", [{"x": 0}], "coordinates"),
        ("zones", "presence_threshold", -1, "presence_threshold_ms"),
        ("contents", "clip_duration", "ten", "duration_ms"),
        ("contents", "clip_duration", "NaN", "duration_ms"),
    ],
)
async def test_a_field_that_cannot_be_understood_is_null_and_counted(
    name: str, field: str, given: object, published: str
) -> None:
    path = PATHS[name][0]
    row = json.loads(RESPONSES[path])[0] | {field: given}
    body = json.dumps([row]).encode()
    event, *_ = await events(name, {path: body})
    assert event[published] is None
    result, _ = await rows_of(name, body)
    assert {field: 1} == result.ignored
