"""The lists of an account: the events of each, their keys, their requests, and what is never published."""

import json
from typing import Any

import pytest
from msgspec import structs

from collector.errors import CollectorError, Park, RetryLater, Split
from collector.model import Record, Reject
from tests.vendors.quividi.topology import (
    BOXES,
    MINUTE,
    PATHS,
    QUOTED_USER,
    RESPONSES,
    events,
    result_of,
    rows_of,
    stream_of,
    values_of,
    vidicenter,
)

pytestmark = pytest.mark.anyio

SEEN_AT = "2026-11-01T12:00:00.000Z"
IDENTITIES = {
    "locations": ["location_id"],
    "sites": ["site_id"],
    "boxes": ["box_id"],
    "zones": ["zone_id"],
    "tags": ["tag_id", "kind"],
    "contents": ["clip_number"],
}
"""The fields that events of things have that are gone."""
each_stream = pytest.mark.parametrize("name", PATHS)


def described(event: dict[str, Any]) -> dict[str, Any]:
    """The fields after the common and the first ones."""
    first = ("key", "subject", "event_id", "type", "vendor", "source", "record_id", "revision", "seen_at", "is_gone")
    return {name: value for name, value in event.items() if name not in first}


async def test_locations_of_today_and_of_earlier_versions() -> None:
    today, earlier = map(described, await events("locations"))
    assert {
        "location_id": 5120,
        "site_id": 178,
        "box_id": 31,
        "label": "Hall",
        "description": "by the stairs",
        "active": True,
        "is_benchmark_ignored": False,
        "creation_date": "2021-03-04T10:11:12",
        "last_upload_timestamp": "2026-11-01T12:40:03",
        "last_seen": "2026-11-01T12:58:00",
        "last_ots_uploaded": None,
        "utc_offset_s": 3600,
        "location_type": "indoor",
        "venue_type": "retail",
        "venue_subtype": None,
        "id_pointer": None,
        "id_broadsign_uuid": "b-1",
        "id_broadsign_playerid": "77",
        "id_broadsign_screenid_v1": None,
        "id_broadsign_displayunitid": "9",
        "id_broadsign": None,
        "id_hivestack": None,
        "id_vistar": None,
        "id_pladway": None,
        "second_id": None,
        "third_id": None,
    } == today
    assert {
        "location_id": 5121,
        "label": "Door",
        "active": False,
        "creation_date": "2017-05-06T07:08:09",
        "utc_offset_s": -14400,
        "id_broadsign": "12",
        "id_hivestack": "h",
        "id_vistar": "v",
        "id_pladway": "p",
        "second_id": "A7",
    } == {name: value for name, value in earlier.items() if value is not None}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "sites",
            {
                "site_id": 178,
                "network_id": 9,
                "label": "Terminal",
                "active": True,
                "address": "1 Main Street",
                "description": None,
                "venue_type": "airport",
                "venue_subtype": "gate",
                "max_active_locations": 12,
            },
        ),
        (
            "boxes",
            {
                "box_id": 31,
                "location_id": 5120,
                "site_id": 178,
                "label": "box-31",
                "active": True,
                "last_upload_timestamp": "2026-11-01T12:40:03",
            },
        ),
        (
            "zones",
            {
                "zone_id": 9,
                "location_id": 5120,
                "name": "Till",
                "description": None,
                "zone_type": "doorway_out",
                "zone_type_code": 2,
                "presence_threshold_ms": 2500,
                "coordinates": [{"x": 0.0, "y": 0.25}, {"x": 0.5, "y": 1.0}],
                "creation_date": "2026-01-08T09:10:11.123",
                "update_date": "2026-02-08T09:10:11.456",
            },
        ),
    ],
)
async def test_one_row_of_a_list(name: str, expected: dict[str, Any]) -> None:
    assert [expected] == list(map(described, await events(name)))


async def test_contents_have_the_id_of_exports_and_a_number_of_their_own() -> None:
    spring, summer = map(described, await events("contents"))
    assert {
        "clip_number": 3,
        "content_id": "spring, 2026/\u03b1",
        "network_id": 9,
        "name": "Spring",
        "description": "Flowers",
        "duration_ms": None,
        "advertiser_name": None,
        "creative_agency_name": None,
        "screenshot": "http://vidicenter.example/media/spring.jpg",
    } == spring
    assert (10_500, "Acme", "Studio", None) == (
        summer["duration_ms"],
        summer["advertiser_name"],
        summer["creative_agency_name"],
        summer["screenshot"],
    )


async def test_tags_of_both_kinds_may_have_equal_numbers() -> None:
    async with stream_of(vidicenter(), "tags") as stream:
        result, rows = await result_of(stream)
        location, site = values_of(stream, rows)
    assert ("location", "café / bar", False) == (location["kind"], location["label"], location["is_extrapolation"])
    assert ("site", "south", True) == (site["kind"], site["label"], site["is_extrapolation"])
    assert 2 == result.rows == len({row.key for row in rows if isinstance(row, Record)})
    assert [f"user/{QUOTED_USER}/location_tag/5", f"user/{QUOTED_USER}/site_tag/5"] == [location["key"], site["key"]]


@each_stream
async def test_ids_name_the_user_and_the_thing(name: str) -> None:
    event, *_ = await events(name)
    noun = {"tags": "location_tag", "boxes": "box", "contents": "content"}.get(name, name.removesuffix("s"))
    number = event["subject"].partition("/")[2]
    assert f"{noun}/{number}" == event["subject"]
    assert f"user/{QUOTED_USER}/{noun}/{number}" == event["key"]
    assert f"quividi/{QUOTED_USER}/{noun}/{number}" == event["record_id"]
    assert event["event_id"].endswith(f"/{noun}/0")
    assert (0, SEEN_AT, False) == (event["revision"], event["seen_at"], event["is_gone"])
    assert [IDENTITIES[name][0], "seen_at", "is_gone"] == list(event)[8:11]


