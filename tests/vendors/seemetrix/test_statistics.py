"""Statistics by the hour: the documented examples, and the requests."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector.errors import RetryLater
from collector.model import Record, Reject, Window
from tests.vendors.loopback import responding, serving
from tests.vendors.seemetrix.documented import DEVICE_STATISTICS, USER_STATISTICS
from tests.vendors.seemetrix.fetching import events, fetched, stream_of

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
SPAN = Window(datetime(2017, 9, 12, 12, tzinfo=UTC), datetime(2017, 9, 14, 12, tzinfo=UTC))
DAY = Window(datetime(2017, 9, 15, tzinfo=UTC), datetime(2017, 9, 16, tzinfo=UTC))
NOT_REQUESTED = dict.fromkeys(
    [
        "female",
        "male",
        "gender_unknown",
        "child",
        "young_adult",
        "adult",
        "senior",
        "age_unknown",
        "demographics",
        "movie_views",
        "movie_views_average",
        "interval_average",
    ]
)


def hour(start: str, end: str, views: int, **fields: object) -> dict[str, Any]:
    return {
        "key": "user/632",
        "subject": f"user/632/statistics/{start}",
        "time": start,
        "record_id": f"seemetrix/632/statistics/all/views/{start}",
        "revision": 0,
        "user_id": 632,
        "device_id": None,
        "period_start": start,
        "period_end": end,
        "resolution": "1h",
        "views": views,
        **NOT_REQUESTED,
        **fields,
    }


async def test_documented_statistics_of_a_user() -> None:
    found = await events(USER_STATISTICS, "statistics", SPAN)
    assert hour("2017-09-12T12:00:00.000Z", "2017-09-12T13:00:00.000Z", 3) == found[0]
    assert [
        ("2017-09-12T12:00:00.000Z", 3),
        ("2017-09-12T16:00:00.000Z", 6),
        ("2017-09-12T17:00:00.000Z", 6),
        ("2017-09-13T02:00:00.000Z", 7),
        ("2017-09-13T03:00:00.000Z", 12),
        ("2017-09-13T04:00:00.000Z", 15),
        ("2017-09-13T05:00:00.000Z", 18),
        ("2017-09-13T06:00:00.000Z", 12),
    ] == [(each["period_start"], each["views"]) for each in found]


async def test_documented_statistics_of_a_device() -> None:
    found = await events(DEVICE_STATISTICS, "statistics", DAY, device_ids=[3024])
    device = {"key": "3024", "device_id": 3024}
    starts = [f"2017-09-15T{h:02}:00:00.000Z" for h in (8, 9, 10, 11)]
    assert [
        hour(start, end, views)
        | device
        | {"subject": f"device/3024/statistics/{start}", "record_id": f"seemetrix/632/statistics/3024/views/{start}"}
        for start, end, views in zip(starts, starts[1:], (7, 0, 1), strict=False)
    ] == found


async def test_requests_always_group_by_year_month_day_and_hour() -> None:
    seen: list[str] = []
    table: dict[str, object] = {"sex": True, "intervals": True}
    async with serving(responding(USER_STATISTICS, seen=seen)) as url, stream_of(url, "statistics", table) as stream:
        _ = [result async for result in stream.fetch(SPAN)]
    [path] = seen
    assert path.startswith("/api/statistics/user/632/?key=")
    assert path.endswith(
        "&b=2017/09/12%2012:00:00&e=2017/09/14%2012:00:00&tzo=0&year=1&month=1&day=1&hour=1&intervals=1&sex=1"
    )


async def test_each_device_has_a_path_of_its_own() -> None:
    seen: list[str] = []
    async with (
        serving(responding(DEVICE_STATISTICS, seen=seen)) as url,
        stream_of(url, "statistics", {}, device_ids=[3035, 3024]) as stream,
    ):
        _ = [result async for result in stream.fetch(DAY)]
    assert ["/api/statistics/device/3024/", "/api/statistics/device/3035/"] == [path.partition("?")[0] for path in seen]


async def test_optional_counts_have_full_names() -> None:
    body = b"""{"objects": [{"i": {"y": 2017, "m": 9, "d": 12, "h": 13}, "t": 9, "fl": 5, "ml": 3, "us": 1, "k": 0,
        "m": 4, "m2": 3, "o": 1, "u": 1, "v": 12, "va": 1.5, "ia": 3.29, "fk": 0, "mo": 1, "fm2": 2}], "total": 1}"""
    [found] = await events(body, "statistics", SPAN)
    expected = {
        "female": 5,
        "male": 3,
        "gender_unknown": 1,
        "child": 0,
        "young_adult": 4,
        "adult": 3,
        "senior": 1,
        "age_unknown": 1,
        "movie_views": 12,
        "movie_views_average": 1.5,
        "interval_average": 3.29,
        "demographics": [
            {"gender": "female", "age_group": "child", "views": 0},
            {"gender": "female", "age_group": "adult", "views": 2},
            {"gender": "male", "age_group": "senior", "views": 1},
        ],
    }
    assert expected == {name: found[name] for name in expected}


async def test_hours_outside_the_window_are_dropped() -> None:
    narrower = Window(SPAN.start + HOUR, SPAN.start + 5 * HOUR)
    found = await events(USER_STATISTICS, "statistics", narrower)
    assert ["2017-09-12T16:00:00.000Z"] == [each["period_start"] for each in found]


async def test_a_response_with_missing_rows_raises_retry_later() -> None:
    cut = USER_STATISTICS.replace(b'{"i": {"d": 12, "h": 16, "m": 9, "y": 2017}, "t": 6},', b"")
    with pytest.raises(RetryLater, match=r"8.*7") as raised:
        await fetched(cut, "statistics", SPAN)

    assert "response_undocumented" == raised.value.code


async def test_an_hour_after_the_dates_of_the_response_is_published() -> None:
    """The document does not state how fresh `max_date` is: the row itself has its time."""
    moved = USER_STATISTICS.replace(b'"max_date": "2017/09/15 09:00:00"', b'"max_date": "2017/09/12 15:30:00"')

    assert 8 == len(await events(moved, "statistics", SPAN))


@pytest.mark.parametrize("value", [[1, 2], "3.29", {}, True])
async def test_an_extra_that_cannot_be_understood_is_null_and_counted(value: object) -> None:
    row = {"i": {"y": 2017, "m": 9, "d": 12, "h": 13}, "t": 9, "fl": 5, "ia": value}
    body = json.dumps({"objects": [row], "total": 1}).encode()
    async with serving(responding(body)) as url, stream_of(url, "statistics", {}) as stream:
        [result] = [result async for result in stream.fetch(SPAN)]
        [record] = result.records
        assert isinstance(record, Record)
        [event] = stream.explode(record, "0" * 32, 0)
    assert (9, 5, None) == (event.data.views, event.data.female, event.data.interval_average)  # type: ignore[attr-defined]
    assert {"ia": 1} == result.ignored


@pytest.mark.parametrize("unit", ['{"d": 12, "m": 9, "y": 2017}', '{"d": 31, "h": 1, "m": 9, "y": 2017}', '{"h": 1}'])
async def test_an_invalid_hour_is_a_reject(unit: str) -> None:
    found = await fetched(f'{{"objects": [{{"i": {unit}, "t": 3}}], "total": 1}}'.encode(), "statistics", SPAN)
    assert [Reject] == [type(each) for each in found]


async def test_changed_counts_are_a_revision_of_the_hour() -> None:
    later = USER_STATISTICS.replace(b'"t": 18', b'"t": 19')
    before, after = await fetched(USER_STATISTICS, "statistics", SPAN), await fetched(later, "statistics", SPAN)
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if isinstance(a, Record) and isinstance(b, Record)]
    assert [a.key for a, _ in pairs] == [b.key for _, b in pairs]
    assert [6] == [n for n, (a, b) in enumerate(pairs) if a.fingerprint != b.fingerprint]


@pytest.mark.parametrize("form", [b"3", b"3.0", b"0.3e1"])
async def test_the_form_of_a_number_does_not_change_the_event(form: bytes) -> None:
    body = b'{"objects": [{"i": {"y": 2017, "m": 9, "d": 15, "h": 8}, "t": 1, "va": %b, "ia": %b}]}' % (form, form)
    window = Window(datetime(2017, 9, 15, 8, tzinfo=UTC), datetime(2017, 9, 15, 9, tzinfo=UTC))

    [event] = await events(body, "statistics", window)
    assert ["3.0", "3.0"] == [repr(event[name]) for name in ("movie_views_average", "interval_average")]
