"""The events of the documented aggregates, field by field."""

from typing import Any

import pytest

from collector.model import DedupMode
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from tests.vendors.quividi.aggregated import (
    AGGREGATED,
    ALL_EXAMPLES,
    BY_DEMOGRAPHICS,
    DIGEST,
    EXAMPLES,
    PLACEHOLDERS,
    aggregates,
    events,
    local,
    value,
)

HOUR = {
    "vendor": "quividi",
    "source": "mall",
    "revision": 0,
    "resolution": "1h",
    "utc_offset_s": 3600,
    "ambiguous": False,
}
NOT_SENT: dict[str, dict[str, None]] = {
    "ots": dict.fromkeys(("effective_ots_count", "status")),
    **{
        stream: {metric.name: None for metric in EXPORT_TYPES[stream].metrics if metric.since == 3}
        for stream in ("proof_of_play_by_location", "proof_of_play_by_site")
    },
}
"""The fields that were added later than the document was written."""
NOT_GROUPED: dict[str, Any] = {"gender": None, "gender_code": None, "age_group": None, "age_code": None}


def of_hour(stream: str, place: dict[str, int], start: str, more: str = "", **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """An event of an hour in Paris in the winter of 2018."""
    [number] = place.values()
    day, hour = start.split(" ")
    return {
        "event_id": f"{DIGEST}/{stream}/0",
        "type": f"quividi.{stream}.v1",
        "record_id": f"quividi/acme/{stream}/{number}/{day}T{hour}/1h{more}",
        **HOUR,
        **place,
        "period_start": f"{day}T{int(hour[:2]) - 1:02d}:00:00.000Z",
        "period_end": f"{day}T{hour}.000Z",
        "period_start_local": f"{day}T{hour}",
        "quality": "observed",
        **NOT_SENT.get(stream, {}),
        **fields,
    }


def test_documented_aggregated_viewers() -> None:
    got = events(aggregates("viewers_aggregated"), EXAMPLES["viewers_aggregated"])

    place = {"location_id": 4636}
    assert [
        of_hour(
            "viewers_aggregated",
            place,
            start,
            **NOT_GROUPED,
            watcher_count=watchers,
            dwell_ms=dwell_ms,
            attention_ms=attention_ms,
            conversion_percent=percent,
        )
        for start, watchers, dwell_ms, attention_ms, percent in (
            ("2018-01-29 02:00:00", 1, 1200, 300, 11.11111111111111),
            ("2018-01-29 03:00:00", 0, 0, 0, 0.0),
            ("2018-01-29 04:00:00", 3, 8300, 2700, 27.272727272727273),
        )
    ] == [value(event) for event in got]
    first = got[0]
    assert ("quividi.viewers_aggregated", "quividi.viewers_aggregated.v1") == (first.type.topic, first.type.name)
    assert ("4636", "2018-01-29T01:00:00.000Z") == (first.key, first.time)
    assert "location/4636/viewers_aggregated/2018-01-29T02:00:00/1h" == first.subject


def test_documented_viewers_by_demographics() -> None:
    got = events(aggregates("viewers_aggregated", is_grouped=True), BY_DEMOGRAPHICS)

    place, start = {"location_id": 9876}, "2018-01-29 04:00:00"
    assert [
        of_hour(
            "viewers_aggregated",
            place,
            start,
            "/1-3",
            gender="male",
            gender_code=1,
            age_group="adult",
            age_code=3,
            watcher_count=3,
            dwell_ms=8300,
            attention_ms=2700,
            conversion_percent=None,
        ),
        of_hour(
            "viewers_aggregated",
            place,
            start,
            "/0-0",
            gender="unknown",
            gender_code=0,
            age_group="unknown",
            age_code=0,
            watcher_count=0,
            dwell_ms=None,
            attention_ms=None,
            conversion_percent=None,
        ),
    ] == [value(event) for event in got]
    assert "location/9876/viewers_aggregated/2018-01-29T04:00:00/1h/1-3" == got[0].subject


def test_documented_ots() -> None:
    got = events(aggregates("ots"), EXAMPLES["ots"])

    assert [
        of_hour(
            "ots",
            {"location_id": 1467},
            f"2018-01-29 {hour:02d}:00:00",
            ots_count=ots,
            watcher_count=watchers,
            duration_ms=3_600_000,
        )
        for hour, ots, watchers in ((1, 0, 0), (2, 9, 1), (3, 0, 0), (4, 11, 3))
    ] == [value(event) for event in got[1:]]
    midnight = value(got[0])
    assert ("2018-01-28T23:00:00.000Z", "2018-01-29T00:00:00.000Z") == (
        midnight["period_start"],
        midnight["period_end"],
    )
    assert ("quividi/acme/ots/1467/2018-01-29T00:00:00/1h", 4, 3) == (
        midnight["record_id"],
        midnight["ots_count"],
        midnight["watcher_count"],
    )
    assert ("quividi.ots", "quividi.ots.v1") == (got[0].type.topic, got[0].type.name)
    assert ("1467", "location/1467/ots/2018-01-29T00:00:00/1h") == (got[0].key, got[0].subject)


def test_documented_gate() -> None:
    got = events(aggregates("gate"), EXAMPLES["gate"])

    assert [
        of_hour(
            "gate",
            {"location_id": 26549},
            f"2018-01-19 {hour}:00:00",
            "/1",
            gate_id=1,
            in_count=entered,
            out_count=left,
            duration_ms=3_600_000,
        )
        for hour, entered, left in ((10, 8, 18), (11, 14, 36), (12, 16, 32))
    ] == [value(event) for event in got]
    assert ("quividi.gate", "quividi.gate.v1") == (got[0].type.topic, got[0].type.name)
    assert ("26549", "location/26549/gate/2018-01-19T10:00:00/1h/1") == (got[0].key, got[0].subject)


def test_documented_proof_of_play_by_location() -> None:
    got = events(aggregates("proof_of_play_by_location"), EXAMPLES["proof_of_play_by_location"])

    assert [
        of_hour(
            "proof_of_play_by_location",
            {"location_id": 4636},
            f"2018-01-29 {hour:02d}:00:00",
            "/content%20one",
            content_id="content one",
            content_duration_ms=played_ms,
            duration_ms=3_600_000,
            impressions=impressions,
            estimated_ots=impressions,
            play_count=plays,
            watchers=watchers,
            watchers_over_2s=over_2s,
        )
        for hour, played_ms, impressions, plays, watchers, over_2s in (
            (2, 12_200, 32, 12, 8, 6),
            (3, 7_800, 96, 22, 64, 20),
            (4, 12_200, 8, 33, 4, 1),
        )
    ] == [value(event) for event in got]
    expected = "quividi.proof_of_play_by_location"
    assert (expected, f"{expected}.v1", "4636") == (got[0].type.topic, got[0].type.name, got[0].key)
    assert "location/4636/proof_of_play_by_location/2018-01-29T02:00:00/1h/content%20one" == got[0].subject


def test_documented_proof_of_play_by_site() -> None:
    got = events(aggregates("proof_of_play_by_site"), EXAMPLES["proof_of_play_by_site"])

    assert [
        of_hour(
            "proof_of_play_by_site",
            {"site_id": 178},
            f"2018-01-29 {hour:02d}:00:00",
            "/content%20one",
            content_id="content one",
            content_duration_ms=played_ms,
            duration_ms=3_600_000,
            impressions=impressions,
            estimated_ots=impressions,
            play_count=plays,
            watchers=watchers,
            watchers_over_2s=over_2s,
        )
        for hour, played_ms, impressions, plays, watchers, over_2s in (
            (2, 12_200, 31, 10, 7, 5),
            (3, 7_800, 28, 22, 14, 14),
            (4, 12_200, 87, 4, 42, 12),
        )
    ] == [value(event) for event in got]
    expected = "quividi.proof_of_play_by_site"
    assert (expected, f"{expected}.v1", "178") == (got[0].type.topic, got[0].type.name, got[0].key)
    assert "site/178/proof_of_play_by_site/2018-01-29T02:00:00/1h/content%20one" == got[0].subject


def test_documented_placeholder_and_day_in_summer_time() -> None:
    rows = aggregates("ots", "1d")
    spring = local("2016-04-29T00:00:00"), local("2016-04-30T23:59:59")
    day, placeholder = (value(event) for event in events(rows, PLACEHOLDERS, spring))

    common: dict[str, object] = {"event_id": f"{DIGEST}/ots/0", "type": "quividi.ots.v1", "vendor": "quividi"}
    common |= {
        "source": "mall",
        "revision": 0,
        "location_id": 1234,
        "resolution": "1d",
        "utc_offset_s": 7200,
        "ambiguous": False,
    }
    assert {
        **common,
        "record_id": "quividi/acme/ots/1234/2016-04-29T00:00:00/1d",
        "period_start": "2016-04-28T22:00:00.000Z",
        "period_end": "2016-04-29T22:00:00.000Z",
        "period_start_local": "2016-04-29T00:00:00",
        "quality": "observed",
        "ots_count": 504,
        "watcher_count": 156,
        "duration_ms": 86_400_000,
        **NOT_SENT["ots"],
    } == day
    assert {
        **common,
        "record_id": "quividi/acme/ots/1234/2016-04-30T00:00:00/1d",
        "period_start": "2016-04-29T22:00:00.000Z",
        "period_end": "2016-04-30T22:00:00.000Z",
        "period_start_local": "2016-04-30T00:00:00",
        "quality": "no_data",
        "ots_count": None,
        "watcher_count": None,
        "duration_ms": None,
        **NOT_SENT["ots"],
    } == placeholder


@pytest.mark.parametrize("stream", AGGREGATED)
def test_aggregates_are_versioned_and_have_the_declared_type(stream: str) -> None:
    rows = aggregates(stream)
    [event, *_] = events(rows, ALL_EXAMPLES[stream])

    assert DedupMode.VERSIONED is rows.dedup_mode
    assert EXPORT_TYPES[stream].events == (event.type,)
    assert event.type.data is type(event.data)