@each_stream
async def test_a_stream_requests_its_lists_and_nothing_else(name: str) -> None:
    """Not what a selection of the source names, and no address that came in a response."""
    seen: list[str] = []
    async with stream_of(vidicenter(seen=seen), name, site_tags=[4], locations=[5120]) as stream:
        await result_of(stream)
        assert "the whole account" == stream.selection
    assert [f"GET {path}" for path in PATHS[name]] == seen


@each_stream
async def test_a_thing_that_is_gone(name: str) -> None:
    async with stream_of(vidicenter(), name) as stream:
        result, rows = await result_of(stream)
        assert result.gone is not None
        keys = [row.key for row in rows if isinstance(row, Record)]
        before = values_of(stream, rows)
        after = values_of(stream, [result.gone(key) for key in keys], 3)
    assert [8] * len(keys) == list(map(len, keys))
    for listed, lost in zip(before, after, strict=True):
        assert (listed["key"], listed["record_id"]) == (lost["key"], lost["record_id"])
        assert (3, True) == (lost["revision"], lost["is_gone"])
        known = {each: value for each, value in described(lost).items() if value is not None}
        assert known == {each: value for each, value in described(listed).items() if each in IDENTITIES[name]}


@each_stream
@pytest.mark.parametrize(
    "body",
    [
        b'{"count": 2, "next": null, "results": []}',
        b'{"message": "Forbidden", "error": 403}',
        b"{}",
        b"null",
        b'"none"',
        b"",
        b"<html></html>",
    ],
)
async def test_anything_but_an_array_is_an_error(name: str, body: bytes) -> None:
    """An object may be a page of a list that has begun to be paged: what it lacks is not gone."""
    for path in PATHS[name]:
        async with stream_of(vidicenter({path: body}), name) as stream:
            with pytest.raises(RetryLater):
                await result_of(stream)


async def test_an_empty_array_is_a_complete_list() -> None:
    result, rows = await rows_of("boxes", b"[]")
    assert (True, 0, []) == (result.is_whole, result.rows, rows)


@pytest.mark.parametrize("status", [403, 404, 500])
@pytest.mark.parametrize("path", PATHS["tags"])
async def test_tags_are_not_published_unless_both_lists_came(path: str, status: int) -> None:
    async with stream_of(vidicenter({path: status}), "tags") as stream:
        with pytest.raises(CollectorError) as raised:
            await result_of(stream)
    assert isinstance(raised.value, Park | RetryLater)


async def test_two_lists_together_may_not_be_larger_than_one_response() -> None:
    tags = json.dumps([{"id": number, "label": "x" * 80} for number in range(6)]).encode()
    assert len(tags) < 1024 < 2 * len(tags)
    responses = vidicenter(dict.fromkeys(PATHS["tags"], tags))
    async with stream_of(responses, "tags", max_response_bytes=1024) as stream:
        with pytest.raises(Split) as raised:
            await result_of(stream)
    assert "response_too_large" == raised.value.code


@pytest.mark.parametrize("secret", [b"187649984473770", b"10.1.2.3", b"rtsp"])
async def test_neither_events_nor_rejects_have_a_camera_or_a_mac_address(secret: bytes) -> None:
    assert secret not in repr(await events("boxes")).encode()
    for broken in (BOXES.replace(b'"id": 31', b'"id": null'), BOXES.replace(b'"id": 31', b'"id": 3 1')):
        _, [reject] = await rows_of("boxes", broken)
        assert isinstance(reject, Reject)
        assert secret not in reject.payload


async def test_a_reject_has_only_plain_values_of_fields_that_are_published() -> None:
    row = {"id": -1, "label": "Hall", "password": "hunter2", "site_id": {"raw_camera_config": "rtsp://10.0.0.1"}}
    _, [reject] = await rows_of("locations", json.dumps([row]).encode())
    assert isinstance(reject, Reject)
    assert {"id": -1, "label": "Hall"} == json.loads(reject.payload)


@each_stream
async def test_what_an_event_contains_decides_whether_it_is_published_again(name: str) -> None:
    path = PATHS[name][0]
    row = json.loads(RESPONSES[path])[0]

    async def fingerprint(**changed: object) -> bytes:
        _, [record, *_] = await rows_of(name, json.dumps([row | changed]).encode())
        assert isinstance(record, Record)
        return record.fingerprint

    renamed = {"zones": "name", "contents": "name"}.get(name, "label")
    assert await fingerprint(**{renamed: "another"}) != await fingerprint()
    assert await fingerprint(raw_camera_config="another", a_new_field=[1]) == await fingerprint()


async def test_the_fingerprint_does_not_depend_on_when_the_list_was_requested() -> None:
    async with stream_of(vidicenter(), "locations") as stream:
        _, [first, *_] = await result_of(stream)
        later = structs.replace(MINUTE, end=MINUTE.end.replace(hour=13))
        [second, *_] = [row async for result in stream.fetch(later) for row in result.records if row is not None]
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert (first.key, first.fingerprint) == (second.key, second.fingerprint)
    assert first.start_ms < second.start_ms


async def test_equal_malformed_rows_of_both_lists_of_tags_are_two_dead_letters() -> None:
    broken = b'[{"id": null, "label": "x"}]'
    async with stream_of(vidicenter(dict.fromkeys(PATHS["tags"], broken)), "tags") as stream:
        _, rows = await result_of(stream)
    assert ["location_tag", "site_tag"] == [row.place for row in rows if isinstance(row, Reject)]
